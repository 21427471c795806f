"""Floor breaches, reclaim times and the worst week: by hand, and against a count second by second."""

from datetime import date
from itertools import groupby

import pytest
from hypothesis import given, strategies as st

import make
from metering.test_split import ALL, END, job, of, waiting
from schmelz.metering.fairness import percentile
from schmelz.metering.split import PoolSplit
from schmelz.units import Period, day_start

DAY = 86400
WAITED = ("floor_breaches", "floor_breach_longest_s", "reclaims", "reclaim_p50_s", "reclaim_p95_s", "worst_week_ppm")
EVERYWHERE = {"nodes": ",".join(ALL)}


def waited(pool: PoolSplit) -> tuple[int | None, ...]:
    return tuple(getattr(pool, name) for name in WAITED)


def test_a_wait_under_the_floor_longer_than_the_longest_limit_is_a_breach() -> None:
    rows = (job("eurohpc", 16, limit_s=60, **EVERYWHERE), waiting("national", 4, since=30))
    assert waited(of(*rows).pools[1]) == (1, 70, 1, 70, 70, None)
    patient = (job("eurohpc", 16, limit_s=70, **EVERYWHERE), waiting("national", 4, since=30))
    assert waited(of(*patient).pools[1])[:2] == (0, 0), "exactly as long as the limit is no breach"


def test_the_limit_counts_that_was_running_when_the_wait_began() -> None:
    before = job("eurohpc", 4, 0, 20, limit_s=99, nodes="n01")
    busy = job("eurohpc", 12, limit_s=10, nodes="n02,s01,s02")
    late = job("eurohpc", 4, 50, 50, limit_s=99, nodes="n01")
    assert waited(of(before, busy, waiting("national", 1, since=19)).pools[1])[:2] == (0, 0)
    assert waited(of(before, busy, waiting("national", 1, since=20)).pools[1])[:2] == (1, 80)
    assert waited(of(before, busy, late, waiting("national", 1, since=30)).pools[1])[:2] == (1, 70)


def test_an_unknown_limit_is_the_longest_that_the_cluster_allows() -> None:
    rows = (job("eurohpc", 16, limit_s=None, **EVERYWHERE), waiting("national", 4))
    assert waited(of(*rows).pools[1])[0] == 0
    short = make.factory(cluster={"default_time": 10, "max_time": 50})
    assert waited(of(*rows, factory=short).pools[1])[:2] == (1, 100)


def test_with_its_floor_in_use_a_pool_is_in_no_breach() -> None:
    rows = (
        job("eurohpc", 12, limit_s=1, nodes="n[01-02],s01"),
        job("national", 4, nodes="s02"),
        waiting("national", 4),
    )
    assert waited(of(*rows).pools[1])[:4] == (0, 0, 1, 100), "4 of 16 GPUs are the floor, 8 its share"


def test_a_reclaim_ends_with_the_share_or_with_nothing_left_to_ask_for() -> None:
    rows = (
        job("eurohpc", 8, nodes="n[01-02]"),
        job("national", 8, 25, 75, eligible=5, nodes="s[01-02]"),
        waiting("national", 4, since=50),
    )
    assert waited(of(*rows).pools[1])[2:5] == (1, 20, 20), "then it has its share, whatever else waits"
    rows = (job("national", 2, 30, 70, eligible=10, nodes="s01"), waiting("national", 2, since=70))
    assert waited(of(*rows).pools[1])[2:5] == (2, 20, 30), "the second has not ended; it counts so far"


def test_what_a_start_takes_is_no_breach() -> None:
    """On an empty machine no limit runs: a wait of one cycle is usual, a longer one is a breach."""
    assert waited(of(waiting("national", 4, since=END - 60)).pools[1])[:2] == (0, 0)
    assert waited(of(waiting("national", 4, since=END - 61)).pools[1])[:2] == (1, 61)


def test_percentiles_are_values_that_occurred() -> None:
    assert [percentile(range(1, 21), p) for p in (50, 95, 100)] == [10, 19, 20]
    assert percentile([7], 50) == percentile([7], 95) == 7
    assert percentile([], 50) is None


