"""Would this job run: every limit holds when it should, and says what to do; the cost is what is charged at most."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, strategies as st

from make import factory
from schmelz.cluster.fit import LIMITS, Case, Facts, Held, Kind, clock, hours, verdict
from schmelz.cluster.model import Account, JobRequest
from schmelz.units import DAY, HOUR

SYSTEM = factory(cluster={"backend": "slurm", "max_time": "2d"}).systems[0]  # two sites x two nodes
NODE = SYSTEM.gpus_per_node
ACCOUNT = Account("p1", "eurohpc", qos=("eurohpc-borrow", "eurohpc-own"), default_qos="eurohpc-own")
REQUEST = JobRequest("#!/bin/sh\n", "p1", "eurohpc", "anna", 2, 1, HOUR)
FREE = dict.fromkeys(SYSTEM.node_names, 2 * NODE)
FACTS = Facts(
    now=10 * DAY, start=0, end=100 * DAY, grant=1000 * HOUR, settled=100 * HOUR, running=10 * HOUR, committed=20 * HOUR,
    may_use=1000 * HOUR, account=ACCOUNT, cap=2 * NODE, free=FREE,
)  # fmt: skip


def case(kind: Kind = "own", request: dict[str, Any] | None = None, **facts: Any) -> Case:
    return Case(SYSTEM, replace(FACTS, **facts), replace(REQUEST, **(request or {})), kind, "eurohpc")


def test_a_job_that_nothing_holds_could_start_now() -> None:
    found = verdict(case())
    assert (found.starts, found.held, found.notes, found.case.qos) == ("now", (), (), "eurohpc-own")
    assert (found.case.gpus, found.case.cost, FACTS.left) == (2, 2 * HOUR, 870 * HOUR)


def test_whole_nodes_are_charged_where_the_policy_says_so() -> None:
    machine = factory(charge="node").systems[0]
    assert Case(machine, FACTS, REQUEST, "own", "eurohpc").cost == machine.gpus_per_node * HOUR


HELD: list[tuple[Case, str, str, str]] = [
    (case(request={"user": ""}), "unix-name", "never", "the operator gives you one"),
    (case(member=False), "member", "never", "you are not a member of p1"),
    (case(access=False), "access", "never", "no access to p1 on the cluster yet"),
    (case(end=10 * DAY), "ended", "never", "the project ended on 1970-01-10"),
    (case(suspended=True), "suspended", "never", "is suspended"),
    (case(account=None), "not-applied", "never", "p1 is not on the cluster yet"),
    (case(account=replace(ACCOUNT, open=False)), "closed", "never", "closed on the cluster"),
    (case(start=11 * DAY), "start", "waits", "starts on 1970-01-12"),
    (case(account=replace(ACCOUNT, held=True)), "start", "waits", "held on the cluster"),
    (case(request={"limit": 3 * DAY}), "max-time", "never", "72:00:00 is longer than 48:00:00"),
    (case(request={"gpus": 3 * NODE, "nodes": 3}, cap=None), "site", "never", f"at most {2 * NODE} GPUs on 2 nodes"),
    (case(request={"site": "north", "sites": ("south",)}), "site", "never", "run at south only"),
    (case("borrowed", account=replace(ACCOUNT, qos=())), "qos", "never", "eurohpc-borrow is not on the cluster yet"),
    (case(settled=989 * HOUR, committed=0), "budget", "never", "may need 2 GPU-hours, and 1 GPU-hour of the grant"),
    (case(committed=889 * HOUR), "budget", "waits", "1 GPU-hour are left beside the jobs that run and wait"),
    (
        case(may_use=HOUR, settled=0, running=0, committed=0),
        "month",
        "never",
        "1 GPU-hour of this month are left; ask",
    ),
    (case(may_use=131 * HOUR, anew=30 * DAY), "month", "waits", "1 GPU-hour of this month are left; the next come on"),
    (case(cap=1), "cap", "never", "own jobs of the pool have 1 GPUs at most"),
    (case(own_in_use=2 * NODE - 1), "cap", "waits", f"1 of the {2 * NODE} GPUs of the pool's own jobs are free"),
    (case(free=dict.fromkeys(FREE, 1)), "room", "waits", "1 GPUs are free at one site"),
    (case(free=None), "room", "waits", "not known"),
]


@pytest.mark.parametrize(("asked", "limit", "starts", "words"), HELD, ids=[f"{row[1]}-{row[2]}" for row in HELD])
def test_each_limit_alone(asked: Case, limit: str, starts: str, words: str) -> None:
    found = verdict(asked)
    assert [(one.limit, one.starts) for one in found.held] == [(limit, starts)]
    assert words in found.held[0].words and found.starts == starts


def test_every_limit_of_the_table_is_tried_here() -> None:
    assert {(limit, starts) for _, limit, starts, _ in HELD} == {(name, starts) for name, starts, *_ in LIMITS}


def test_borrowing_knows_no_cap_and_says_that_it_may_be_put_back() -> None:
    own, lent = (verdict(case(kind, own_in_use=2 * NODE)) for kind in ("own", "borrowed"))
    assert (own.starts, lent.starts, lent.case.qos) == ("waits", "now", "eurohpc-borrow")
    assert lent.notes[0].startswith("A borrowed job may be pre-empted after 2:00:00 of run time")


def test_a_project_that_ends_before_the_job_is_told() -> None:
    assert verdict(case(end=FACTS.now + HOUR - 1)).notes == (
        "The project ends on 1970-01-11: a job that has not begun by then never starts.",
    )
    assert verdict(case(end=FACTS.now + HOUR)).notes == ()


def test_the_last_second_of_a_grant_is_given_and_no_more() -> None:
    held = [
        verdict(case(grant=g, may_use=g, settled=0, running=0, committed=0)).starts for g in (2 * HOUR, 2 * HOUR - 1)
    ]
    waits = verdict(case(grant=2 * HOUR, may_use=2 * HOUR, settled=0, running=0, committed=1)).starts
    assert (held, waits) == (["now", "never"], "waits")


amounts = st.integers(0, 2000 * HOUR)


@given(amounts, amounts, amounts, amounts, st.integers(1, 2 * DAY))
def test_a_job_is_held_exactly_when_what_is_left_does_not_cover_it(
    settled: int, running: int, committed: int, may_use: int, limit: int
) -> None:
    facts = {"settled": settled, "running": running, "committed": committed, "may_use": min(may_use, FACTS.grant)}
    found = verdict(case(request={"limit": limit}, **facts))
    left = min(FACTS.grant, may_use) - settled - running - committed
    assert (found.starts == "now") == (2 * limit <= left)
    assert all(isinstance(one, Held) and one.words for one in found.held)


@pytest.mark.parametrize(
    ("gpu_s", "said"), [(0, "0 GPU-hours"), (1, "0.01 GPU-hours"), (HOUR, "1 GPU-hour"), (99_000, "28 GPU-hours")]
)
def test_hours_are_never_said_to_be_less(gpu_s: int, said: str) -> None:
    assert hours(gpu_s) == said


def test_time_limits_as_they_are_written() -> None:
    assert [clock(s) for s in (59, 3661, 3 * DAY)] == ["0:00:59", "1:01:01", "72:00:00"]
