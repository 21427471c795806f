"""The classic policies, compiled: first come first served, EASY, and EASY with the shortest backfilled first.

*FCFS* starts the head while it fits. *EASY*: FCFS, then the head's reservation (*shadow* = the earliest planned end after
which it fits, *extra* = what is left over then); each later job in the order of the queue starts now if it fits now and
either ends by its estimate within the shadow, or fits into the extra: that shrinks, if the job ends after the shadow.
*sjbf*: the same with the later jobs tried shortest estimate first, of equals the first to arrive.
Order of events at one time: `batch` = all ends, all submissions, one pass; `serial` = submissions one by one, then ends
one by one in the order of the starts, a pass after each. A job whose planned end is now counts as gone.
The kernel passes over what cannot change: until a job ends, only jobs that arrive can start. Oracle: tests/twin/plain_classic.py.
"""

from typing import NamedTuple

import numpy as np

from schmelz.twin.compiled import compiled, inlined, part
from schmelz.twin.running import ENDING, FIRST, LENGTH, STARTED, Running, forget, place, plan, pop, push, running_of
from schmelz.twin.waiting import Queue, find, fits_any, join, leave, queue_of
from schmelz.twin.workload import Ints, Options, Schedule, Workload, checked

FREE, HEAD, NEXT, NOW, SHADOW, ROOM, KEPT, DUE = range(8)
NEVER = 2**62


class Machine(NamedTuple):
    """All that an EASY kernel knows; `order`: the jobs in the order of their starts. In `at`: the free GPUs, the head of
    the queue, the next to be submitted, the time, a shadow time and the room at it, whether they are the present head's,
    whether a pass is due. ROOM is always what is free now and what is planned to be by SHADOW.
    """

    submit: Ints
    run: Ints
    queue: Queue
    running: Running
    order: Ints
    ended: Ints
    at: Ints
    start: Ints
    end_bits: int
    size_bits: int
    by_length: bool


def fcfs(workload: Workload, options: Options) -> Schedule:
    """First come, first served; the order of events makes no difference."""
    checked(workload, options)
    start, heap = np.empty(len(workload), np.int64), np.empty(min(options.gpus, len(workload)) + 1, np.int64)
    _fcfs(workload.submit, workload.run, workload.size, options.gpus, options.gpus.bit_length(), heap, start)
    return Schedule(start, start + workload.run)


def easy(workload: Workload, options: Options) -> Schedule:
    """EASY backfill."""
    return _backfilled(workload, options, by_length=False)


def sjbf(workload: Workload, options: Options) -> Schedule:
    """EASY with shortest-first backfill."""
    return _backfilled(workload, options, by_length=True)


def _backfilled(workload: Workload, options: Options, *, by_length: bool) -> Schedule:
    checked(workload, options)
    machine = machine_of(workload, options, by_length=by_length)
    counts = machine.running.counts
    options.watch.append(lambda: int(counts[STARTED]))
    if options.order == "serial":
        _serial(machine)
    else:
        _batch(machine)
    return Schedule(machine.start, machine.start + workload.run)


def machine_of(workload: Workload, options: Options, *, by_length: bool) -> Machine:
    """The machine before its first event."""
    jobs, at = len(workload), np.zeros(8, np.int64)
    at[FREE] = at[ROOM] = options.gpus
    return Machine(
        workload.submit,
        workload.run,
        queue_of(workload.size, workload.estimate, options.gpus),
        running_of(options.gpus, jobs),
        np.empty(jobs, np.int64),
        np.empty(options.gpus, np.int64),
        at,
        np.full(jobs, -1, np.int64),
        jobs.bit_length(),
        options.gpus.bit_length(),
        by_length,
    )


@compiled
def _fcfs(submit: Ints, run: Ints, size: Ints, gpus: int, bits: int, heap: Ints, start: Ints) -> None:
    """Each job starts when those before it have and enough have ended; the heap holds ends with sizes."""
    length, free, now, mask = 0, gpus, 0, (1 << bits) - 1
    for job in range(len(submit)):
        now = max(now, submit[job])
        while length and (heap[0] >> bits <= now or free < size[job]):
            now = max(now, heap[0] >> bits)
            free += heap[0] & mask
            pop(heap, length)
            length -= 1
        start[job] = now
        free -= size[job]
        push(heap, length, (now + run[job]) << bits | size[job])
        length += 1


# -- EASY: time by time


@compiled
def _batch(machine: Machine) -> None:
    at, jobs = machine.at, len(machine.submit)
    while machine.running.counts[STARTED] < jobs:
        _advance(machine)
        while _ends_now(machine):
            _release(machine, _take_end(machine))
        first = at[NEXT]
        while at[NEXT] < jobs and machine.submit[at[NEXT]] == at[NOW]:
            at[NEXT] += 1
        at[DUE] |= machine.by_length and at[NEXT] - first > 1
        if at[DUE]:
            for job in range(first, at[NEXT]):
                join(machine.queue, job)
            _pass(machine)
        else:
            for job in range(first, at[NEXT]):
                _arrive(machine, job)


@compiled
def _serial(machine: Machine) -> None:
    at, jobs = machine.at, len(machine.submit)
    while machine.running.counts[STARTED] < jobs:
        _advance(machine)
        length = 0
        while _ends_now(machine):
            machine.ended[length] = _take_end(machine)
            if _is_planned(machine, machine.ended[length]):
                _release(machine, machine.ended[length])
            length += 1
        while at[NEXT] < jobs and machine.submit[at[NEXT]] == at[NOW]:
            at[NEXT] += 1
            if at[DUE]:
                join(machine.queue, at[NEXT] - 1)
                _pass(machine)
            else:
                _arrive(machine, at[NEXT] - 1)
        for number in range(length):
            job = machine.ended[number]
            if not _is_planned(machine, job):
                _release(machine, job)
            if at[DUE]:
                _pass(machine)