def test_the_worst_week_is_of_seven_whole_days_of_waiting() -> None:
    factory = make.factory()
    begin = day_start(date(2026, 10, 20), factory.zone)  # the 25th has 25 hours
    period = Period(begin, day_start(date(2026, 10, 30), factory.zone))
    used = [job("national", gpus, begin + DAY * n, DAY, nodes="n01") for n, gpus in ((0, 4), (2, 2))]
    asks = waiting("national", 4, since=begin)
    found = of(*used, asks, factory=factory, period=period, as_of=period.end).pools[1]
    assert found.worst_week_ppm == 0, "from the 23rd on it had nothing for a week"
    found = of(*used, asks, factory=factory, period=period, as_of=period.end - 3 * DAY - 5).pools[1]
    assert found.worst_week_ppm is None, "six whole days, and a seventh that is not over"
    week = of(*used, asks, factory=factory, period=period, as_of=period.end - 3 * DAY).pools[1]
    assert week.worst_week_ppm == 6 * DAY * 10**6 // (16 * (7 * DAY + 3600))
    late = waiting("national", 4, since=begin + 1)
    assert of(*used, late, factory=factory, period=period, as_of=period.end - 3 * DAY).pools[1].worst_week_ppm is None


def test_a_pool_that_never_waited_has_no_figures() -> None:
    assert waited(of(job("eurohpc", 16, **EVERYWHERE)).pools[1]) == (0, 0, 0, None, None, None)


CYCLE = 10
moments = st.integers(-20, 120)


@st.composite
def rows_of(draw: st.DrawFn) -> dict[str, object]:
    pool, start = draw(st.sampled_from(("eurohpc", "national"))), draw(moments)
    limit = draw(st.sampled_from((5, 30, None)))
    if draw(st.booleans()):
        return waiting(pool, draw(st.integers(1, 4)), since=start, limit_s=limit)
    node, eligible = draw(st.sampled_from(("n01", "n02", "s01"))), start - draw(st.integers(0, 60))
    return job(
        pool, draw(st.integers(1, 4)), start, draw(st.integers(0, 80)), eligible=eligible, limit_s=limit, nodes=node
    )


def slow(rows: list[dict], pool: str) -> list[list[int]]:
    """Lengths of breaches and of reclaims, asking each second."""

    def runs(row: dict, t: int) -> bool:
        return row["start"] is not None and row["start"] <= t < row["start"] + row["elapsed"]

    def waits(row: dict, t: int) -> bool:
        return row["eligible"] <= t and (row["start"] is None or t < row["start"])

    def state(t: int) -> tuple[bool, bool]:
        own = [row for row in rows if row["account"] == f"{pool}-1"]
        used, asks = sum(row["gpus"] for row in own if runs(row, t)), any(waits(row, t) for row in own)
        return asks and used < 4, asks and used < 8

    found: list[list[int]] = []
    for which in (0, 1):
        spans = [list(group) for on, group in groupby(range(END), key=lambda t: state(t)[which]) if on]
        longest = [max((row["limit_s"] or 172800 for row in rows if runs(row, span[0])), default=0) for span in spans]
        found.append(
            [len(s) for s, limit in zip(spans, longest, strict=True) if which == 1 or len(s) > max(limit, CYCLE)]
        )
    return found


@given(st.lists(rows_of(), max_size=9))
def test_it_is_what_one_counts_second_by_second(rows: list[dict]) -> None:
    found = of(*rows, factory=make.factory(sharing={"cycle": CYCLE}))
    if any(day.supply.excess for day in found.days):
        return  # records of more than there is change no share, but tell nothing either
    for pool in found.pools:
        breaches, reclaims = slow(rows, pool.pool)
        assert (pool.floor_breaches, pool.floor_breach_longest_s) == (len(breaches), max(breaches, default=0))
        assert (pool.reclaims, pool.reclaim_p95_s) == (len(reclaims), percentile(sorted(reclaims), 95))


@pytest.mark.parametrize("charge", ["gpu", "node"])
def test_held_gpus_count_towards_the_floor(charge: str) -> None:
    one = job("national", 1, nodes="s01", limit_s=1)
    found = of(one, waiting("national", 4), factory=make.factory(charge=charge)).pools[1]
    assert found.floor_breaches == (0 if charge == "node" else 1)
