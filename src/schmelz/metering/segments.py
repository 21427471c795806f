"""A span of time cut into segments in which nothing changes, each with its supply per site and its use per pool.

Columns of the frame, one row per segment: `day`, `t`, `dt`; per site `used@north` and so on for every line of supply; per
pool `use:eurohpc` (GPUs that are charged to it: of its runs, held ones, idle ones of its reservations, overhead over the
cap where the policy books it) and `wait:eurohpc` (how many of its jobs are eligible and wait); `overhead` within its
cap; `capacity` = installed - away - overhead. All are GPUs; times dt they are GPU-seconds.
Source: the definitions page, "Scope", "Supply", "delivered".
"""

from collections.abc import Sequence
from dataclasses import fields
from zoneinfo import ZoneInfo

import polars as pl

from schmelz.metering.attribute import OVERHEAD, UNASSIGNED, UNKNOWN
from schmelz.metering.supply import CHANGES, KINDS, Outage, Supply, away, away_lines, planned
from schmelz.policy.schema import System
from schmelz.units import Period, days

LINES = tuple(field.name for field in fields(Supply))


def segments(system: System, zone: ZoneInfo, runs: pl.DataFrame, outages: Sequence[Outage], span: Period) -> pl.DataFrame:
    """The segments of `span`, in the order of time. `runs` are attributed runs of this system."""
    changes = pl.concat([_midnights(span, zone), _of_runs(runs, span), waits(runs, span),
                         away(system, runs, (*outages, *planned(system, zone)), span)])
    wanted = [*(f"{line}@{site}" for site in sites(system, runs) for line in ("used", "held", *away_lines(system))),
              *(f"use:{pool}" for pool in (*_pools(system), OVERHEAD, UNASSIGNED)),
              *(f"wait:{pool}" for pool in _pools(system))]
    frame = changes.filter(pl.col("t") < span.end).pivot(
        "line", on_columns=list(dict.fromkeys(wanted)), index="t", values="delta", aggregate_function="sum").fill_null(0).sort("t")
    frame = frame.with_columns(pl.col(wanted).cum_sum(), (pl.col("t").shift(-1, fill_value=span.end) - pl.col("t")).alias("dt"))
    frame = frame.join(_days(span, zone), on="t", how="left", maintain_order="left").with_columns(pl.col("day").forward_fill())
    for site in sites(system, runs):
        frame = _supply(frame, system, site)
    return _capacity(frame, system, sites(system, runs))


def sites(system: System, runs: pl.DataFrame) -> tuple[str, ...]:
    """The sites of the system, and `unknown` when a run's site is not known."""
    return (*system.nodes, *([UNKNOWN] if UNKNOWN in runs["site"] else []))


def waits(runs: pl.DataFrame, span: Period) -> pl.DataFrame:
    """When jobs of each pool begin and stop to wait: from eligible to their start, or until now while they are pending."""
    until = pl.when(pl.col("start").is_not_null()).then("start").when(pl.col("state") == "PENDING").then(span.end)
    found = runs.filter((pl.col("part") == 0) & (pl.col("gpus") > 0)).select(
        pl.format("wait:{}", "pool").alias("line"), pl.max_horizontal("eligible", span.start).alias("from"),
        pl.min_horizontal(until, span.end).alias("until"), pl.col("eligible").is_not_null() & until.is_not_null())
    found = found.filter(pl.col("eligible") & (pl.col("from") < pl.col("until")))
    return pl.concat([found.select(pl.col(at).alias("t"), "line", pl.lit(sign, pl.Int64).alias("delta"))
                      for at, sign in (("from", 1), ("until", -1))])


def _pools(system: System) -> list[str]:
    return [pool.id for pool in system.pools]


def _days(span: Period, zone: ZoneInfo) -> pl.DataFrame:
    rows = [(part.start, day) for day, part in days(span, zone)]
    return pl.DataFrame(rows, schema={"t": pl.Int64, "day": pl.Date}, orient="row")


def _midnights(span: Period, zone: ZoneInfo) -> pl.DataFrame:
    return _days(span, zone).select("t", pl.lit("midnight").alias("line"), pl.lit(0, pl.Int64).alias("delta"))


def _of_runs(runs: pl.DataFrame, span: Period) -> pl.DataFrame:
    stop = pl.min_horizontal(pl.col("start") + pl.col("elapsed"), span.end)
    start = pl.max_horizontal("start", span.start)
    running = runs.filter(start < stop)
    ends = pl.concat([running.select(at.alias("t"), "site", "pool", pl.col("gpus", "held_gpus") * sign)
                      for at, sign in ((start, 1), (stop, -1))])
    ends = ends.group_by("t", "site", "pool").agg(pl.col("gpus", "held_gpus").sum())
    parts = (("used@{}", "site", pl.col("gpus")), ("held@{}", "site", pl.col("held_gpus")),
             ("use:{}", "pool", pl.col("gpus") + pl.col("held_gpus")))
    return pl.concat([ends.select("t", pl.format(text, name).alias("line"), delta.alias("delta"))
                      for text, name, delta in parts]).cast(CHANGES)


def _supply(frame: pl.DataFrame, system: System, site: str) -> pl.DataFrame:
    """Each GPU of a site in one line: what is away, reserved, idle has only the room that runs leave."""
    room = pl.lit(system.gpus(site), pl.Int64) - pl.col(f"used@{site}") - pl.col(f"held@{site}")
    frame = frame.with_columns(pl.max_horizontal(0, -room).alias(f"excess@{site}"),
                               pl.max_horizontal(0, room).alias(f"idle@{site}"))
    for line in away_lines(system):
        taken = pl.min_horizontal(f"{line}@{site}", f"idle@{site}")
        frame = frame.with_columns(taken.alias(f"{line}@{site}"), (pl.col(f"idle@{site}") - taken).alias(f"idle@{site}"))
    reserved = [f"{line}@{site}" for line in away_lines(system) if line.startswith("reserved:")]
    return frame.with_columns(pl.sum_horizontal(reserved).alias(f"reserved_idle@{site}"))


def _capacity(frame: pl.DataFrame, system: System, where: Sequence[str]) -> pl.DataFrame:
    """What was delivered, and what is charged to each pool beside its own runs."""
    lost = pl.sum_horizontal(f"{kind}@{site}" for kind in KINDS[:-1] for site in where)
    left, percent = system.gpus() - lost, system.overhead.cap_percent if system.overhead else 0
    within = pl.min_horizontal(f"use:{OVERHEAD}", left, system.gpus() * percent // 100)
    booked = system.overhead.booked_to if system.overhead else None
    over = {pool: pl.col(f"use:{OVERHEAD}") - within if pool == booked else pl.lit(0, pl.Int64) for pool in _pools(system)}
    idle = {pool: pl.sum_horizontal(f"reserved:{pool}@{site}" for site in where) for pool in _pools(system)}
    return frame.with_columns(within.alias("overhead"), (left - within).alias("capacity"),
                              *(pl.col(f"use:{pool}") + over[pool] + idle[pool] for pool in _pools(system)))
