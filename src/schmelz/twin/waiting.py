"""The waiting jobs of each pool, in the order of arrival, so that the next one that could start is found without a scan.

A binary tree per pool over all its jobs: a node knows the smallest size and the shortest time limit of those that wait
below it. `find` goes down only where both together do not rule a job out. Compiled.
"""

import numpy as np

from schmelz.twin.arrays import NOBODY, Queue
from schmelz.twin.compiled import compiled
from schmelz.twin.workload import Ints, Small


def queue(pool: Small, pools: int) -> tuple[Queue, Small]:
    """An empty queue for jobs of these pools, and each job's place in its pool."""
    numbers = np.bincount(pool, minlength=pools).astype(np.int64)
    leaves = np.array([1 << max(0, int(n) - 1).bit_length() for n in numbers], np.int64)
    job = np.argsort(pool, kind="stable").astype(np.int32)
    first = np.cumsum(numbers) - numbers
    place = np.empty(len(pool), np.int32)
    place[job] = np.arange(len(pool)) - first[pool[job]]
    nodes = int(2 * leaves.sum())
    return Queue(
        np.cumsum(2 * leaves) - 2 * leaves,
        leaves,
        first,
        np.zeros(pools, np.int64),
        np.full(nodes, NOBODY, np.int32),
        np.full(nodes, NOBODY, np.int32),
        job,
        np.zeros(1, np.int64),
    ), place


@compiled
def put(queue: Queue, pool: int, place: int, size: int, limit: int) -> None:
    """The job at this place waits from now on; of size NOBODY: not any more."""
    root, node = queue.root[pool], queue.leaves[pool] + place
    smallest, shortest = queue.smallest, queue.shortest
    smallest[root + node], shortest[root + node] = size, limit
    if size != NOBODY and place < queue.head[pool]:
        queue.head[pool] = place
    node >>= 1
    while node:
        low, high = root + 2 * node, root + 2 * node + 1
        small, short = min(smallest[low], smallest[high]), min(shortest[low], shortest[high])
        if small == smallest[root + node] and short == shortest[root + node]:
            break
        smallest[root + node], shortest[root + node] = small, short
        node >>= 1


@compiled
def find(queue: Queue, pool: int, place: int, size: int, most: int, limit: int) -> int:
    """The first place from this one on with a job of `size` GPUs at most, or of `most` within `limit`; -1 for none."""
    root, leaves = queue.root[pool], queue.leaves[pool]
    if place >= leaves:
        return -1
    node = leaves + place
    while node:
        small = queue.smallest[root + node]
        if small <= size or (small <= most and queue.shortest[root + node] <= limit):
            if node >= leaves:
                return int(node - leaves)
            node *= 2
        else:
            while node & 1:
                node >>= 1
            if node:
                node += 1
    return -1


@compiled
def least(queue: Queue, pools: int) -> int:
    """The size of the smallest job that waits."""
    small = NOBODY
    for pool in range(pools):
        small = min(small, queue.smallest[queue.root[pool] + 1])
    return small


@compiled
def first_of(queue: Queue, pool: int, place: int) -> int:
    """The first place from this one on at which a job waits; -1 for none."""
    return find(queue, pool, place, NOBODY - 1, 0, 0)


__all__ = ["Ints", "find", "first_of", "least", "put", "queue"]
