"""The deficit rule in scalar integers: who goes first, who is under the floor.

Words: *deficit* = entitlement so far - use so far, in GPU-seconds; *dead band* = how far two deficits may lie apart and
still count as equal; *floor* = the part of the capacity below which a waiting pool never stays for long.
Source: the definitions page (deficit, floor breach). Used by the local cluster, by the steering and by the simulation,
which compiles the functions of numbers alone: `deficit`, `apart`, `under_floor`.
"""

from collections.abc import Mapping

from schmelz.units import PPM


def under_floor(in_use: int, capacity: int, floor_percent: int) -> bool:
    """Whether a pool that uses `in_use` GPUs is below the floor of `capacity` GPUs."""
    return in_use * 100 < floor_percent * capacity


def deficit(weight: int, weights: int, delivered: int, used: int) -> int:
    """A pool's deficit times the sum of the weights, so that nothing is rounded."""
    return weight * delivered - weights * used


def apart(leader: int, deficit: int, band: int) -> bool:
    """Whether a deficit lies too far behind its rank's leader to share the rank."""
    return leader - deficit > band


def dead_band(entitlement: int, ppm: int) -> int:
    """The dead band in GPU-seconds: `ppm` millionths of the window's whole entitlement."""
    return entitlement * ppm // PPM


def ranks(deficits: Mapping[str, int], band: int) -> dict[str, int]:
    """Each pool's rank, 0 first: the larger deficit leads, those within `band` of a rank's leader share its rank."""
    ordered = sorted(deficits, key=lambda pool: (-deficits[pool], pool))
    result: dict[str, int] = {}
    leader, rank = 0, -1
    for pool in ordered:
        if rank < 0 or apart(leader, deficits[pool], band):
            leader, rank = deficits[pool], rank + 1
        result[pool] = rank
    return result
