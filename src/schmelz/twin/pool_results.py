"""How a schedule splits the machine between the pools: shares, what was lent and came back, who fell short.

As on the definitions page: entitlement = w x delivered / W; demand = use, and the estimates of the jobs that wait at the
end; reachable, shortfall, own, returned, borrowed and lent per segment; the *share error* is unknown (None) unless every
demand reaches its entitlement. *reclaim* = a stretch in which a pool waits and has less than its share; *worst week* = the
least part of what was delivered in any seven days, from the first submission on, in which the pool always waited.
Everything is counted from the first submission to the last end, warm-up or not. Integers inside; GPU-seconds x W are
rounded down once, at the end.
"""

from typing import Any

import numpy as np

from schmelz.twin.pool_segments import Segments, Table, blocks, runs, sizes
from schmelz.twin.results import percentile
from schmelz.twin.sharing import sharing_of
from schmelz.twin.workload import Bools, Ints, Options, Schedule, Workload
from schmelz.units import DAY, PPM, split_by_weight


def pool_results(workload: Workload, schedule: Schedule, options: Options) -> dict[str, Any]:
    """The split of the whole machine, and in `pools` the part of each."""
    sharing = sharing_of(options)
    weights = np.array(sharing.weights or (1,) * len(workload.pools), np.int64)
    if not (schedule.start >= 0).any():
        return {"pools": []}
    split = _Split(weights, sharing.floor_percent, int(workload.submit[0]))
    for found in blocks(workload, schedule, options):
        split.add(found)
    demand, whole = _demand(workload, schedule, split), int(weights.sum())
    entitlement = split_by_weight(split.delivered, [int(weight) for weight in weights])
    used = [int(gpu_s) for gpu_s in split.used]
    short = any(asked < part for asked, part in zip(demand, entitlement, strict=True))
    error = max(abs(whole * u - int(w) * sum(used)) for u, w in zip(used, weights, strict=True)) * PPM
    pools = [
        {
            "pool": name,
            "weight": int(weights[number]),
            "entitlement_gpu_s": entitlement[number],
            "used_gpu_s": used[number],
            "share_ppm": used[number] * PPM // max(1, sum(used)),
            "demand_gpu_s": demand[number],
            "shortfall_gpu_s": max(0, min(demand[number], entitlement[number], split.reach(number)) - used[number]),
            **split.flows(number),
            **split.reclaims(number),
            "worst_week_ppm": split.worst_week(number),
            "floor_breaches": _breaches(workload, schedule, *split.stretches("floor", number)),
        }
        for number, name in enumerate(workload.pools)
    ]
    return {
        "delivered_gpu_s": split.delivered,
        "used_gpu_s": sum(used),
        "share_error_ppm": None if short or not sum(used) else error // (whole * sum(used)),
        "idle_while_waiting_gpu_s": split.idle,
        "pools": pools,
    }


def _demand(workload: Workload, schedule: Schedule, split: "_Split") -> list[int]:
    """What each pool used, and would still use if every job that waits at the end took its estimate."""
    waits = (workload.submit <= split.end) & ((schedule.start < 0) | (schedule.start >= split.end))
    asked = sizes(workload, schedule) * workload.estimate
    return [int(used) + int(asked[waits & (workload.pool == number)].sum()) for number, used in enumerate(split.used)]


