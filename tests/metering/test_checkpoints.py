"""Quarters and months inside a window: sums since its begin."""

from datetime import date
from itertools import pairwise

import make
from metering.test_split import job, of
from schmelz.units import Period, day_start

FACTORY = make.factory()
DAY = 86400


def at(month: int, day: int = 1, year: int = 2026) -> int:
    return day_start(date(year, month, day), FACTORY.zone)


def test_a_year_has_months_and_quarters_up_to_now() -> None:
    begin, end = at(1), at(1, year=2027)
    found = of(
        job("eurohpc", 8, at(2), 10 * DAY, nodes="n[01-02]"),
        job("eurohpc", 8, at(5), 10 * DAY, nodes="n[01-02]"),
        period=Period(begin, end),
        as_of=at(5, 11),
        carry={"eurohpc": 1000},
    )
    names = [point.name for point in found.checkpoints]
    assert names == ["2026-01", "2026-02", "2026-03", "2026-Q1", "2026-04", "2026-05", "2026-Q2"]
    assert [point.over for point in found.checkpoints] == [True] * 5 + [False] * 2
    march, quarter = found.checkpoints[2:4]
    assert (march.pools, march.to) == (quarter.pools, "2026-03-31T22:00:00Z")
    eurohpc, national = march.pools
    assert eurohpc.entitlement_gpu_s == 8 * (at(4) - begin) + 1000, "the carry is in every checkpoint"
    assert (eurohpc.used_gpu_s, national.used_gpu_s) == (80 * DAY, 0)
    assert eurohpc.deficit_gpu_s == eurohpc.entitlement_gpu_s - 80 * DAY
    last = found.checkpoints[-1]
    for pool, whole in zip(last.pools, found.pools, strict=True):
        assert (pool.entitlement_gpu_s, pool.used_gpu_s, pool.deficit_gpu_s) == (
            whole.entitlement_gpu_s,
            whole.used_gpu_s,
            whole.deficit_gpu_s,
        )
    assert all(a.pools[0].used_gpu_s <= b.pools[0].used_gpu_s for a, b in pairwise(found.checkpoints))


def test_a_quarter_has_months_and_a_month_has_none() -> None:
    quarter = of(period=Period(at(10), at(1, year=2027)), as_of=at(1, year=2027))
    assert [point.name for point in quarter.checkpoints] == ["2026-10", "2026-11", "2026-12"]
    assert of(period=Period(at(10), at(11)), as_of=at(11)).checkpoints == ()
    assert of().checkpoints == (), "a period that is no window"


def test_a_window_that_begins_now_has_none() -> None:
    assert of(period=Period(at(1), at(1, year=2027)), as_of=at(1)).checkpoints == ()
