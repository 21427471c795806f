"""Many jobs under caps: a scheduler that knows nothing of pools, steered, gives what the rule of the queue gives.

Each job is followed by a second in which its GPUs stand still, as on a real cluster, where a cap of exactly the floor
holds a pool below it on average.
"""

import random
from collections.abc import Callable

import pytest

from cluster.replay import Capped, Replay, Sample, Starts, Trial
from schmelz.rules import steering
from schmelz.rules.queue import next_starts
from schmelz.rules.steering import Range

POOLS = {"eurohpc": 50, "national": 50}
NODES = {f"node{number}": 4 for number in range(8)}
SECONDS, SETTLED = 300, 60


def contest(starts: Starts, sizes: tuple[int, ...], lead: int = 10**6) -> list[Sample]:
    """32 GPUs, jobs of 20 to 40 seconds, more than can run; national leads by `lead` GPU-seconds."""
    chance = random.Random(3)
    trials = [
        Trial(f"{pool}{number}", pool, chance.choice(sizes), chance.randint(20, 40), 60)
        for number in range(170 * 4 // sum(sizes) * len(sizes) // 2)
        for pool in POOLS
    ]
    replay = Replay(NODES, starts, lambda _: {"eurohpc": 0, "national": lead}, pause=1)
    return replay.run(trials, 0, SECONDS)[SETTLED:]


def part(rows: list[Sample], *pools: str) -> float:
    """Per cent of the GPUs that these pools used, on average."""
    return sum(use.get(pool, 0) for _, use in rows for pool in pools) / len(rows) / 32 * 100


@pytest.fixture(scope="module")
def compared() -> Callable[[tuple[int, ...]], tuple[list[Sample], list[Sample], Capped]]:
    def both(sizes: tuple[int, ...]) -> tuple[list[Sample], list[Sample], Capped]:
        capped = Capped(POOLS, Range(25, 100, 3600, 3600))
        return contest(next_starts, sizes), contest(capped, sizes), capped

    return both


@pytest.mark.parametrize("sizes", [(1, 1, 2, 4), (2, 4), (4,)], ids=str)
def test_the_floor_is_held_on_average_and_the_leader_gets_the_rest(compared, sizes) -> None:
    by_rule, steered, capped = compared(sizes)
    assert part(steered, "eurohpc") >= 25, "the floor"
    assert part(steered, "national") >= part(by_rule, "national") - 3, "the leader"
    assert part(steered, *POOLS) >= part(by_rule, *POOLS) - 0.5, "the GPUs in use"
    assert capped.moves < 50, "not with every job"


def test_without_the_memory_a_ceiling_is_below_the_floor_on_average(monkeypatch) -> None:
    """What the memory is for."""
    monkeypatch.setattr(steering, "PATIENCE", 10**6)
    assert part(contest(Capped(POOLS, Range(25, 100, 3600, 3600)), (4,)), "eurohpc") < 25


def test_pools_that_are_even_have_their_halves_without_a_move() -> None:
    capped = Capped(POOLS, Range(25, 100, 3600, 3600))
    rows = contest(capped, (1, 1, 2, 4), lead=0)
    assert abs(part(rows, "eurohpc") - part(rows, "national")) < 1 and capped.moves == 0
