"""Runs cut at midnight: one piece per run, day and site, in whole seconds.

A run is charged for [start, start + elapsed). Days are those of the factory's zone, 23 or 25 hours long when the clocks
change. *started* is 1 on the piece in which the run began (also when it never got further), on one of its parts only.
Invariant: the time of a run's pieces adds up to its elapsed time up to `as_of`; every figure of use is a sum of pieces.
"""

from zoneinfo import ZoneInfo

import polars as pl

from schmelz.units import Period, day_period, days

WHOSE = ("pool", "project", "account", "site", "system")
FIGURES = dict.fromkeys(("gpu_s", "held_gpu_s", "started", "time_s"), pl.Int64())
END_OF_TIME = 2**62


def pieces(runs: pl.DataFrame, zone: ZoneInfo, as_of: int = END_OF_TIME) -> pl.DataFrame:
    """The pieces of all runs that began by `as_of`, in the order of the runs, then of the days.

    Runs come with their places; whose they were (pool, project) stands in the pieces if it is known already.
    """
    whose = [name for name in WHOSE if name in runs.columns]
    runs = runs.filter(pl.col("start") <= as_of).select(
        *whose,
        "part",
        "gpus",
        "held_gpus",
        "start",
        pl.min_horizontal(pl.col("start") + pl.col("elapsed"), as_of).alias("stop"),
    )
    if runs.is_empty():
        return pl.DataFrame(schema={"day": pl.Date(), **{name: pl.Categorical() for name in whose}, **FIGURES})
    calendar = list(days(Period(_edge(runs, "start", "min"), _edge(runs, "stop", "max") + 1), zone))
    starts = pl.Series("starts", [day_period(day, zone).start for day, _ in calendar])
    ends = pl.Series("ends", [day_period(day, zone).end for day, _ in calendar])
    cut = (
        runs.with_columns(
            first=_index(starts, runs["start"]),
            last=_index(starts, pl.select(pl.max_horizontal(runs["start"], runs["stop"] - 1)).to_series()),
        )
        .with_columns(number=pl.int_ranges("first", pl.col("last") + 1))
        .explode("number")
    )
    begins = pl.max_horizontal(pl.col("start"), starts.gather(cut["number"]))
    stops = pl.min_horizontal(pl.col("stop"), ends.gather(cut["number"]))
    cut = cut.with_columns(time_s=stops - begins, day=pl.Series([day for day, _ in calendar]).gather(cut["number"]))
    return cut.select(
        "day",
        *whose,
        (pl.col("gpus") * pl.col("time_s")).alias("gpu_s"),
        (pl.col("held_gpus") * pl.col("time_s")).alias("held_gpu_s"),
        ((pl.col("number") == pl.col("first")) & (pl.col("part") == 0)).cast(pl.Int64).alias("started"),
        "time_s",
    )


def _edge(runs: pl.DataFrame, column: str, which: str) -> int:
    return int(runs[column].min() if which == "min" else runs[column].max())  # type: ignore[arg-type]


def _index(starts: pl.Series, moments: pl.Series) -> pl.Series:
    """The number of the day in which each moment lies."""
    return starts.search_sorted(moments, side="right").cast(pl.Int64) - 1
