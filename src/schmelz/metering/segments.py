"""A span of time cut into segments in which nothing changes, each with its supply per site and its use per pool.

Columns of the frame, one row per segment: `day`, `t`, `dt`; per site `used@north` and so on for the lines of supply that
have something in them; per pool `use:eurohpc` (GPUs charged to it: of its runs, held ones, idle ones of its reservations,
overhead over the cap where the policy books it) and `wait:eurohpc` (1 while an eligible job of it waits, else 0);
`overhead` within its cap; `capacity` = installed - away - overhead. All are GPUs; times dt they are GPU-seconds.
What changes often, the runs, is sorted and summed once; all the rest is looked up at the moments at which it changes.
Source: the definitions page, "Scope", "Supply", "delivered".
"""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from zoneinfo import ZoneInfo

import polars as pl

from schmelz.metering.attribute import OVERHEAD
from schmelz.metering.places import UNKNOWN
from schmelz.metering.supply import KINDS, Outage, Supply, away, away_lines, planned
from schmelz.policy.schema import System
from schmelz.units import Period, days

NEEDED = (
    "pool", "project", "site", "nodes", "gpus", "held_gpus", "eligible", "start", "elapsed", "state", "limit_s"
)  # fmt: skip
LINES = tuple(field.name for field in fields(Supply))


def segments(
    system: System,
    zone: ZoneInfo,
    runs: pl.DataFrame,
    outages: Sequence[Outage],
    span: Period,
    cuts: Sequence[pl.Series] = (),
) -> pl.DataFrame:
    """The segments of `span`, in the order of time. `runs` are attributed runs of this system.

    `cuts` are more moments of the span at which a segment shall end.
    """
    where = sites(system, runs)
    seldom = [
        _days(span, zone),
        *_waits(system, runs, span),
        away(system, runs, (*outages, *planned(system, zone)), span),
    ]
    frame = _use(system, runs, where, span, [*(one["t"] for one in seldom), *cuts])
    for one in seldom:
        frame = frame.join_asof(one, on="t")
    frame = frame.with_columns(
        pl.exclude("t", "day").fill_null(0), dt=pl.col("t").shift(-1, fill_value=span.end) - pl.col("t")
    )
    for site in where:
        frame = _supply(frame, system, site)
    return _capacity(frame, system)


def touching(runs: pl.DataFrame, system: str, span: Period) -> pl.DataFrame:
    """The runs of a system that run or wait in the span, with the columns that are looked at."""
    known = (pl.col("eligible") <= span.end) | (pl.col("start") <= span.end)
    lasts = pl.col("start").is_null() & (pl.col("state") == "PENDING") | (
        pl.col("start") + pl.col("elapsed") > span.start
    )
    return runs.lazy().filter((pl.col("system") == system) & known & lasts).select(NEEDED).collect()


def sites(system: System, runs: pl.DataFrame) -> tuple[str, ...]:
    """The sites of the system, and `unknown` when a run's site is not known."""
    return (*system.nodes, *([UNKNOWN] if (runs["site"] == UNKNOWN).any() else []))


def waits(runs: pl.DataFrame, span: Period) -> pl.DataFrame:
    """The runs that wait in the span, with `begin` and `stop`: from eligible to their start, while pending to its end."""
    until = pl.when(pl.col("start").is_not_null()).then("start").when(pl.col("state") == "PENDING").then(span.end)
    begin, stop = pl.max_horizontal("eligible", span.start), pl.min_horizontal(until, span.end)
    asks = (pl.col("gpus") > 0) & pl.col("eligible").is_not_null() & until.is_not_null() & (begin < stop)
    return runs.filter(asks).with_columns(begin.alias("begin"), stop.alias("stop"))


def _days(span: Period, zone: ZoneInfo) -> pl.DataFrame:
    rows = [(part.start, day) for day, part in days(span, zone)]
    return pl.DataFrame(rows, schema={"t": pl.Int64, "day": pl.Date}, orient="row")


def _waits(system: System, runs: pl.DataFrame, span: Period) -> Iterator[pl.DataFrame]:
    """Per pool, when it begins and when it ceases to have a job that waits."""
    import numpy as np  # only here and below: most commands read figures of use and no segments

    waiting = waits(runs, span).select("pool", "begin", "stop")
    for pool in system.pools:
        own = waiting.filter(pl.col("pool") == pool.id)
        order = np.argsort(own["begin"].to_numpy(), kind="stable")  # most are in order already
        begin, stop = own["begin"].to_numpy()[order], np.maximum.accumulate(own["stop"].to_numpy()[order])
        apart = begin[1:] > stop[:-1]
        begins, stops = np.append(begin[:1], begin[1:][apart]), np.append(stop[:-1][apart], stop[-1:])
        line = np.tile(np.array([1, 0], np.int32), len(begins))
        yield pl.DataFrame({"t": np.column_stack([begins, stops]).ravel(), f"wait:{pool.id}": line})


