"""Commands that lie, stop in the middle or never answer; what is written down of them; many of them at once.

They are real processes: programs of ours that stand first on PATH.
"""

import re
import stat
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from make import factory
from schmelz.cluster.backends import slurm_accounts, slurm_call, slurm_many as many
from schmelz.cluster.backends.slurm import SlurmCluster
from schmelz.cluster.backends.slurm_call import Record
from schmelz.cluster.model import Account, ClusterError, JobRequest, Member, Qos
from schmelz.faults import BadInput, Refused

TAPES = Path(__file__).parent.parent / "tapes/slurm-22.05"
SITES = {"bissen": "mxb[001-002]", "bettembourg": "mxt[001-002]"}
SYSTEM = factory(
    sites=SITES,
    cluster={"backend": "slurm", "name": "schmelz", "max_time": "1d"},
    partitions={"bissen": ["bissen"], "bettembourg": ["bettembourg", "interactive"]},
).systems[0]
REQUEST = JobRequest("#!/bin/sh\n", "p200001", "eurohpc", "tsanna", 6, 2, 5400)
Program = Callable[[str, str], None]
SHOWS = "".join(
    f"*show\\ {what}*) cat {TAPES}/{tape}.txt;; "
    for what, tape in (("account", "accounts"), ("qos", "qos"), ("user", "users"))
)


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


# -- answers that are none


def test_a_command_that_never_answers(program: Program) -> None:
    program("sacctmgr", "exec sleep 30")
    assert fault_of(lambda: slurm_call.ask(slurm_accounts.TREE, patience=1)) == (
        "sacctmgr -P show account withassoc gave no answer in 1 s; what it did is not known: "
        "look at the cluster before you repeat it"
    )


def test_a_whole_answer_with_a_bad_exit_status_is_no_answer(program: Program) -> None:
    for bad in ("account", "qos", "user"):
        fails = f"*show\\ {bad}*) cat {TAPES}/users.txt; echo 'sacctmgr: error: lost the data base' >&2; exit 1;;"
        program("sacctmgr", f'case "$*" in {fails} {SHOWS} esac')
        said = fault_of(SlurmCluster(SYSTEM).observe)
        assert said.startswith(f"sacctmgr -P show {bad} ")
        assert said.endswith("failed (exit status 1): sacctmgr: error: lost the data base")


def test_silence_with_a_good_exit_status_is_no_answer(program: Program) -> None:
    for name in ("sacctmgr", "squeue"):
        program(name, "exit 0")
    program("scontrol", 'case "$*" in *config*) echo "ClusterName = schmelz";; esac')
    cluster = SlurmCluster(SYSTEM)
    assert fault_of(cluster.observe) == "sacctmgr show qos: the answer is empty"
    assert fault_of(cluster.jobs) == "squeue: the answer is empty"
    assert fault_of(lambda: cluster.records(0)) == "Slurm's data base has no cluster 'schmelz'; it knows: none"
    assert fault_of(lambda: cluster.node_events(0)) == "sacctmgr show event: the answer is empty"
    assert fault_of(lambda: cluster.cap({"national-own": 1})) == "sacctmgr show qos: the answer is empty"
    assert "no GPUs of any node" in fault_of(cluster.rooms)


def test_a_command_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert fault_of(SlurmCluster(SYSTEM).observe) == "sacctmgr is not installed here, or not on PATH"


def test_a_look_is_three_processes_and_nothing_to_do_is_no_more(program: Program, tmp_path: Path) -> None:
    tree = (TAPES / "accounts.txt").read_text().replace("||tsbruno||1||||0|", "||tsbruno||1|||||")
    (tmp_path / "tree").write_text(tree)
    shows = SHOWS.replace(f"{TAPES}/accounts.txt", f"{tmp_path}/tree")
    program("sacctmgr", f'echo "$3" >> {tmp_path}/calls; case "$*" in {shows} *) exit 9;; esac')
    program("squeue", "exit 9")
    cluster = SlurmCluster(SYSTEM)
    there = cluster.observe()
    assert sorted((tmp_path / "calls").read_text().split()) == ["account", "qos", "user"]
    cluster.create(there.accounts, there.members, there.qos)  # with the look of a moment ago
    assert len((tmp_path / "calls").read_text().split()) == 3
    cluster.change(there.accounts, there.qos, there.defaults[1:])  # that look was used
    cluster.cap({one.name: one.gpus for one in there.qos})
    assert len((tmp_path / "calls").read_text().split()) == 3 + 3 + 1


