"""From the records of a trace to a workload, under rules that are chosen and said.

The rules, in this order: the size that is asked for counts, where it is unknown the other one (requested or allocated);
jobs without a size or without a run time are dropped; sizes above the machine's are clipped to it; a job without an
estimate has an exact one; a run beyond its estimate is cut there (`kill`), or the estimate is raised to it (`extend`).
Pools come from a map of names: of a job's names, the one that stands first in the map decides; without any, OTHER.
Words: a *column of names* = the tenant, account, group, user, queue or partition of each job; the first is the owner.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from schmelz.faults import BadInput
from schmelz.twin.workload import Bools, Ints, Small, Workload

Size = Literal["requested", "allocated"]
Overrun = Literal["kill", "extend"]
UNKNOWN = -1
ALL, OTHER = "all", "other"


@dataclass(frozen=True)
class Names:
    """A column of names: each job's number of its name, and the names."""

    code: Small
    names: tuple[str, ...]


@dataclass(frozen=True)
class Trace:
    """The records of a trace as they stand there, sorted by submission; UNKNOWN or less where nothing is said."""

    job: npt.NDArray[Any]
    submit: Ints
    run: Ints
    requested: Ints
    allocated: Ints
    estimate: Ints
    columns: tuple[Names, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rules:
    """How a trace becomes a workload."""

    gpus: int
    size: Size = "requested"
    overrun: Overrun = "kill"
    pools: Mapping[str, str] | None = None


def workload(trace: Trace, rules: Rules) -> Workload:
    """The jobs that can run. Raises BadInput when there is none."""
    asked, given = trace.requested, trace.allocated
    first, other = (asked, given) if rules.size == "requested" else (given, asked)
    size = np.where(first > 0, first, other)
    no_size, no_run = size <= 0, trace.run <= 0
    kept = ~(no_size | no_run)
    if not kept.any():
        raise BadInput("holds no job with a size and a run time")
    run, estimate, size = _kept(trace.run, kept), _kept(trace.estimate, kept), _kept(size, kept)
    planned = np.where(estimate > 0, estimate, run)
    over = run > planned
    run, planned = (np.minimum(run, planned), planned) if rules.overrun == "kill" else (run, np.maximum(run, planned))
    pool, pools = _pools(trace.columns, kept, rules.pools)
    owner, owners = _owners(trace.columns, kept)
    other_size = kept & (first <= 0)
    counts = {
        "dropped": int((~kept).sum()),
        "dropped_no_size": int(no_size.sum()),
        "dropped_no_run": int((no_run & ~no_size).sum()),
        "clipped": int((size > rules.gpus).sum()),
        "other_size": int(other_size.sum()),
        "exact_estimates": int((estimate <= 0).sum()),
        "overruns": int(over.sum()),
    }
    return Workload(
        _kept(trace.job, kept), _kept(trace.submit, kept), run, np.minimum(size, rules.gpus), planned,
        pool, pools, owner, owners, (*trace.notes, *_said(rules, counts)), tuple(counts.items()),
    )  # fmt: skip


def _kept(column: npt.NDArray[Any], kept: Bools) -> npt.NDArray[Any]:
    """The kept part of a column: itself, where that is all of it."""
    return column if kept.all() else column[kept]


def _said(rules: Rules, counts: Mapping[str, int]) -> tuple[str, ...]:
    """The rules in words, each with what it did."""
    other = "allocated" if rules.size == "requested" else "requested"
    cut = "cut at the estimate" if rules.overrun == "kill" else "kept, the estimate raised to it"
    return (
        f"size: {rules.size}; where that is unknown {other}: {counts['other_size']} jobs",
        f"dropped: {counts['dropped_no_size']} jobs without a size, {counts['dropped_no_run']} without a run time",
        f"clipped to {rules.gpus} GPUs: {counts['clipped']} jobs",
        f"no estimate, so exact: {counts['exact_estimates']} jobs",
        f"run beyond the estimate {cut}: {counts['overruns']} jobs",
        "equal submissions keep the order of the file; no warm-up is left out; slowdown is bounded at 10 s",
    )


def _owners(columns: Sequence[Names], kept: Bools) -> tuple[Small, tuple[str, ...]]:
    if not columns:
        return np.zeros(int(kept.sum()), np.int32), (ALL,)
    return _kept(columns[0].code, kept), columns[0].names


def _pools(columns: Sequence[Names], kept: Bools, wanted: Mapping[str, str] | None) -> tuple[Small, tuple[str, ...]]:
    """Each job's pool, and the pools in the order of the map."""
    jobs = int(kept.sum())
    if wanted is None:
        return np.zeros(jobs, np.int32), (ALL,)
    places, nowhere = {name: place for place, name in enumerate(wanted)}, len(wanted)
    first = np.full(jobs, nowhere, np.int64)
    for column in columns:
        place = np.array([places.get(name, nowhere) for name in column.names], np.int64)
        first = np.minimum(first, place[_kept(column.code, kept)])
    pools = tuple(dict.fromkeys([*wanted.values(), *([OTHER] if (first == nowhere).any() else [])]))
    number = np.array([pools.index(pool) for pool in wanted.values()] + [len(pools) - 1], np.int32)
    if (first == nowhere).all():
        known = ", ".join(sorted(name for column in columns for name in column.names)[:8])
        raise BadInput(f"no job has any of the names of --pools; there are {known or 'no names at all'} ...")
    return number[first], pools
