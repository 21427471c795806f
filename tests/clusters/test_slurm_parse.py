"""Slurm's answers, recorded from the real thing (22.05): what is made of them; the commands; bad answers.

The tapes hold invented people. Commands that lie, stop in the middle or never answer are real processes on PATH.
"""

import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from make import factory
from schmelz.cluster.backends import (
    slurm,
    slurm_call,
    slurm_queue as queue,
    slurm_read as read,
    slurm_submit as submit,
    slurm_words as words,
    slurm_write as write,
)
from schmelz.cluster.backends.slurm import SlurmCluster
from schmelz.cluster.model import Account, ClusterError, JobRequest, Member, Observed
from schmelz.faults import BadInput, Refused
from schmelz.metering.sacct import read as read_records

HERE = Path(__file__).parent.parent
TAPES = HERE / "tapes/slurm-22.05"
GOLDEN = HERE / "golden/slurm-commands.txt"
SITES = {"bissen": "mxb[001-002]", "bettembourg": "mxt[001-002]"}
SYSTEM = factory(
    sites=SITES,
    cluster={"backend": "slurm", "name": "schmelz", "max_time": "1d"},
    partitions={"bissen": ["bissen"], "bettembourg": ["bettembourg", "interactive"]},
).systems[0]
Program = Callable[[str, str], None]
REQUEST = JobRequest("#!/bin/sh\n", "p200001", "eurohpc", "tsanna", 6, 2, 5400)


def tape(name: str) -> bytes:
    return (TAPES / f"{name}.txt").read_bytes()


# -- the tree


def test_the_tree_is_read_by_header_and_only_marked_accounts_are_ours() -> None:
    stand = read.stand(tape("accounts"), "schmelz")
    assert stand.observed == Observed(
        "schmelz",
        (
            Account("eurohpc", "root", 50),
            Account("national", "root", 50),
            Account("p200001", "eurohpc", 1, 6000),
            Account("p200002", "national", 1, 3),
            Account("p200003", "national", 1, 0, open=False),
        ),
        (Member("tsanna", "p200001"), Member("tsanna", "p200002"), Member("tsbruno", "p200001")),
        ("chem",),
    )
    assert stand.former == {Member("tsbruno", "p200002")}


def test_the_order_of_columns_means_nothing() -> None:
    lines = [line.split("|") for line in tape("accounts").decode().splitlines()]
    turned = "".join("|".join(reversed(line)) + "\n" for line in lines).encode()
    assert read.stand(turned, "schmelz") == read.stand(tape("accounts"), "schmelz")


def test_another_cluster_of_the_data_base_only_takes_names() -> None:
    other = b"p200009|uni|old|root||1|||\np200009|uni|old||tsanna|1|||\neurohpc|schmelz|old|root||9|||\n"
    stand = read.stand(tape("accounts") + other, "schmelz")
    assert (stand.observed.foreign, "p200009" in stand.here) == (("chem", "p200009"), False)
    assert replace(stand.observed, foreign=()) == replace(read.stand(tape("accounts"), "schmelz").observed, foreign=())


HEADER = tape("accounts").splitlines(keepends=True)[0]


@pytest.mark.parametrize(
    ("answer", "cluster", "sentence"),
    [
        (b"", "schmelz", "sacctmgr show account: the answer is empty"),
        (HEADER, "schmelz", "the cluster 'schmelz' has no root account; the data base knows the clusters: none"),
        (
            tape("accounts"),
            "other",
            "the cluster 'other' has no root account; the data base knows the clusters: schmelz",
        ),
        (tape("accounts")[:-9], "schmelz", "sacctmgr show account: the answer is cut off in the middle of a line"),
        (
            tape("accounts").replace(b"|Org|", b"|D|"),
            "schmelz",
            "sacctmgr show account: the answer lacks the column Org",
        ),
        (tape("accounts") + b"p2|schmelz\n", "schmelz", "sacctmgr show account: a line has not 9 fields: 'p2|schmelz'"),
        (
            tape("accounts").replace(b"national|schmelz|schmelz|root||50|||\n", b""),
            "schmelz",
            "account p200002: its parent 'national' is not in the answer",
        ),
        (
            tape("accounts").replace(b"p200001|schmelz|schmelz|eurohpc||1|gres/gpu=6000||\n", b""),
            "schmelz",
            "the answer has members of p200001, but not the account itself",
        ),
        (tape("accounts").replace(b"root||50|", b"root||x|"), "schmelz", "Share: 'x' is not a number"),
    ],
)
def test_half_an_answer_is_no_answer(answer: bytes, cluster: str, sentence: str) -> None:
    with pytest.raises(ClusterError) as fault:
        read.stand(answer, cluster)
    assert str(fault.value) == sentence


