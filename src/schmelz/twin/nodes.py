"""The nodes of one site in the simulation: which GPUs are free, and which nodes are away.

A node that is *away* takes no new job; a job that it already runs goes on. Nodes are taken in the order of the policy
file; where GPUs are charged, a job that fits one node gets the fullest that takes it, so that whole nodes stay free.
"""

from collections.abc import Sequence

Taken = tuple[tuple[int, int], ...]


class SiteNodes:
    """Counts per node: its free GPUs, and the outages that keep it away."""

    def __init__(self, names: Sequence[str], gpus_per_node: int) -> None:
        self.names = tuple(names)
        self._size = gpus_per_node
        self._free = [gpus_per_node] * len(self.names)
        self._away = [0] * len(self.names)

    def free(self) -> int:
        """GPUs that a new job could get."""
        return sum(free for free, away in zip(self._free, self._away, strict=True) if not away)

    def delivered(self) -> int:
        """GPUs that are up, and those of absent nodes that are still in use."""
        return sum(self._size - free if away else self._size for free, away in zip(self._free, self._away, strict=True))

    def take(self, gpus: int, whole_nodes: bool) -> Taken:
        """Nodes, and GPUs on each, for a job that `free` has room for."""
        up = [(free, index) for index, free in enumerate(self._free) if free and not self._away[index]]
        if whole_nodes:
            up = [(free, index) for free, index in up if free == self._size]
        elif fitting := [node for node in up if node[0] >= gpus]:
            up = [min(fitting)]
        else:
            up.sort(key=lambda node: (-node[0], node[1]))
        taken: list[tuple[int, int]] = []
        for free, index in up:
            if gpus > 0:
                taken.append((index, min(free, gpus)))
                gpus -= free
        assert gpus <= 0, "asked for more than is free"
        for index, number in taken:
            self._free[index] -= number
        return tuple(taken)

    def give_back(self, taken: Taken) -> None:
        for index, gpus in taken:
            self._free[index] += gpus

    def leave(self, nodes: int | Sequence[str]) -> tuple[int, ...]:
        """These nodes, or so many (free ones first), are away from now on; which they are."""
        if isinstance(nodes, int):
            up = [index for index, away in enumerate(self._away) if not away]
            gone = sorted(up, key=lambda index: self._free[index] < self._size)[:nodes]
        else:
            gone = [self.names.index(name) for name in nodes]
        for index in gone:
            self._away[index] += 1
        return tuple(gone)

    def come_back(self, nodes: Sequence[int]) -> None:
        for index in nodes:
            self._away[index] -= 1
