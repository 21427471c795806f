"""Whether a pool that waits gets its turn: floor breaches, the time to take back its own, its worst seven days.

A *floor breach* is a stretch in which a pool waits and stays under its floor for longer than the longest time limit that
was running when it began (a limit that no record tells counts as the longest that the cluster allows), and for longer
than one scheduling cycle, which is what any start takes. A *reclaim* is a stretch in which a pool waits and uses less
than its share w x C / W: it ends when the pool has its share, or all that it asks for. Stretches are cut at the ends of
the window; one that has not ended counts with its length so far.
Source: the definitions page, "floor breach", "reclaim", "worst week".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from schmelz.policy.schema import Pool, System
from schmelz.units import PPM, Period, day_period

WEEK = 7


@dataclass(frozen=True)
class Fairness:
    """What a pool that waited went through. Times in seconds, None where there was nothing to measure."""

    floor_breaches: int
    floor_breach_longest_s: int
    reclaims: int
    reclaim_p50_s: int | None
    reclaim_p95_s: int | None
    worst_week_ppm: int | None


def fairness(
    system: System,
    zone: ZoneInfo,
    pool: Pool,
    frame: pl.DataFrame,
    rows: Sequence[Mapping[str, Any]],
    runs: pl.DataFrame,
    span: Period,
) -> Fairness:
    """The figures of one pool: `frame` are the segments of the span, `rows` their sums per day, `runs` all that ran."""
    breaches = _breaches(system, pool, frame, runs, span)
    reclaims = sorted(_lengths(stretches(frame, _short_of_share(system, pool), span.end)))
    return Fairness(
        len(breaches),
        max(breaches, default=0),
        len(reclaims),
        percentile(reclaims, 50),
        percentile(reclaims, 95),
        _worst_week(zone, pool, rows),
    )


def stretches(frame: pl.DataFrame, condition: pl.Expr, end: int) -> pl.DataFrame:
    """The longest stretches [begin, stop) of the segments in which the condition holds."""
    edges = frame.lazy().select("t", holds=condition).filter(pl.col("holds").ne_missing(pl.col("holds").shift(1)))
    stop = pl.col("t").shift(-1, fill_value=end)
    return edges.with_columns(stop=stop).filter("holds").select(pl.col("t").alias("begin"), "stop").collect()


def percentile(ordered: Sequence[int], percent: int) -> int | None:
    """The nearest rank: the smallest value that at least so many per cent do not exceed."""
    return ordered[-(-len(ordered) * percent // 100) - 1] if ordered else None


def _waits(pool: Pool) -> pl.Expr:
    return pl.col(f"wait:{pool.id}") > 0


def _short_of_share(system: System, pool: Pool) -> pl.Expr:
    return _waits(pool) & (system.weight_sum * pl.col(f"use:{pool.id}") < pool.weight * pl.col("capacity"))


def _lengths(found: pl.DataFrame) -> list[int]:
    return found.select(pl.col("stop") - pl.col("begin")).to_series().to_list()


def _breaches(system: System, pool: Pool, frame: pl.DataFrame, runs: pl.DataFrame, span: Period) -> list[int]:
    """The lengths of the stretches under the floor that lasted longer than any job that ran when they began."""
    under = pl.col(f"use:{pool.id}") * 100 < system.sharing.floor_percent * pl.col("capacity")
    length, unknown = pl.col("stop") - pl.col("begin"), system.cluster.max_time
    found = stretches(frame, _waits(pool) & under, span.end).filter(length > system.sharing.cycle)
    if found.is_empty():
        return []
    busy = pl.sum_horizontal(f"used@{site}" for site in system.nodes) > 0
    quiet = found.hstack(frame[frame["t"].search_sorted(found["begin"])].select(busy=busy))
    begun = pl.col("start").is_not_null() & (pl.col("gpus") > 0)
    running = runs.lazy().filter(begun).select("start", "elapsed", "limit_s").collect()
    shortest = running.select(pl.col("limit_s").fill_null(unknown).min()).item() or 0
    found = quiet.filter((length > shortest) | ~pl.col("busy"))  # for most this settles it
    if found.is_empty():
        return []
    return _lengths(found.filter(length > _longest_limits(found["begin"], running, unknown)))


def _longest_limits(moments: pl.Series, running: pl.DataFrame, unknown: int) -> pl.Series:
    """For each of the moments, in order, the longest time limit of the runs that had GPUs at it; 0 where nothing ran."""
    spans = pl.DataFrame(
        {
            "first": moments.search_sorted(running["start"], side="left"),
            "after": moments.search_sorted(running["start"] + running["elapsed"], side="left"),
            "limit": running["limit_s"].fill_null(unknown),
        }
    )
    met = spans.filter(pl.col("first") < pl.col("after")).group_by("first", "after").agg(pl.col("limit").max())
    each = met.with_columns(number=pl.int_ranges("first", "after")).explode("number").group_by("number")
    longest = pl.DataFrame({"number": range(moments.len())}, schema={"number": pl.Int64}).join(
        each.agg(pl.col("limit").max()), on="number", how="left", maintain_order="left"
    )
    return longest["limit"].fill_null(0)


def _worst_week(zone: ZoneInfo, pool: Pool, rows: Sequence[Mapping[str, Any]]) -> int | None:
    """The least part of what was delivered, in ppm, that the pool had in seven whole days in which it always waited."""
    full = [
        row["seconds"] == day_period(row["day"], zone).seconds and row[f"wait:{pool.id}"] == row["seconds"]
        for row in rows
    ]
    weeks = [rows[i : i + WEEK] for i in range(len(rows) - WEEK + 1) if all(full[i : i + WEEK])]
    sums = [(sum(row[f"use:{pool.id}"] for row in week), sum(row["capacity"] for row in week)) for week in weeks]
    return min((used * PPM // delivered for used, delivered in sums if delivered), default=None)
