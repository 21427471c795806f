"""Quarters and months inside a window: what each pool was entitled to and used from the window's begin to their ends.

A checkpoint has no carry and no deficit of its own: its figures are sums since the window began, the carry of the window
in them. The last one may still run; then it stands as of now. Source: the definitions page, "Scope".
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from zoneinfo import ZoneInfo

from schmelz.metering.daily import DaySplit
from schmelz.metering.windows import inside
from schmelz.units import Period, iso


@dataclass(frozen=True)
class PoolSoFar:
    """One pool from the begin of the window to a checkpoint."""

    pool: str
    entitlement_gpu_s: int
    used_gpu_s: int
    deficit_gpu_s: int


@dataclass(frozen=True)
class Checkpoint:
    """The end of a quarter or month, or `as of` if that is earlier, and the pools by then."""

    name: str
    to: str
    over: bool
    pools: tuple[PoolSoFar, ...]


def checkpoints(
    period: Period, end: int, zone: ZoneInfo, days: Sequence[DaySplit], carry: Sequence[int]
) -> tuple[Checkpoint, ...]:
    """The checkpoints of `period` that have begun by `end`. `carry`: per pool, in the order of the pools."""
    return tuple(_checkpoints(period, end, zone, days, carry))


def _checkpoints(
    period: Period, end: int, zone: ZoneInfo, days: Sequence[DaySplit], carry: Sequence[int]
) -> Iterator[Checkpoint]:
    names = [pool.pool for pool in days[0].pools] if days else []
    entitled, used = _running(days, "entitlement_gpu_s"), _running(days, "used_gpu_s")
    for name, first, after, part in inside(period, zone):
        number = sum(day.day < after for day in days) - 1
        if number < 0 or days[number].day < first:
            continue
        pools = (
            PoolSoFar(pool, e + extra, u, e + extra - u)
            for pool, e, u, extra in zip(names, entitled[number], used[number], carry, strict=True)
        )
        yield Checkpoint(name, iso(min(part.end, end)), part.end <= end, tuple(pools))


def _running(days: Sequence[DaySplit], figure: str) -> list[list[int]]:
    rows = [[getattr(pool, figure) for pool in day.pools] for day in days]
    return list(accumulate(rows, lambda total, row: [a + b for a, b in zip(total, row, strict=True)]))