@given(st.integers(0, tape("accounts").index(b"root|root|schmelz|||") + 5))
def test_no_cut_makes_accounts_vanish_unseen(length: int) -> None:
    with pytest.raises(ClusterError):
        read.stand(tape("accounts")[:length], "schmelz")


def test_shares_that_somebody_took_away_by_hand_are_a_difference() -> None:
    answer = tape("accounts").replace(b"national|schmelz|schmelz|root||50|", b"national|schmelz|schmelz|root||parent|")
    assert read.stand(answer, "schmelz").observed.accounts[1] == Account("national", "root", 0)


def test_who_loses_the_default_account_gets_another_but_not_with_the_last_one() -> None:
    users = tape("users")
    assert read.new_defaults(users, "schmelz", [Member("tsbruno", "p200001")]) == {"p200002": ["tsbruno"]}
    assert read.new_defaults(users, "schmelz", [Member("tsanna", "p200001")]) == {}
    assert read.new_defaults(users, "schmelz", [Member("tsbruno", "p200001"), Member("tsbruno", "p200002")]) == {}


# -- jobs


def test_jobs_of_the_queue_in_plain_words() -> None:
    jobs = {job.job: job for job in queue.queue(tape("queue"), SYSTEM)}
    assert {number: (job.state, job.reason, job.exit_code) for number, job in jobs.items()} == {
        "1": ("COMPLETED", "ended well", 0),
        "2": ("FAILED", "ended with exit code 7", 7),
        "3": ("FAILED", "ended with exit code 137", 137),
        "4": ("TIMEOUT", "was stopped at its time limit", None),
        "5": ("RUNNING", "runs", None),
        "6": ("RUNNING", "runs", None),
        "7": ("RUNNING", "runs", None),
        "8": ("CANCELLED", "was cancelled", None),
        "9": ("PENDING", "its owner left the project, or runs as many jobs as allowed", None),
        "10": ("PENDING", "its earliest start has not come yet", None),
        "11": ("PENDING", "was held by its owner", None),
        "12": ("PENDING", "as many tasks of this array run as it allows", None),
        "13": ("RUNNING", "runs", None),
        "14": ("PENDING", "waits for free GPUs", None),
        "15": ("CANCELLED", "was cancelled", None),
    }
    running, waiting, never = jobs["5"], jobs["14"], jobs["15"]
    assert (running.site, running.node_list, running.gpus, running.nodes, running.limit) == (
        "bettembourg",
        "mxt[001-002]",
        8,
        2,
        600,
    )
    assert running.started == running.submitted == 1795479070
    assert (waiting.site, waiting.node_list, waiting.gpus, waiting.started, waiting.ended) == (None, "", 8, None, None)
    assert (never.started, never.ended) == (None, 1795479174)


def test_controller_and_accounting_tell_the_same_of_ended_jobs() -> None:
    live = {job.job: job for job in queue.queue(tape("queue"), SYSTEM) if job.ended is not None}
    past = {job.job: job for job in queue.ended(tape("ended"), SYSTEM)}
    assert sorted(past) == sorted(live) == ["1", "15", "2", "3", "4", "8"]
    assert {n: job for n, job in past.items() if n != "15"} == {n: job for n, job in live.items() if n != "15"}
    assert (past["15"].state, past["15"].started, past["15"].gpus) == ("CANCELLED", None, 8)  # it had two partitions


