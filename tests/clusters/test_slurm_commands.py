"""The commands that go to Slurm, as they go out: the golden file has every one of them.

`python tests/clusters/test_slurm_commands.py` (with tests on PYTHONPATH) writes it anew.
"""

from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from make import factory
from schmelz.cluster.backends import (
    slurm,
    slurm_accounts as accounts,
    slurm_adopt as adopt,
    slurm_doctor as doctor,
    slurm_qos as quality,
    slurm_read as read,
    slurm_submit as submit,
    slurm_write as write,
)
from schmelz.cluster.backends.slurm_many import Command
from schmelz.cluster.model import Account, ClusterError, JobRequest, Member, Qos
from schmelz.faults import BadInput

PROGRAMS = ("sacct", "sacctmgr", "sbatch", "scancel", "scontrol", "sinfo", "sprio", "squeue", "sreport", "sshare")
HERE = Path(__file__).parent.parent
TAPES = HERE / "tapes/slurm-22.05"
GOLDEN = HERE / "golden/slurm-commands.txt"
SITES = {"bissen": "mxb[001-002]", "bettembourg": "mxt[001-002]"}
SYSTEM = factory(
    sites=SITES,
    cluster={"backend": "slurm", "name": "schmelz", "max_time": "1d"},
    partitions={"bissen": ["bissen"], "bettembourg": ["bettembourg", "interactive"]},
).systems[0]
REQUEST = JobRequest("#!/bin/sh\n", "p200001", "eurohpc", "tsanna", 6, 2, 5400)
POOL = {"qos": ("eurohpc-borrow", "eurohpc-own"), "default_qos": "eurohpc-own"}
NEW_QOS = (
    Qos("a-own", 1000, 8, ("a-borrow", "b-borrow")),
    Qos("b-own", 1000, 8, ("a-borrow", "b-borrow")),
    Qos("a-borrow", 1, preemptible=True, exempt=7200),
    Qos("b-borrow", 1, preemptible=True),
)


def commands() -> str:
    """Every command that can go out, as it goes out."""
    answers = {name: (TAPES / f"{name}.txt").read_bytes() for name in ("accounts", "qos", "users")}
    qualities = quality.qualities(answers["qos"])
    stand = read.stand(answers["accounts"], qualities, answers["users"], "schmelz")
    there = {account.name: account for account in stand.observed.accounts}
    own, borrow = (next(one for one in qualities[0] if one.name == f"eurohpc-{kind}") for kind in ("own", "borrow"))
    pairs = [
        (there["p200001"], Account("p200001", "national", 1, None, open=False, coordinators=("tsbruno",))),
        (there["p200002"], Account("p200002", "national", 2, 60, held=True, coordinators=("tsbruno",))),
        (there["p200003"], Account("p200003", "national", 2, 60, **POOL)),
        (there["p200004"], Account("p200004", "eurohpc", 1, 9, **POOL)),
    ]
    new = [
        Account("p200005", "physics", 1, 9, held=True, coordinators=("tsanna", "tsnew")),
        Account("physics", "national", 3, **POOL),
        Account("p200006", "eurohpc", 1, 0, open=False, coordinators=("tsnew",)),
    ]
    members = [
        *(Member("tsbruno", "p200001", partition) for partition in ("", "bissen", "bettembourg")),
        *(Member("tsanna", "p200001"), Member("tsnew", "p200006"), Member("tsnew", "p200005")),
    ]
    changed = [
        (own, replace(own, gpus=None, preempts=(), priority=5)),
        (borrow, replace(borrow, preemptible=False, exempt=0)),
    ]
    node, home = factory(sites=SITES, charge="node").systems[0], ("/home/tsanna", "/home/tsanna/%j.out")
    parts: dict[str, Sequence[Command]] = {
        "observe": [accounts.TREE, quality.SHOW, (*accounts.USERS, "cluster=schmelz")],
        "create: QOS": quality.additions(NEW_QOS),
        "create": [write.LOAD],
        "create: coordinators": write.new_leads(new),
        "change: QOS": quality.changes(changed),
        "change: parents": write.moves("schmelz", pairs),
        "change: values": write.settings("schmelz", pairs),
        "change: coordinators": write.leads(pairs),
        "change, remove: default accounts": write.default_accounts("schmelz", [("u2", "p2"), ("u1", "p2")]),
        "remove": [command for command, _ in write.removals("schmelz", members)],
        "remove: jobs still run": write.endings("schmelz", members),
        "observe: somebody left while jobs were there": [accounts.JOBS],
        "drift: what Slurm itself finds wrong": [accounts.PROBLEMS],
        "cap": quality.caps({"a-own": 6, "b-own": 6, "c-own": None}),
        "rooms": [slurm.NODES],
        "submit, GPUs are charged": [submit.submission(REQUEST, SYSTEM, ["bissen", "bettembourg"], *home)],
        "submit, nodes are charged": [submit.submission(REQUEST, node, ["bissen"], *home)],
        "submit, borrowed": [submit.submission(replace(REQUEST, qos="eurohpc-borrow"), SYSTEM, ["bissen"], *home)],
        "submit, only asked": [(*submit.submission(REQUEST, SYSTEM, ["bissen"], *home), submit.TEST_ONLY)],
        "jobs": [slurm.QUEUE, slurm.ENDED],
        "records": [slurm.RECORDS],
        "events of nodes": [slurm.EVENTS],
        "reservations": [slurm.RESERVATIONS, slurm.ASSOCIATIONS, slurm.RESERVED_NOW],
        "Slurm's own sums": [slurm.ROLLUP, slurm.STATISTICS],
        "whose cluster it is": [slurm.CLUSTERS, slurm.CONTROLLER],
        "adopt": [adopt.TREE, adopt.TITLES],
        "doctor": [doctor.CONFIG, doctor.PARTITIONS],
    }
    text = "".join(f"# {name}\n" + "".join(" ".join(c) + "\n" for c in part) + "\n" for name, part in parts.items())
    return text + "# create: standard input of load\n" + write.load_file("schmelz", new, members)


