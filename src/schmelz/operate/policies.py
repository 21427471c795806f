"""The factory's own past under several policies, side by side: what each would have made of the same jobs.

The jobs are those that were sent in the last days and have ended, with the sizes that were charged and the times that they
held their GPUs; every pool's as it was counted. Jobs of no pool are left out. The machine is the present one, whole.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from schmelz.faults import BadInput, Refused
from schmelz.policy.schema import System
from schmelz.portal.clock import now
from schmelz.portal.projects import figures
from schmelz.twin.foreseen import Forecast
from schmelz.twin.policies import CLASSIC, POLICIES
from schmelz.twin.sharing import PoolOptions, Sharing
from schmelz.twin.side_by_side import compare
from schmelz.twin.workload import Workload
from schmelz.units import DAY, Period

CHOSEN = ("deficit", "fairshare", "partition", "easy")
DAYS, DAYS_AT_MOST, JOBS_AT_MOST = 90, 400, 200_000


@dataclass(frozen=True)
class SideBySide:
    """What came of it: the figures by policy, of so many jobs that were sent in the period."""

    system: System
    period: Period
    jobs: int
    policies: dict[str, Forecast]


def side_by_side(system: System, days: int = DAYS, told: Callable[[int], None] = lambda done: None) -> SideBySide:
    """Run the past through the policies. Raises BadInput for days that cannot be, Refused where there are no jobs."""
    if not 1 <= days <= DAYS_AT_MOST:
        raise BadInput(f"days: {days} cannot be; write 1 to {DAYS_AT_MOST}")
    period = Period(now() - days * DAY, now())
    work = _jobs(system, period)
    ran = {}
    for number, name in enumerate(CHOSEN):
        options = _options(system, classic=name in CLASSIC)
        ran[name] = (POLICIES[name](work, options), options)
        told(number + 1)
    return SideBySide(system, period, len(work), compare(work, ran))


def _jobs(system: System, period: Period) -> Workload:
    pools = [pool.id for pool in system.pools]
    ended = figures.attributed(system).filter(
        (pl.col("submit") >= period.start)
        & (pl.col("submit") < period.end)
        & pl.col("end").is_not_null()
        & (pl.col("held_s") > 0)
        & (pl.col("gpus") > 0)
        & pl.col("pool").cast(pl.String).is_in(pools)
    )
    if ended.is_empty():
        raise Refused(
            "no job of the pools was sent and has ended in these days.", "Ask for more days, or read job records."
        )
    runs = ended.sort("submit", maintain_order=True).tail(JOBS_AT_MOST)
    size = (runs["gpus"] + runs["held_gpus"]).to_numpy().astype(np.int64)
    submit, run = (runs[name].to_numpy().astype(np.int64) for name in ("submit", "held_s"))
    limit = np.maximum(run, runs["limit_s"].fill_null(0).to_numpy().astype(np.int64))
    pool = np.array([pools.index(name) for name in runs["pool"].cast(pl.String).to_list()], np.int32)
    most = max(system.gpus(site) for site in system.nodes)
    return Workload(
        np.arange(len(runs)), submit, run, np.minimum(size, most), limit, pool, tuple(pools), pool, tuple(pools)
    )


def _options(system: System, *, classic: bool) -> PoolOptions:
    """The system's own rule; a classic policy knows one machine."""
    sites = () if classic else tuple((site, system.gpus(site)) for site in system.nodes)
    weights, rule = tuple(pool.weight for pool in system.pools), system.sharing
    return PoolOptions(system.gpus(), sharing=Sharing(weights, sites, rule.floor_percent, rule.dead_band_ppm))
