"""What is likely to happen from now on: grants turned into jobs by the past of their pools, run through the deficit rule.

A *mix* are the sizes, run times and limits of a pool's past jobs. Each grant draws jobs from the mix of its pool until
what it has left is used up; they arrive evenly at random between the grant's start and its end. Jobs that run or wait now
come first. A *seed* is one such draw: a grant's jobs depend on the seed and on its name alone, so that two forecasts
differ by what was changed and by nothing else. Figures are the median over the seeds with the lowest and the highest.
A pool's share is *out of reach* from the first moment at which its deficit is larger than what the machine can still
deliver in the window less the floors of the other pools. Integers; the same input gives the same forecast.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from schmelz.twin.generator import generated
from schmelz.twin.pool_segments import Segments, segments
from schmelz.twin.pools import deficit
from schmelz.twin.results import percentile
from schmelz.twin.sharing import PoolOptions, Sharing
from schmelz.twin.workload import Ints, Schedule, Small, Workload
from schmelz.units import PPM, Period

JOBS_AT_MOST = 400_000


@dataclass(frozen=True)
class Grant:
    """GPU-seconds that a project may still use in [start, end), at these sites (as bits, 0 for all)."""

    name: str
    pool: str
    gpu_s: int
    start: int
    end: int
    sites: int = 0


@dataclass(frozen=True)
class Mix:
    """What a pool's jobs are like; arrays of one length, one place per past job."""

    size: Ints
    run: Ints
    limit: Ints


@dataclass(frozen=True)
class Present:
    """A job that runs or waits now: it still takes `run` seconds, at most `limit`."""

    pool: str
    size: int
    run: int
    limit: int
    sites: int = 0
    waits: bool = False


@dataclass(frozen=True)
class Future:
    """All that a forecast starts from. `window` is the one whose end the split is told for; it may not have begun."""

    pools: tuple[str, ...]
    sharing: Sharing
    now: int
    window: Period
    present: tuple[Present, ...]
    grants: tuple[Grant, ...]
    mixes: Mapping[str, Mix]


def forecast(future: Future, seeds: int) -> dict[str, dict[str, Any]]:
    """For each pool its figures, each with median, lowest and highest over the seeds."""
    runs = [_run(future, seed) for seed in range(1, seeds + 1)]
    return {
        pool: {name: _range([run[number][name] for run in runs]) for name in runs[0][number]}
        for number, pool in enumerate(future.pools)
    }


def _range(values: Sequence[int | None]) -> dict[str, int | None]:
    """Median, lowest and highest of the seeds that know the figure, and how many do."""
    known = np.sort(np.array([value for value in values if value is not None], np.int64))
    low, high = (int(known[0]), int(known[-1])) if len(known) else (None, None)
    return {"median": percentile(known, 50), "low": low, "high": high, "seeds": len(known)}


def _run(future: Future, seed: int) -> list[dict[str, int | None]]:
    """One draw, run to the end of the window."""
    work, sites = workload(future, seed)
    gpus = sum(count for _, count in future.sharing.sites)
    sharing = replace(future.sharing, job_sites=sites, until=future.window.end)
    options = PoolOptions(gpus, sharing=sharing)
    done = deficit(work, options)
    if not (done.start >= 0).any():
        return [_figures(future, work, done, None, number) for number in range(len(future.pools))]
    found = _inside(segments(work, done, options), future.window)
    return [_figures(future, work, done, found, number) for number in range(len(future.pools))]


def workload(future: Future, seed: int) -> tuple[Workload, Small]:
    """The jobs that run or wait now, and those that the grants will bring; with the sites of each."""
    pools = {pool: number for number, pool in enumerate(future.pools)}
    there = [
        (future.now - (not job.waits), job.run, job.size, job.limit, pools[job.pool], job.sites)
        for job in future.present
    ]
    drawn = [_drawn(future, grant, pools[grant.pool], seed) for grant in future.grants if grant.gpu_s > 0]
    rows = np.concatenate([np.array(there, np.int64).reshape(-1, 6), *drawn])
    submit, run, size, limit, pool, sites = rows[np.argsort(rows[:, 0], kind="stable")].T.copy()
    every = (1 << len(future.sharing.sites)) - 1
    small = pool.astype(np.int32)
    work = Workload(np.arange(len(rows)), submit, run, size, limit, small, future.pools, small, future.pools)
    return work, np.where(sites > 0, sites, every).astype(np.int32)


