"""The difference and the plan: what a person reads before anything happens (laws over random clusters: diff_properties)."""

import time
from dataclasses import replace

import pytest

from clusters import stage
from schmelz.cluster.desired import Desired, Project, desired
from schmelz.cluster.diff import Change, Kept, diff
from schmelz.cluster.model import Account, Job, Member, Observed, Qos
from schmelz.cluster.plan import Plan, make

SYSTEM = stage.machine()
POOLS = (Account("eurohpc", "root", 50), Account("national", "root", 50))


def seen(wanted: Desired, **values) -> Observed:
    defaults = tuple((member.user, member.account) for member in wanted.members[::-1])
    return Observed("anvil-c", wanted.accounts, wanted.members, **{"qos": wanted.qos, "defaults": defaults} | values)


def test_the_difference_in_every_kind():
    wanted = Desired(
        (Account("a", "root", 50), Account("p1", "a", gpu_minutes=10, coordinators=("anna",))),
        (Member("anna", "p1"), Member("bo", "p1", "north")),
        qos=(Qos("own", 5, 8, ("lent",)), Qos("lent", preemptible=True)),
        stories={"p1": "awarded by Eva", "p1/bo": "added by Anna"},
    )
    there = Observed(
        "c",
        (Account("a", "root", 40), Account("old", "a"), Account("older", "a", open=False)),
        (Member("bo", "old"), Member("root", "root")),
        ("bench",),
        (Qos("lent", 1, preemptible=True),),
        ("normal",),
        (("bo", "old"),),
    )
    new = (("parent", "a"), ("shares", 1), ("gpu_minutes", 10), ("open", True), ("held", False), ("qos", ()))
    new = (*new, ("default_qos", ""), ("coordinators", ("anna",)))
    own = (("priority", 5), ("gpus", 8), ("preempts", ("lent",)), ("preemptible", False), ("exempt", 0))
    policy, nobody = "the policy file", "no decision asks for it any more"
    assert diff(wanted, there) == (
        Change("change", "qos", "lent", (("priority", 1, 0),), because=policy),
        Change("add", "qos", "own", tuple((f, None, value) for f, value in own), because=policy),
        Change("change", "account", "a", (("shares", 40, 50),), because=policy),
        Change("change", "account", "old", (("open", True, False),), removes=True, because=nobody),
        Change("add", "account", "p1", tuple((f, None, value) for f, value in new), because="awarded by Eva"),
        Change("remove", "member", "old/bo", (("user", "bo", None), ("account", "old", None)), True, nobody),
        Change("add", "member", "p1/anna", (("user", None, "anna"), ("account", None, "p1")), False, "awarded by Eva"),
        Change(
            "add",
            "member",
            "p1/bo@north",
            (("user", None, "bo"), ("account", None, "p1"), ("partition", None, "north")),
            because="added by Anna",
        ),
        Change(
            "change",
            "user",
            "bo",
            (("default_account", "old", "p1"),),
            because="none of the user's projects is the default account",
        ),
    )


@pytest.mark.parametrize(
    ("old", "new", "fields", "removes"),
    [
        ({"held": True}, {"open": False}, [("open", True, False)], True),
        ({"open": False}, {"open": False, "held": True}, [], False),
        ({"open": False, "held": True}, {}, [("open", False, True)], False),
        ({"open": False}, {"held": True}, [("open", False, True), ("held", False, True)], False),
        ({}, {"held": True}, [("held", False, True)], True),
        ({"held": True}, {}, [("held", True, False)], False),
        ({"qos": ("b", "a")}, {"qos": ("a", "b")}, [], False),
        ({"coordinators": ("b", "a")}, {"coordinators": ("a",)}, [("coordinators", ("a", "b"), ("a",))], False),
    ],
)
def test_what_is_equal_and_what_takes_away(old, new, fields, removes):
    wanted, there = Desired((Account("a", "root", **new),), ()), Observed("c", (Account("a", "root", **old),), ())
    found = [(change.fields, change.removes) for change in diff(wanted, there)]
    assert found == ([(tuple(fields), removes)] if fields else [])


