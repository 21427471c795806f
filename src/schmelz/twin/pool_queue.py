"""The waiting jobs of each pool, in the order of arrival, so that the next one that could start is found without a scan.

A binary tree per pool over all its jobs: a node knows the smallest size and the shortest time limit of those that wait
below it. `find` goes down only where both together do not rule a job out. Compiled.
"""

from schmelz.twin.compiled import inlined
from schmelz.twin.pool_tables import HEAD, LEAVES, NOBODY, ROOT, SHORTEST, SMALLEST, Small, Table


@inlined
def put(tree: Small, pools: Table, pool: int, place: int, size: int, limit: int) -> None:
    """The job at this place waits from now on; of size NOBODY: not any more."""
    root, node = pools[pool, ROOT], pools[pool, LEAVES] + place
    tree[root + node, SMALLEST], tree[root + node, SHORTEST] = size, limit
    if size != NOBODY and place < pools[pool, HEAD]:
        pools[pool, HEAD] = place
    node >>= 1
    while node:
        low, high, here = root + 2 * node, root + 2 * node + 1, root + node
        small, short = min(tree[low, SMALLEST], tree[high, SMALLEST]), min(tree[low, SHORTEST], tree[high, SHORTEST])
        if small == tree[here, SMALLEST] and short == tree[here, SHORTEST]:
            break
        tree[here, SMALLEST], tree[here, SHORTEST] = small, short
        node >>= 1


@inlined
def find(tree: Small, pools: Table, pool: int, place: int, size: int, most: int, limit: int) -> int:
    """The first place from this one on with a job of `size` GPUs at most, or of `most` within `limit`; -1 for none."""
    root, leaves = pools[pool, ROOT], pools[pool, LEAVES]
    node = leaves + place if place < leaves else 0
    while node:
        small = tree[root + node, SMALLEST]
        if small <= size or (small <= most and tree[root + node, SHORTEST] <= limit):
            if node >= leaves:
                return int(node - leaves)
            node *= 2
        else:
            while node & 1:
                node >>= 1
            if node:
                node += 1
    return -1


@inlined
def first_of(tree: Small, pools: Table, pool: int, place: int) -> int:
    """The first place from this one on at which a job waits; -1 for none."""
    return find(tree, pools, pool, place, NOBODY - 1, 0, 0)


@inlined
def least(tree: Small, pools: Table) -> int:
    """The size of the smallest job that waits."""
    small = NOBODY
    for pool in range(len(pools)):
        small = min(small, tree[pools[pool, ROOT] + 1, SMALLEST])
    return small
