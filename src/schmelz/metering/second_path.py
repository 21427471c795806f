"""Two sums of the same use by two paths: ours from the job records, Slurm's own rollup; every difference has a named cause.

*ours* counts a run for [start, start + elapsed), *theirs* as Slurm's rollup does: from its start to its end, also while it is
suspended, and to the end of the period while it is open. So of each run the difference is known: *suspended*; *running* (open
as last read) or *runaway* (open, and the scheduler does not know it); *not rolled up yet* (what lies after Slurm's last
rollup). *reservation idle* is what Slurm charged to accounts without any job. What is left is *unexplained*.
Invariant, for each line: theirs - ours = sum of the causes + unexplained. GPU-seconds. Source: facts of Slurm 22.05.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from schmelz.metering.runs import is_open
from schmelz.units import Period

ROOT, IDLE = "root", "(no job)"
SUSPENDED, RUNNING, RUNAWAY, LATER, RESERVED = (
    "suspended",
    "running",
    "runaway",
    "not rolled up yet",
    "reservation idle",
)
CAUSES = (SUSPENDED, RUNNING, RUNAWAY, LATER)


@dataclass(frozen=True)
class Line:
    """An account's GPU-seconds by both paths, and why they differ."""

    account: str
    ours: int
    theirs: int
    causes: Mapping[str, int]

    @property
    def difference(self) -> int:
        return self.theirs - self.ours

    @property
    def unexplained(self) -> int:
        return self.difference - sum(self.causes.values())


def compare(
    runs: pl.DataFrame,
    rollup: Iterable[tuple[str, str, int]],
    period: Period,
    rolled_to: int,
    gone: Collection[tuple[str, int]] = (),
) -> tuple[Line, ...]:
    """One line for each account that either path knows, by name, and one for what no job used.

    `rollup`: (account, user or nothing, GPU-seconds). `gone`: (job, submit) of the runaways.
    """
    rows = list(rollup)
    known = _sums(runs, period, rolled_to, gone)
    theirs = dict.fromkeys(known, 0)
    for account, user, gpu_s in rows:
        if user:
            theirs[account] = theirs.get(account, 0) + gpu_s
    lines = [_line(name, theirs[name], known.get(name, {})) for name in sorted(theirs) if theirs[name] or name in known]
    whole = [gpu_s for account, user, gpu_s in rows if account == ROOT and not user]
    idle = sum(whole) - sum(theirs.values()) if whole else 0
    return (*lines, *([Line(IDLE, 0, idle, {RESERVED: idle} if idle > 0 else {})] if idle else []))


def _line(account: str, theirs: int, known: Mapping[str, int]) -> Line:
    return Line(account, known.get("ours", 0), theirs, {name: known[name] for name in CAUSES if known.get(name)})


def _sums(
    runs: pl.DataFrame, period: Period, rolled_to: int, gone: Collection[tuple[str, int]]
) -> dict[str, dict[str, int]]:
    """For each account: ours, and how much of each cause stands between it and Slurm's."""
    begun = runs.filter(pl.col("start").is_not_null() & (pl.col("start") < period.end))
    lost = pl.struct("job", "submit").is_in([{"job": job, "submit": submit} for job, submit in gone]) if gone else False
    stop = pl.when(is_open()).then(period.end).otherwise(pl.col("end").fill_null(pl.col("start") + pl.col("elapsed")))
    spans = begun.select(
        pl.col("account").cast(pl.String),
        _gpu_s(pl.col("start") + pl.col("elapsed"), period.start, period.end).alias("ours"),
        _gpu_s(stop, period.start, period.end).alias("whole"),
        _gpu_s(stop, max(period.start, min(rolled_to, period.end)), period.end).alias("later"),
        pl.when(~is_open())
        .then(pl.lit(SUSPENDED))
        .when(lost)
        .then(pl.lit(RUNAWAY))
        .otherwise(pl.lit(RUNNING))
        .alias("cause"),
    )
    found: dict[str, dict[str, int]] = {}
    for account, ours, whole, later, cause in spans.iter_rows():
        sums = found.setdefault(account, {})
        for name, gpu_s in (("ours", ours), (cause, whole - ours), (LATER, -later)):
            sums[name] = sums.get(name, 0) + gpu_s
    return {account: sums for account, sums in found.items() if any(sums.values())}


def _gpu_s(stop: pl.Expr, first: int, last: int) -> pl.Expr:
    """GPU-seconds of a run that ends at `stop`, between two moments."""
    begin = pl.max_horizontal("start", pl.lit(first))
    return pl.col("gpus") * pl.max_horizontal(pl.lit(0), pl.min_horizontal(stop, pl.lit(last)) - begin)


def differing(lines: Iterable[Line]) -> Iterator[Line]:
    """Those whose difference has no name."""
    return (line for line in lines if line.unexplained)