def test_jobs_of_another_cluster_are_no_answer() -> None:
    with pytest.raises(ClusterError, match="about the cluster 'schmelz', not about 'other'"):
        queue.queue(tape("queue"), factory(sites=SITES, cluster={"backend": "slurm", "name": "other"}).systems[0])


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        ("Resources", "waits for free GPUs"),
        ("(ReqNodeNotAvail, UnavailableNodes:mxb001)", "a node that it needs is down or reserved"),
        ("AssocGrpGRESMinutes", "the project's remaining GPU-hours do not cover its time limit"),
        ("SomethingNew", "SomethingNew"),
    ],
)
def test_why_a_job_waits(reason: str, sentence: str) -> None:
    answer = tape("queue").replace(b"|Resources|", f"|{reason}|".encode())
    assert next(job.reason for job in queue.queue(answer, SYSTEM) if job.job == "14") == sentence


@pytest.mark.parametrize(
    ("tres", "number"),
    [
        ("billing=8,cpu=2,gres/gpu=8,mem=2000M,node=2", 8),
        ("gres/gpu:h200=4,gres/gpu=4", 4),
        ("gres/gpu:h200=4,gres/gpu:a100=2", 6),
        ("cpu=1", 0),
        ("", 0),
    ],
)
def test_gpus_are_counted_once(tres: str, number: int) -> None:
    assert queue.gpus(tres) == number


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1:00", 60),
        ("10:00", 600),
        ("01:00:00", 3600),
        ("5-00:00:00", 432000),
        ("UNLIMITED", 86400),
        ("NOT_SET", 86400),
    ],
)
def test_time_limits(text: str, seconds: int) -> None:
    answer = tape("queue").replace(b"|10:00|", f"|{text}|".encode())
    assert next(job.limit for job in queue.queue(answer, SYSTEM) if job.job == "14") == seconds


def test_every_state_has_words() -> None:
    assert sorted(set(words.BY_STATE) - set(words.STATES)) == []
    assert {words.STATES[word] for word in words.STATES} == {
        "PENDING",
        "RUNNING",
        "COMPLETED",
        "FAILED",
        "TIMEOUT",
        "CANCELLED",
        "NODE_FAIL",
    }


def test_records_are_what_metering_reads() -> None:
    reading = read_records(tape("records"), system="anvil", cluster="schmelz")
    assert (reading.faults, reading.lines, reading.runs["gpus"].sum()) == ((), 14, 20)


def test_events_of_nodes() -> None:
    assert read.events(tape("events"), "schmelz") == (
        ("mxb002", "drained", 1795479214, None, "GPU 3 | ECC errors"),
        ("mxb001", "down", 1795479271, 1795479274, "psu"),
        ("mxt001", "drained", 1795479271, 1795479273, "GPU 3 | ECC errors"),
    )
    with pytest.raises(ClusterError, match="'other' is not in the answer"):
        read.events(tape("events"), "other")


@pytest.mark.parametrize(
    ("state", "kind"),
    [("DRAIN", "drained"), ("IDLE+DRAIN", "drained"), ("DOWN", "down"), ("DOWN+DRAIN", "down"), ("FAIL", "down")],
)
def test_what_happened_to_a_node(state: str, kind: str) -> None:
    answer = tape("events").replace(b"|DRAIN|", f"|{state}|".encode())
    assert read.events(answer, "schmelz")[0][1] == kind


# -- commands