class _Split:
    """Sums over the segments so far. `deficit` is what each pool lacks of its share, x W; `days`: per day and pool use,
    seconds waited, and what was delivered.
    """

    def __init__(self, weights: Ints, floor: int, first: int) -> None:
        pools = len(weights)
        self.weights, self.floor, self.first, self.end = weights, floor, first, first
        self.delivered = self.idle = 0
        self.used, self.deficit, self._reach = (np.zeros(pools, np.int64) for _ in range(3))
        self._flows = dict.fromkeys(("own", "returned", "borrowed", "lent"), np.zeros(pools, np.int64))
        self._stretches: dict[tuple[str, int], list[tuple[Ints, Ints]]] = {}
        self.days = np.zeros((0, 2 * pools + 1), np.int64)

    def add(self, found: Segments) -> None:
        """The next segments."""
        self.end = found.end
        self.delivered += int((found.capacity * found.dt).sum())
        self.used += (found.use * found.dt[:, None]).sum(0)
        self.idle += int(((found.capacity - found.use.sum(1)) * found.dt)[found.wait.any(1)].sum())
        self._add_flows(found)
        self._add_days(found)
        whole, waited = int(self.weights.sum()), found.wait > 0
        for pool, weight in enumerate(self.weights):
            others = waited.sum(1) - waited[:, pool]
            there = (found.use[:, pool] > 0) | waited[:, pool]
            self._reach[pool] += int((found.capacity * (100 - self.floor * others) * found.dt)[there].sum())
            short = {
                "share": whole * found.use[:, pool] < weight * found.capacity,
                "floor": found.use[:, pool] * 100 < self.floor * found.capacity,
            }
            for kind, holds in short.items():
                self._stretches.setdefault((kind, pool), []).append(_stretches(found, holds & waited[:, pool]))

    def _add_flows(self, found: Segments) -> None:
        """own, returned, borrowed and lent of each pool, x W."""
        whole, dt = int(self.weights.sum()), found.dt[:, None]
        balance = self.weights * found.capacity[:, None] - whole * found.use
        over, under = np.maximum(0, -balance), np.maximum(0, balance)
        after = self.deficit + np.cumsum(balance * dt, axis=0)
        returned = np.minimum(over * dt, np.maximum(0, after - balance * dt))
        lent = over.sum(1)[:, None] * under // np.maximum(1, under.sum(1))[:, None] * dt
        parts = (whole * found.use - over) * dt, returned, over * dt - returned, lent
        self.deficit = after[-1]
        self._flows = {
            name: before + part.sum(0) for (name, before), part in zip(self._flows.items(), parts, strict=True)
        }

    def _add_days(self, found: Segments) -> None:
        levels = np.concatenate([found.use, found.wait > 0, found.capacity[:, None]], 1)
        sums = np.concatenate([np.zeros((1, levels.shape[1]), np.int64), np.cumsum(levels * found.dt[:, None], axis=0)])
        last = (found.end - self.first) // DAY + 1
        self.days = np.concatenate([self.days, np.zeros((last - len(self.days), levels.shape[1]), np.int64)])
        cuts = np.clip(self.first + DAY * np.arange(last + 1), found.t[0], found.end)
        at = np.clip(np.searchsorted(found.t, cuts, "right") - 1, 0, len(found.t) - 1)
        until = sums[at] + levels[at] * np.minimum(cuts - found.t[at], found.dt[at])[:, None]
        self.days += np.diff(until, axis=0)

    def reach(self, pool: int) -> int:
        """What the pool could have had while it ran or waited: delivered less the floors of the others that waited."""
        return int(self._reach[pool]) // 100

    def flows(self, pool: int) -> dict[str, int]:
        whole = int(self.weights.sum())
        return {f"{name}_gpu_s": int(gpu_s[pool]) // whole for name, gpu_s in self._flows.items()}

    def stretches(self, kind: str, pool: int) -> tuple[Ints, Ints]:
        """Begins and ends; those that go on from block to block in one."""
        begin, stop = (np.concatenate(column) for column in zip(*self._stretches[kind, pool], strict=True))
        goes_on = begin[1:] == stop[:-1]
        return begin[np.append(True, ~goes_on)[: len(begin)]], stop[np.append(~goes_on, True)[: len(stop)]]

    def reclaims(self, pool: int) -> dict[str, int | None]:
        begin, stop = self.stretches("share", pool)
        lengths = np.sort(stop - begin)
        return {
            "reclaims": len(lengths),
            "reclaim_p50_s": percentile(lengths, 50),
            "reclaim_p95_s": percentile(lengths, 95),
            "reclaim_max_s": percentile(lengths, 100),
        }

    def worst_week(self, pool: int) -> int | None:
        """In ppm of what was delivered; None when there are no seven days in which the pool always waited."""
        if len(self.days) < 8:
            return None
        pools = len(self.weights)
        sums = np.concatenate([np.zeros((1, 2 * pools + 1), np.int64), np.cumsum(self.days[:-1], axis=0)])
        used, waited, delivered = (sums[7:] - sums[:-7])[:, (pool, pools + pool, 2 * pools)].T
        full = (waited == 7 * DAY) & (delivered > 0)
        return int((used[full] * PPM // delivered[full]).min()) if full.any() else None


def _stretches(found: Segments, holds: Bools) -> tuple[Ints, Ints]:
    """Begin and end of the longest stretches in which it holds."""
    padded = np.concatenate([(False,), holds, (False,)])
    edges = np.append(found.t, found.end)
    return edges[np.flatnonzero(padded[1:] & ~padded[:-1])], edges[np.flatnonzero(padded[:-1] & ~padded[1:])]


def _breaches(workload: Workload, schedule: Schedule, begin: Ints, stop: Ints) -> int:
    """Stretches under the floor that lasted longer than the longest estimate that was running when they began."""
    ran = runs(schedule)
    estimate: Table = workload.estimate[ran.job]
    long = np.flatnonzero(stop - begin > (estimate.min() if len(estimate) else 0))
    return sum(
        int(stop[one] - begin[one] > estimate[(ran.start < begin[one]) & (ran.end > begin[one])].max(initial=0))
        for one in long
    )
