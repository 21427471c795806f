"""A finished schedule of a classic policy, gone through: at each time, how many GPUs the rule would fill on top. Compiled.

Jobs end, arrive and start as the schedule says; then the pass of the policy is made on trial and undone. The rules are
those of `classic`: its reservation and its index over the queue.
"""

import numpy as np

from schmelz.twin.classic import (
    DUE,
    FREE,
    HEAD,
    KEPT,
    NEXT,
    NOW,
    ROOM,
    SHADOW,
    Machine,
    _advance,
    _ends_now,
    _extra,
    _head,
    _keep,
    _planned,
    _release,
    _start,
    _take_end,
    machine_of,
)
from schmelz.twin.compiled import compiled, inlined
from schmelz.twin.running import LENGTH, forget, plan
from schmelz.twin.waiting import find, fits_any, join, leave
from schmelz.twin.workload import Ints, Options, Schedule, Workload


def filled(policy: str, workload: Workload, schedule: Schedule, options: Options) -> Ints:
    """When it changed how many GPUs the rule would fill, and to how many."""
    machine = machine_of(workload, options, by_length=policy == "sjbf")
    order, tried = np.argsort(schedule.start, kind="stable"), np.empty(options.gpus, np.int64)
    rows = np.zeros((3 * len(workload) + 1, 2), np.int64)  # hardly any is ever written to
    return rows[: _go_through(machine, order, schedule.start, tried, rows, policy != "fcfs")]


@compiled
def _go_through(machine: Machine, order: Ints, start: Ints, tried: Ints, rows: Ints, backfills: bool) -> int:
    at, jobs, done, length = machine.at, len(order), 0, 0
    while done < jobs:
        _advance(machine)
        at[NOW] = min(at[NOW], start[order[done]])
        while _ends_now(machine):
            _release(machine, _take_end(machine))
        while at[NEXT] < jobs and machine.submit[at[NEXT]] == at[NOW]:
            join(machine.queue, at[NEXT])
            at[NEXT] += 1
        while done < jobs and start[order[done]] == at[NOW]:
            leave(machine.queue, order[done])
            _start(machine, order[done])
            done += 1
        at[KEPT], at[DUE] = False, False
        gpus = _tried(machine, tried, backfills)
        if gpus != (rows[length - 1, 1] if length else 0):
            rows[length, 0], rows[length, 1] = at[NOW], gpus
            length += 1
    return length


@inlined
def _tried(machine: Machine, tried: Ints, backfills: bool) -> int:
    """The GPUs that a pass would start jobs on now; afterwards all is as before."""
    at, queue, count, gpus = machine.at, machine.queue, 0, 0
    while at[FREE] > 0:
        job = _next(machine, backfills)
        if job < 0:
            break
        leave(queue, job)
        machine.start[job] = at[NOW]
        plan(machine.running, machine.running.counts[LENGTH], _planned(machine, job))
        _shift(machine, job, 1)
        tried[count] = job
        count += 1
    for number in range(count):
        job = tried[number]
        gpus += queue.size[job]
        forget(machine.running, machine.running.counts[LENGTH], _planned(machine, job))
        _shift(machine, job, -1)
        machine.start[job] = -1
        join(queue, job)
        at[HEAD] = min(at[HEAD], job)
    if count:
        at[KEPT] = False
    return gpus


@inlined
def _next(machine: Machine, backfills: bool) -> int:
    """The job that the rule starts next: the head while it fits, else what does not delay it."""
    at, queue = machine.at, machine.queue
    if _head(machine) == at[NEXT]:
        return -1
    if queue.size[at[HEAD]] <= at[FREE]:
        at[KEPT] = False
        return int(at[HEAD])
    if not backfills or not fits_any(queue, at[FREE]):
        return -1
    _keep(machine)
    return int(find(queue, at[FREE], at[SHADOW] - at[NOW], _extra(machine), machine.by_length))


@inlined
def _shift(machine: Machine, job: int, more: int) -> None:
    """One running job more, or less (-1)."""
    at, size = machine.at, machine.queue.size[job]
    machine.running.counts[LENGTH] += more
    at[FREE] -= more * size
    if at[NOW] + machine.queue.estimate[job] > at[SHADOW]:
        at[ROOM] -= more * size
