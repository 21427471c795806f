"""Figures of use: sums of pieces by pool, project, site and day, and what a project has left.

*settled* is the use of runs that ended, *running* that of runs so far, both with the held GPUs where whole nodes are
charged. *committed* is what running and waiting jobs may still take: GPUs x (limit - elapsed), and GPUs x limit.
*left* = grant + carry - settled - running - committed; it may be negative. Integers, in GPU-seconds. A job without a
known limit commits nothing. What a project was (country, category ...) is looked up for the day of the use: the row of
attributes that held on that day; accounts that are no project have none. Source: the definitions page, "committed".
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import date

import polars as pl

from schmelz.metering.runs import is_open

CALENDAR: Mapping[str, pl.Expr] = {
    "month": pl.col("day").dt.strftime("%Y-%m"),
    "quarter": pl.format("{}-Q{}", pl.col("day").dt.year(), pl.col("day").dt.quarter()),
    "year": pl.col("day").dt.strftime("%Y"),
}
ATTRIBUTES = ("country", "mode", "category", "field", "sme", "commercial", "organisation")
KEYS = ("pool", "project", "site", "day", "system", *ATTRIBUTES, *CALENDAR)
LARGEST = 2**62


@dataclass(frozen=True)
class Attributes:
    """What a project counts as from `since` on, until its next row."""

    project: str
    since: date
    country: str
    mode: str
    category: str
    field: str
    sme: bool
    commercial: bool
    organisation: str


def usage(
    pieces: pl.DataFrame,
    by: Sequence[str],
    first: date | None = None,
    last: date | None = None,
    *,
    attributes: Iterable[Attributes] = (),
    held: bool = False,
) -> pl.DataFrame:
    """GPU-seconds charged by time and runs that started, by the keys asked for, sorted; `held` adds the held GPUs.

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
    if not set(by).isdisjoint(ATTRIBUTES):
        chosen = described(chosen, attributes)
    chosen = chosen.with_columns(CALENDAR[key].alias(key) for key in by if key in CALENDAR)
    sums = [pl.col("gpu_s").sum(), pl.col("started").sum().alias("runs")]
    sums += [pl.col("held_gpu_s").sum()] if held else []
    return grouped(chosen, by, sums) if by else chosen.select(sums)


def grouped(frame: pl.DataFrame, by: Sequence[str], sums: Sequence[pl.Expr]) -> pl.DataFrame:
    """One row for each combination of the keys, in their order. Keys are packed into one number: those group and sort fast."""
    packed, room = pl.Series([0]).new_from_index(0, frame.height), 1
    for key in by:
        ranks, width = ranked(frame[key])
        if (room := room * width) > LARGEST:  # what was packed so far is numbered anew, in the same order
            packed = packed.rank("dense").cast(pl.Int64) - 1
            room = frame.height * width
        packed = packed * width + ranks
    rows = frame.lazy().with_columns(packed.alias("packed")).group_by("packed")
    return rows.agg(pl.col(by).first(), *sums).sort("packed").drop("packed").collect()


def ranked(values: pl.Series) -> tuple[pl.Series, int]:
    """A number for every value, in the order of the values, and above all numbers; missing ones are 0."""
    if values.dtype in (pl.Date, pl.Int64):
        days = values.to_physical().cast(pl.Int64)
        least, most = days.min(), days.max()
        assert isinstance(least, int | None) and isinstance(most, int | None)
        return (days - (least or 0) + 1).fill_null(0), (most or 0) - (least or 0) + 2
    texts = values.cast(pl.String).cast(pl.Categorical) if values.dtype != pl.Categorical else values
    numbers, distinct = texts.to_physical(), texts.drop_nulls().unique().sort()
    places = distinct.to_physical()
    rank = pl.Series([0]).new_from_index(0, int(places.max() or 0) + 1)  # type: ignore[arg-type]
    rank = rank.scatter(places, pl.int_range(1, len(distinct) + 1, eager=True))
    return rank.gather(numbers).fill_null(0), len(distinct) + 1


def described(pieces: pl.DataFrame, attributes: Iterable[Attributes]) -> pl.DataFrame:
    """The pieces with what their project was on their day; empty texts for accounts that are no project."""
    schema = {"project": pl.String, "since": pl.Date} | {
        name: pl.Boolean if name in ("sme", "commercial") else pl.String for name in ATTRIBUTES
    }
    table = pl.DataFrame([astuple(row) for row in attributes], schema=schema, orient="row")
    began = pl.when(pl.col("project").is_first_distinct()).then(pl.date(1, 1, 1)).otherwise(pl.col("since"))
    words = [pl.when(name).then(pl.lit("yes")).otherwise(pl.lit("no")).alias(name) for name in ("sme", "commercial")]
    rows = table.sort("project", "since", maintain_order=True).with_columns(began.alias("since"), *words)
    rows = rows.unique(["project", "since"], keep="last", maintain_order=True).sort("since")
    rows = rows.with_columns(pl.col("project", *ATTRIBUTES).cast(pl.Categorical))
    days = pieces.with_columns(pl.col("project").cast(pl.Categorical)).sort("day")
    found = days.join_asof(rows, left_on="day", right_on="since", by="project", check_sortedness=False)
    return found.with_columns(pl.col(ATTRIBUTES).fill_null(""))


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
