"""The days of a split: the supply of each calendar day, in all and per site, and what each pool did on it.

The figures of a day are what the rounded sums since the window began grew by, so that days add up to the window; a day's
figure can be 1 GPU-second below 0. Days are those of the factory's zone: 23 or 25 hours long when the clocks change.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from itertools import accumulate
from typing import Any

import polars as pl

from schmelz.metering.flows import FLOWS
from schmelz.metering.segments import LINES
from schmelz.metering.supply import Supply
from schmelz.policy.schema import System
from schmelz.units import split_by_weight


@dataclass(frozen=True)
class PoolDay:
    """One pool on one day."""

    pool: str
    entitlement_gpu_s: int
    used_gpu_s: int
    own_gpu_s: int
    borrowed_gpu_s: int
    returned_gpu_s: int
    lent_gpu_s: int


FIGURES = tuple(field.name for field in fields(PoolDay) if field.name != "pool")


@dataclass(frozen=True)
class SiteSplit:
    """The supply of one site."""

    site: str
    installed_gpu_s: int
    supply: Supply


@dataclass(frozen=True)
class DaySplit:
    """One calendar day of the factory's zone: its supply, in all and per site, and its pools."""

    day: date
    installed_gpu_s: int
    delivered_gpu_s: int
    overhead_gpu_s: int
    supply: Supply
    sites: tuple[SiteSplit, ...]
    pools: tuple[PoolDay, ...]


def sums(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Sums of the segments per day: GPU-seconds of supply and use, seconds of waiting, the flows as they are."""
    scaled = tuple(f"{flow}:" for flow in FLOWS)
    rates = [name for name in frame.columns if name not in ("t", "dt", "day") and not name.startswith(scaled)]
    done = [name for name in frame.columns if name.startswith(scaled)]
    totals = [*((pl.col(name) * pl.col("dt")).sum() for name in rates), *(pl.col(name).sum() for name in done)]
    in_order = frame.with_columns(pl.col("day").set_sorted())  # segments come in the order of time
    found = in_order.group_by("day", maintain_order=True).agg(pl.col("dt").sum().alias("seconds"), *totals)
    return found.to_dicts()


def days(system: System, where: Sequence[str], rows: Sequence[dict[str, Any]]) -> Iterator[DaySplit]:
    """The days out of their sums, in order."""
    weights = {pool.id: pool.weight for pool in system.pools}
    totals = accumulate(rows, lambda total, row: {key: total[key] + row[key] for key in row if key != "day"})
    before = [PoolDay(pool, *[0] * len(FIGURES)) for pool in weights]
    for row, total in zip(rows, totals, strict=True):
        upto = _rounded(weights, total)
        here = tuple(
            SiteSplit(
                site,
                system.gpus(site) * row["seconds"],
                Supply(**{line: row.get(f"{line}@{site}", 0) for line in LINES}),
            )
            for site in where
        )
        yield DaySplit(
            row["day"],
            system.gpus() * row["seconds"],
            row["capacity"],
            row["overhead"],
            supply_sum(site.supply for site in here),
            here,
            tuple(_difference(old, new) for old, new in zip(before, upto, strict=True)),
        )
        before = upto


def _rounded(weights: Mapping[str, int], total: Mapping[str, int]) -> list[PoolDay]:
    """The pools' figures since the window began, in whole GPU-seconds."""
    entitled = split_by_weight(total["capacity"], list(weights.values()))
    used = [total[f"use:{pool}"] for pool in weights]
    parts = [
        split_by_weight(use, [total[f"{flow}:{pool}"] for flow in FLOWS[:3]])
        for use, pool in zip(used, weights, strict=True)
    ]
    lent = split_by_weight(
        sum(returned + borrowed for _, returned, borrowed in parts), [total[f"lent:{pool}"] for pool in weights]
    )
    return [
        PoolDay(
            pool,
            entitled[i],
            used[i],
            own_gpu_s=parts[i][0],
            borrowed_gpu_s=parts[i][2],
            returned_gpu_s=parts[i][1],
            lent_gpu_s=lent[i],
        )
        for i, pool in enumerate(weights)
    ]


def _difference(old: PoolDay, new: PoolDay) -> PoolDay:
    return PoolDay(new.pool, *(getattr(new, name) - getattr(old, name) for name in FIGURES))


def supply_sum(supplies: Iterable[Supply]) -> Supply:
    every = list(supplies)
    return Supply(**{line: sum(getattr(supply, line) for supply in every) for line in LINES})


def site_sum(site: str, days: Sequence[DaySplit]) -> SiteSplit:
    """One site over all the days."""
    here = [one for day in days for one in day.sites if one.site == site]
    return SiteSplit(site, sum(one.installed_gpu_s for one in here), supply_sum(one.supply for one in here))