def _drawn(future: Future, grant: Grant, pool: int, seed: int) -> Ints:
    """The jobs of one grant until the end of the window."""
    mix = future.mixes[grant.pool]
    chance = np.random.default_rng((seed, zlib.crc32(grant.name.encode())))
    begins = max(grant.start, future.now)
    mean = max(1, int((mix.size * mix.run).mean()))
    count = min(JOBS_AT_MOST, 2 * (grant.gpu_s // mean) + 20)
    chosen = chance.integers(0, len(mix.size), count)
    size, run, limit = mix.size[chosen], mix.run[chosen], mix.limit[chosen]
    used = np.cumsum(size * run)
    many = int(np.searchsorted(used, grant.gpu_s)) + 1  # the last one is cut to what is left
    size, run, limit = size[:many], run[:many].copy(), limit[:many]
    if used[min(many, count) - 1] > grant.gpu_s:
        run[-1] = max(1, (grant.gpu_s - int(used[-1 + many] - size[-1] * run[-1])) // int(size[-1]))
    submit = np.sort(chance.integers(begins, max(begins + 1, grant.end), len(size)))
    rows = np.stack(
        [submit, run, size, np.maximum(limit, run), np.full(len(size), pool), np.full(len(size), grant.sites)], 1
    )
    return np.asarray(rows[submit < future.window.end])


def _inside(found: Segments, window: Period) -> Segments:
    """The segments of the window. One that began before it is left out: its length is a job's event, not a day."""
    keep = found.t >= window.start
    return Segments(*(column[keep] for column in (found.t, found.dt, found.use, found.wait, found.at, found.capacity)))


def _figures(
    future: Future, work: Workload, done: Schedule, found: Segments | None, pool: int
) -> dict[str, int | None]:
    mine = (work.pool == pool) & (work.submit >= future.now)
    started = mine & (done.start >= 0)
    wait = np.sort((done.start - work.submit)[started])
    used, delivered = _used(future, found)
    whole, weights = sum(used), future.sharing.weights
    return {
        "jobs": int(np.count_nonzero(mine)),
        "never_started": int(np.count_nonzero(mine & ~started)),
        "wait_mean_s": int(wait.mean()) if len(wait) else None,
        "wait_p50_s": percentile(wait, 50),
        "wait_p95_s": percentile(wait, 95),
        "used_gpu_s": used[pool],
        "entitlement_gpu_s": weights[pool] * delivered // sum(weights),
        "share_ppm": used[pool] * PPM // whole if whole else None,
        "unreachable_from": _unreachable(future, found, pool),
    }


def _used(future: Future, found: Segments | None) -> tuple[list[int], int]:
    """What each pool has used at the window's end, and what was delivered; nothing runs after the last job's end."""
    delivered, before = _before(future)
    if found is None or not len(found.t):
        return list(before), delivered
    used = (found.use * found.dt[:, None]).sum(0)
    rest = int(found.capacity[-1]) * max(0, future.window.end - found.end)
    used_by = [int(own) + int(more) for own, more in zip(before, used, strict=True)]
    return used_by, delivered + int((found.capacity * found.dt).sum()) + rest


def _before(future: Future) -> tuple[int, tuple[int, ...]]:
    """The ledger so far, of the window that is told; 0 for one that has not begun."""
    if future.window.start > future.now:
        return 0, (0,) * len(future.pools)
    delivered, used = future.sharing.before
    return delivered, used or (0,) * len(future.pools)


def _unreachable(future: Future, found: Segments | None, pool: int) -> int | None:
    """The first moment from which the pool cannot come to its share any more, as things go in this draw."""
    if found is None or not len(found.t):
        return None
    sharing, weights = future.sharing, future.sharing.weights
    delivered, before = _before(future)
    whole = sum(weights)
    came = delivered + np.concatenate([(0,), np.cumsum(found.capacity * found.dt)])
    used = before[pool] + np.concatenate([(0,), np.cumsum(found.use[:, pool] * found.dt)])
    t = np.append(found.t, found.end)
    left = came[-1] - came + int(found.capacity[-1]) * max(0, future.window.end - found.end)
    most = max(0, 100 - sharing.floor_percent * (len(weights) - 1))
    band = sharing.window_s * sum(gpus for _, gpus in sharing.sites) * sharing.dead_band_ppm // PPM
    lost = 100 * (weights[pool] * came - whole * (used + band)) > most * whole * left
    return int(t[np.argmax(lost)]) if lost.any() else None


def usual(gpus: int) -> Mix:
    """A mix for a machine without a past: that of the generator."""
    made = generated(2000, gpus)
    return Mix(made.size, made.run, made.estimate)
