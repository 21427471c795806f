"""The split: what a system delivered in a window, what each pool was entitled to, what it used, borrowed and lent.

Everything up to `as_of`, from the segments. Inside, sums are kept in GPU-seconds x W; they are rounded by largest
remainder at the end of each day, on the sum since the window began; a day's figure is what the sum grew by (so it can
be 1 GPU-second below 0). Days add up to the window, and in both: entitlement = delivered (the window adds the carry),
own + returned + borrowed = used, lent = borrowed + returned, supply - excess = installed.
A pool's use are its runs, held GPUs where whole nodes are charged, idle GPUs of reservations that it asked for, and the
overhead over the cap that is booked to it. Runs of nobody's account are in supply only. Source: the definitions page.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import polars as pl

from schmelz.metering.checkpoints import Checkpoint, checkpoints
from schmelz.metering.daily import FIGURES, DaySplit, PoolDay, SiteSplit, days, site_sum, sums, supply_sum
from schmelz.metering.fairness import Fairness, fairness
from schmelz.metering.flows import flows
from schmelz.metering.segments import segments, sites, touching
from schmelz.metering.supply import Outage, Supply
from schmelz.metering.windows import name_of, window
from schmelz.policy.schema import Factory, System
from schmelz.units import PPM, Period, iso

__all__ = ["FIGURES", "DaySplit", "PoolDay", "PoolSplit", "SiteSplit", "Split", "split", "window"]


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
    carry_gpu_s: int
    floor_breaches: int
    floor_breach_longest_s: int
    reclaims: int
    reclaim_p50_s: int | None
    reclaim_p95_s: int | None
    worst_week_ppm: int | None


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
    checkpoints: tuple[Checkpoint, ...]
    days: tuple[DaySplit, ...]

    def as_dict(self) -> dict[str, Any]:
        """The figures of the window as plain data, for JSON."""
        figures = asdict(replace(self, days=()))
        del figures["period"], figures["days"]
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
    rows = sums(frame)
    every = tuple(days(system, where, rows))
    demands = _waiting(runs, span.end, grants_left or {})
    pools = tuple(
        _pool(
            system,
            number,
            every,
            frame,
            brought,
            demands,
            fairness(system, factory.zone, pool, frame, rows, runs, span),
        )
        for number, pool in enumerate(system.pools)
    )
    return Split(
        system_id,
        name_of(period, factory.zone),
        span,
        as_of,
        system.gpus() * span.seconds,
        sum(day.delivered_gpu_s for day in every),
        sum(day.overhead_gpu_s for day in every),
        supply_sum(day.supply for day in every),
        _share_error(pools),
        pools,
        tuple(site_sum(site, every) for site in where),
        checkpoints(period, span.end, factory.zone, every, list(brought.values())),
        every,
    )


def _weights(system: System) -> dict[str, int]:
    return {pool.id: pool.weight for pool in system.pools}


def _carry(system: System, period: Period, carry: Mapping[str, int]) -> dict[str, int]:
    most = system.gpus() * period.seconds * system.sharing.carry_percent // 100
    return {pool.id: min(carry.get(pool.id, 0), most * pool.weight // system.weight_sum) for pool in system.pools}


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
    waited: Fairness,
) -> PoolSplit:
    pool = system.pools[number]
    whole = {name: sum(getattr(day.pools[number], name) for day in days) for name in FIGURES}
    whole["entitlement_gpu_s"] += carry[pool.id]
    used, entitlement = whole["used_gpu_s"], whole["entitlement_gpu_s"]
    demand = used + demands.get(pool.id, 0)
    wanted = max(0, min(demand, entitlement) - used)
    shortfall = max(0, min(demand, entitlement, _reachable(system, pool.id, frame)) - used)
    return PoolSplit(
        pool.id,
        pool.weight,
        **whole,
        demand_gpu_s=demand,
        shortfall_gpu_s=shortfall,
        deficit_gpu_s=entitlement - used,
        late_gpu_s=wanted - shortfall,
        carry_gpu_s=carry[pool.id],
        **vars(waited),
    )


def _share_error(pools: Sequence[PoolSplit]) -> int | None:
    """How far the use is from the weights, in millionths; None unless every pool asked for all that is its own."""
    used, whole = sum(pool.used_gpu_s for pool in pools), sum(pool.weight for pool in pools)
    if used <= 0 or any(pool.demand_gpu_s < pool.entitlement_gpu_s for pool in pools):
        return None
    return max(abs(whole * pool.used_gpu_s - pool.weight * used) for pool in pools) * PPM // (whole * used)
