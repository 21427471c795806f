"""The split: what a system delivered in a window, what each pool was entitled to, what it used, borrowed and lent.

Everything up to `as_of`, from the segments. Inside, sums are kept in GPU-seconds x W; they are rounded by largest
remainder at the end of each day, on the sum since the window began; a day's figure is what the sum grew by (so it can
be 1 GPU-second below 0). Days add up to the window, and in both: entitlement = delivered (the window adds the carry),
own + returned + borrowed = used, lent = borrowed + returned, supply - excess = installed.
A pool's use are its runs, held GPUs where whole nodes are charged, idle GPUs of reservations that it asked for, and the
overhead over the cap that is booked to it. Runs of nobody's account are in supply only. Source: the definitions page.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date
from itertools import accumulate
from typing import Any

import polars as pl

from schmelz.metering.flows import FLOWS, flows
from schmelz.metering.segments import LINES, segments, sites, touching
from schmelz.metering.supply import Outage, Supply
from schmelz.metering.windows import name_of, window
from schmelz.policy.schema import Factory, System
from schmelz.units import PPM, Period, iso, split_by_weight

__all__ = ["DaySplit", "PoolDay", "PoolSplit", "SiteSplit", "Split", "split", "window"]


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
class PoolSplit:
    """One pool in the window. The entitlement holds the carry; a negative deficit: more used than entitled."""

    pool: str
    weight: int
    entitlement_gpu_s: int
    used_gpu_s: int
    own_gpu_s: int
    borrowed_gpu_s: int
    returned_gpu_s: int
    lent_gpu_s: int
    demand_gpu_s: int
    shortfall_gpu_s: int
    deficit_gpu_s: int
    late_gpu_s: int


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


@dataclass(frozen=True)
class Split:
    """The split of one system in one window up to `period.end`, the end of the window or `as_of` if that is earlier."""

    system: str
    window: str
    period: Period
    as_of: int
    installed_gpu_s: int
    delivered_gpu_s: int
    overhead_gpu_s: int
    supply: Supply
    share_error_ppm: int | None
    pools: tuple[PoolSplit, ...]
    sites: tuple[SiteSplit, ...]
    days: tuple[DaySplit, ...]

    def as_dict(self) -> dict[str, Any]:
        """The figures of the window as plain data, for JSON."""
        figures = {key: value for key, value in asdict(self).items() if key not in ("period", "days", "as_of")}
        return {**figures, "from": iso(self.period.start), "to": iso(self.period.end), "as_of": iso(self.as_of)}


def split(
    factory: Factory,
    system_id: str,
    attributed: pl.DataFrame,
    outages: Iterable[Outage],
    period: Period,
    as_of: int,
    *,
    grants_left: Mapping[str, int] | None = None,
    carry: Mapping[str, int] | None = None,
) -> Split:
    """The split of `period` so far. `grants_left`: GPU-seconds per project; `carry`: from the window before, per pool.

    The carry is cut to `carry_percent` of the pool's share of the installed GPUs over the whole period.
    """
    system = factory.system(system_id)
    span = Period(period.start, max(period.start, min(period.end, as_of)))
    runs = touching(attributed, system_id, span)
    where = sites(system, runs)
    brought = _carry(system, period, carry or {})
    frame = flows(segments(system, factory.zone, runs, list(outages), span), _weights(system), brought)
    days = tuple(_days(system, where, _daily(frame)))
    demands = _waiting(runs, span.end, grants_left or {})
    pools = tuple(_pool(system, number, days, frame, brought, demands) for number in range(len(system.pools)))
    return Split(
        system_id,
        name_of(period, factory.zone),
        span,
        as_of,
        system.gpus() * span.seconds,
        sum(day.delivered_gpu_s for day in days),
        sum(day.overhead_gpu_s for day in days),
        _supply_sum(day.supply for day in days),
        _share_error(pools),
        pools,
        tuple(_site_sum(site, days) for site in where),
        days,
    )


def _weights(system: System) -> dict[str, int]:
    return {pool.id: pool.weight for pool in system.pools}


def _carry(system: System, period: Period, carry: Mapping[str, int]) -> dict[str, int]:
    most = system.gpus() * period.seconds * system.sharing.carry_percent // 100
    return {pool.id: min(carry.get(pool.id, 0), most * pool.weight // system.weight_sum) for pool in system.pools}


# -- days


def _daily(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Sums per day: GPU-seconds of supply and use, the flows as they are."""
    scaled = tuple(f"{flow}:" for flow in FLOWS)
    rates = [name for name in frame.columns if name not in ("t", "dt", "day") and not name.startswith(scaled)]
    done = [name for name in frame.columns if name.startswith(scaled)]
    sums = [*((pl.col(name) * pl.col("dt")).sum() for name in rates), *(pl.col(name).sum() for name in done)]
    return frame.group_by("day").agg(pl.col("dt").sum().alias("seconds"), *sums).sort("day").to_dicts()