@pytest.mark.parametrize(
    ("default", "new"),
    [("p2", None), ("bench", None), ("elsewhere", None), ("p0", "p2"), ("", "p2"), (None, "p2"), ("p9", None)],
)
def test_a_default_account_is_changed_only_if_it_is_ours_and_none_of_the_users(default, new):
    """p9 is desired, but stands below an account that is not ours: it is left alone, and so are those who have it."""
    wanted = Desired(
        (Account("p2", "root"), Account("p3", "root"), Account("x", "root"), Account("p9", "x")),
        (Member("bo", "p3"), Member("bo", "p2"), Member("bo", "p9")),
    )
    accounts = (*(a for a in wanted.accounts if a.name != "x"), Account("p0", "root"))
    members = (*wanted.members, Member("bo", "p0"))
    defaults = () if default is None else (("bo", default),)
    there = Observed("c", accounts, members, ("bench", "x"), defaults=defaults)
    found = [change for change in diff(wanted, there) if change.kind == "user"]
    assert [(c.op, c.fields) for c in found] == (
        [("change" if default else "add", (("default_account", default or None, new),))] if new else []
    )


def test_what_is_not_ours_is_left_alone_with_all_below_it():
    wanted = desired(SYSTEM, [stage.project("p1"), stage.project("p2", pool="national")], int(time.time()))
    plan = make(wanted, Observed("c", (), (), ("zebra", "eurohpc"), wanted.qos))
    assert [change.name for change in plan.changes] == ["national", "p2", "p2/anna"]
    assert plan.warnings == (
        "eurohpc: an account of this name stands there without our mark; it and what depends on it (p1) are "
        "left alone until an operator marks or renames it",
    )
    assert plan.foreign == ("eurohpc", "zebra")
    marked = Observed("c", (Account("p1", "eurohpc", 9),), (Member("bo", "p1"),), ("eurohpc",), wanted.qos)
    assert "p1" not in {change.name for change in make(wanted, marked).changes}, "though it carries our mark"


def test_a_foreign_qos_is_left_alone_with_the_accounts_that_need_it():
    wanted = desired(SYSTEM, [stage.project("p1"), stage.project("p2", pool="national")], int(time.time()))
    plan = make(wanted, Observed("c", (), (), foreign_qos=("national-borrow", "normal"), qos=(Qos("old"),)))
    assert [(c.kind, c.name) for c in plan.changes] == [
        ("qos", "eurohpc-borrow"),
        ("qos", "eurohpc-own"),
        ("qos", "national-own"),
        ("account", "eurohpc"),
        ("account", "p1"),
        ("member", "p1/anna"),
    ]
    assert {field: new for field, _, new in plan.changes[1].fields}["preempts"] == ("eurohpc-borrow",)
    assert [warning.partition(";")[0] for warning in plan.warnings] == [
        "national-borrow: a quality of service of this name stands there without our mark",
        "old: no decision asks for this quality of service any more",
    ]
    assert "(national, p2)" in plan.warnings[0] and plan.foreign == ("qos national-borrow", "qos normal")


def job(number: int, user: str, account: str, state: str = "RUNNING") -> Job:
    return Job(str(number), account, user, state, 1, 1, 60, 0, 0, None, "north", "n01", "runs")


JOBS = (
    job(1, "bo", "p0"),
    job(2, "bo", "p0", "PENDING"),
    job(3, "anna", "p1"),
    job(4, "cleo", "p1"),
    job(5, "x", "p0"),
)