@inlined
def _advance(machine: Machine) -> None:
    """To the time of the next event."""
    at, running = machine.at, machine.running
    now = machine.submit[at[NEXT]] if at[NEXT] < len(machine.submit) else NEVER
    if running.counts[ENDING]:
        now = min(now, running.ends[0] >> machine.end_bits)
    at[NOW] = now


@inlined
def _ends_now(machine: Machine) -> bool:
    running = machine.running
    return bool(running.counts[ENDING] > 0 and running.ends[0] >> machine.end_bits == machine.at[NOW])


@inlined
def _take_end(machine: Machine) -> int:
    """The job that ends first; it is not free of its GPUs yet."""
    running = machine.running
    job = machine.order[running.ends[0] & ((1 << machine.end_bits) - 1)]
    pop(running.ends, running.counts[ENDING])
    running.counts[ENDING] -= 1
    return int(job)


@inlined
def _is_planned(machine: Machine, job: int) -> bool:
    """Whether the job ends as planned."""
    return bool(machine.run[job] >= machine.queue.estimate[job])


@inlined
def _release(machine: Machine, job: int) -> None:
    """The job's GPUs are free; a pass is due."""
    at, running = machine.at, machine.running
    forget(running, running.counts[LENGTH], _planned(machine, job))
    running.counts[LENGTH] -= 1
    at[FREE] += machine.queue.size[job]
    if machine.start[job] + machine.queue.estimate[job] > at[SHADOW]:
        at[ROOM] += machine.queue.size[job]
    at[KEPT], at[DUE] = False, True


@inlined
def _planned(machine: Machine, job: int) -> int:
    planned = machine.start[job] + machine.queue.estimate[job]
    return int(planned << machine.size_bits | machine.queue.size[job])


@inlined
def _start(machine: Machine, job: int) -> None:
    """The job starts now; if it ends after the shadow, it takes of the extra."""
    at, running, size = machine.at, machine.running, machine.queue.size[job]
    machine.start[job] = at[NOW]
    number = running.counts[STARTED]
    machine.order[number] = job
    push(running.ends, running.counts[ENDING], (at[NOW] + machine.run[job]) << machine.end_bits | number)
    plan(running, running.counts[LENGTH], _planned(machine, job))
    running.counts[ENDING] += 1
    running.counts[LENGTH] += 1
    running.counts[STARTED] += 1
    at[FREE] -= size
    if at[NOW] + machine.queue.estimate[job] > at[SHADOW]:
        at[ROOM] -= size


# -- EASY: one pass


@inlined
def _head(machine: Machine) -> int:
    """The first job that waits; the next to be submitted, when nobody does."""
    at = machine.at
    while at[HEAD] < at[NEXT] and machine.start[at[HEAD]] >= 0:
        at[HEAD] += 1
    return int(at[HEAD])


@part
def _pass(machine: Machine) -> None:
    """The head while it fits, then whatever does not delay its reservation."""
    at, queue = machine.at, machine.queue
    at[DUE] = False
    while _head(machine) < at[NEXT] and queue.size[at[HEAD]] <= at[FREE]:
        leave(queue, at[HEAD])
        _start(machine, at[HEAD])
    while at[FREE] and fits_any(queue, at[FREE]):
        _keep(machine)
        found = find(queue, at[FREE], at[SHADOW] - at[NOW], _extra(machine), machine.by_length)
        if found < 0:
            return
        leave(queue, found)
        _start(machine, found)


@inlined
def _arrive(machine: Machine, job: int) -> None:
    """A job that arrives when no pass is due: nobody else can start."""
    at, queue = machine.at, machine.queue
    fits = queue.size[job] <= at[FREE]
    if fits and _head(machine) < job:
        _keep(machine)
        fits = at[NOW] + queue.estimate[job] <= at[SHADOW] or queue.size[job] <= _extra(machine)
    if fits:
        _start(machine, job)
    else:
        join(queue, job)


@inlined
def _extra(machine: Machine) -> int:
    """What is left over at the shadow time beside the head."""
    return int(machine.at[ROOM] - machine.queue.size[machine.at[HEAD]])


@inlined
def _keep(machine: Machine) -> None:
    """The head's reservation, unless it stands already: sought from where the last one was, on or back in the row."""
    at, row, bits, first = machine.at, machine.running.row, machine.size_bits, machine.running.counts[FIRST]
    if at[KEPT]:
        return
    need, mask, last = machine.queue.size[_head(machine)], (1 << bits) - 1, first + machine.running.counts[LENGTH]
    room, behind = at[ROOM], place(row, first, last - first, (at[SHADOW] + 1) << bits)
    while room < need or (behind < last and row[behind] >> bits == row[behind - 1] >> bits):
        room += row[behind] & mask
        behind += 1
    earlier, before = room, behind
    while earlier >= need:
        room, behind, at[SHADOW] = earlier, before, row[before - 1] >> bits
        while before > first and row[before - 1] >> bits == at[SHADOW]:
            before -= 1
            earlier -= row[before] & mask
    at[KEPT], at[ROOM] = True, room