def commands() -> str:
    """Every command that can go out, as it goes out."""
    old = read.stand(tape("accounts"), "schmelz").observed
    by_name = {account.name: account for account in old.accounts}
    pairs = [
        (by_name["p200001"], Account("p200001", "national", 1, None, open=False)),
        (by_name["p200002"], Account("p200002", "national", 2, 60, open=False)),
        (by_name["p200003"], Account("p200003", "national", 2, 60, open=True)),
    ]
    new = [
        Account("p200005", "physics", 1, 9),
        Account("physics", "national", 3),
        Account("p200004", "eurohpc", 1, 0, open=False),
    ]
    members = [Member("tsbruno", "p200001"), Member("tsanna", "p200004"), Member("tsanna", "p200001")]
    node, home = factory(sites=SITES, charge="node").systems[0], ("/home/tsanna", "/home/tsanna/%j.out")
    moved = write.default_accounts("schmelz", {"p200002": ["tsanna", "tsbruno"]})
    parts = {
        "observe": [slurm.TREE],
        "create": [write.LOAD],
        "change: parents": write.moves("schmelz", pairs),
        "change: values": write.settings("schmelz", pairs),
        "remove: default accounts": [slurm.USERS, *moved],
        "remove": [command for command, _ in write.removals("schmelz", members)],
        "remove: jobs still run": write.endings("schmelz", members),
        "submit, GPUs are charged": [write.submission(REQUEST, SYSTEM, ["bissen", "bettembourg"], *home)],
        "submit, nodes are charged": [write.submission(REQUEST, node, ["bissen"], *home)],
        "jobs": [slurm.QUEUE, slurm.ENDED],
        "records": [slurm.RECORDS],
        "events of nodes": [slurm.EVENTS],
        "whose cluster it is": [slurm.CLUSTERS, slurm.CONTROLLER],
    }
    text = "".join(f"# {name}\n" + "".join(" ".join(c) + "\n" for c in part) + "\n" for name, part in parts.items())
    return text + "# create: standard input of load\n" + write.load_file("schmelz", new, members)


def test_the_commands_are_those_of_the_golden_file() -> None:
    assert commands() == GOLDEN.read_text()


def test_nothing_to_do_is_no_command() -> None:
    assert write.moves("c", []) == write.settings("c", []) == write.removals("c", []) == write.endings("c", []) == []
    same = Account("p1", "root", 1, 5)
    assert write.settings("c", [(same, same)]) == []


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdef"), st.integers(1, 3), st.none() | st.integers(0, 3), st.booleans()),
        unique_by=lambda values: values[0],
    )
)
def test_every_difference_is_in_one_command(rows: list[tuple[str, int, int | None, bool]]) -> None:
    pairs = [(Account(name, "root"), Account(name, "root", *values)) for name, *values in rows]
    found = [
        (name, command[-1])
        for command in write.settings("c", pairs)
        for name in command[5].removeprefix("name=").split(",")
    ]
    wanted = [(name, f"Fairshare={shares}") for name, shares, _, _ in rows if shares != 1]
    wanted += [(name, f"GrpTRESMins=gres/gpu={minutes}") for name, _, minutes, _ in rows if minutes is not None]
    wanted += [(name, "GrpSubmitJobs=0") for name, _, _, is_open in rows if not is_open]
    assert sorted(found) == sorted(wanted)


def test_long_lists_are_cut() -> None:
    pairs = [(Account(f"p{n}", "root"), Account(f"p{n}", "root", 2)) for n in range(1200)]
    assert [command[5].count(",") + 1 for command in write.settings("c", pairs)] == [500, 500, 200]


def test_parents_come_before_children_and_never_in_a_ring() -> None:
    accounts = [Account("a", "b"), Account("b", "c"), Account("c", "root")]
    lines = write.load_file("x", accounts, []).splitlines()
    assert [line for line in lines if line.startswith("Parent")] == ["Parent - 'root'", "Parent - 'c'", "Parent - 'b'"]
    with pytest.raises(ClusterError, match="the accounts a, b are parents of each other"):
        write.load_file("x", [Account("a", "b"), Account("b", "a")], [])


@pytest.mark.parametrize("name", ["Anna", "a b", "a'", "a:b", "a\n", "", "-a", "ä", "a,b", "a=b"])
def test_names_that_slurm_would_bend_are_refused(name: str) -> None:
    with pytest.raises(BadInput):
        write.check_names(["anna", name])


