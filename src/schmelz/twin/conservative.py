"""Conservative backfill, compiled: every job has a place from its arrival on, and no place is ever moved back.

A job gets the earliest place that delays no earlier one. When a job ends before its planned end, the waiting jobs are
lifted out in the order of arrival and put back at the earliest place, never later than before. In a pass of the batch
order those that wait are lifted first, then those that arrived get their places. A place may come when nothing else
happens: when the job whose planned end it was has been put back to an earlier one.
Words: the *profile* is what is planned to be free: `free[k]` GPUs from `time[k]` until `time[k + 1]`, the last one for
ever. Invariants: times rise, neighbours differ, nothing of the profile lies before now. Oracle: tests/twin/plain_classic.py.
"""

from typing import NamedTuple

import numpy as np

from schmelz.twin.compiled import compiled, inlined, part
from schmelz.twin.running import pop, push
from schmelz.twin.workload import Ints, Options, Schedule, Workload, checked

NOW, NEXT, POINTS, WAITING, RUNNING, STARTED, READY = range(7)
NEVER = 2**62


class Profile(NamedTuple):
    """Everything that the kernel knows: the jobs, the profile, who waits (in the order of arrival) and where, who ends."""

    submit: Ints
    run: Ints
    size: Ints
    estimate: Ints
    time: Ints
    free: Ints
    waiting: Ints
    start: Ints
    ends: Ints
    order: Ints
    at: Ints
    bits: int


def conservative(workload: Workload, options: Options) -> Schedule:
    """Conservative backfill."""
    checked(workload, options)
    jobs = len(workload)
    most = min(options.gpus, jobs) + 1
    time, free, waiting, start, order = (
        np.empty(length, np.int64) for length in (2 * jobs + 4, 2 * jobs + 4, jobs, jobs, jobs)
    )
    time[0], free[0] = 0, options.gpus
    at = np.zeros(7, np.int64)
    at[POINTS] = 1
    jobs_of = workload.submit, workload.run, workload.size, workload.estimate
    profile = Profile(*jobs_of, time, free, waiting, start, np.empty(most, np.int64), order, at, jobs.bit_length())
    options.watch.append(lambda: int(at[STARTED]))
    _simulate(profile, options.order == "serial")
    return Schedule(start, start + workload.run)


@compiled
def _simulate(profile: Profile, serial: bool) -> None:
    at, jobs = profile.at, len(profile.submit)
    while at[STARTED] < jobs:
        _advance(profile)
        if serial:
            while at[NEXT] < jobs and profile.submit[at[NEXT]] == at[NOW]:
                _arrive(profile)
                _start_ready(profile)
        freed = False
        while at[RUNNING] and profile.ends[0] >> profile.bits == at[NOW]:
            early = _end(profile)
            freed |= early
            if serial:
                if early:
                    _lift_all(profile)
                _start_ready(profile)
        if freed and not serial:
            _lift_all(profile)
        while at[NEXT] < jobs and profile.submit[at[NEXT]] == at[NOW]:
            _arrive(profile)
        _start_ready(profile)


@inlined
def _advance(profile: Profile) -> None:
    """To the next event, or place: what lies before it leaves the profile, jobs whose place it is are ready."""
    at = profile.at
    now = profile.submit[at[NEXT]] if at[NEXT] < len(profile.submit) else NEVER
    if at[RUNNING]:
        now = min(now, profile.ends[0] >> profile.bits)
    first, ready = NEVER, 0
    for number in range(at[WAITING]):
        start = profile.start[profile.waiting[number]]
        if start < first:
            first, ready = start, 0
        ready += start == first
    at[NOW], gone = min(now, first), 0
    at[READY] = ready if first <= now else 0
    while gone + 1 < at[POINTS] and profile.time[gone + 1] <= at[NOW]:
        gone += 1
    for k in range(gone, at[POINTS]):
        profile.time[k - gone], profile.free[k - gone] = profile.time[k], profile.free[k]
    at[POINTS] -= gone
    profile.time[0] = at[NOW]