def _use(
    system: System, runs: pl.DataFrame, where: Sequence[str], span: Period, moments: Sequence[pl.Series]
) -> pl.DataFrame:
    """GPUs that runs have, per site and per pool, from each moment of the span at which they or `moments` change."""
    charged, held = pl.col("gpus") + pl.col("held_gpus"), system.charge == "node"
    lines = [
        *(_of("site", site, pl.col("gpus"), f"used@{site}") for site in where),
        *(_of("site", site, pl.col("held_gpus"), f"held@{site}") for site in where if held),
        *(_of("pool", pool, charged, f"use:{pool}") for pool in _payers(system)),
    ]
    running = runs.lazy().filter(pl.col("start").is_not_null() & (charged > 0))
    begin, stop = pl.max_horizontal("start", span.start), pl.col("start") + pl.col("elapsed")
    changes = running.select(begin.alias("begin"), stop.alias("stop"), *lines).collect()
    return _levels(changes, pl.concat(moments), span.end)


def _payers(system: System) -> list[str]:
    return [*(pool.id for pool in system.pools), *([OVERHEAD] if system.overhead else [])]


def _of(key: str, value: str, gpus: pl.Expr, line: str) -> pl.Expr:
    """The GPUs of the runs of one site or pool."""
    return pl.when(pl.col(key) == value).then(gpus).otherwise(0).alias(line)


def _levels(changes: pl.DataFrame, others: pl.Series, end: int) -> pl.DataFrame:
    """The running sums of what is added at `begin` and taken at `stop`, at each moment up to `end`, and at the others."""
    import numpy as np

    moments = np.concatenate([changes["begin"].to_numpy(), changes["stop"].to_numpy(), others.to_numpy()])
    order = np.argsort(moments, kind="stable")  # quick where much is in order already, as the begins are
    order = order[: np.searchsorted(moments, end, sorter=order)]
    times = moments[order]
    last = np.flatnonzero(np.diff(times, append=end))  # of those at the same moment
    none, found = np.zeros(len(others), np.int64), {"t": times[last]}
    for line in changes.columns[2:]:
        change = changes[line].to_numpy()
        found[line] = np.concatenate([change, -change, none])[order].cumsum()[last]
    return pl.DataFrame(found)


def _supply(frame: pl.DataFrame, system: System, site: str) -> pl.DataFrame:
    """Each GPU of a site in one line: what is away, reserved, idle has only the room that runs leave."""
    room = pl.lit(system.gpus(site), pl.Int64) - _sum(frame, f"used@{site}", f"held@{site}")
    frame = frame.with_columns(
        pl.max_horizontal(0, -room).alias(f"excess@{site}"), pl.max_horizontal(0, room).alias(f"idle@{site}")
    )
    for line in away_lines(system):
        if f"{line}@{site}" in frame.columns:
            room = pl.col(f"idle@{site}")
            taken = pl.min_horizontal(f"{line}@{site}", room)
            frame = frame.with_columns(taken.alias(f"{line}@{site}"), room - taken)
    reserved = [f"{line}@{site}" for line in away_lines(system) if line.startswith("reserved:")]
    return frame.with_columns(_sum(frame, *reserved).alias(f"reserved_idle@{site}"))


def _sum(frame: pl.DataFrame, *names: str) -> pl.Expr:
    """The sum of those of these columns that the frame has."""
    return pl.sum_horizontal(pl.lit(0, pl.Int64), *(name for name in names if name in frame.columns))


def _capacity(frame: pl.DataFrame, system: System) -> pl.DataFrame:
    """What was delivered, and what is charged to each pool beside its own runs."""
    left = system.gpus() - _sum(frame, *(f"{kind}@{site}" for kind in KINDS[:-1] for site in system.nodes))
    percent = system.overhead.cap_percent if system.overhead else 0
    beside, cap = _sum(frame, f"use:{OVERHEAD}"), system.gpus() * percent // 100
    within = pl.min_horizontal(beside, left, cap)
    booked = system.overhead.booked_to if system.overhead else None
    over = {pool.id: beside - within if pool.id == booked else 0 for pool in system.pools}
    idle = {pool.id: _sum(frame, *(f"reserved:{pool.id}@{site}" for site in system.nodes)) for pool in system.pools}
    return frame.with_columns(
        within.alias("overhead"),
        (left - within).alias("capacity"),
        *(pl.col(f"use:{pool.id}") + over[pool.id] + idle[pool.id] for pool in system.pools),
    )
