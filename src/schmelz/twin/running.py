"""The running jobs: at each site by planned end, for the reservation; all of them by real end, for what happens next.

Arrays as long as there are GPUs, because a running job has at least one. Compiled.
"""

import numpy as np

from schmelz.twin.arrays import Jobs, Running
from schmelz.twin.compiled import compiled


def running(gpus: list[int]) -> Running:
    """Nobody runs at these sites."""
    sites, most, every = len(gpus), max(gpus), sum(gpus)
    return Running(
        np.zeros(sites, np.int64),
        np.zeros((sites, most + 1), np.int64),
        np.zeros((sites, most + 1), np.int32),
        np.zeros(every + 1, np.int64),
        np.zeros(every + 1, np.int32),
        np.zeros(1, np.int64),
    )


@compiled
def place_of(running: Running, site: int, planned: int) -> int:
    """The number of running jobs of the site with an earlier planned end."""
    low, high = 0, running.count[site]
    ends = running.ends[site]
    while low < high:
        middle = (low + high) >> 1
        if ends[middle] < planned:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def begin(running: Running, job: int, site: int, planned: int, due: int) -> None:
    """`job` runs at the site until `due`, at the latest until `planned`."""
    at, count = place_of(running, site, planned), running.count[site]
    ends, jobs = running.ends[site], running.job[site]
    for slot in range(count, at, -1):
        ends[slot], jobs[slot] = ends[slot - 1], jobs[slot - 1]
    ends[at], jobs[at] = planned, job
    running.count[site] = count + 1
    running.dues[0] += 1
    rise(running, running.dues[0], job, due)


@compiled
def leave(running: Running, job: int, site: int, planned: int) -> None:
    """`job` with this planned end does not run at the site any more; its real end is taken off the heap apart."""
    ends, jobs = running.ends[site], running.job[site]
    at = place_of(running, site, planned)
    while jobs[at] != job:
        at += 1
    running.count[site] -= 1
    for slot in range(at, running.count[site]):
        ends[slot], jobs[slot] = ends[slot + 1], jobs[slot + 1]


@compiled
def rise(running: Running, at: int, job: int, due: int) -> None:
    """Put a job with its end at a place of the heap or above it; the top is at 1."""
    dues, jobs = running.due, running.due_job
    while at > 1 and dues[at >> 1] > due:
        dues[at], jobs[at] = dues[at >> 1], jobs[at >> 1]
        at >>= 1
    dues[at], jobs[at] = due, job


@compiled
def pull(running: Running, at: int) -> int:
    """Take the job at this place off the heap."""
    dues, jobs = running.due, running.due_job
    gone, last = jobs[at], running.dues[0]
    due, job = dues[last], jobs[last]
    running.dues[0] = last - 1
    if at == last:
        return int(gone)
    while 2 * at < last:
        child = 2 * at
        if child + 1 < last and dues[child + 1] < dues[child]:
            child += 1
        if dues[child] >= due:
            break
        dues[at], jobs[at] = dues[child], jobs[child]
        at = child
    rise(running, at, job, due)
    return int(gone)


@compiled
def forget(running: Running, job: int) -> None:
    """Take a job off the heap that does not come to its end."""
    at = 1
    while running.due_job[at] != job:
        at += 1
    pull(running, at)


@compiled
def earliest(running: Running, jobs: Jobs, site: int, room: int, size: int) -> tuple[int, int]:
    """When so many GPUs are free at the site if every job takes its whole time, and what is over then; -1 for never."""
    at, count = 0, running.count[site]
    ends, there = running.ends[site], running.job[site]
    while at < count:
        end = ends[at]
        while at < count and ends[at] == end:
            room += jobs.size[there[at]]
            at += 1
        if room >= size:
            return end, room - size
    return -1, 0