@pytest.mark.parametrize("line", ["#SBATCH --wait", "#SBATCH -W", "#SBATCH --mem=1G --wait", "#SBATCH --test-only"])
def test_directives_that_would_hold_the_portal_are_refused(line: str) -> None:
    with pytest.raises(BadInput, match="is of no use here"):
        write.check_directives(f"#!/bin/sh\n{line}\ntrue\n")
    write.check_directives("#!/bin/sh\n#SBATCH --wait-all-nodes=1\nsbatch --wait x\n")


@pytest.mark.parametrize(
    ("said", "kind", "sentence"),
    [
        (
            "sbatch: error: AssocGrpSubmitJobsLimit\nsbatch: error: Batch job submission failed: Job violates",
            Refused,
            "the project p200001 is closed for new jobs. Ask the principal investigator or the operator.",
        ),
        (
            "sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified",
            Refused,
            "tsanna may not use the project p200001 on the cluster. "
            "A new project or member gets there when the operator applies the plan.",
        ),
        (
            "sbatch: error: Batch job submission failed: Something new",
            Refused,
            "Slurm refuses it: Something new. Ask the operator what it means.",
        ),
        (
            "sbatch: error: This does not look like a batch script.  The first",
            BadInput,
            "script: the first line must say what runs it, such as #!/bin/bash",
        ),
        (
            "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)",
            ClusterError,
            "sbatch: sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)",
        ),
        ("sbatch: fatal: no conf", ClusterError, "sbatch failed (exit status 1): sbatch: fatal: no conf"),
    ],
)
def test_refusals_in_plain_words(said: str, kind: type[Exception], sentence: str) -> None:
    fault = submit.refusal(slurm_call.Answer(1, b"", said), REQUEST)
    assert (type(fault), str(fault)) == (kind, sentence)


# -- commands that lie, break or never answer


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Puts a program of this name first on PATH."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    def put(name: str, body: str) -> None:
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    return put


def fault_of(call: Callable[[], object]) -> str:
    with pytest.raises(ClusterError) as fault:
        call()
    return str(fault.value)


def test_a_command_that_never_answers(program: Program) -> None:
    program("sacctmgr", "exec sleep 30")
    assert fault_of(lambda: slurm_call.ask(slurm.TREE, patience=1)) == (
        "sacctmgr -P show account withassoc gave no answer in 1 s; what it did is not known: "
        "look at the cluster before you repeat it"
    )


def test_a_whole_answer_with_a_bad_exit_status_is_no_answer(program: Program) -> None:
    program("sacctmgr", f"cat {TAPES}/accounts.txt; echo 'sacctmgr: error: lost the data base' >&2; exit 1")
    assert fault_of(SlurmCluster(SYSTEM).observe) == (
        "sacctmgr -P show account withassoc failed (exit status 1): sacctmgr: error: lost the data base"
    )


def test_silence_with_a_good_exit_status_is_no_answer(program: Program) -> None:
    program("sacctmgr", "exit 0")
    program("squeue", "exit 0")
    cluster = SlurmCluster(SYSTEM)
    assert fault_of(cluster.observe) == "sacctmgr show account: the answer is empty"
    assert fault_of(cluster.jobs) == "squeue: the answer is empty"
    assert fault_of(lambda: cluster.records(0)) == "Slurm's data base has no cluster 'schmelz'; it knows: none"
    assert fault_of(lambda: cluster.node_events(0)) == "sacctmgr show event: the answer is empty"


def test_a_command_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert fault_of(SlurmCluster(SYSTEM).observe) == "sacctmgr is not installed here, or not on PATH"


def test_changes_that_did_not_happen_are_noticed(program: Program) -> None:
    program("sacctmgr", f'case "$*" in *show*) cat {TAPES}/accounts.txt;; *) echo Modified;; esac')
    cluster = SlurmCluster(SYSTEM)
    assert fault_of(lambda: cluster.change([Account("p200001", "eurohpc", 1, 7000)])) == (
        "Slurm took the commands, but p200001 did not become as asked"
    )
    assert fault_of(lambda: cluster.create([Account("p200007", "eurohpc")], [Member("tsanna", "p200007")])) == (
        "Slurm took the commands, but p200007, p200007/tsanna did not become as asked"
    )


