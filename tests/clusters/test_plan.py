"""Decisions into accounts, the difference, the plan: what a person reads before anything happens."""

from dataclasses import replace

import pytest
from hypothesis import given, settings, strategies as st

from clusters import stage
from schmelz.cluster.desired import Desired, Project, desired
from schmelz.cluster.diff import Change, diff
from schmelz.cluster.model import Account, Member, Observed
from schmelz.cluster.plan import make
from schmelz.faults import BadInput

SYSTEM = stage.machine()
POOLS = (Account("eurohpc", "root", 50), Account("national", "root", 50))


def seen(wanted: Desired, **values) -> Observed:
    return Observed("anvil-c", wanted.accounts, wanted.members, **values)


def test_pools_and_projects_become_accounts():
    projects = [
        Project("p2", "national", 119, 100, 200, members=("bruno", "anna"), nameless=("Chiara",)),
        Project("p1", "eurohpc", 7200, 100, 200, suspended=True, members=("anna",)),
    ]
    assert desired(SYSTEM, projects, 150) == Desired(
        (*POOLS, Account("p1", "eurohpc", gpu_minutes=120, open=False), Account("p2", "national", gpu_minutes=1)),
        (Member("anna", "p1"), Member("anna", "p2"), Member("bruno", "p2")),
        ("p2: Chiara has no Unix name, so gets no access to the cluster yet; give the person one",),
    )


@pytest.mark.parametrize(
    ("now", "is_open", "members"), [(99, False, 1), (100, True, 1), (199, True, 1), (200, False, 0)]
)
def test_a_project_is_open_from_its_start_until_its_end(now, is_open, members):
    wanted = desired(SYSTEM, [Project("p1", "eurohpc", 60, 100, 200, members=("anna",), nameless=("Bo",))], now)
    assert (wanted.accounts[-1].open, len(wanted.members), len(wanted.warnings)) == (is_open, members, members)


def test_impossible_projects_are_refused_all_at_once():
    projects = [
        Project("eurohpc", "eurohpc", 1, 0, 1),
        Project("p1", "lunar", 1, 0, 1),
        Project("p2", "national", -1, 0, 1),
    ]
    with pytest.raises(BadInput) as refusal:
        desired(SYSTEM, projects, 0)
    assert [fault.split(":")[0] for fault in refusal.value.faults] == ["project eurohpc", "project p1", "project p2"]


def test_the_difference_in_every_kind():
    wanted = Desired((Account("a", "root", 50), Account("p1", "a", gpu_minutes=10)), (Member("anna", "p1"),))
    there = Observed(
        "c",
        (Account("a", "root", 40), Account("old", "a"), Account("older", "a", open=False)),
        (Member("bo", "old"), Member("root", "root")),
        ("bench",),
    )
    assert diff(wanted, there) == (
        Change("change", "account", "a", (("shares", 40, 50),)),
        Change("change", "account", "old", (("open", True, False),), removes=True),
        Change(
            "add",
            "account",
            "p1",
            (("parent", None, "a"), ("shares", None, 1), ("gpu_minutes", None, 10), ("open", None, True)),
        ),
        Change("remove", "member", "old/bo", (("user", "bo", None), ("account", "old", None)), removes=True),
        Change("add", "member", "p1/anna", (("user", None, "anna"), ("account", None, "p1"))),
    )


def test_what_is_not_ours_is_left_alone_with_all_below_it():
    wanted = desired(SYSTEM, [stage.project("p1"), stage.project("p2", pool="national")], 10**9 * 2)
    plan = make(wanted, Observed("c", (), (), ("zebra", "eurohpc")))
    assert {change.name for change in plan.changes} == {"national", "p2"} | {m for m in ("p2/anna",) if wanted.members}
    assert [warning.split(":")[0] for warning in plan.warnings] == ["eurohpc", "p1"]
    assert plan.foreign == ("eurohpc", "zebra")


def test_a_plan_in_words():
    projects = [Project("p1", "eurohpc", 7200, 0, 9, members=("anna",)), Project("p2", "national", 60, 5, 9)]
    accounts = (POOLS[0], Account("p1", "eurohpc", gpu_minutes=60), Account("p0", "eurohpc"))
    wanted, there = desired(SYSTEM, projects, 1), Observed("anvil-c", accounts, (Member("bo", "p0"),), ("bench",))
    plan = make(wanted, there)
    assert plan.removals == 2
    assert (
        plan.as_text()
        == f"""\
plan {plan.hash[:12]} for anvil-c: 1 account opened, 1 account made, still closed, 1 budget changed, \
1 member gains access; 1 account closed, 1 member loses access; running jobs are left alone
+ account national: below root, shares 50, GPU-minutes unlimited, open yes
~ account p0: open yes -> no
~ account p1: GPU-minutes 60 -> 120
+ account p2: below national, shares 1, GPU-minutes 1, open no
- member  p0/bo
+ member  p1/anna
  without our mark, left alone: bench
"""
    )
    assert plan.as_dict()["changes"][1] == {
        "op": "change",
        "kind": "account",
        "name": "p0",
        "fields": {"open": [True, False]},
    }
    assert list(plan.as_dict()) == ["hash", "cluster", "radius", "changes", "warnings", "foreign"]


def test_nothing_to_do_is_said_so():
    wanted = desired(SYSTEM, [stage.project()], 1)
    assert make(wanted, seen(wanted)).radius == "nothing changes: the cluster is as decided"


def test_the_hash_follows_what_matters_and_nothing_else():
    wanted = desired(SYSTEM, [stage.project()], 2_000_000_000)
    there = Observed("c", POOLS, (), ("bench",))
    plan = make(wanted, there)
    same = make(wanted, replace(there, accounts=POOLS[::-1], foreign=("bench", "another")))
    assert same.hash == plan.hash and len(plan.hash) == 64
    moved = make(wanted, replace(there, accounts=(POOLS[0], replace(POOLS[1], shares=49))))
    conflict = make(wanted, replace(there, foreign=("p1",)))
    assert len({plan.hash, moved.hash, conflict.hash}) == 3


NAMES = st.sampled_from(["p1", "p2", "p3", "p4"])
ACCOUNTS = st.dictionaries(
    NAMES,
    st.builds(
        Account,
        name=st.just(""),
        parent=st.sampled_from(["eurohpc", "national"]),
        shares=st.integers(1, 3),
        gpu_minutes=st.none() | st.integers(0, 3),
        open=st.booleans(),
    ),
)


@st.composite
def trees(draw) -> tuple[tuple[Account, ...], tuple[Member, ...]]:
    accounts = tuple(replace(account, name=name) for name, account in sorted(draw(ACCOUNTS).items()))
    names = [account.name for account in accounts] or ["none"]
    rights = st.builds(Member, st.sampled_from(["anna", "bruno"]), st.sampled_from(names))
    return (*POOLS, *accounts), tuple(sorted(draw(st.sets(rights)))) if accounts else ()


@given(trees())
def test_no_difference_to_itself(tree):
    assert diff(Desired(*tree), Observed("c", *tree)) == ()


@settings(max_examples=50)
@given(trees(), trees())
def test_a_plan_is_the_same_to_the_byte(want, have):
    plans = [make(Desired(*want), Observed("c", have[0][::step], have[1][::step])) for step in (1, -1)]
    assert (plans[0].as_text(), plans[0].as_dict()) == (plans[1].as_text(), plans[1].as_dict())