def test_the_commands_are_those_of_the_golden_file() -> None:
    assert commands() == GOLDEN.read_text()


def test_no_command_is_missing_from_the_golden_file() -> None:
    """Every command that stands in a module of the backend, whole or as the beginning of one."""
    folder = Path(slurm.__file__).parent
    rooms = [import_module(f"schmelz.cluster.backends.{path.stem}") for path in sorted(folder.glob("slurm*.py"))]
    told = [value for room in rooms for value in vars(room).values() if _is_command(value)]
    lines = GOLDEN.read_text().splitlines()
    assert len(told) > 15
    assert [one for one in told if not any(line.startswith(" ".join(one)) for line in lines)] == []


def _is_command(value: object) -> bool:
    return isinstance(value, tuple) and value[:1] in {(name,) for name in PROGRAMS}


def test_nothing_to_do_is_no_command() -> None:
    same = Account("p1", "root", 1, 5, coordinators=("a", "b"))
    pairs = [(same, replace(same, coordinators=("b", "a")))]
    assert write.moves("c", []) == write.settings("c", []) == write.removals("c", []) == write.endings("c", []) == []
    assert write.settings("c", pairs) == write.leads(pairs) == write.new_leads([Account("p", "root")]) == []
    assert quality.additions([]) == quality.caps({}) == quality.changes([(NEW_QOS[0], NEW_QOS[0])]) == []
    turned = replace(NEW_QOS[0], preempts=("b-borrow", "a-borrow"))
    assert quality.changes([(NEW_QOS[0], turned)]) == []


ROWS = st.lists(
    st.tuples(
        st.sampled_from("abcdef"), st.integers(1, 3), st.none() | st.integers(0, 3), st.booleans(), st.booleans()
    ),
    unique_by=lambda values: values[0],
)


@given(ROWS)
def test_every_difference_is_in_one_command(rows: list[tuple[str, int, int | None, bool, bool]]) -> None:
    pairs = [(Account(name, "root"), Account(name, "root", *values)) for name, *values in rows]
    found = [
        (name, " ".join(command[8:]))
        for command in write.settings("c", pairs)
        for name in command[5].removeprefix("name=").split(",")
    ]

    def wanted(shares: int, minutes: int | None, is_open: bool, held: bool) -> str:
        words = [f"Fairshare={shares}"] if shares != 1 else []
        words += [f"GrpTRESMins=gres/gpu={minutes}"] if minutes is not None else []
        words += ["GrpJobs=0 GrpSubmitJobs=0"] if not is_open else ["GrpJobs=0 GrpSubmitJobs=-1"] if held else []
        return " ".join(words)

    assert sorted(found) == sorted((name, words) for name, *values in rows if (words := wanted(*values)))


def test_a_list_and_its_default_go_together() -> None:
    """Slurm ends well and changes nothing when the default is not in the list."""
    old = Account("p1", "root", qos=("a",), default_qos="a")
    (only_default,) = write.settings("c", [(old, replace(old, default_qos=""))])
    assert only_default[-2:] == ("QOS=a", "DefaultQOS=-1")
    (both,) = write.settings("c", [(old, replace(old, qos=("b",), default_qos="b"))])
    assert both[-2:] == ("QOS=b", "DefaultQOS=b")


def test_long_lists_are_cut() -> None:
    pairs = [(Account(f"p{n}", "root"), Account(f"p{n}", "root", 2)) for n in range(1200)]
    assert [command[5].count(",") + 1 for command in write.settings("c", pairs)] == [500, 500, 200]
    members = [Member(f"u{n}", "p1") for n in range(501)]
    assert [len(group) for _, group in write.removals("c", members)] == [500, 1]


def test_new_qos_are_told_whom_they_pre_empt_after_all_are_made() -> None:
    verbs = [command[2] for command in quality.additions(NEW_QOS)]
    assert verbs == ["add", "add", "add", "modify"]


def test_parents_come_before_children_and_never_in_a_ring() -> None:
    ring = [Account("a", "b"), Account("b", "c"), Account("c", "root")]
    lines = write.load_file("x", ring, []).splitlines()
    assert [line for line in lines if line.startswith("Parent")] == ["Parent - 'root'", "Parent - 'c'", "Parent - 'b'"]
    with pytest.raises(ClusterError, match="the accounts a, b are parents of each other"):
        write.load_file("x", [Account("a", "b"), Account("b", "a")], [])


@pytest.mark.parametrize("name", ["Anna", "a b", "a'", "a:b", "a\n", "", "-a", "ä", "a,b", "a=b"])
def test_names_that_slurm_would_bend_are_refused(name: str) -> None:
    with pytest.raises(BadInput):
        write.check_names(["anna", name])


if __name__ == "__main__":
    GOLDEN.write_text(commands())