def _days(system: System, where: Sequence[str], rows: Sequence[dict[str, Any]]) -> Iterator[DaySplit]:
    totals = accumulate(rows, lambda total, row: {key: total[key] + row[key] for key in row if key != "day"})
    before = [PoolDay(pool.id, *[0] * 6) for pool in system.pools]
    for row, total in zip(rows, totals, strict=True):
        upto = _rounded(_weights(system), total)
        here = tuple(
            SiteSplit(
                site, system.gpus(site) * row["seconds"], Supply(**{line: row[f"{line}@{site}"] for line in LINES})
            )
            for site in where
        )
        yield DaySplit(
            row["day"],
            system.gpus() * row["seconds"],
            row["capacity"],
            row["overhead"],
            _supply_sum(site.supply for site in here),
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


def _supply_sum(supplies: Iterable[Supply]) -> Supply:
    every = list(supplies)
    return Supply(**{line: sum(getattr(supply, line) for supply in every) for line in LINES})


def _site_sum(site: str, days: Sequence[DaySplit]) -> SiteSplit:
    here = [one for day in days for one in day.sites if one.site == site]
    return SiteSplit(site, sum(one.installed_gpu_s for one in here), _supply_sum(one.supply for one in here))


# -- the window


def _waiting(runs: pl.DataFrame, now: int, grants_left: Mapping[str, int]) -> dict[str, int]:
    """Per pool, GPUs x limit of the jobs that are eligible and wait at `now`, at most what each project has left."""
    pending = pl.when(pl.col("start").is_null()).then(pl.col("state") == "PENDING").otherwise(pl.col("start") > now)
    jobs = runs.filter(pending & (pl.col("eligible") <= now))
    sums = jobs.group_by("pool", "project").agg((pl.col("gpus") * pl.col("limit_s").fill_null(0)).sum()).rows()
    demands: dict[str, int] = {}
    for pool, project, wanted in sums:
        demands[pool] = demands.get(pool, 0) + min(wanted, max(0, grants_left.get(project, 0)))
    return demands


def _reachable(system: System, pool: str, frame: pl.DataFrame) -> int:
    """What the pool could have had while it ran or waited: delivered, less the floors of the other pools that wait."""
    others = [pl.col(f"wait:{other.id}") > 0 for other in system.pools if other.id != pool]
    waiting = pl.sum_horizontal(pl.lit(0, pl.Int64), *(waits.cast(pl.Int64) for waits in others))
    floors = system.sharing.floor_percent * waiting
    there = (pl.col(f"use:{pool}") > 0) | (pl.col(f"wait:{pool}") > 0)
    reach = pl.when(there).then(pl.col("capacity") * (100 - floors) * pl.col("dt")).otherwise(0)
    return int(frame.select(reach.sum()).item()) // 100


def _pool(
    system: System,
    number: int,
    days: Sequence[DaySplit],
    frame: pl.DataFrame,
    carry: Mapping[str, int],
    demands: Mapping[str, int],
) -> PoolSplit:
    pool = system.pools[number]
    sums = {name: sum(getattr(day.pools[number], name) for day in days) for name in FIGURES}
    sums["entitlement_gpu_s"] += carry[pool.id]
    used, entitlement = sums["used_gpu_s"], sums["entitlement_gpu_s"]
    demand = used + demands.get(pool.id, 0)
    wanted = max(0, min(demand, entitlement) - used)
    shortfall = max(0, min(demand, entitlement, _reachable(system, pool.id, frame)) - used)
    return PoolSplit(
        pool.id,
        pool.weight,
        **sums,
        demand_gpu_s=demand,
        shortfall_gpu_s=shortfall,
        deficit_gpu_s=entitlement - used,
        late_gpu_s=wanted - shortfall,
    )


def _share_error(pools: Sequence[PoolSplit]) -> int | None:
    """How far the use is from the weights, in millionths; None unless every pool asked for all that is its own."""
    used, whole = sum(pool.used_gpu_s for pool in pools), sum(pool.weight for pool in pools)
    if used <= 0 or any(pool.demand_gpu_s < pool.entitlement_gpu_s for pool in pools):
        return None
    return max(abs(whole * pool.used_gpu_s - pool.weight * used) for pool in pools) * PPM // (whole * used)
