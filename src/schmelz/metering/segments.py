"""A span of time cut into segments in which nothing changes, each with its supply per site and its use per pool.

Columns of the frame, one row per segment: `day`, `t`, `dt`; per site `used@north` and so on for every line of supply;
per pool `use:eurohpc` (GPUs charged to it: of its runs, held ones, idle ones of its reservations, overhead over the cap
where the policy books it) and `wait:eurohpc` (how many of its jobs are eligible and wait); `overhead` within its cap;
`capacity` = installed - away - overhead. All are GPUs; times dt they are GPU-seconds.
Source: the definitions page, "Scope", "Supply", "delivered".
"""

from collections.abc import Sequence
from dataclasses import fields
from zoneinfo import ZoneInfo

import polars as pl

from schmelz.metering.attribute import OVERHEAD, UNKNOWN
from schmelz.metering.supply import KINDS, Outage, Supply, away, away_lines, planned
from schmelz.policy.schema import System
from schmelz.units import Period, days

NEEDED = (
    "pool", "project", "site", "nodes", "gpus", "held_gpus", "eligible", "start", "elapsed", "state", "limit_s"
)  # fmt: skip
LINES = tuple(field.name for field in fields(Supply))


def segments(
    system: System, zone: ZoneInfo, runs: pl.DataFrame, outages: Sequence[Outage], span: Period
) -> pl.DataFrame:
    """The segments of `span`, in the order of time. `runs` are attributed runs of this system."""
    where, midnights = sites(system, runs), _days(span, zone)
    lines = list(
        dict.fromkeys(
            [
                *(f"{line}@{site}" for site in where for line in ("used", "held", *away_lines(system))),
                *(f"use:{pool}" for pool in (*_pools(system), OVERHEAD)),
                *(f"wait:{pool}" for pool in _pools(system)),
            ]
        )
    )
    frame = _together(
        [
            midnights,
            _of_runs(system, runs, where, span),
            _waits(system, runs, span),
            away(system, runs, (*outages, *planned(system, zone)), span),
        ],
        lines,
        span,
    )
    frame = frame.with_columns(
        pl.col(lines).cum_sum(),
        pl.col("day").forward_fill(),
        dt=pl.col("t").shift(-1, fill_value=span.end) - pl.col("t"),
    )
    for site in where:
        frame = _supply(frame, system, site)
    return _capacity(frame, system, where)


def touching(runs: pl.DataFrame, system: str, span: Period) -> pl.DataFrame:
    """The runs of a system that run or wait in the span, with the columns that are looked at."""
    known = pl.min_horizontal("eligible", "start") <= span.end
    lasts = pl.col("start").is_null() & (pl.col("state") == "PENDING") | (
        pl.col("start") + pl.col("elapsed") > span.start
    )
    return runs.lazy().filter((pl.col("system") == system) & known & lasts).select(NEEDED).collect()


def sites(system: System, runs: pl.DataFrame) -> tuple[str, ...]:
    """The sites of the system, and `unknown` when a run's site is not known."""
    return (*system.nodes, *([UNKNOWN] if UNKNOWN in runs["site"] else []))


def _pools(system: System) -> list[str]:
    return [pool.id for pool in system.pools]


def _days(span: Period, zone: ZoneInfo) -> pl.DataFrame:
    rows = [(part.start, day) for day, part in days(span, zone)]
    return pl.DataFrame(rows, schema={"t": pl.Int64, "day": pl.Date}, orient="row")


def _of_runs(system: System, runs: pl.DataFrame, where: Sequence[str], span: Period) -> pl.DataFrame:
    """GPUs that runs take and give back, per site and per pool."""
    charged = pl.col("gpus") + pl.col("held_gpus")
    stop = pl.min_horizontal(pl.col("start") + pl.col("elapsed"), span.end)
    start = pl.max_horizontal("start", span.start)
    running = runs.filter(pl.col("start").is_not_null() & (start < stop) & (charged > 0)).select(
        start.alias("start"),
        stop.alias("stop"),
        *(
            pl.when(pl.col("site") == site).then(name).otherwise(0).alias(f"{line}@{site}")
            for site in where
            for line, name in (("used", "gpus"), ("held", "held_gpus"))
        ),
        *(
            pl.when(pl.col("pool") == pool).then(charged).otherwise(0).alias(f"use:{pool}")
            for pool in dict.fromkeys((*_pools(system), OVERHEAD))
        ),
    )
    return _changes(running)


