"""What a schedule is worth: waits, slowdown, utilisation, and the same for each pool.

Wait = start - submission. Bounded slowdown = max(1, (wait + run) / max(run, 10 s)), its mean over all jobs, none trimmed.
Utilisation = GPU-seconds of the runs / (GPUs x (last end - first submission)). Jobs that never started do not count in
these, only in `not_started`. A pool's utilisation is its part of the whole machine's.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from schmelz.twin.workload import Bools, Schedule, Workload

TAU = 10
ROWS = 100_000
STARTS = ("job", "submit", "start", "end", "site", "pool", "borrowed")


def summary(workload: Workload, schedule: Schedule, gpus: int) -> dict[str, Any]:
    """The figures of all jobs, and in `pools` those of each pool."""
    started = schedule.start >= 0
    seconds = int(schedule.end[started].max()) - int(workload.submit.min()) if started.any() else 0
    whole = _figures(workload, schedule, np.ones(len(workload), np.bool_), gpus * seconds)
    parts = [
        {"pool": name, **_figures(workload, schedule, workload.pool == number, gpus * seconds)}
        for number, name in enumerate(workload.pools)
    ]
    return {**whole, "pools": parts}


def _figures(workload: Workload, schedule: Schedule, chosen: Bools, capacity: int) -> dict[str, Any]:
    ran = chosen & (schedule.start >= 0)
    size = workload.size if schedule.size is None else schedule.size
    wait, run = (schedule.start - workload.submit)[ran], workload.run[ran]
    slowdown = np.maximum(1.0, (wait + run) / np.maximum(run, TAU))
    used, jobs = int((run * size[ran]).sum()), int(chosen.sum())
    return {
        "jobs": jobs,
        "not_started": jobs - len(wait),
        "mean_wait_s": int(wait.sum()) / len(wait) if len(wait) else None,
        "max_wait_s": int(wait.max()) if len(wait) else None,
        "mean_bounded_slowdown": float(slowdown.mean()) if len(wait) else None,
        "utilisation": used / capacity if capacity else None,
        "gpu_s": used,
    }


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
