"""Laws of difference, plan, apply and journal over random clusters: half of them foreign, half decided otherwise."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from clusters.stage import Died, MemoryCluster
from schmelz.cluster.apply import apply
from schmelz.cluster.desired import Desired
from schmelz.cluster.diff import Kept, diff
from schmelz.cluster.drift import drift
from schmelz.cluster.journal import Journal
from schmelz.cluster.model import Account, Member, Observed, Qos
from schmelz.cluster.owned import normal, sides
from schmelz.cluster.plan import make
from schmelz.faults import Refused

POOLS, PROJECTS, USERS = ("eurohpc", "national"), ("p1", "p2", "p3", "p4"), ("anna", "bruno", "chiara")
QUALITIES = ("eurohpc-own", "lent", "national-own")
subsets = st.sets(st.sampled_from(QUALITIES)).map(tuple)


@st.composite
def stands(draw) -> Desired:
    """Pools, projects below them, QOS, members in partitions: what may be decided, or stand there already."""
    qos = [
        Qos(name, draw(st.integers(0, 2)), draw(st.none() | st.integers(0, 2)), tuple(draw(st.permutations(names))))
        for name in draw(st.sets(st.sampled_from(QUALITIES)))
        for names in [("lent",) if draw(st.booleans()) else ()]
    ]
    names = [one.name for one in qos]
    some = st.lists(st.sampled_from(names), unique=True).map(tuple) if names else st.just(())
    facts = {
        "shares": st.integers(1, 2),
        "gpu_minutes": st.none() | st.integers(0, 2),
        "open": st.booleans(),
        "held": st.booleans(),
        "qos": some,
        "default_qos": st.sampled_from([*names, ""]),
        "coordinators": st.lists(st.sampled_from(USERS), unique=True).map(tuple),
    }
    pools = [Account(pool, "root", draw(st.integers(49, 51)), qos=draw(some)) for pool in POOLS]
    projects = [
        draw(st.builds(Account, name=st.just(name), parent=st.sampled_from(POOLS), **facts))
        for name in draw(st.sets(st.sampled_from(PROJECTS)))
    ]
    accounts = [one.name for one in projects]
    one = st.builds(
        Member, st.sampled_from(USERS), st.sampled_from(accounts or ["none"]), st.sampled_from(["", "north"])
    )
    members = draw(st.sets(one)) if accounts else set()
    return Desired((*pools, *projects), tuple(members), qos=tuple(qos))


@st.composite
def clusters(draw) -> MemoryCluster:
    """A cluster on which some names are not ours."""
    stand = draw(stands())
    foreign = draw(st.sets(st.sampled_from([*PROJECTS, "national", "bench"]), max_size=2))
    foreign_qos = draw(st.sets(st.sampled_from([*QUALITIES, "normal"]), max_size=1))
    accounts = {a.name: a for a in stand.accounts if a.name not in foreign}
    members = {member for member in stand.members if member.account in accounts}
    homes = [*accounts, *foreign]
    left = {m for m in sorted(members) if draw(st.integers(0, 3)) == 0}  # left while jobs were there, which have ended
    members -= left
    return MemoryCluster(
        accounts,
        members,
        tuple(foreign),
        qos={qos.name: qos for qos in stand.qos if qos.name not in foreign_qos},
        foreign_qos=tuple(foreign_qos),
        defaults={m.user: draw(st.sampled_from(homes)) for m in sorted(members) if draw(st.booleans())},
        left=left,
    )


@contextmanager
def journal() -> Iterator[Journal]:
    with tempfile.TemporaryDirectory() as directory:
        yield Journal(Path(directory) / "journal")


def removed(before: Observed, after: Observed) -> int:
    """What was taken away between two looks."""
    now = {account.name: normal(account) for account in after.accounts}
    return len(set(before.members) - set(after.members)) + sum(
        (a.open and not now[a.name].open) or (normal(a).open > normal(a).held and now[a.name].held)
        for a in before.accounts
    )


@given(stands(), clusters())
def test_apply_leads_to_what_is_desired_and_twice_is_once(wanted, backend):
    before = backend.observe()
    first = apply(backend, wanted, allow_remove=100)
    after = backend.observe()
    both = sides(wanted, after)
    assert first.changes == len(diff(wanted, before)) and diff(wanted, after) == ()
    assert set(both.wanted.members) == set(both.seen.members)
    assert both.seen.left == () and {m for m in before.left if m.account in both.alone} <= set(after.left)
    assert {a for a in both.seen.accounts if a.open} == {a for a in both.wanted.accounts if a.open}
    assert {q.name: q for q in both.seen.qos}.items() >= {q.name: q for q in both.wanted.qos}.items()
    looks = backend.looks
    assert apply(backend, wanted).changes == 0 and backend.looks == looks + 1
    assert backend.observe() == after


@given(stands(), clusters())
def test_what_is_not_ours_and_what_hangs_on_it_is_untouched(wanted, backend):
    """The cluster in memory also refuses every call that names a foreign object."""
    before, alone = backend.observe(), sides(wanted, backend.observe()).alone
    apply(backend, wanted, allow_remove=100)
    after = backend.observe()
    assert (after.foreign, after.foreign_qos) == (before.foreign, before.foreign_qos)
    for name in alone:
        assert [a for a in after.accounts if a.name == name] == [a for a in before.accounts if a.name == name]
        assert {m for m in after.members if m.account == name} == {m for m in before.members if m.account == name}
    for user, home in before.defaults:
        if home in before.foreign:
            assert (user, home) in after.defaults
    assert {qos.name for qos in after.qos} >= {qos.name for qos in before.qos}, "QOS are never deleted"


@given(stands(), clusters(), st.randoms(use_true_random=False))
def test_a_plan_is_the_same_to_the_byte_whatever_the_order(wanted, backend, random):
    def shuffled(values):
        return tuple(random.sample(values, len(values)))

    seen = backend.observe()
    one = make(wanted, seen)
    pools, projects = wanted.accounts[:2], wanted.accounts[2:]
    other = make(
        replace(
            wanted,
            accounts=tuple(replace(a, qos=a.qos[::-1]) for a in (*pools[::-1], *shuffled(projects))),
            members=shuffled(wanted.members),
            qos=shuffled(wanted.qos),
        ),
        replace(seen, **{name: shuffled(values) for name, values in vars(seen).items() if name != "cluster"}),
    )
    assert (one.as_text(), one.as_dict(), one.hash) == (other.as_text(), other.as_dict(), other.hash)


@settings(max_examples=25)
@given(stands(), clusters(), st.data())
def test_killed_at_any_change_the_next_apply_finishes_with_the_removals_it_was_allowed(wanted, backend, data):
    plan = make(wanted, backend.observe())
    with journal() as kept:
        backend.breath = data.draw(st.integers(0, max(0, len(plan.changes) - 1)))
        with suppress(Died):
            apply(backend, wanted, allow_remove=plan.removals, journal=kept, who="gilles", alone=100)
        backend.breath = 10**9
        apply(backend, wanted, allow_remove=0, journal=kept, who="hanna", alone=0)
        assert diff(wanted, backend.observe()) == ()
        states = [(entry.who, entry.state, len(entry.finished)) for entry in kept.entries()]
        assert states == ([("hanna", "done", 1), ("gilles", "interrupted", 0)] if plan.changes else [])
        assert kept.unfinished() == () and drift(kept.last(), backend.observe(), wanted) == tuple(
            row for row in drift(None, backend.observe(), wanted) if row.part in ("unmarked", "extra")
        )


@settings(max_examples=25)
@given(stands(), stands(), clusters(), st.integers(0, 3), st.data())
def test_never_more_is_removed_than_was_allowed(first, second, backend, allowed, data):
    """An interrupted apply hands on its own removals, by name, and no others."""
    plan, before = make(first, backend.observe()), backend.observe()
    with journal() as kept:
        backend.breath = data.draw(st.integers(0, 5))
        with suppress(Died, Refused):
            apply(backend, first, allow_remove=allowed, journal=kept)
        backend.breath, between = 10**9, backend.observe()
        assert removed(before, between) <= allowed
        may = set(plan.removed) if kept.entries() and kept.entries()[0].state == "interrupted" else set()
        news = set(make(second, between).removed) - may
        if news:
            with pytest.raises(Refused, match=f"--allow-remove {len(news)}"):
                apply(backend, second, allow_remove=len(news) - 1, journal=kept)
            assert backend.observe() == between
        apply(backend, second, allow_remove=len(news), journal=kept)
        assert removed(between, backend.observe()) == len(make(second, between).removed)


@given(stands(), clusters(), st.data())
def test_a_kept_field_is_left_and_all_else_follows(wanted, backend, data):
    before = backend.observe()
    places = [
        (change.kind, change.name, field, old)
        for change in diff(wanted, before)
        for field, old, _ in (change.fields if change.op == "change" else ())
        if change.kind in ("account", "qos")
    ]
    chosen = data.draw(st.lists(st.sampled_from(places), unique=True)) if places else []
    keep = {place[:3]: Kept("left as it is until tomorrow", (place[3],)) for place in chosen}
    plan = make(wanted, before, keep=keep)
    apply(backend, wanted, allow_remove=100, keep=keep, expected_hash=plan.hash[:12])
    left = [(c.kind, c.name, f) for c in diff(wanted, backend.observe()) for f, _, _ in c.fields]
    shut = {("account", name, "held") for kind, name, field in keep if field == "open"}  # a closed account is not held
    assert set(left) - shut <= set(keep)
    assert sum("until tomorrow" in warning for warning in plan.warnings) == len(keep)
    assert {c.name for c in diff(wanted, backend.observe(), keep)} == set()