def test_after_a_change_only_what_can_have_changed_is_read_again(program: Program, tmp_path: Path) -> None:
    program("sacctmgr", f'echo "$3" >> {tmp_path}/calls; case "$*" in {SHOWS} *) exit 9;; esac')
    program("squeue", "exit 9")
    cluster = SlurmCluster(SYSTEM)
    there = cluster.observe()
    for kinds, calls in (
        ({"account"}, ["account"]),
        ({"qos"}, ["qos"]),
        ({"member"}, ["account", "user"]),
        ({"user", "qos"}, ["qos", "user"]),
    ):
        (tmp_path / "calls").unlink()
        assert cluster.observe_again(kinds) == there
        assert sorted((tmp_path / "calls").read_text().split()) == calls
    (tmp_path / "calls").unlink()
    assert SlurmCluster(SYSTEM).observe_again({"qos"}) == there, "without an earlier look everything is read"
    assert len((tmp_path / "calls").read_text().split()) == 3


def test_where_somebody_left_while_jobs_were_there_the_controller_is_asked_too(program: Program) -> None:
    """The former member of the tape is only left over when the controller says that no job is there."""
    program("sacctmgr", f'case "$*" in *problem*) cat {TAPES}/problems.txt;; {SHOWS} *) exit 9;; esac')
    former, head = (Member("tsbruno", "p200002"),), "CLUSTER|ACCOUNT|USER|STATE|END_TIME|"
    for answer, parts in (
        ("exit 1", (former, ())),
        (f"echo '{head}'; echo 'schmelz|p200002|tsbruno|RUNNING|2030-01-01T00:00:00|'", (former, ())),
        (f"echo '{head}'; echo 'schmelz|p200001|tsbruno|RUNNING|2030-01-01T00:00:00|'", ((), former)),
        (f"echo '{head}'; echo 'schmelz|p200002|tsbruno|FAILED|2020-01-01T00:00:00|'", ((), former)),
    ):
        program("squeue", answer)
        seen = SlurmCluster(SYSTEM).observe()
        assert (seen.leaving, seen.left) == parts
    program("squeue", "exit 0")
    assert fault_of(SlurmCluster(SYSTEM).observe) == "squeue: the answer is empty"
    program("squeue", f"echo '{head}'")
    assert [said.rpartition(": ")[2] for said in SlurmCluster(SYSTEM).problems()] == ["tsanna, tsbruno"]


def test_what_is_foreign_or_not_there_is_refused_before_anything_happens(program: Program) -> None:
    program("sacctmgr", f'case "$*" in {SHOWS} *) exit 9;; esac')
    cluster = SlurmCluster(SYSTEM)
    foreign = (
        "chem: on the cluster without our mark, so left alone; to hand an account over: "
        "sacctmgr modify account chem set organization=schmelz"
    )
    other = (
        "debug: a quality of service on the cluster without our mark, so left alone; to hand it over: "
        "sacctmgr modify qos debug set description=schmelz"
    )
    assert fault_of(lambda: cluster.create([Account("chem", "root")], [])) == foreign
    assert fault_of(lambda: cluster.change([Account("chem", "root")])) == foreign
    assert fault_of(lambda: cluster.remove([Member("tsanna", "chem")])) == foreign
    assert fault_of(lambda: cluster.create([], [], [Qos("debug")])) == other
    assert fault_of(lambda: cluster.change([], [Qos("debug")])) == other
    assert fault_of(lambda: cluster.cap({"debug": 1})) == "QOS debug: is not one of ours on schmelz"
    assert fault_of(lambda: cluster.change([], [Qos("x")])) == "QOS x: is not one of ours on schmelz"
    assert fault_of(lambda: cluster.change([Account("p9", "root")])) == "account p9: is not one of ours on schmelz"
    assert fault_of(lambda: cluster.create([Account("p9", "x")], [])) == "parent x: is not on the cluster schmelz"
    assert fault_of(lambda: cluster.create([], [Member("u", "chem")])) == "account chem: is not one of ours on schmelz"
    assert fault_of(lambda: cluster.change([], (), [("tsanna", "chem")])) == (
        "default account chem: is not one of ours on schmelz"
    )
    lost = Account("p9", "root", qos=("gold", "normal"))
    assert fault_of(lambda: cluster.create([lost], [])) == "account p9: the QOS gold is not on the cluster"
    for bad in (
        Account("P9", "root"),
        Account("p9", "root", coordinators=("a b",)),
        Account("p9", "root", qos=("a'",)),
    ):
        with pytest.raises(BadInput):
            cluster.create([bad], [])


