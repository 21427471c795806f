"""From the records of a trace to a workload, under rules that are chosen and said.

The rules, in this order: the size that is asked for counts, where it is unknown the other one (requested or allocated);
jobs without a size or without a run time are dropped; sizes above the machine's are clipped to it; a run beyond its
estimate is cut there (`kill`), or the estimate is raised to it (`extend`). A job without an estimate has an exact one, or
its run times a factor, or the mean of its user's two runs before it in the trace, raised to its own run: nobody set a limit
that could cut it. Pools and modes come from maps of names: of a job's names, the one that stands first in the map
decides; without any, OTHER. Words: a *column of names* = the tenant, account, group, user, queue or partition of each job;
the first is the owner, the second the user.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from schmelz.faults import BadInput
from schmelz.twin.workload import LONGEST, Bools, Ints, Names, Small, Workload

Size = Literal["requested", "allocated"]
Overrun = Literal["kill", "extend"]
Missing = Literal["exact", "factor", "history"]
UNKNOWN = -1
ALL, OTHER = "all", "other"


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
    """How a trace becomes a workload. `factor` is for missing estimates by factor."""

    gpus: int
    size: Size = "requested"
    overrun: Overrun = "kill"
    pools: Mapping[str, str] | None = None
    modes: Mapping[str, str] | None = None
    missing: Missing = "exact"
    factor: float = 2.0


def workload(trace: Trace, rules: Rules) -> Workload:
    """The jobs that can run. Raises BadInput when there is none."""
    asked, given = trace.requested, trace.allocated
    first, other = (asked, given) if rules.size == "requested" else (given, asked)
    size = np.where(first > 0, first, other)
    no_size, no_run = size <= 0, trace.run <= 0
    kept = ~(no_size | no_run)
    if not kept.any():
        raise BadInput("holds no job with a size and a run time")
    run, size, columns = _kept(trace.run, kept), _kept(size, kept), _columns(trace.columns, kept)
    estimate = _kept(trace.estimate, kept)
    planned = np.where(estimate > 0, estimate, _missing(run, columns, rules))
    over = run > planned
    run, planned = (np.minimum(run, planned), planned) if rules.overrun == "kill" else (run, np.maximum(run, planned))
    pool, pools = _grouped(columns, rules.pools, "--pools", len(run))
    mode, modes = _grouped(columns, rules.modes, "--modes", len(run))
    owner = columns[0] if columns else Names(np.zeros(len(run), np.int32), (ALL,))
    counts = {
        "dropped": int((~kept).sum()),
        "dropped_no_size": int(no_size.sum()),
        "dropped_no_run": int((no_run & ~no_size).sum()),
        "clipped": int((size > rules.gpus).sum()),
        "other_size": int((kept & (first <= 0)).sum()),
        "no_estimate": int((estimate <= 0).sum()),
        "overruns": int(over.sum()),
    }
    return Workload(
        _kept(trace.job, kept), _kept(trace.submit, kept), run, np.minimum(size, rules.gpus), planned,
        pool, pools, owner.code, owner.names, (*trace.notes, *_said(rules, counts)), tuple(counts.items()),
        mode if rules.modes else None, modes if rules.modes else (), columns,
    )  # fmt: skip


def _kept(column: npt.NDArray[Any], kept: Bools) -> npt.NDArray[Any]:
    """The kept part of a column: itself, where that is all of it."""
    return column if kept.all() else column[kept]


def _columns(columns: Sequence[Names], kept: Bools) -> tuple[Names, ...]:
    return tuple(Names(_kept(column.code, kept), column.names) for column in columns)


def _missing(run: Ints, columns: Sequence[Names], rules: Rules) -> Ints:
    """The estimate of each job, were it missing."""
    if rules.missing == "factor":
        return np.asarray(np.minimum(np.ceil(run * rules.factor), LONGEST - 1).astype(np.int64))
    if rules.missing == "history":
        user = columns[min(1, len(columns) - 1)].code if columns else np.zeros(len(run), np.int32)
        return np.maximum(run, _history(run, user))
    return run


def _history(run: Ints, user: Small) -> Ints:
    """The mean of the user's two runs before each job, rounded up; of one where there is one, else 0."""
    order = np.argsort(user, kind="stable")
    own, sorted_user = run[order], user[order]
    back = [np.concatenate([np.zeros(k, np.int64), own])[: len(own)] for k in (1, 2)]
    same = [np.concatenate([np.zeros(k, np.bool_), sorted_user[k:] == sorted_user[:-k]])[: len(own)] for k in (1, 2)]
    both = -(-(back[0] + back[1]) // 2)
    found = np.empty_like(run)
    found[order] = np.where(same[1], both, np.where(same[0], back[0], 0))
    return found


def _said(rules: Rules, counts: Mapping[str, int]) -> tuple[str, ...]:
    """The rules in words, each with what it did."""
    other = "allocated" if rules.size == "requested" else "requested"
    cut = "cut at the estimate" if rules.overrun == "kill" else "kept, the estimate raised to it"
    missing = {
        "exact": "exact",
        "factor": f"the run times {rules.factor:g}",
        "history": "the mean of the user's two runs before, at least its run",
    }
    return (
        f"size: {rules.size}; where that is unknown {other}: {counts['other_size']} jobs",
        f"dropped: {counts['dropped_no_size']} jobs without a size, {counts['dropped_no_run']} without a run time",
        f"clipped to {rules.gpus} GPUs: {counts['clipped']} jobs",
        f"no estimate, so {missing[rules.missing]}: {counts['no_estimate']} jobs",
        f"run beyond the estimate {cut}: {counts['overruns']} jobs",
        "equal submissions keep the order of the file",
    )


def by_name(columns: Sequence[Names], wanted: Sequence[str], jobs: int) -> Ints:
    """For each job the place of the first of the wanted names that it has; their number, where it has none."""
    places, nowhere = {name: place for place, name in enumerate(wanted)}, len(wanted)
    first = np.full(jobs, nowhere, np.int64)
    for column in columns:
        place = np.array([places.get(name, nowhere) for name in column.names], np.int64)
        first = np.minimum(first, place[column.code])
    return np.asarray(first)


def _grouped(
    columns: Sequence[Names], wanted: Mapping[str, str] | None, option: str, jobs: int
) -> tuple[Small, tuple[str, ...]]:
    """Each job's group by a map of names, and the groups in the order of the map."""
    if wanted is None:
        return np.zeros(jobs, np.int32), (ALL,)
    first = by_name(columns, list(wanted), jobs)
    nowhere = first == len(wanted)
    if nowhere.all():
        known = ", ".join(sorted(name for column in columns for name in column.names)[:8])
        raise BadInput(f"no job has any of the names of {option}; there are {known or 'no names at all'} ...")
    groups = tuple(dict.fromkeys([*wanted.values(), *([OTHER] if nowhere.any() else [])]))
    number = np.array([groups.index(group) for group in wanted.values()] + [len(groups) - 1], np.int32)
    return number[first], groups
