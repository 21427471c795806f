"""A schedule as segments: maximal spans of time in which nothing changes, with what each pool used, and whether it waited.

From the first submission to the last end (or `until`). *capacity* = GPUs that are up, and those to go that are still in
use. Runs that were cut by pre-emption are use, too. A long schedule comes in *blocks* of segments, one after the other, so
that memory stays bounded. Integers; invariant: use x length adds up to size x run of all runs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from schmelz.twin.sharing import Sharing, sharing_of, sites_of
from schmelz.twin.workload import Ints, Options, Schedule, Small, Workload

Table = npt.NDArray[np.int64]
BLOCK = 200_000


@dataclass(frozen=True)
class Segments:
    """`t` begins and `dt` long; per segment and pool GPUs in `use` and jobs that `wait`; GPUs used `at` each site."""

    t: Ints
    dt: Ints
    use: Table
    wait: Table
    at: Table
    capacity: Ints

    @property
    def end(self) -> int:
        return int(self.t[-1] + self.dt[-1])


@dataclass(frozen=True)
class Runs:
    """Everything that ran, cut runs included: the job of each, start, end, site."""

    job: Ints
    start: Ints
    end: Ints
    site: npt.NDArray[np.integer]


def runs(schedule: Schedule) -> Runs:
    """All runs of a schedule; its own columns, where every job ran and no run was cut."""
    ran = np.flatnonzero(schedule.start >= 0)
    chosen = slice(None) if len(ran) == len(schedule.start) else ran
    site = np.zeros(len(ran), np.int32) if schedule.site is None else schedule.site[chosen]
    found = Runs(ran, schedule.start[chosen], schedule.end[chosen], site)
    if not len(schedule.cuts):
        return found
    cut = Runs(*np.array(schedule.cuts, np.int64).reshape(-1, 4).T)
    return Runs(
        *(np.concatenate([getattr(one, name) for one in (found, cut)]) for name in ("job", "start", "end", "site"))
    )


def sizes(workload: Workload, schedule: Schedule) -> Ints:
    """The size of each job as it ran."""
    return workload.size if schedule.size is None else schedule.size


def segments(workload: Workload, schedule: Schedule, options: Options) -> Segments:
    """The segments of a schedule; at least one job must have run."""
    found = list(blocks(workload, schedule, options))
    if len(found) == 1:
        return found[0]
    if not found:
        nothing, of_pools = np.zeros(0, np.int64), np.zeros((0, len(workload.pools)), np.int64)
        return Segments(nothing, nothing, of_pools, of_pools, np.zeros((0, len(sites_of(options))), np.int64), nothing)
    names = ("t", "dt", "use", "wait", "at", "capacity")
    return Segments(*(np.concatenate([getattr(one, name) for one in found]) for name in names))


def blocks(workload: Workload, schedule: Schedule, options: Options, most: int = BLOCK) -> Iterator[Segments]:
    """The same, so many segments at a time."""
    sharing, sites = sharing_of(options), sites_of(options)
    ran = runs(schedule)
    t = _times(workload, ran, sharing)
    again = ran.end[int(np.count_nonzero(schedule.start >= 0)) :], ran.job[int(np.count_nonzero(schedule.start >= 0)) :]
    size = sizes(workload, schedule)
    begins, ends = (
        _events(workload, size, ran.start, ran.job, ran.site),
        _events(workload, size, ran.end, ran.job, ran.site),
    )
    comes = [_events(workload, size, workload.submit, np.arange(len(workload))), _events(workload, size, *again)]
    del ran
    use, wait, at = (np.zeros(groups, np.int64) for groups in (len(workload.pools), len(workload.pools), len(sites)))
    for first in range(0, len(t) - 1, most):
        edges = t[first : first + most + 1]
        start, end, *come = (one.within(edges) for one in (begins, ends, *comes))
        in_use = _levels(edges, use, [(start, start.pool, start.size), (end, end.pool, -end.size)])
        at_sites = _levels(edges, at, [(start, start.site, start.size), (end, end.site, -end.size)])
        waiting = _levels(edges, wait, [(start, start.pool, -1), *((one, one.pool, 1) for one in come)])
        use, wait, at = in_use[-1], waiting[-1], at_sites[-1]
        capacity = np.maximum(_up(edges[:-1], sharing, sites), at_sites).sum(1)
        yield Segments(edges[:-1], np.diff(edges), in_use, waiting, at_sites, capacity)


def _times(workload: Workload, ran: Runs, sharing: Sharing) -> Ints:
    """All times at which anything changes."""
    until = min(sharing.until, int(ran.end.max()))
    steps = [moment for one in sharing.away if one.end > one.start for moment in (one.start, one.end)]
    t: Ints = np.concatenate([workload.submit, ran.start, ran.end, np.array([*steps, until], np.int64)])
    t.sort()
    inside = (t >= workload.submit[0]) & (t <= until)
    inside[1:] &= t[1:] != t[:-1]
    return np.asarray(t[inside])


@dataclass(frozen=True)
class _Events:
    """Submissions, starts or ends in the order of their times, with the pool, site and size of each."""

    time: Ints
    pool: npt.NDArray[np.int16]
    site: npt.NDArray[np.int16]
    size: Small

    def within(self, edges: Ints) -> "_Events":
        """Those of a block; each at the number of its segment."""
        part = slice(*np.searchsorted(self.time, (edges[0], edges[-1])))
        return _Events(np.searchsorted(edges, self.time[part]), self.pool[part], self.site[part], self.size[part])


def _events(
    workload: Workload, size: Ints, time: Ints, job: Ints, site: npt.NDArray[np.integer] | None = None
) -> _Events:
    order = np.argsort(time, kind="stable").astype(np.int32)
    job = job[order]
    at = np.zeros(0, np.int16) if site is None else site[order].astype(np.int16)
    return _Events(time[order], workload.pool[job].astype(np.int16), at, size[job].astype(np.int32))


def _levels(edges: Ints, before: Ints, changes: Sequence[tuple[_Events, npt.NDArray[np.int16], Small | int]]) -> Table:
    """The level of each group in each of the segments between the edges; `before`: that of the segment before."""
    table = np.zeros((len(edges) - 1, len(before)), np.int64)
    table[0] = before
    for events, group, amount in changes:
        np.add.at(table, (events.time, group), amount)
    return np.cumsum(table, axis=0)


def _up(t: Ints, sharing: Sharing, sites: tuple[tuple[str, int], ...]) -> Table:
    """GPUs of each site that are not away."""
    up = np.empty((len(t), len(sites)), np.int64)
    for number, (name, gpus) in enumerate(sites):
        up[:, number] = gpus
        for one in sharing.away:
            if one.site == name:
                up[(t >= one.start) & (t < one.end), number] -= one.gpus
    return np.maximum(up, 0)