def test_a_command_gets_a_clean_environment(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_CONF", "/etc/somewhere.conf")
    for name in ("SACCT_FORMAT", "SQUEUE_FORMAT", "SCHMELZ_SECRET", "LC_TIME"):
        monkeypatch.setenv(name, "x")
    program("sacctmgr", "/usr/bin/env | grep -v -e PWD -e SHLVL -e ^_= -e ^PATH= | sort")
    assert slurm_call.ask(("sacctmgr",)).decode() == (
        "LC_ALL=C\nSLURM_CONF=/etc/somewhere.conf\nSLURM_TIME_FORMAT=%Y-%m-%dT%H:%M:%S\nTZ=UTC\n"
    )


# -- what is written down


def test_a_command_is_written_down_before_it_runs_and_after(program: Program, tmp_path: Path) -> None:
    program("sacctmgr", f"cat > {tmp_path}/said; echo done; echo hm >&2; exit 3")
    told: list[tuple[Record, bool]] = []
    began = time.time()
    with SlurmCluster(SYSTEM).recorded(lambda record: told.append((record, (tmp_path / "said").exists()))):
        slurm_call.attempt(("sacctmgr", "-i"), text="lines\n")
    slurm_call.attempt(("sacctmgr",))
    (before, ran_before), (after, ran_after) = told
    assert (ran_before, ran_after) == (False, True)
    assert before == Record(("sacctmgr", "-i"), "lines\n", before.started)
    assert began <= before.started <= time.time()
    assert replace(after, seconds=None) == replace(before, status=3, stdout=b"done\n", stderr="hm\n")
    assert 0 < (after.seconds or 0) < 5


def test_no_answer_is_written_down_as_none(program: Program) -> None:
    program("sacctmgr", "exec sleep 30")
    told: list[Record] = []
    with slurm_call.recorded(told.append):
        fault_of(lambda: slurm_call.ask(("sacctmgr",), patience=1))
    assert (told[1].status, (told[1].seconds or 0) >= 1) == (None, True)
    assert "gave no answer in 1 s" in told[1].stderr


@pytest.mark.parametrize("fault", [ClusterError("the disk is full"), OSError("the disk is full")])
def test_what_cannot_be_written_down_does_not_happen(program: Program, tmp_path: Path, fault: Exception) -> None:
    program("sacctmgr", f"touch {tmp_path}/$1")

    def full(record: Record) -> None:
        raise fault

    with slurm_call.recorded(full):
        with pytest.raises(type(fault), match="the disk is full"):
            slurm_call.ask(("sacctmgr", "one"))
        with pytest.raises(type(fault), match="the disk is full"):
            many.carry_out([[("sacctmgr", str(n)) for n in range(100)]])
    assert [path.name for path in tmp_path.iterdir()] == ["sacctmgr"]


# -- many


def test_threads_tell_the_same_recorder(program: Program) -> None:
    program("sacctmgr", "exit 0")
    told: list[Record] = []
    with slurm_call.recorded(told.append):
        many.carry_out([[("sacctmgr", str(n)) for n in range(9)]])
    assert sorted(record.argv[1] for record in told if record.status == 0) == [str(n) for n in range(9)]


def test_after_three_failures_no_command_begins(program: Program, tmp_path: Path) -> None:
    program("sacctmgr", f'echo "$1" >> {tmp_path}/calls; [ "$1" -lt 40 ] || {{ sleep 0.2; echo no >&2; exit 1; }}')
    stages = [[("sacctmgr", str(n)) for n in range(200)], [("sacctmgr", "999")]]
    said = fault_of(lambda: many.carry_out(stages))
    calls = (tmp_path / "calls").read_text().split()
    done, failed, left = map(int, re.findall(r"[0-9]+", said)[:3])
    assert (done, 3 <= failed <= 3 + many.AT_ONCE, left) == (40, True, 201 - len(calls))
    assert (done + failed, "999" in calls) == (len(calls), False)
    assert re.search(r"not begun; first failure: sacctmgr [0-9]+ failed \(exit status 1\): no$", said)


def test_a_stage_waits_for_the_one_before(program: Program, tmp_path: Path) -> None:
    program("sacctmgr", f'sleep 0.$1; echo "$1" >> {tmp_path}/calls; [ "$1" != 1 ]')
    many.carry_out([[("sacctmgr", "3"), ("sacctmgr", "2")], [("sacctmgr", "0")]])
    assert (tmp_path / "calls").read_text().split() == ["2", "3", "0"]
    said = fault_of(lambda: many.carry_out([[("sacctmgr", "1"), ("sacctmgr", "2")], [("sacctmgr", "0")]]))
    assert said.startswith("1 commands were done, 1 failed and 1 were not begun; first failure: sacctmgr 1 failed")


# -- what cannot be


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