def test_a_plan_in_words():
    projects = [
        Project("p1", "eurohpc", 7200, 0, 9, members=("anna",), stories={"": "awarded by Eva, 3 May 2026"}),
        Project("p2", "national", 60, 5, 9),
    ]
    pool = {"qos": ("eurohpc-borrow", "eurohpc-own"), "default_qos": "eurohpc-own"}
    accounts = (
        Account("eurohpc", "root", 50, **pool),
        Account("p1", "eurohpc", gpu_minutes=60, **pool),
        Account("p0", "eurohpc"),
    )
    wanted = desired(SYSTEM, projects, 1)
    there = Observed(
        "anvil-c",
        accounts,
        (Member("bo", "p0"), Member("cleo", "p1")),
        ("bench",),
        (*wanted.qos[:3], Qos("national-own")),
    )
    plan = make(wanted, there, jobs=lambda: JOBS)
    assert (plan.removals, plan.removed) == (3, ("account p0", "member p0/bo", "member p1/cleo"))
    assert (
        plan.as_text()
        == f"""\
plan {plan.hash[:12]} for anvil-c: 1 account opened, 1 account made, its jobs wait for its start, 1 budget changed, \
1 member gains access, 1 quality of service made or changed; \
1 account closed, 2 members lose access, 3 running jobs touched, 0 cancelled
~ qos     national-own: priority 0 -> 1000, cap none -> 8, takes back from none -> eurohpc-borrow national-borrow
    because: national owns 50 of 100 parts of anvil, says the policy file
+ account national: below root, shares 50, GPU-minutes unlimited, open yes, qos national-borrow national-own, \
default qos national-own
    because: national owns 50 of 100 parts of anvil, says the policy file
~ account p0: open yes -> no
    because: no decision asks for it any more
~ account p1: GPU-minutes 60 -> 120
    because: awarded by Eva, 3 May 2026
+ account p2: below national, shares 1, GPU-minutes 1, open yes, held yes, qos national-borrow national-own, \
default qos national-own
    because: held until it starts on 1970-01-01
- member  p0/bo
    because: no decision asks for it any more
+ member  p1/anna
    because: awarded by Eva, 3 May 2026
- member  p1/cleo
    because: no decision asks for it any more
  without our mark, left alone: bench
"""
    )
    assert plan.as_dict()["changes"][2] == {
        "op": "change",
        "kind": "account",
        "name": "p0",
        "fields": {"open": [True, False]},
        "because": "no decision asks for it any more",
    }
    assert list(plan.as_dict()) == ["hash", "cluster", "radius", "changes", "warnings", "foreign"]
    assert make(wanted, there).radius.endswith("2 members lose access, running jobs go on, 0 cancelled")
    assert make(wanted, there, jobs=JOBS).hash == make(wanted, there).hash == plan.hash


def test_what_a_leaving_member_left_over_is_cleared_away_and_takes_nothing_from_anybody():
    """While jobs are there a line says so; afterwards it is a change; whoever is to be a member again just joins."""
    wanted = Desired((Account("a", "root"), Account("p1", "a")), (Member("bo", "p1"),))
    there = seen(wanted, foreign=("x",))
    leaving = make(wanted, replace(there, leaving=(Member("anna", "p1"),)))
    assert (leaving.changes, leaving.warnings) == (
        (),
        ("p1: anna left while jobs were there; they go on to their end, no other one starts",),
    )
    left = replace(there, left=(Member("anna", "p1", "north"), Member("cleo", "x")))
    plan = make(wanted, left, jobs=[job(1, "anna", "p1")])
    (change,) = plan.changes
    assert (change.op, change.name, change.removes, plan.removed) == ("remove", "member p1/anna@north"[7:], False, ())
    assert plan.as_text().splitlines()[1:] == [
        "- member  p1/anna@north",
        "    because: left while jobs were there; those have ended, and only a locked association is left",
        "  without our mark, left alone: x",
    ]
    assert plan.radius == (
        "0 accounts opened, 0 budgets changed, 0 members gain access, 1 locked association cleared away; "
        "0 accounts closed, 0 members lose access, 0 running jobs touched, 0 cancelled"
    )
    back = make(replace(wanted, members=(*wanted.members, Member("anna", "p1", "north"))), left)
    assert [(one.op, one.name) for one in back.changes] == [("add", "p1/anna@north")]


def test_running_jobs_are_asked_for_only_if_something_is_taken_away():
    wanted = Desired((*POOLS, Account("p1", "eurohpc")), (Member("anna", "p1"), Member("bo", "p1")))
    calls = []
    there = Observed("c", POOLS, ())
    assert make(wanted, there, jobs=lambda: calls.append(1) or JOBS).radius.endswith(
        "0 running jobs touched, 0 cancelled"
    )
    assert not calls
    moves = Desired(wanted.accounts, (Member("anna", "p1", "north"),))
    plan = make(moves, seen(wanted), jobs=lambda: calls.append(1) or JOBS)
    assert plan.radius == (
        "0 accounts opened, 0 budgets changed, 0 members gain access, 1 member changes partition; "
        "0 accounts closed, 1 member loses access, 1 running job touched, 0 cancelled"
    )
    assert calls == [1]


