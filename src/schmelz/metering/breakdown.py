"""Access time by what projects were (country, category, mode, field ...), and the same without small groups.

A *unit* is a project while its attributes stayed the same: what is counted never mixes two descriptions. A breakdown
groups all units by one attribute; every breakdown adds up to the same whole. In the public version a group with fewer
than FEW projects or organisations is put together with others under `OTHER`, and so is a group that could be found by
taking groups of another breakdown away from it (start-ups = SMEs less category sme). Use of accounts that are no project
names nobody and stays as it is, under `NONE`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

FEW = 3
OTHER, NONE = "other (small groups)", "not a project"


@dataclass(frozen=True)
class Unit:
    """The use of an account under one description; `ours`: it is a project."""

    project: str
    ours: bool
    organisation: str
    values: tuple[str, ...]
    runs: int
    gpu_s: int
    held_gpu_s: int


Groups = dict[str, frozenset[Unit]]


def breakdowns(units: Iterable[Unit], keys: Sequence[str], public: bool = False) -> dict[str, Groups]:
    """Key -> value -> the units that have it, by value in the order of the alphabet, `OTHER` and `NONE` last."""
    every = list(units)
    found = {key: _grouped(every, index) for index, key in enumerate(keys)}
    return {key: _ordered(groups) for key, groups in (without_small(found) if public else found).items()}


def _grouped(units: Sequence[Unit], index: int) -> Groups:
    groups: dict[str, set[Unit]] = {}
    for unit in units:
        groups.setdefault((unit.values[index] or "not said") if unit.ours else NONE, set()).add(unit)
    return {value: frozenset(members) for value, members in groups.items()}


def _ordered(groups: Groups) -> Groups:
    return {value: groups[value] for value in sorted(groups, key=lambda value: (value == NONE, value == OTHER, value))}


def without_small(found: Mapping[str, Groups]) -> dict[str, Groups]:
    """The same breakdowns with small groups and those that could be worked out put together, until none is left."""
    safe = {key: _merged(groups, [v for v in groups if is_small(groups[v])]) for key, groups in found.items()}
    while told := _told(safe):
        key, value = told
        safe[key] = _merged(safe[key], [value])
    return safe


def is_small(group: Iterable[Unit]) -> bool:
    """Whether it is of fewer than FEW projects or organisations, and of one at least."""
    members = [unit for unit in group if unit.ours]
    sizes = len({unit.project for unit in members}), len({unit.organisation for unit in members})
    return bool(members) and min(sizes) < FEW


def _merged(groups: Groups, hide: Sequence[str]) -> Groups:
    """These groups as one, with the smallest others until nothing is told by it; all of them if there is no way."""
    if not hide:
        return groups
    rest = sorted((v for v in groups if v not in (*hide, NONE)), key=lambda v: (v != OTHER, len(groups[v]), v))
    take = list(hide)
    while rest and (OTHER in rest or len(take) < 2 or is_small(_union(groups[v] for v in take))):
        take.append(rest.pop(0))
    return {**{v: group for v, group in groups.items() if v not in take}, OTHER: _union(groups[v] for v in take)}


def _union(groups: Iterable[frozenset[Unit]]) -> frozenset[Unit]:
    return frozenset[Unit]().union(*groups)


def _told(found: Mapping[str, Groups]) -> tuple[str, str] | None:
    """A group of one breakdown from which those of another leave a small group over, if there is one that can be hidden."""
    for key, groups in found.items():
        for value, group in groups.items():
            if value in (NONE, OTHER):
                continue
            for others in (found[name] for name in found if name != key):
                inside = [other for other in others.values() if other < group]
                if inside and is_small(group - _union(inside)):
                    return key, value
    return None
