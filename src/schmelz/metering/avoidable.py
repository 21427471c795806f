"""Avoidable idle: GPUs that stay idle for longer than a scheduling cycle though the policy's own rule would fill them.

Each state of the window in which GPUs idle and eligible jobs wait is put to `rules.queue.next_starts`; n are the GPUs
that it would start jobs on. A GPU counts from the end of the first cycle on, for as long as n does not fall below it.
What records do not say is taken so that nobody is blamed wrongly: an unknown time limit is the longest of the cluster,
jobs of projects that have nothing left, jobs over two sites and jobs of nobody's account could not start. Whether a job
asked for the one site where it ran or for any, records do not say: the rule is asked both ways and the smaller answer
counts. What was cancelled before it started stood in the queue, but nobody is blamed for not starting it. No job starts
at a site of which nodes leave as planned (maintenance, a reservation) before its limit. Nodes are not looked at, only
the GPUs of a site, as the rule does.
Up to STATES states are put to the rule itself; more of them to the same rule, compiled (`fill_kernel`). None is left out.
Source: the definitions page, "avoidable idle".
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from schmelz.metering.flows import balances
from schmelz.metering.places import UNKNOWN
from schmelz.metering.segments import segments, waits
from schmelz.metering.supply import Outage
from schmelz.policy.schema import System
from schmelz.rules.levels import beyond
from schmelz.rules.queue import Running, State, Waiting, next_starts
from schmelz.rules.shares import dead_band
from schmelz.units import Period, days

PLANNED = frozenset({"maintenance", "reserved"})
FAR = 2**62
STATES = 20_000  # what the plain rule does in a few seconds, and compiling takes
PART_DAYS = 31  # a month in one part
NEEDED = ("job", "submit", "part", "pool", "project", "site", "nodes", "gpus", "held_gpus", "eligible", "start")
Row = Mapping[str, Any]


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
) -> int:
    """GPU-seconds of the span. `window_s`: the length of the whole window; `spent`: projects with nothing left."""
    parts = list(_parts(span, zone))
    states = _in_question(system, zone, attributed, outages, parts, spent, carry or {})
    if states.is_empty():
        return 0
    states = _closing(system, states, outages)
    band = dead_band(system.gpus() * window_s, system.sharing.dead_band_ppm)
    count = _compiled if states.height > STATES else _replayed
    filled = pl.concat([
        pl.Series(count(system, here, *_queue(system, attributed, part, spent, here["t"]), band), dtype=pl.Int64)
        for part in parts
        for here in [states.filter(pl.col("t").is_between(part.start, part.end, "left"))]
        if here.height
    ])  # fmt: skip
    seconds, cycle = states["dt"], system.sharing.cycle
    if states.height > STATES:
        from schmelz.metering import fill_kernel

        return int(fill_kernel.beyond(states["piece"].to_numpy(), seconds.to_numpy(), filled.to_numpy(), cycle))
    return beyond(states["piece"].to_list(), seconds.to_list(), filled.to_list(), cycle)


def _parts(span: Period, zone: ZoneInfo) -> Iterator[Period]:
    """The span in parts of whole days, so that a long one needs the memory of one part and of its states."""
    every = [day for _, day in days(span, zone)]
    for at in range(0, len(every), PART_DAYS):
        yield Period(every[at].start, every[at : at + PART_DAYS][-1].end)


def _in_question(
    system: System,
    zone: ZoneInfo,
    attributed: pl.DataFrame,
    outages: Sequence[Outage],
    parts: Sequence[Period],
    spent: frozenset[str],
    carry: Mapping[str, int],
) -> pl.DataFrame:
    """The segments, each with its `piece`, of all stretches over a cycle in which GPUs idle while jobs wait."""
    weights = {pool.id: pool.weight for pool in system.pools}
    owed, found = {pool: carry.get(pool, 0) * system.weight_sum for pool in weights}, []
    for part in parts:
        runs = _touching(attributed, system.id, part)
        asking = _asking(system, runs, part, spent)
        frame = segments(system, zone, runs, outages, part, (asking["begin"], asking["stop"]))
        grown = frame.lazy().select((line * pl.col("dt")).alias(pool) for pool, line in balances(weights).items())
        deficits = grown.select((pl.col(pool).cum_sum() + owed[pool]).alias(pool) for pool in weights).collect()
        before = [deficits[pool].shift(1, fill_value=owed[pool]).alias(f"deficit:{pool}") for pool in weights]
        found.append(_idle_though_asked(system, frame.with_columns(before)))
        owed = {pool: int(deficits[pool][-1]) for pool in weights}
    return _long(pl.concat(found), system.sharing.cycle) if found else pl.DataFrame()


def _idle_though_asked(system: System, frame: pl.DataFrame) -> pl.DataFrame:
    idle = pl.sum_horizontal(f"idle@{site}" for site in system.nodes) > 0
    asked = pl.any_horizontal(pl.col(f"wait:{pool.id}") > 0 for pool in system.pools)
    shown = ("t", "dt", "capacity", *(f"idle@{site}" for site in system.nodes))
    return frame.lazy().filter(idle & asked).select(*shown, *(f"deficit:{pool.id}" for pool in system.pools)).collect()


def _long(held: pl.DataFrame, cycle: int) -> pl.DataFrame:
    """The segments of stretches that last longer than a cycle; the `piece` is when the stretch began."""
    apart = pl.col("t").ne_missing((pl.col("t") + pl.col("dt")).shift(1))
    pieces = held.with_columns(piece=pl.when(apart).then("t").forward_fill())
    return pieces.filter(pl.col("dt").sum().over("piece") > cycle)


def _queue(
    system: System, attributed: pl.DataFrame, part: Period, spent: frozenset[str], moments: pl.Series
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Who waits and who runs at these moments of the part."""
    runs = _touching(attributed, system.id, part)
    return _met(_asking(system, runs, part, spent), moments), _met(_running(system, runs), moments)