def test_what_is_foreign_or_not_there_is_refused_before_anything_happens(program: Program) -> None:
    program("sacctmgr", f'case "$*" in *show*) cat {TAPES}/accounts.txt;; *) exit 9;; esac')
    cluster = SlurmCluster(SYSTEM)
    foreign = (
        "chem: on the cluster without our mark, so left alone; to hand an account over: "
        "sacctmgr modify account chem set organization=schmelz"
    )
    assert fault_of(lambda: cluster.create([Account("chem", "root")], [])) == foreign
    assert fault_of(lambda: cluster.change([Account("chem", "root")])) == foreign
    assert fault_of(lambda: cluster.remove([Member("tsanna", "chem")])) == foreign
    assert fault_of(lambda: cluster.change([Account("p9", "root")])) == "account p9: is not one of ours on schmelz"
    assert fault_of(lambda: cluster.create([Account("p9", "x")], [])) == "parent x: is not on the cluster schmelz"
    assert fault_of(lambda: cluster.create([], [Member("u", "chem")])) == "account chem: is not one of ours on schmelz"


def test_what_is_there_already_needs_no_command(program: Program) -> None:
    program("sacctmgr", f'case "$*" in *show*) cat {TAPES}/accounts.txt;; *) exit 9;; esac')
    cluster = SlurmCluster(SYSTEM)
    there = cluster.observe()
    cluster.create(there.accounts, there.members)
    cluster.change(there.accounts)


def test_a_command_gets_a_clean_environment(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_CONF", "/etc/somewhere.conf")
    for name in ("SACCT_FORMAT", "SQUEUE_FORMAT", "SCHMELZ_SECRET", "LC_TIME"):
        monkeypatch.setenv(name, "x")
    program("sacctmgr", "/usr/bin/env | grep -v -e PWD -e SHLVL -e ^_= -e ^PATH= | sort")
    assert slurm_call.ask(("sacctmgr",)).decode() == (
        "LC_ALL=C\nSLURM_CONF=/etc/somewhere.conf\nSLURM_TIME_FORMAT=%Y-%m-%dT%H:%M:%S\nTZ=UTC\n"
    )


ROOM = "A node has 4 GPUs; a job runs at one site."


def test_nobody_and_root_run_no_jobs() -> None:
    with pytest.raises(Refused, match="there is no Unix user 'nobody-of-that-name'"):
        slurm_call.person("nobody-of-that-name")
    with pytest.raises(Refused, match="root is root; no job runs as root"):
        slurm_call.person("root")


@pytest.mark.parametrize(
    ("asked", "kind", "sentence"),
    [
        (replace(REQUEST, gpus=0), BadInput, "gpus: 0 is not possible; 1 or more"),
        (replace(REQUEST, limit=10**6), BadInput, "limit: 1000000 s is too long; at most 86400 s"),
        (replace(REQUEST, gpus=9, nodes=3), Refused, "no site holds 9 GPUs on 3 nodes. " + ROOM),
        (replace(REQUEST, gpus=8, nodes=1), Refused, "no site holds 8 GPUs on 1 nodes. " + ROOM),
        (replace(REQUEST, site="mars"), Refused, "no site mars holds 6 GPUs on 2 nodes. " + ROOM),
    ],
)
def test_what_cannot_run_is_refused_at_once(asked: JobRequest, kind: type[Exception], sentence: str) -> None:
    with pytest.raises(kind) as fault:
        SlurmCluster(SYSTEM).submit(asked)
    assert str(fault.value) == sentence


@pytest.mark.parametrize("job", ["", "1; true", "../1", "--help", "1_2", "٣"])
def test_a_job_is_a_number(job: str) -> None:
    with pytest.raises(BadInput):
        SlurmCluster(SYSTEM).output(job)


if __name__ == "__main__":
    GOLDEN.write_text(commands())
