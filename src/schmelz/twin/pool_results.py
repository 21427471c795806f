"""Who got what and how long it took: the figures of a schedule by pool, site, class of size and owner.

Shares as on the definitions page: entitlement = w x delivered / W; demand = use and the estimates of the jobs that wait
at the end; reachable, shortfall, own, returned, borrowed and lent per segment; *reclaim* = a stretch in which a pool waits
and has less than its share; *worst seven days* = the least part of what was delivered, in any seven days from the first
submission on in which the pool always waited. Waits of pre-empted jobs go to their last start. A class of sizes is named
by its smallest: 1, 2, 4, 8 ... GPUs. Integers inside; GPU-seconds x W are rounded down once, at the end.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from schmelz.twin.pool_segments import Segments, runs, segments, sites_of, sizes
from schmelz.twin.sharing import PoolOptions, Sharing
from schmelz.twin.workload import Bools, Ints, Options, Schedule, Workload
from schmelz.units import DAY, PPM, split_by_weight

TAU = 10
Table = npt.NDArray[np.int64]


def pool_results(workload: Workload, schedule: Schedule, options: Options) -> dict[str, Any]:
    """Everything, as plain data."""
    sharing = options.sharing if isinstance(options, PoolOptions) else Sharing()
    if not (schedule.start >= 0).any():
        return {"pools": [], "sites": [], "sizes": [], "owners": []}
    found, size = segments(workload, schedule, options), sizes(workload, schedule)
    weights = np.array(sharing.weights or (1,) * len(workload.pools), np.int64)
    pools = _pools(workload, schedule, found, size, weights, sharing)
    whole, used = int(weights.sum()), [pool["used_gpu_s"] for pool in pools]
    short = any(pool["demand_gpu_s"] < pool["entitlement_gpu_s"] for pool in pools)
    error = max(abs(whole * u - int(w) * sum(used)) for u, w in zip(used, weights, strict=True)) * PPM
    classes = 1 << np.floor(np.log2(size)).astype(np.int64)
    return {
        "delivered_gpu_s": int((found.capacity * found.dt).sum()),
        "used_gpu_s": sum(used),
        "share_error_ppm": None if short or not sum(used) else error // (whole * sum(used)),
        "idle_while_waiting_gpu_s": _idle_while_waiting(found),
        "pools": pools,
        "sites": _sites(workload, schedule, found, options),
        "sizes": [{"gpus": int(least), **waits(workload, schedule, classes == least)} for least in np.unique(classes)],
        "owners": [
            {"owner": name, **waits(workload, schedule, workload.owner == number)}
            for number, name in enumerate(workload.owners)
            if len(workload.owners) <= 1000
        ],
    }


def waits(workload: Workload, schedule: Schedule, chosen: Bools) -> dict[str, Any]:
    """Waits and slowdowns of the chosen jobs that started."""
    started = chosen & (schedule.start >= 0)
    wait, run = (schedule.start - workload.submit)[started], workload.run[started]
    counts = {"jobs": int(np.count_nonzero(chosen)), "started": len(wait)}
    if not len(wait):
        return {**counts, **dict.fromkeys(("mean_wait_s", "p50_wait_s", "p95_wait_s", "max_wait_s", "slowdown"))}
    ordered = np.sort(wait)
    slowdown = np.maximum(1.0, (wait + run) / np.maximum(run, TAU))
    return {
        **counts,
        "mean_wait_s": round(float(wait.mean()), 4),
        "p50_wait_s": percentile(ordered, 50),
        "p95_wait_s": percentile(ordered, 95),
        "max_wait_s": int(ordered[-1]),
        "slowdown": round(float(slowdown.mean()), 6),
    }


def percentile(ordered: Ints, percent: int) -> int | None:
    """The nearest rank: the smallest value that at least so many per cent do not exceed."""
    return int(ordered[-(-len(ordered) * percent // 100) - 1]) if len(ordered) else None


def _pools(
    workload: Workload, schedule: Schedule, found: Segments, size: Ints, weights: Ints, sharing: Sharing
) -> list[dict[str, Any]]:
    delivered, whole = int((found.capacity * found.dt).sum()), int(weights.sum())
    entitlement = split_by_weight(delivered, [int(weight) for weight in weights])
    flows, reach = _flows(found, weights), _reachable(found, sharing.floor_percent)
    lost = schedule.lost if schedule.lost is not None else np.zeros(len(workload), np.int64)
    still = (workload.submit <= found.end) & ((schedule.start < 0) | (schedule.start >= found.end))
    made = []
    for number, name in enumerate(workload.pools):
        mine, used = workload.pool == number, int((found.use[:, number] * found.dt).sum())
        demand = used + int((size * workload.estimate)[mine & still].sum())
        short = _stretches(found, whole * found.use[:, number] < weights[number] * found.capacity, number)
        lengths = np.sort(short[1] - short[0])
        made.append(
            {
                "pool": name,
                "weight": int(weights[number]),
                **waits(workload, schedule, mine),
                "entitlement_gpu_s": entitlement[number],
                "used_gpu_s": used,
                "share_ppm": used * PPM // max(1, int((found.use * found.dt[:, None]).sum())),
                "demand_gpu_s": demand,
                "shortfall_gpu_s": max(0, min(demand, entitlement[number], reach[number]) - used),
                **{key: int(table[number]) for key, table in flows.items()},
                "reclaims": len(lengths),
                "reclaim_p50_s": percentile(lengths, 50),
                "reclaim_p95_s": percentile(lengths, 95),
                "worst_week_ppm": _worst_week(found, number),
                "floor_breaches": _breaches(workload, schedule, found, number, sharing.floor_percent),
                "preempted_gpu_s": int(lost[mine].sum()),
            }
        )
    return made


def _flows(found: Segments, weights: Ints) -> dict[str, Ints]:
    """own, returned, borrowed and lent of each pool, in GPU-seconds."""
    whole, dt = int(weights.sum()), found.dt[:, None]
    balance = weights * found.capacity[:, None] - whole * found.use
    over, under = np.maximum(0, -balance), np.maximum(0, balance)
    deficit = np.cumsum(balance * dt, axis=0) - balance * dt
    returned = np.minimum(over * dt, np.maximum(0, deficit))
    lent = over.sum(1)[:, None] * under // np.maximum(1, under.sum(1))[:, None] * dt
    parts = {
        "own": whole * found.use * dt - over * dt,
        "returned": returned,
        "borrowed": over * dt - returned,
        "lent": lent,
    }
    return {f"{name}_gpu_s": table.sum(0) // whole for name, table in parts.items()}


def _reachable(found: Segments, floor: int) -> list[int]:
    """What each pool could have had while it ran or waited: delivered less the floors of the others that waited."""
    waited = found.wait > 0
    reach = []
    for pool in range(found.use.shape[1]):
        others = waited.sum(1) - waited[:, pool]
        there = (found.use[:, pool] > 0) | waited[:, pool]
        reach.append(int((found.capacity * (100 - floor * others) * found.dt)[there].sum()) // 100)
    return reach


def _stretches(found: Segments, condition: Bools, pool: int) -> tuple[Ints, Ints]:
    """Begin and end of the longest stretches in which the pool waits and the condition holds."""
    holds = np.concatenate([(False,), condition & (found.wait[:, pool] > 0), (False,)])
    edges = np.append(found.t, found.end)
    return edges[np.flatnonzero(holds[1:] & ~holds[:-1])], edges[np.flatnonzero(holds[:-1] & ~holds[1:])]


def _breaches(workload: Workload, schedule: Schedule, found: Segments, pool: int, floor: int) -> int:
    """Stretches under the floor that lasted longer than the longest estimate that was running when they began."""
    begin, stop = _stretches(found, found.use[:, pool] * 100 < floor * found.capacity, pool)
    ran = runs(schedule)
    estimate = workload.estimate[ran.job]
    long = np.flatnonzero(stop - begin > (estimate.min() if len(estimate) else 0))
    return sum(
        int(stop[one] - begin[one] > estimate[(ran.start < begin[one]) & (ran.end > begin[one])].max(initial=0))
        for one in long
    )


def _worst_week(found: Segments, pool: int) -> int | None:
    """In ppm of what was delivered; None when there are no seven days in which the pool always waited."""
    days = (found.end - int(found.t[0])) // DAY
    if days < 7:
        return None
    cuts = int(found.t[0]) + DAY * np.arange(days + 1)
    sums = [_until(found, cuts, level) for level in (found.use[:, pool], found.capacity, (found.wait[:, pool] > 0) * 1)]
    used, delivered, waited = (column[7:] - column[:-7] for column in sums)
    full = (waited == 7 * DAY) & (delivered > 0)
    return int((used[full] * PPM // delivered[full]).min()) if full.any() else None


def _until(found: Segments, moments: Ints, level: Ints) -> Ints:
    """The sum of level x time up to each moment."""
    sums = np.concatenate([(0,), np.cumsum(level * found.dt)])
    at = np.clip(np.searchsorted(found.t, moments, "right") - 1, 0, len(found.t) - 1)
    return np.asarray(sums[at] + level[at] * np.minimum(moments - found.t[at], found.dt[at]))


def _idle_while_waiting(found: Segments) -> int:
    """GPU-seconds that nobody used while any job waited: some of it no rule could avoid, the job may have been too large."""
    waiting = found.wait.any(1)
    return int(((found.capacity - found.use.sum(1)) * found.dt)[waiting].sum())


def _sites(workload: Workload, schedule: Schedule, found: Segments, options: Options) -> list[dict[str, Any]]:
    span = int(found.dt.sum())
    made = []
    for number, (name, gpus) in enumerate(sites_of(options)):
        here = np.ones(len(workload), np.bool_) if schedule.site is None else schedule.site == number
        used = int((found.at[:, number] * found.dt).sum())
        utilisation = round(used / (gpus * span), 12) if span else None
        made.append(
            {
                "site": name,
                "gpus": gpus,
                "used_gpu_s": used,
                "utilisation": utilisation,
                **waits(workload, schedule, here),
            }
        )
    return made
