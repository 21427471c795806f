"""The queue of the classic policies: an index over the waiting jobs that finds the next one to backfill without a walk.

Jobs stand in the order of arrival, in blocks of 32; a binary tree stands over the blocks. Sizes fall into *classes*: one
per size where there are at most CLASSES, else about equal shares of the jobs. Every node keeps, for every class, the
*shortest* estimate of the waiting jobs up to that class. A node without a job that is small and short enough is passed
over at once. Invariant: `shortest[node, c]` never grows with c; NONE where nobody waits.
"""

from typing import NamedTuple

import numpy as np

from schmelz.twin.compiled import compiled, inlined
from schmelz.twin.workload import Bools, Ints, Small

CLASSES = 64
BITS = 5
BLOCK = 1 << BITS
NONE = 2**31 - 1


class Queue(NamedTuple):
    """The jobs' sizes and estimates, who waits, the class of each size, and the tree (its root is node 1)."""

    size: Small
    estimate: Small
    waits: Bools
    class_of: Small
    shortest: Small


def queue_of(size: Ints, estimate: Ints, gpus: int) -> Queue:
    """An empty queue for these jobs."""
    sizes = np.unique(size)
    if len(sizes) > CLASSES:
        sizes = np.unique(np.quantile(size, np.arange(CLASSES) / CLASSES, method="lower"))
    class_of = np.searchsorted(sizes, np.arange(gpus + 1), side="right").astype(np.int32) - np.int32(1)
    leaves = 1 << max(0, (len(size) - 1) >> BITS).bit_length()
    shortest = np.full((2 * leaves, len(sizes)), NONE, np.int32)
    waits = np.zeros(leaves * BLOCK, np.bool_)
    return Queue(size.astype(np.int32), estimate.astype(np.int32), waits, class_of, shortest)


@inlined
def join(queue: Queue, job: int) -> None:
    """The job waits from now on."""
    queue.waits[job] = True
    estimate, first = queue.estimate[job], queue.class_of[queue.size[job]]
    node = (len(queue.shortest) >> 1) + (job >> BITS)
    while node and queue.shortest[node, first] > estimate:
        for c in range(first, queue.shortest.shape[1]):
            if queue.shortest[node, c] <= estimate:
                break
            queue.shortest[node, c] = estimate
        node >>= 1


@inlined
def leave(queue: Queue, job: int) -> None:
    """The job waits no longer."""
    queue.waits[job] = False
    node = (len(queue.shortest) >> 1) + (job >> BITS)
    if queue.shortest[node, queue.class_of[queue.size[job]]] < queue.estimate[job]:
        return
    changed = _read_block(queue, job >> BITS, queue.shortest[node])
    while changed and node > 1:
        node >>= 1
        changed = _take_less(queue.shortest[node], queue.shortest[2 * node], queue.shortest[2 * node + 1])


@inlined
def _read_block(queue: Queue, block: int, shortest: Small) -> bool:
    """Set a leaf to what waits in its block."""
    shortest[:] = NONE
    for job in range(block << BITS, (block + 1) << BITS):
        if queue.waits[job]:
            c = queue.class_of[queue.size[job]]
            shortest[c] = min(shortest[c], queue.estimate[job])
    for c in range(1, len(shortest)):
        shortest[c] = min(shortest[c], shortest[c - 1])
    return True


@inlined
def _take_less(node: Small, left: Small, right: Small) -> bool:
    """Set a node to the lesser of its two children; whether that changed it."""
    changed = False
    for c in range(len(node)):
        least = min(left[c], right[c])
        changed |= node[c] != least
        node[c] = least
    return changed


@inlined
def fits_any(queue: Queue, free: int) -> bool:
    """Whether any waiting job could be as small as `free`."""
    c = queue.class_of[free]
    return bool(c >= 0 and queue.shortest[1, c] < NONE)


@compiled
def find(queue: Queue, free: int, slack: int, extra: int, by_length: bool) -> int:
    """The waiting job that fits into `free` and either ends within `slack` or fits into `extra`; -1: there is none.

    The first of them to arrive, or, `by_length`, the one with the shortest estimate, of equals the first.
    """
    small, tiny = queue.class_of[free], queue.class_of[min(free, extra)]
    leaves = len(queue.shortest) >> 1
    node, best, found = 1, NONE, -1
    while node:
        inside = small >= 0 and queue.shortest[node, small] < best and queue.shortest[node, small] <= slack
        inside |= tiny >= 0 and queue.shortest[node, tiny] < best
        if inside and node < leaves:
            node *= 2
            continue
        if inside:
            first = (node - leaves) << BITS
            for job in range(first, first + BLOCK):
                if not queue.waits[job] or queue.size[job] > free or queue.estimate[job] >= best:
                    continue
                if queue.estimate[job] <= slack or queue.size[job] <= extra:
                    if not by_length:
                        return job
                    best, found = queue.estimate[job], job
        while node & 1:
            node >>= 1
        node += node != 0
    return found
