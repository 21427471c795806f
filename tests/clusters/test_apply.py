"""Applying: twice is once, killed half-way is finished by the next, guards stand before the first command."""

from dataclasses import replace

import pytest
from hypothesis import given, settings

from clusters import stage
from clusters.stage import Died, MemoryCluster
from clusters.test_plan import POOLS, SYSTEM, trees
from schmelz.cluster.apply import Applied, apply
from schmelz.cluster.desired import Desired, desired
from schmelz.cluster.diff import diff
from schmelz.cluster.model import Account, ClusterError, Member, Observed
from schmelz.cluster.plan import make
from schmelz.faults import Refused


def standing(tree, **values) -> MemoryCluster:
    accounts, members = tree
    return MemoryCluster({account.name: account for account in accounts}, set(members), **values)


@settings(max_examples=50)
@given(trees(), trees())
def test_the_plan_leads_to_what_is_desired_and_twice_is_once(want, have):
    wanted, backend = Desired(*want), standing(have, foreign=("bench",))
    first = apply(backend, wanted, allow_remove=100)
    after = backend.observe()
    assert first.changes == len(diff(wanted, Observed("lab", *have)))
    assert set(after.members) == set(want[1])
    assert {a for a in after.accounts if a.name in {w.name for w in want[0]}} == set(want[0])
    assert [a.name for a in after.accounts if a.open and a not in want[0]] == []
    assert apply(backend, wanted).changes == 0
    assert backend.observe() == after


WANT = Desired(
    (*POOLS, Account("p1", "eurohpc", gpu_minutes=9), Account("p2", "national")),
    (Member("anna", "p1"), Member("bo", "p2")),
)
HAVE = (
    (POOLS[0], Account("p1", "eurohpc", gpu_minutes=5), Account("p0", "eurohpc")),
    (Member("bo", "p0"), Member("bo", "p1")),
)
STEPS = len(diff(WANT, Observed("lab", *HAVE)))


@pytest.mark.parametrize("breath", range(STEPS))
def test_killed_half_way_the_next_apply_finishes(breath):
    backend = standing(HAVE, breath=breath)
    with pytest.raises(Died):
        apply(backend, WANT, allow_remove=9)
    backend.breath = 100
    apply(backend, WANT, allow_remove=9)
    assert diff(WANT, backend.observe()) == ()
    assert STEPS == 8


def test_only_the_plan_that_was_read_is_applied():
    backend, wanted = standing((POOLS, ())), desired(SYSTEM, [stage.project()], 2_000_000_000)
    read = make(wanted, backend.observe()).hash
    backend.accounts["national"] = replace(POOLS[1], shares=1)
    with pytest.raises(Refused, match=rf"{read[:12]}.*{make(wanted, backend.observe()).hash[:12]}"):
        apply(backend, wanted, expected_hash=read)
    assert backend.accounts == {"eurohpc": POOLS[0], "national": replace(POOLS[1], shares=1)}
    backend.accounts["national"] = POOLS[1]
    changes = make(wanted, Observed("lab", POOLS, ())).changes
    assert apply(backend, wanted, expected_hash=read) == Applied(len(changes), read)


def test_the_brake():
    backend = standing(HAVE)
    with pytest.raises(Refused, match=r"3 times .*--allow-remove 3"):
        apply(backend, WANT, allow_remove=2)
    assert backend.observe() == standing(HAVE).observe()
    assert apply(backend, WANT, allow_remove=3).changes == STEPS


def test_a_cluster_that_says_yes_and_does_nothing_is_found_out():
    class Deaf(MemoryCluster):
        def change(self, accounts):
            pass

    with pytest.raises(ClusterError, match=r"1 differences remain:\n  change account national"):
        apply(Deaf({"eurohpc": POOLS[0], "national": replace(POOLS[1], shares=7)}), Desired(POOLS, ()))
