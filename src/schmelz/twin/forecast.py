"""What is likely to happen from now on: grants turned into jobs by the past of their pools, run through the deficit rule.

A *mix* are the sizes, run times and limits of a pool's past jobs. Each grant draws jobs from the mix of its pool until
what it has left is used up; they arrive evenly at random between the grant's start and its end. Jobs that run or wait now
come first; how long they still take is drawn from the past as well, given how long they ran already. A *seed* is one
such draw: what is drawn for a grant depends on the seed and on the grant's name alone, so that two forecasts differ by
what was changed and by nothing else. Figures are the median over the seeds with the lowest and the highest.
"""

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from schmelz.twin.foreseen import Draw, Forecast, Frame, drawn_figures, gathered
from schmelz.twin.generator import generated
from schmelz.twin.pools import deficit
from schmelz.twin.sharing import PoolOptions, Sharing
from schmelz.twin.workload import Ints, Schedule, Workload
from schmelz.units import Period

JOBS_AT_MOST = 400_000
LATEST = np.iinfo(np.int64).max


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
    """A job that runs (for `elapsed` seconds) or waits now; `limit` is the whole of its time limit."""

    pool: str
    size: int
    limit: int
    elapsed: int = 0
    sites: int = 0
    waits: bool = False


@dataclass(frozen=True)
class Future:
    """All that a forecast starts from. `window` is the one whose end the split is told for; it may not have begun.

    `delivered` and `used` (by pool): the ledger of that window so far; `sharing.before` the one that the rule decides by.
    """

    pools: tuple[str, ...]
    sharing: Sharing
    now: int
    window: Period
    present: tuple[Present, ...]
    grants: tuple[Grant, ...]
    mixes: Mapping[str, Mix]
    delivered: int = 0
    used: tuple[int, ...] = ()

    @property
    def gpus(self) -> int:
        return sum(count for _, count in self.sharing.sites)


def forecast(future: Future, seeds: int, told: Callable[[int], None] = lambda done: None) -> Forecast:
    """The figures over so many draws. `told` hears after each draw how many are done."""
    draws = []
    for draw in _draws(future, seeds):
        draws.append(draw)
        told(len(draws))
    return gathered(future.pools, _frame(future).moments, draws)


def starts(future: Future, seeds: int) -> Ints:
    """When each job that waits now starts: a row for each seed, a column for each, -1 for not before the window's end."""
    waits = np.array([job.waits for job in future.present], np.bool_)
    rows = [np.empty((0, int(waits.sum())), np.int64)]
    for seed in range(1, seeds + 1):
        work, done, _ = _ran(future, seed)
        start = np.empty(len(work), np.int64)
        start[work.job] = done.start
        rows.append(start[: len(waits)][waits][None])
    return np.concatenate(rows)


def _draws(future: Future, seeds: int) -> Iterator[Draw]:
    frame = _frame(future)
    for seed in range(1, seeds + 1):
        yield drawn_figures(frame, *_ran(future, seed))


def _frame(future: Future) -> Frame:
    before = future.used or (0,) * len(future.pools)
    return Frame(future.now, future.window, future.gpus, future.sharing, future.delivered, before)


def _options(future: Future, sites: Ints) -> PoolOptions:
    sharing = replace(future.sharing, job_sites=sites.astype(np.int32), until=future.window.end)
    return PoolOptions(future.gpus, sharing=sharing)


def _ran(future: Future, seed: int) -> tuple[Workload, Schedule, PoolOptions]:
    """One draw, run to the end of the window."""
    work, sites = workload(future, seed)
    options = _options(future, sites)
    done = deficit(work, options) if len(work) else Schedule(work.submit, work.submit)
    return work, done, options


def workload(future: Future, seed: int) -> tuple[Workload, Ints]:
    """The jobs that run or wait now, and those that the grants will bring; with the sites of each.

    The number of a job is its place: those of now first, in their order.
    """
    pools = {pool: number for number, pool in enumerate(future.pools)}
    there = _there(future, pools, seed)
    drawn = [_drawn(future, grant, pools[grant.pool], seed) for grant in future.grants if grant.gpu_s > 0]
    rows = np.concatenate([there, *drawn])
    order = np.argsort(rows[:, 0], kind="stable")
    submit, run, size, limit, pool, sites = rows[order].T.copy()
    every = (1 << len(future.sharing.sites)) - 1
    small = pool.astype(np.int32)
    work = Workload(order, submit, run, size, limit, small, future.pools, small, future.pools)
    return work, np.where(sites > 0, sites, every).astype(np.int32)


def _there(future: Future, pools: Mapping[str, int], seed: int) -> Ints:
    """The jobs of now; those that run are sent a second earlier, so that they have their GPUs when the others ask."""
    rows = [
        (future.now - (not job.waits), *_rest(future, job, number, seed), pools[job.pool], job.sites)
        for number, job in enumerate(future.present)
    ]
    return np.array(rows, np.int64).reshape(-1, 6)


def _rest(future: Future, job: Present, number: int, seed: int) -> tuple[int, int, int]:
    """How long a job of now still runs, as past jobs did that ran as long; its size; how long it runs at most."""
    mix = future.mixes[job.pool]
    whole = mix.run * job.limit // np.maximum(1, mix.limit)
    longer = whole[whole > job.elapsed]
    most = max(1, job.limit - job.elapsed)
    if not len(longer):
        return most, job.size, most
    chance = np.random.default_rng((seed, zlib.crc32(b"now"), number))
    run = int(longer[chance.integers(0, len(longer))]) - job.elapsed
    return min(max(1, run), most), job.size, most


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
    many = min(count, int(np.searchsorted(used, grant.gpu_s)) + 1)
    size, run, limit = size[:many], run[:many].copy(), limit[:many]
    if over := max(0, int(used[many - 1]) - grant.gpu_s):  # the last one is cut to what is left
        run[-1] = max(1, int(run[-1]) - over // int(size[-1]))
    submit = np.sort(chance.integers(begins, max(begins + 1, grant.end), many))
    rows = np.stack([submit, run, size, np.maximum(limit, run), np.full(many, pool), np.full(many, grant.sites)], 1)
    return np.asarray(rows[submit < future.window.end])


def usual(gpus: int, unit: int = 1) -> Mix:
    """A mix for a machine without a past: that of the generator, in whole nodes of `unit` GPUs."""
    made = generated(2000, gpus)
    return Mix(-(-made.size // unit) * unit, made.run, made.estimate)


def likely(values: Ints) -> dict[str, int | None]:
    """The middle of the draws and the ends of the middle four fifths; None where a draw came to nothing (-1)."""
    known = np.sort(np.where(values < 0, LATEST, values))
    chosen = {
        name: int(known[(len(known) - 1) * percent // 100])
        for name, percent in (("low", 10), ("median", 50), ("high", 90))
    }
    return {name: None if value == LATEST else value for name, value in chosen.items()}
