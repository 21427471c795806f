"""Figures of use: sums of pieces by pool, project, site and day, and what a project has left.

*settled* is the use of runs that ended, *running* that of runs so far, both with the held GPUs where whole nodes are
charged. *committed* is what running and waiting jobs may still take: GPUs x (limit - elapsed), and GPUs x limit.
*left* = grant + carry - settled - running - committed; it may be negative. Integers, in GPU-seconds. A job without a
known limit commits nothing. Source: the definitions page, "committed".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from schmelz.metering.runs import is_open

KEYS = ("pool", "project", "site", "day")


def usage(pieces: pl.DataFrame, by: Sequence[str], first: date | None = None, last: date | None = None) -> pl.DataFrame:
    """GPU-seconds charged by time (held GPUs are not in them) and runs that started, by the keys asked for, sorted.

    `first` and `last` are days of the factory's zone, both included. Raises ValueError for a key that is none.
    """
    for key in by:
        if key not in KEYS:
            raise ValueError(f"usage can be counted by {', '.join(KEYS)}; not by {key!r}")
    chosen = pieces
    if first is not None:
        chosen = chosen.filter(pl.col("day") >= first)
    if last is not None:
        chosen = chosen.filter(pl.col("day") <= last)
    sums = [pl.col("gpu_s").sum(), pl.col("started").sum().alias("runs")]
    return chosen.group_by(by).agg(sums).sort(by) if by else chosen.select(sums)


@dataclass(frozen=True)
class Balance:
    """What became of a grant, in GPU-seconds, as of a moment."""

    settled: int
    running: int
    committed: int
    left: int
    as_of: int


def balance(grant_gpu_s: int, attributed_runs_of_project: pl.DataFrame, as_of: int, carry_in: int = 0) -> Balance:
    """The balance of one project from its attributed runs."""
    runs = attributed_runs_of_project.with_columns(charged_seconds(as_of).alias("seconds"), is_open().alias("open"))
    begun = pl.col("start") <= as_of
    charged = (pl.col("gpus") + pl.col("held_gpus")) * pl.col("seconds")
    rest = pl.col("gpus") * pl.max_horizontal(0, pl.col("limit_s") - pl.col("seconds"))
    waiting = pl.col("open") & ~begun.fill_null(False)
    sums = runs.select(
        settled=charged.filter(begun & ~pl.col("open")).sum(),
        running=charged.filter(begun & pl.col("open")).sum(),
        committed=rest.filter((begun & pl.col("open")) | waiting).fill_null(0).sum(),
    ).row(0, named=True)
    return Balance(**sums, left=grant_gpu_s + carry_in - sum(sums.values()), as_of=as_of)


def used_by_project(attributed: pl.DataFrame, as_of: int | pl.Expr) -> dict[str, int]:
    """Settled and running use of every project, held GPUs included, in GPU-seconds."""
    charged = (pl.col("gpus") + pl.col("held_gpus")) * charged_seconds(as_of)
    return dict(attributed.group_by("project").agg(charged.sum()).sort("project").iter_rows())


def charged_seconds(as_of: int | pl.Expr) -> pl.Expr:
    """The charged seconds of a run up to `as_of` (a moment, or a column of them); 0 when it has not begun."""
    until = pl.min_horizontal(pl.col("elapsed"), as_of - pl.col("start"))
    return pl.when(pl.col("start").is_null()).then(0).otherwise(pl.max_horizontal(0, until))
