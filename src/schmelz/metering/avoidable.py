"""Avoidable idle: GPUs that stay idle for longer than a scheduling cycle though the policy's own rule would fill them.

Each state of the window in which GPUs idle and eligible jobs wait is put to `rules.queue.next_starts`; n are the GPUs
that it would start jobs on. A GPU counts from the end of the first cycle on, for as long as n does not fall below it.
What records do not say is taken so that nobody is blamed wrongly: an unknown time limit is the longest of the cluster,
jobs of projects that have nothing left, jobs over two sites and jobs of nobody's account could not start. A job whose
partition names no site may run at any. Nodes are not looked at, only the GPUs of a site, as the rule does.
The cost is bounded: at most STATES states are looked at; where there are more, the stretches are cut into hours of which
every k-th is looked at (`seen_ppm` of the time in question): then the figure is a lower bound.
Source: the definitions page, "avoidable idle".
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from schmelz.metering.fairness import stretches
from schmelz.metering.flows import flows
from schmelz.metering.places import UNKNOWN
from schmelz.metering.segments import segments, waits
from schmelz.metering.supply import Outage
from schmelz.policy.schema import System
from schmelz.rules.queue import Running, State, Waiting, next_starts
from schmelz.rules.shares import dead_band
from schmelz.units import HOUR, PPM, Period

STATES = 2_000
NEEDED = ("job", "submit", "part", "pool", "project", "site", "nodes", "gpus", "held_gpus", "eligible", "start")
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Avoidable:
    """GPU-seconds that were idle and need not have been, and how much of the time in question was looked at."""

    gpu_s: int
    seen_ppm: int


def avoidable(
    system: System,
    zone: ZoneInfo,
    attributed: pl.DataFrame,
    outages: Sequence[Outage],
    span: Period,
    *,
    window_s: int,
    spent: frozenset[str] = frozenset(),
    carry: Mapping[str, int] | None = None,
) -> Avoidable:
    """The avoidable idle of the span. `window_s`: the length of the whole window; `spent`: projects with nothing left."""
    runs = _touching(attributed, system.id, span)
    asking = _asking(system, runs, span, spent)
    frame = segments(system, zone, runs, outages, span, (asking["begin"], asking["stop"]))
    weights = {pool.id: pool.weight for pool in system.pools}
    frame = flows(frame, weights, dict(carry or {}))
    chosen, seen = _chosen(_in_question(system, frame, span))
    whole = system.gpus() * window_s
    moments = pl.Series([row["t"] for row in chosen], dtype=pl.Int64)
    asking, running = _met(asking, moments), _met(_running(system, runs), moments)
    replay = _Replay(system, asking, running, dead_band(whole, system.sharing.dead_band_ppm))
    filled = [(row["piece"], row["dt"], replay.filled(row)) for row in chosen]
    found = sum(
        _beyond([(dt, gpus) for _, dt, gpus in piece], system.sharing.cycle)
        for _, piece in groupby(filled, key=lambda one: one[0])
    )
    return Avoidable(found, seen)


def _touching(attributed: pl.DataFrame, system_id: str, span: Period) -> pl.DataFrame:
    known = pl.min_horizontal("eligible", "start") <= span.end
    lasts = pl.col("start").is_null() & (pl.col("state") == "PENDING") | (
        pl.col("start") + pl.col("elapsed") > span.start
    )
    needed = (*NEEDED, "elapsed", "state", "limit_s", "partition")
    return attributed.lazy().filter((pl.col("system") == system_id) & known & lasts).select(needed).collect()


def _asking(system: System, runs: pl.DataFrame, span: Period, spent: frozenset[str]) -> pl.DataFrame:
    """The jobs that wait and could be started by the rule, in the order of arrival."""
    once = pl.len().over("job", "submit") == 1
    may = pl.col("pool").cast(pl.String).is_in([pool.id for pool in system.pools])
    left = ~pl.col("project").cast(pl.String).is_in(list(spent))
    return waits(runs, span).filter(once & may & left).sort("eligible", "submit", "job")


def _running(system: System, runs: pl.DataFrame) -> pl.DataFrame:
    begun = runs.filter(pl.col("start").is_not_null() & (pl.col("gpus") > 0))
    limit = pl.col("limit_s").fill_null(system.cluster.max_time)
    stop = pl.col("start") + pl.col("elapsed")
    return begun.with_columns(begin="start", stop=stop, ends=pl.col("start") + limit).sort("begin")


def _met(jobs: pl.DataFrame, moments: pl.Series) -> pl.DataFrame:
    """The jobs that wait, or run, at one of these moments."""
    first, after = moments.search_sorted(jobs["begin"], "left"), moments.search_sorted(jobs["stop"], "left")
    return jobs.filter(first < after)


def _in_question(system: System, frame: pl.DataFrame, span: Period) -> pl.DataFrame:
    """The segments, each with its `piece`, of all stretches over a cycle in which GPUs idle while jobs wait."""
    idle = pl.sum_horizontal(f"idle@{site}" for site in system.nodes) > 0
    asked = pl.any_horizontal(pl.col(f"wait:{pool.id}") > 0 for pool in system.pools)
    long = stretches(frame, idle & asked, span.end).filter(pl.col("stop") - pl.col("begin") > system.sharing.cycle)
    found = frame.join_asof(long.select(pl.col("begin").alias("t"), pl.col("begin").alias("piece"), "stop"), on="t")
    shown = ("t", "dt", "capacity", "piece", *(f"idle@{site}" for site in system.nodes))
    return found.filter(pl.col("t") < pl.col("stop")).select(*shown, *(f"deficit:{pool.id}" for pool in system.pools))


def _chosen(states: pl.DataFrame) -> tuple[list[dict[str, Any]], int]:
    """The states that are looked at, and which part of the time they stand for."""
    if states.height <= STATES:
        return states.to_dicts(), PPM
    hour = pl.col("t") // HOUR
    cut = states.with_columns(piece=pl.struct("piece", hour.alias("hour")))
    some = cut.filter(hour.rank("dense") % -(-states.height // STATES) == 0)
    return some.to_dicts(), int(some["dt"].sum()) * PPM // int(states["dt"].sum())


class _Replay:
    """Who waits and who runs, moved forward from state to state."""

    def __init__(self, system: System, asking: pl.DataFrame, running: pl.DataFrame, band: int) -> None:
        self.system, self.band = system, band
        self.waiting: dict[int, tuple[int, Waiting]] = {}
        self.running: dict[int, tuple[int, Running]] = {}
        self.asks = enumerate(asking.iter_rows(named=True))
        self.begins = enumerate(running.iter_rows(named=True))
        self.next_ask, self.next_begin = next(self.asks, None), next(self.begins, None)

    def filled(self, row: Row) -> int:
        """The GPUs that the rule would start jobs on in the state at `row`."""
        self._forward(row["t"])
        waiting = tuple(job for _, job in self.waiting.values())
        free = {site: row[f"idle@{site}"] for site in self.system.nodes}
        if not waiting or min(job.gpus for job in waiting) > max(free.values(), default=0):
            return 0
        state = State(
            row["t"],
            row["capacity"],
            free,
            waiting,
            tuple(job for _, job in self.running.values()),
            {pool.id: row[f"deficit:{pool.id}"] // self.system.weight_sum for pool in self.system.pools},
            self.band,
            self.system.sharing.floor_percent,
        )
        sizes = {job.job: job.gpus for job in waiting}
        return sum(sizes[start.job] for start in next_starts(state))

    def _forward(self, moment: int) -> None:
        while self.next_ask and self.next_ask[1]["begin"] <= moment:
            number, row = self.next_ask
            self.waiting[number] = (row["stop"], self._waiting(number, row))
            self.next_ask = next(self.asks, None)
        while self.next_begin and self.next_begin[1]["begin"] <= moment:
            number, row = self.next_begin
            job = Running(str(number), row["pool"], row["gpus"] + row["held_gpus"], row["site"], row["ends"])
            self.running[number] = (row["stop"], job)
            self.next_begin = next(self.begins, None)
        self.waiting = {number: one for number, one in self.waiting.items() if one[0] > moment}
        self.running = {number: one for number, one in self.running.items() if one[0] > moment}

    def _waiting(self, number: int, row: Row) -> Waiting:
        limit = self.system.cluster.max_time if row["limit_s"] is None else row["limit_s"]
        sites = tuple(self.system.nodes) if row["site"] == UNKNOWN else (row["site"],)
        return Waiting(str(number), row["pool"], row["gpus"] + row["held_gpus"], limit, sites)


def _beyond(steps: Sequence[tuple[int, int]], cycle: int) -> int:
    """GPU-seconds beyond the first cycle: level by level, each stretch in which n stays at or above the level."""
    levels = sorted({gpus for _, gpus in steps if gpus > 0})
    return sum(
        (level - below) * max(0, length - cycle)
        for below, level in zip([0, *levels], levels, strict=False)
        for length in _lengths(steps, level)
    )


def _lengths(steps: Sequence[tuple[int, int]], level: int) -> Iterator[int]:
    for over, group in groupby(steps, key=lambda step: step[1] >= level):
        if over:
            yield sum(seconds for seconds, _ in group)
