"""The running jobs of the classic policies: who ends next, and how much is planned to be free when.

*ends* is a binary heap of whole numbers (the end, then the order of the starts); *row* is a sorted row of whole numbers
(the planned end, then the size). Each packs its two parts into one integer. The row may grow to either side, so that
putting in and taking out moves its shorter part.
"""

from typing import NamedTuple

import numpy as np

from schmelz.twin.compiled import inlined
from schmelz.twin.workload import Ints

LENGTH, FIRST, ENDING, STARTED = range(4)


class Running(NamedTuple):
    """`counts`: the length of the row, its first place, the length of the heap, the jobs that have started so far."""

    ends: Ints
    row: Ints
    counts: Ints


def running_of(gpus: int, jobs: int) -> Running:
    """An empty machine: no more jobs run at once than it has GPUs."""
    most = min(gpus, jobs) + 1
    return Running(np.empty(most, np.int64), np.empty(4 * most, np.int64), np.array([0, 2 * most, 0, 0], np.int64))


@inlined
def push(heap: Ints, length: int, value: int) -> None:
    """Put a value into a heap of `length` values."""
    at = length
    while at and heap[(at - 1) >> 1] > value:
        heap[at] = heap[(at - 1) >> 1]
        at = (at - 1) >> 1
    heap[at] = value


@inlined
def pop(heap: Ints, length: int) -> None:
    """Take the least value out of a heap of `length` values."""
    last, at, child = heap[length - 1], 0, 1
    while child < length - 1:
        child += heap[child + 1] < heap[child]
        if heap[child] >= last:
            break
        heap[at] = heap[child]
        at, child = child, 2 * child + 1
    heap[at] = last


@inlined
def place(row: Ints, first: int, length: int, value: int) -> int:
    """The first place of the sorted row with this value or a greater one."""
    low, high = first, first + length
    while low < high:
        middle = (low + high) >> 1
        if row[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@inlined
def plan(running: Running, length: int, value: int) -> None:
    """Put a planned end into the row of `length`."""
    row, first = running.row, running.counts[FIRST]
    at = place(row, first, length, value)
    if first and (at - first < length // 2 or first + length == len(row)):
        for i in range(first, at):
            row[i - 1] = row[i]
        running.counts[FIRST] = first - 1
        row[at - 1] = value
    else:
        for i in range(first + length, at, -1):
            row[i] = row[i - 1]
        row[at] = value


@inlined
def forget(running: Running, length: int, value: int) -> None:
    """Take a planned end out of the row of `length`."""
    row, first = running.row, running.counts[FIRST]
    at = place(row, first, length, value)
    if at - first < length // 2:
        for i in range(at, first, -1):
            row[i] = row[i - 1]
        running.counts[FIRST] = first + 1
    else:
        for i in range(at, first + length - 1):
            row[i] = row[i + 1]
