"""GPU slots: which GPUs of which node a job gets. Pure.

A *slot* is one GPU of one node. Where the policy charges whole nodes, a job takes whole nodes and only untouched nodes
count as free; where it charges GPUs, a job takes any slots of one site, on as few nodes as possible. Invariant: what is
chosen was free, so no two running jobs ever share a slot.
"""

from collections.abc import Iterable, Mapping

from schmelz.policy.system import System

Slots = Mapping[str, tuple[int, ...]]


def nodes_needed(system: System, gpus: int, nodes: int) -> int:
    """How many nodes a job takes at least."""
    return max(nodes, -(-gpus // system.gpus_per_node))


def charged(system: System, gpus: int, nodes: int) -> int:
    """The GPUs a job is charged for: those of its whole nodes, or those it asked for."""
    return nodes_needed(system, gpus, nodes) * system.gpus_per_node if system.charge == "node" else gpus


def free_slots(system: System, taken: Iterable[Slots]) -> dict[str, Slots]:
    """The slots that a job may take, by site and node, in the order of the policy file."""
    used = {(node, slot) for slots in taken for node, numbers in slots.items() for slot in numbers}
    return {
        site: {node: slots for node in nodes if (slots := _free(system, node, used))}
        for site, nodes in system.node_names.items()
    }


def _free(system: System, node: str, used: set[tuple[str, int]]) -> tuple[int, ...]:
    slots = tuple(slot for slot in range(system.gpus_per_node) if (node, slot) not in used)
    return slots if system.charge == "gpu" or len(slots) == system.gpus_per_node else ()


def room(free: Slots) -> int:
    """How many GPUs are free."""
    return sum(len(slots) for slots in free.values())


def choose(free: Slots, gpus: int) -> Slots:
    """`gpus` of the free slots: on the fullest node that holds them all, else on the emptiest nodes."""

    def closeness(node: str) -> tuple[bool, int]:
        size = len(free[node])
        return size < gpus, size if size >= gpus else -size

    chosen, left = {}, gpus
    for node in sorted(free, key=closeness):
        if left:
            chosen[node] = free[node][:left]
            left -= len(chosen[node])
    assert not left, "more GPUs were asked for than are free"
    return dict(sorted(chosen.items()))
