"""What a schedule is worth to those who waited: waits, slowdown and use, of all jobs and of groups of them.

Wait = start - submission; p50 and p95 are nearest ranks. Bounded slowdown = max(1, (wait + run) / max(run, tau)), its mean
over all jobs, none trimmed. Utilisation = GPU-seconds of the runs / (GPUs x (last end - first submission)); of a group: its
part of the whole machine's, of a site: of the site's own. Jobs that never started count in `not_started` alone; those
submitted in the *warm-up* run, but count nowhere. A pre-empted job's wait goes to its last start, its runs that were cut
are `preempted_gpu_s`. A class of sizes is named by its smallest: 1, 2, 4, 8 ... GPUs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from schmelz.faults import BadInput
from schmelz.twin.sharing import sites_of
from schmelz.twin.workload import Ints, Options, Schedule, Workload

TAU = 10
ROWS = 100_000
MOST_GROUPS = 1000
STARTS = ("job", "submit", "start", "end", "site", "pool", "borrowed")


@dataclass(frozen=True)
class Counting:
    """The bound of the slowdown, and the seconds after the first submission whose jobs count nowhere."""

    tau: int = TAU
    warm_up: int = 0

    def said(self) -> str:
        left_out = f"jobs of the first {self.warm_up} s are left out" if self.warm_up else "no warm-up is left out"
        return f"{left_out}; slowdown is bounded at {self.tau} s"


def summary(
    workload: Workload, schedule: Schedule, options: Options, counting: Counting | None = None
) -> dict[str, Any]:
    """The figures of all jobs, and those of each pool, mode, project, site and class of sizes."""
    tally = _Tally(workload, schedule, options.gpus, counting or Counting())
    return {
        **tally.figures(np.arange(len(workload))),
        "warm_up_jobs": int(np.count_nonzero(~tally.counted)),
        "pools": tally.groups("pool", workload.pool, workload.pools),
        "modes": tally.groups("mode", workload.mode, workload.modes) if workload.mode is not None else [],
        "projects": tally.groups("project", workload.owner, workload.owners),
        "sites": tally.sites(sites_of(options)),
        "sizes": tally.sizes(),
    }


class _Tally:
    """The columns of a schedule that count."""

    def __init__(self, workload: Workload, schedule: Schedule, gpus: int, counting: Counting) -> None:
        self.workload, self.schedule, self.tau = workload, schedule, counting.tau
        self.size = workload.size if schedule.size is None else schedule.size
        first = int(workload.submit[0]) + counting.warm_up if len(workload) else 0
        self.counted = workload.submit >= first
        if not self.counted.any():
            raise BadInput(f"the warm-up of {counting.warm_up} s leaves no job that counts; make it shorter")
        self.started = self.counted & (schedule.start >= 0)
        begins = int(workload.submit[self.counted].min())
        self.seconds = int(schedule.end[self.started].max()) - begins if self.started.any() else 0
        self.capacity = gpus * self.seconds

    def figures(self, chosen: Ints, gpus: int | None = None) -> dict[str, Any]:
        """The figures of the chosen jobs, by their numbers; use against so many GPUs, else against all."""
        chosen = chosen[self.counted[chosen]]
        ran = chosen[self.started[chosen]]
        wait, run = self.schedule.start[ran] - self.workload.submit[ran], self.workload.run[ran]
        used, capacity = int((run * self.size[ran]).sum()), self.capacity if gpus is None else gpus * self.seconds
        lost = self.schedule.lost
        return {
            "jobs": len(chosen),
            "not_started": len(chosen) - len(ran),
            **self._waits(wait, run),
            "utilisation": used / capacity if capacity else None,
            "gpu_s": used,
            "preempted_gpu_s": 0 if lost is None else int(lost[chosen].sum()),
        }

    def _waits(self, wait: Ints, run: Ints) -> dict[str, Any]:
        if not len(wait):
            names = ("mean_wait_s", "p50_wait_s", "p95_wait_s", "max_wait_s", "mean_bounded_slowdown")
            return dict.fromkeys(names)
        slowdown = np.maximum(1.0, (wait + run) / np.maximum(run, self.tau))
        ordered = np.sort(wait)
        return {
            "mean_wait_s": int(wait.sum()) / len(wait),
            "p50_wait_s": percentile(ordered, 50),
            "p95_wait_s": percentile(ordered, 95),
            "max_wait_s": int(ordered[-1]),
            "mean_bounded_slowdown": float(slowdown.mean()),
        }

    def groups(self, kind: str, code: npt.NDArray[np.integer], names: Sequence[object]) -> list[dict[str, Any]]:
        """The figures of each group, of more than MOST_GROUPS those with the most jobs; without jobs, only a pool is shown."""
        there = np.bincount(code, minlength=len(names))
        jobs = np.split(np.argsort(code, kind="stable"), np.cumsum(there)[:-1])
        shown = np.flatnonzero(there) if kind != "pool" else np.arange(len(names))
        if len(shown) > MOST_GROUPS:
            shown = np.sort(np.argsort(-there, kind="stable")[:MOST_GROUPS])
        return [{kind: names[number], **self.figures(jobs[number])} for number in shown.tolist()]

    def sites(self, sites: tuple[tuple[str, int], ...]) -> list[dict[str, Any]]:
        at = np.zeros(len(self.workload), np.int32) if self.schedule.site is None else self.schedule.site
        return [
            {"site": name, "gpus": gpus, **self.figures(np.flatnonzero(at == number), gpus)}
            for number, (name, gpus) in enumerate(sites)
        ]

    def sizes(self) -> list[dict[str, Any]]:
        classes = np.floor(np.log2(self.size)).astype(np.int32)
        return self.groups("gpus", classes, [1 << number for number in range(int(classes.max()) + 1)])


def percentile(ordered: Ints, percent: int) -> int | None:
    """The nearest rank: the smallest value that at least so many per cent do not exceed."""
    return int(ordered[-(-len(ordered) * percent // 100) - 1]) if len(ordered) else None


def starts(workload: Workload, schedule: Schedule) -> Iterator[tuple[object, ...]]:
    """A row of STARTS for every job, in the order of submission; empty where there is nothing to say."""
    for first in range(0, len(workload), ROWS):
        yield from _rows(workload, schedule, slice(first, first + ROWS))


def _rows(workload: Workload, schedule: Schedule, part: slice) -> Iterator[tuple[object, ...]]:
    job, pool = workload.job[part].tolist(), [workload.pools[number] for number in workload.pool[part].tolist()]
    site, borrowed = [""] * len(job), [""] * len(job)
    if schedule.site is not None and schedule.sites:
        site = [schedule.sites[number] if number >= 0 else "" for number in schedule.site[part].tolist()]
    if schedule.borrowed is not None:
        borrowed = [str(int(mark)) for mark in schedule.borrowed[part].tolist()]
    times = (column[part].tolist() for column in (workload.submit, schedule.start, schedule.end))
    for name, submit, start, end, where, whose, mark in zip(job, *times, site, pool, borrowed, strict=True):
        began = (start, end, where) if start >= 0 else ("", "", "")
        yield name, submit, *began, whose, mark