def test_nothing_to_do_is_said_so():
    wanted = desired(SYSTEM, [stage.project()], int(time.time()))
    plan = make(wanted, seen(wanted), jobs=lambda: 1 / 0)
    assert (plan.radius, plan.changes) == ("nothing changes: the cluster is as decided", ())


def test_the_hash_follows_what_matters_and_nothing_else():
    wanted = desired(SYSTEM, [stage.project()], int(time.time()))
    there = Observed("c", POOLS, (), ("bench",), wanted.qos)
    plan = make(wanted, there)
    same = make(wanted, replace(there, accounts=POOLS[::-1], foreign=("bench", "another"), foreign_qos=("normal",)))
    assert same.hash == plan.hash and len(plan.hash) == 64
    others = [
        replace(there, accounts=(POOLS[0], replace(POOLS[1], shares=49))),
        replace(there, foreign=("p1",)),
        replace(there, foreign_qos=("eurohpc-own",)),
        replace(there, qos=(*there.qos[1:], replace(there.qos[0], exempt=1))),
    ]
    assert len({plan.hash, *(make(wanted, other).hash for other in others)}) == 5


CAP = ("qos", "eurohpc-own", "gpus")


def test_a_kept_field_is_no_difference_and_moves_no_hash_inside_its_range():
    wanted = desired(SYSTEM, [], 0)
    keep = {CAP: Kept("the steering moves it under mandate M1", range(4, 13))}

    def at(cap: int | None) -> Plan:
        qos = tuple(replace(one, gpus=cap) if one.name == CAP[1] else one for one in wanted.qos)
        return make(wanted, seen(wanted, qos=qos), keep=keep)

    assert [at(cap).changes for cap in (4, 8, 12)] == [(), (), ()]
    assert len({at(cap).hash for cap in (4, 8, 12)}) == 1
    assert at(4).warnings == ("qos eurohpc-own: cap is 4, decided is 8; the steering moves it under mandate M1",)
    assert [at(cap).changes[0].fields for cap in (3, None)] == [(("gpus", 3, 8),), (("gpus", None, 8),)]
    assert at(8).warnings == ()


def test_an_account_that_is_kept_closed_is_not_held_either():
    wanted, there = (
        Desired((Account("a", "root", held=True),), ()),
        Observed("c", (Account("a", "root", open=False),), ()),
    )
    assert make(wanted, there, keep={("account", "a", "open"): Kept("left", (False,))}).changes == ()


def test_what_is_kept_away_is_not_made():
    wanted = Desired((*POOLS, Account("p1", "eurohpc")), (), qos=(Qos("own"), Qos("lent")))
    keep = {("account", "p1", ""): Kept("not now"), ("qos", "own", ""): Kept("not now", (False,))}
    plan = make(wanted, Observed("c", POOLS, ()), keep=keep)
    assert [(change.op, change.name) for change in plan.changes] == [("add", "lent")]
    assert plan.warnings[0] == "qos own: is not there, is decided; not now"


def test_a_kept_member_stays_or_stays_away():
    wanted = Desired((*POOLS, Account("p1", "eurohpc", coordinators=("bo", "anna"))), (Member("anna", "p1"),))
    there = Observed("anvil-c", wanted.accounts, (Member("bo", "p1"),), defaults=(("bo", "p1"),))
    why = Kept("left as it is until 1 May")
    plan = make(wanted, there, keep={("member", "p1/anna", ""): why, ("member", "p1/bo", ""): why})
    assert (plan.changes, plan.hash) == ((), make(wanted, seen(wanted), keep={}).hash)
    assert plan.warnings == (
        "member p1/anna: is not there, is decided; left as it is until 1 May",
        "member p1/bo: is there, is not decided; left as it is until 1 May",
    )
    fewer = replace(there, accounts=(*POOLS, Account("p1", "eurohpc", coordinators=("bo",))))
    lists = {("account", "p1", "coordinators"): Kept("by choice", [["bo"]])}
    assert [c.kind for c in make(wanted, fewer, keep=lists).changes] == ["member", "member"]