def _waits(system: System, runs: pl.DataFrame, span: Period) -> pl.DataFrame:
    """Jobs that begin and stop to wait: from eligible to their start, or until now while they are pending."""
    until = pl.when(pl.col("start").is_not_null()).then("start").when(pl.col("state") == "PENDING").then(span.end)
    start, stop = pl.max_horizontal("eligible", span.start), pl.min_horizontal(until, span.end)
    waiting = runs.filter(
        (pl.col("gpus") > 0) & pl.col("eligible").is_not_null() & until.is_not_null() & (start < stop)
    )
    return _changes(
        waiting.select(
            start.alias("start"),
            stop.alias("stop"),
            *((pl.col("pool") == pool).cast(pl.Int64).alias(f"wait:{pool}") for pool in _pools(system)),
        )
    )


def _changes(spans: pl.DataFrame) -> pl.DataFrame:
    """What [start, stop) with its amounts adds at its start and takes away at its stop."""
    amounts = pl.col(name for name in spans.columns if name not in ("start", "stop"))
    return pl.concat(
        [spans.select(pl.col("start").alias("t"), amounts), spans.select(pl.col("stop").alias("t"), -amounts)]
    )


def _together(frames: Sequence[pl.DataFrame], lines: Sequence[str], span: Period) -> pl.DataFrame:
    """One row per moment of the span at which any of the frames has one; lines that a moment does not change are 0."""
    rows = pl.concat(frames, how="diagonal").filter(pl.col("t") < span.end)
    sums = (pl.col(line).sum() if line in rows.columns else pl.lit(0, pl.Int64).alias(line) for line in lines)
    return rows.group_by("t").agg(pl.col("day").drop_nulls().first(), *sums).sort("t")


def _supply(frame: pl.DataFrame, system: System, site: str) -> pl.DataFrame:
    """Each GPU of a site in one line: what is away, reserved, idle has only the room that runs leave."""
    room = pl.lit(system.gpus(site), pl.Int64) - pl.col(f"used@{site}") - pl.col(f"held@{site}")
    frame = frame.with_columns(
        pl.max_horizontal(0, -room).alias(f"excess@{site}"), pl.max_horizontal(0, room).alias(f"idle@{site}")
    )
    for line in away_lines(system):
        room = pl.col(f"idle@{site}")
        taken = pl.min_horizontal(f"{line}@{site}", room)
        frame = frame.with_columns(taken.alias(f"{line}@{site}"), room - taken)
    reserved = [f"{line}@{site}" for line in away_lines(system) if line.startswith("reserved:")]
    return frame.with_columns(pl.sum_horizontal(reserved).alias(f"reserved_idle@{site}"))


def _capacity(frame: pl.DataFrame, system: System, where: Sequence[str]) -> pl.DataFrame:
    """What was delivered, and what is charged to each pool beside its own runs."""
    lost = pl.sum_horizontal(f"{kind}@{site}" for kind in KINDS[:-1] for site in where)
    left, percent = system.gpus() - lost, system.overhead.cap_percent if system.overhead else 0
    within = pl.min_horizontal(f"use:{OVERHEAD}", left, system.gpus() * percent // 100)
    booked = system.overhead.booked_to if system.overhead else None
    over = {
        pool: pl.col(f"use:{OVERHEAD}") - within if pool == booked else pl.lit(0, pl.Int64) for pool in _pools(system)
    }
    idle = {pool: pl.sum_horizontal(f"reserved:{pool}@{site}" for site in where) for pool in _pools(system)}
    return frame.with_columns(
        within.alias("overhead"),
        (left - within).alias("capacity"),
        *(pl.col(f"use:{pool}") + over[pool] + idle[pool] for pool in _pools(system)),
    )