def _touching(attributed: pl.DataFrame, system_id: str, span: Period) -> pl.DataFrame:
    known = (pl.col("eligible") <= span.end) | (pl.col("start") <= span.end)
    stays = pl.when(pl.col("start").is_not_null()).then(pl.col("start") + pl.col("elapsed")).otherwise("end")
    lasts = (pl.col("state") == "PENDING") | (stays > span.start)
    needed = (*NEEDED, "elapsed", "end", "state", "limit_s", "partition")
    return attributed.lazy().filter((pl.col("system") == system_id) & known & lasts).select(needed).collect()


def _asking(system: System, runs: pl.DataFrame, span: Period, spent: frozenset[str]) -> pl.DataFrame:
    """The jobs that wait and could be started by the rule, in the order of arrival."""
    once = pl.len().over("job", "submit") == 1
    may = pl.col("pool").cast(pl.String).is_in([pool.id for pool in system.pools])
    left = ~pl.col("project").cast(pl.String).is_in(list(spent))
    found = pl.concat([waits(runs, span).with_columns(counts=True), _cancelled(runs, span).with_columns(counts=False)])
    return found.filter(once & may & left).sort("eligible", "submit", "job")


def _cancelled(runs: pl.DataFrame, span: Period) -> pl.DataFrame:
    """The runs that waited in the span and never began."""
    begin, stop = pl.max_horizontal("eligible", span.start), pl.min_horizontal("end", span.end)
    never = pl.col("start").is_null() & (pl.col("state") != "PENDING") & (pl.col("gpus") > 0) & (begin < stop)
    return runs.filter(never).with_columns(begin.alias("begin"), stop.alias("stop"))


def _closing(system: System, states: pl.DataFrame, outages: Sequence[Outage]) -> pl.DataFrame:
    """Add `closes@<site>`: when nodes of it leave next as it was planned; FAR, if never."""
    site_of = {node: site for site, nodes in system.node_names.items() for node in nodes}
    planned = [
        (site_of[outage.node], outage.start)
        for outage in outages
        if outage.system == system.id and outage.kind in PLANNED and outage.node in site_of
    ]
    for site in system.nodes:
        begins = pl.Series("closes", [*sorted({start for where, start in planned if where == site}), FAR])
        states = states.with_columns(begins.gather(begins.search_sorted(states["t"], "right")).alias(f"closes@{site}"))
    return states


