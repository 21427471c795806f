"""A schedule as segments: maximal spans of time in which nothing changes, with what each pool used, and whether it waited.

From the first submission to the last end (or `until`). *capacity* = GPUs that are up, and those to go that are still in
use. Runs that were cut by pre-emption are use, too. Integers; invariant: use x length adds up to size x run of all runs.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from schmelz.twin.sharing import PoolOptions, PoolSchedule, Sharing
from schmelz.twin.workload import Ints, Options, Schedule, Workload

Table = npt.NDArray[np.int64]


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
    site: Ints


def runs(schedule: Schedule) -> Runs:
    """All runs of a schedule."""
    ran = np.flatnonzero(schedule.start >= 0)
    site = np.zeros(len(ran), np.int64) if schedule.site is None else schedule.site[ran].astype(np.int64)
    whole = np.stack([ran, schedule.start[ran], schedule.end[ran], site])
    cuts = schedule.cuts if isinstance(schedule, PoolSchedule) else ()
    return Runs(*np.concatenate([whole, np.array(cuts, np.int64).reshape(-1, 4).T], 1))


def sizes(workload: Workload, schedule: Schedule) -> Ints:
    """The size of each job as it ran."""
    own = schedule.size if isinstance(schedule, PoolSchedule) else None
    return workload.size if own is None else own


def sites_of(options: Options) -> tuple[tuple[str, int], ...]:
    sharing = options.sharing if isinstance(options, PoolOptions) else Sharing()
    return sharing.sites or (("machine", options.gpus),)


def segments(workload: Workload, schedule: Schedule, options: Options) -> Segments:
    """The segments of a schedule; at least one job must have run."""
    sharing = options.sharing if isinstance(options, PoolOptions) else Sharing()
    ran, size = runs(schedule), sizes(workload, schedule)
    until = min(sharing.until, int(ran.end.max()))
    away = [one for one in sharing.away if one.end > one.start]
    steps = np.array([moment for one in away for moment in (one.start, one.end)], np.int64)
    t = np.unique(np.concatenate([workload.submit, ran.start, ran.end, steps, (until,)]))
    t = t[(t >= workload.submit[0]) & (t <= until)]
    use = _levels(t, ran, workload.pool[ran.job], size[ran.job], len(workload.pools))
    at = _levels(t, ran, ran.site, size[ran.job], len(sites_of(options)))
    up = _up(t, sharing, sites_of(options))
    return Segments(
        t[:-1],
        np.diff(t),
        use[:-1],
        _waiting(t, workload, schedule, ran)[:-1],
        at[:-1],
        np.maximum(up, at).sum(1)[:-1],
    )


def _levels(t: Ints, ran: Runs, group: npt.NDArray[np.integer], amount: Ints, groups: int) -> Table:
    """At each time, the sum of the amounts of the runs of each group that are under way."""
    change = np.zeros((len(t) + 1, groups), np.int64)
    np.add.at(change, (np.searchsorted(t, ran.start), group), amount)
    np.subtract.at(change, (np.searchsorted(t, ran.end), group), amount)
    return np.cumsum(change[:-1], axis=0)


def _waiting(t: Ints, workload: Workload, schedule: Schedule, ran: Runs) -> Table:
    """The jobs of each pool that wait: from submission, and from each cut, to the next start."""
    change = np.zeros((len(t) + 1, len(workload.pools)), np.int64)
    np.add.at(change, (np.searchsorted(t, workload.submit), workload.pool), 1)
    np.subtract.at(change, (np.searchsorted(t, ran.start), workload.pool[ran.job]), 1)
    again = slice(int(np.count_nonzero(schedule.start >= 0)), None)
    np.add.at(change, (np.searchsorted(t, ran.end[again]), workload.pool[ran.job[again]]), 1)
    return np.cumsum(change[:-1], axis=0)


def _up(t: Ints, sharing: Sharing, sites: tuple[tuple[str, int], ...]) -> Table:
    """GPUs of each site that are not away."""
    up = np.empty((len(t), len(sites)), np.int64)
    for number, (name, gpus) in enumerate(sites):
        up[:, number] = gpus
        for one in sharing.away:
            if one.site == name:
                up[(t >= one.start) & (t < one.end), number] -= one.gpus
    return np.maximum(up, 0)