@inlined
def _arrive(profile: Profile) -> None:
    """The next job gets its place."""
    at = profile.at
    job = at[NEXT]
    at[NEXT] += 1
    profile.waiting[at[WAITING]] = job
    at[WAITING] += 1
    _put(profile, job, _earliest(profile, job, NEVER))


@inlined
def _put(profile: Profile, job: int, start: int) -> None:
    profile.start[job] = start
    profile.at[READY] += start == profile.at[NOW]
    _change(profile, start, start + profile.estimate[job], -profile.size[job])


@inlined
def _end(profile: Profile) -> bool:
    """The running job that ends first is gone; whether that was before its planned end."""
    at = profile.at
    job = profile.order[profile.ends[0] & ((1 << profile.bits) - 1)]
    pop(profile.ends, at[RUNNING])
    at[RUNNING] -= 1
    planned = profile.start[job] + profile.estimate[job]
    if planned > at[NOW]:
        _change(profile, at[NOW], planned, profile.size[job])
    return bool(planned > at[NOW])


@part
def _lift_all(profile: Profile) -> None:
    """Each waiting job, in the order of arrival, is lifted out and put back at the earliest place."""
    for number in range(profile.at[WAITING]):
        job = profile.waiting[number]
        before = profile.start[job]
        if before > profile.at[NOW]:
            _change(profile, before, before + profile.estimate[job], profile.size[job])
            _put(profile, job, _earliest(profile, job, before))


@inlined
def _start_ready(profile: Profile) -> None:
    """The jobs whose place is now start, in the order of arrival."""
    at = profile.at
    if not at[READY]:
        return
    still = 0
    for number in range(at[WAITING]):
        job = profile.waiting[number]
        if profile.start[job] > at[NOW]:
            profile.waiting[still] = job
            still += 1
            continue
        profile.order[at[STARTED]] = job
        push(profile.ends, at[RUNNING], (at[NOW] + profile.run[job]) << profile.bits | at[STARTED])
        at[RUNNING] += 1
        at[STARTED] += 1
    at[WAITING], at[READY] = still, 0


# -- the profile


@part
def _earliest(profile: Profile, job: int, latest: int) -> int:
    """The first time, not after `latest`, from which on the job fits for its whole estimate."""
    time, free, points = profile.time, profile.free, profile.at[POINTS]
    size, k = profile.size[job], 0
    while time[k] < latest:
        while free[k] < size:
            k += 1
        start, last = time[k], time[k] + profile.estimate[job]
        if start >= latest:
            break
        while k < points and time[k] < last and free[k] >= size:
            k += 1
        if k == points or time[k] >= last:
            return int(start)
    return latest


@part
def _change(profile: Profile, start: int, end: int, size: int) -> None:
    """So many GPUs more (or less) are free from `start` to `end`."""
    first, behind = _cut(profile, start), _cut(profile, end)
    for k in range(first, behind):
        profile.free[k] += size
    _join(profile, behind)
    _join(profile, first)


@inlined
def _cut(profile: Profile, moment: int) -> int:
    """The place of the profile that begins at this moment, made if need be."""
    time, free, points = profile.time, profile.free, profile.at[POINTS]
    k = np.searchsorted(time[:points], moment)
    if k == points or time[k] != moment:
        for place in range(points, k, -1):
            time[place], free[place] = time[place - 1], free[place - 1]
        time[k], free[k] = moment, free[k - 1]
        profile.at[POINTS] = points + 1
    return int(k)


@inlined
def _join(profile: Profile, k: int) -> None:
    """Drop a place that says the same as the one before it."""
    time, free = profile.time, profile.free
    if 0 < k < profile.at[POINTS] and free[k] == free[k - 1]:
        profile.at[POINTS] -= 1
        for place in range(k, profile.at[POINTS]):
            time[place], free[place] = time[place + 1], free[place + 1]