def _running(system: System, runs: pl.DataFrame) -> pl.DataFrame:
    begun = runs.filter(pl.col("start").is_not_null() & (pl.col("gpus") > 0))
    limit = pl.col("limit_s").fill_null(system.cluster.max_time)
    stop = pl.col("start") + pl.col("elapsed")
    return begun.with_columns(begin="start", stop=stop, ends=pl.col("start") + limit).sort("begin")


def _met(jobs: pl.DataFrame, moments: pl.Series) -> pl.DataFrame:
    """The jobs that wait, or run, at one of these moments."""
    first, after = moments.search_sorted(jobs["begin"], "left"), moments.search_sorted(jobs["stop"], "left")
    return jobs.filter(first < after)


def _compiled(system: System, states: pl.DataFrame, asking: pl.DataFrame, running: pl.DataFrame, band: int) -> Any:
    """The GPUs that the rule would start jobs on in each of the states."""
    from schmelz.metering import fill_kernel

    matrices = _numbers(system, states, asking, running)
    return fill_kernel.either_way(*matrices, len(system.nodes), band, system.sharing.floor_percent)


def _replayed(
    system: System, states: pl.DataFrame, asking: pl.DataFrame, running: pl.DataFrame, band: int
) -> list[int]:
    replay = _Replay(system, asking, running, band)
    return [replay.filled(row) for row in states.iter_rows(named=True)]


def _numbers(system: System, states: pl.DataFrame, asking: pl.DataFrame, running: pl.DataFrame) -> tuple[Any, Any, Any]:
    """The same in numbers alone, as `fill_kernel.filled` takes them; pools in the order of their names."""
    pools, sites = sorted(pool.id for pool in system.pools), list(system.nodes)
    charged, longest = pl.col("gpus") + pl.col("held_gpus"), system.cluster.max_time
    pool = _place("pool", pools)
    shown = [pl.col(f"{what}@{site}") for what in ("idle", "closes") for site in sites]
    shown += [pl.col(f"deficit:{name}") // system.weight_sum for name in pools]
    asks = ("begin", "stop", pool, charged, pl.col("limit_s").fill_null(longest), _place("site", sites).alias("only"))
    runs = ("begin", "stop", pool, charged, _place("site", sites).alias("where"), "ends")
    return (
        _whole(states, "t", "capacity", *shown),
        _whole(asking, *asks, "counts", pl.lit(0).alias("taken")),
        _whole(running, *runs),
    )


def _place(column: str, names: Sequence[str]) -> pl.Expr:
    return pl.col(column).cast(pl.String).replace_strict(names, list(range(len(names))), default=-1)


def _whole(frame: pl.DataFrame, *columns: str | pl.Expr) -> Any:
    return frame.select(columns).cast(pl.Int64).to_numpy(order="c", writable=True)


class _Replay:
    """Who waits and who runs, moved forward from state to state."""

    def __init__(self, system: System, asking: pl.DataFrame, running: pl.DataFrame, band: int) -> None:
        self.system, self.band = system, band
        self.waiting: dict[int, tuple[int, Waiting]] = {}
        self.cancelled = {str(number) for number, counts in enumerate(asking["counts"]) if not counts}
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
        found = self._counted(row, state, waiting)
        if not found:
            return 0
        anywhere = tuple(replace(job, sites=tuple(self.system.nodes)) for job in waiting)
        return min(found, self._counted(row, state, anywhere))

    def _counted(self, row: Row, state: State, waiting: Sequence[Waiting]) -> int:
        """The GPUs of what starts and counts, when no job runs on at a site that closes before its limit."""
        closes = {site: row[f"closes@{site}"] for site in self.system.nodes}
        state = replace(
            state,
            waiting=tuple(
                replace(job, sites=tuple(site for site in job.sites if state.now + job.limit <= closes[site]))
                for job in waiting
            ),
        )
        sizes = {job.job: job.gpus for job in waiting}
        return sum(sizes[start.job] for start in next_starts(state) if start.job not in self.cancelled)

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
