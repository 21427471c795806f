"""Where the GPUs of a system were: outages of nodes, and the lines of supply that add up to what is installed.

Each GPU stands in one line in each second, the first that matches: used > held > down > maintenance > drained >
reserved-idle > idle. A node that is away but still has a running job is *used* for the GPUs of that job, only the rest
is away. A run's GPUs lie evenly on its nodes (records say no more). Planned windows of the policy count like outages.
*excess* is what records claim beyond the installed GPUs: installed = the sum of the other lines - excess, per site.
Source: the definitions page, "Supply".
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Literal, get_args
from zoneinfo import ZoneInfo

import polars as pl

from schmelz.metering.places import Places
from schmelz.policy.fields import node_matches
from schmelz.policy.schema import System
from schmelz.units import Period

Kind = Literal["down", "maintenance", "drained", "reserved"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Gone = tuple[str, str, int, int]  # node, line of supply, from, until


@dataclass(frozen=True)
class Outage:
    """A node that is away from `start` until `end` (None: still), or reserved for a pool."""

    system: str
    node: str
    kind: Kind
    start: int
    end: int | None
    pool: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"node {self.node}: {self.kind!r} is no kind of outage; one of: {', '.join(KINDS)}")


@dataclass(frozen=True)
class Supply:
    """The lines of supply, in GPU-seconds."""

    used: int = 0
    held: int = 0
    down: int = 0
    maintenance: int = 0
    drained: int = 0
    reserved_idle: int = 0
    idle: int = 0
    excess: int = 0

    @property
    def installed(self) -> int:
        away = self.down + self.maintenance + self.drained
        return self.used + self.held + away + self.reserved_idle + self.idle - self.excess


def away_lines(system: System) -> tuple[str, ...]:
    """The lines that take GPUs from idle, in the order in which they match; reservations pool by pool."""
    return (*KINDS[:-1], *(f"reserved:{pool.id}" for pool in system.pools), "reserved:")


def planned(system: System, zone: ZoneInfo) -> tuple[Outage, ...]:
    """The maintenance windows of the policy as outages; a time without an offset is meant in `zone`."""
    return tuple(
        Outage(system.id, node, "maintenance", _epoch(window.start, zone), _epoch(window.end, zone))
        for window in system.maintenance
        for nodes in system.node_names.values()
        for node in nodes
        if node_matches(node, window.nodes)
    )


def _epoch(moment: datetime, zone: ZoneInfo) -> int:
    return int((moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp())


def away(system: System, runs: pl.DataFrame, outages: Iterable[Outage], span: Period) -> pl.DataFrame:
    """How many GPUs are away from each moment `t` on, per line and site (`down@north`); those in use stay.

    Lines and sites from which nothing is ever away have no column.
    """
    places, lines = Places(system), away_lines(system)
    rows = list(_clipped(system, places, outages, span))
    if not rows:
        return pl.DataFrame(schema={"t": pl.Int64})
    changes = pl.concat([_both_ends(rows, lines), *_busy(places, runs, rows, span)], how="diagonal")
    nodes = changes.group_by("node", "t").agg(pl.col("busy", *lines).sum()).sort("node", "t")
    nodes = nodes.with_columns(pl.col("busy", *lines).cum_sum().over("node"))
    free = pl.max_horizontal(0, system.gpus_per_node - pl.col("busy"))
    nodes = nodes.with_columns(pl.when(_first(line, lines)).then(free).otherwise(0).alias(line) for line in lines)
    nodes = nodes.with_columns(pl.col(line) - pl.col(line).shift(1).over("node").fill_null(0) for line in lines)
    site = pl.col("node").replace_strict(places.site_of_node, return_dtype=pl.String)
    gone = (
        nodes.filter(pl.any_horizontal(pl.col(line) != 0 for line in lines))
        .group_by("t")
        .agg(pl.col(line).filter(site == one).sum().alias(f"{line}@{one}") for line in lines for one in system.nodes)
        .sort("t")
        .with_columns(pl.exclude("t").cum_sum())
    )
    return gone.select("t", *(name for name in gone.columns[1:] if (gone[name] != 0).any()))


def _clipped(system: System, places: Places, outages: Iterable[Outage], span: Period) -> Iterator[Gone]:
    """The outages of installed nodes, inside the span."""
    pools = {pool.id for pool in system.pools}
    for outage in outages:
        line = outage.kind if outage.kind != "reserved" else f"reserved:{outage.pool if outage.pool in pools else ''}"
        start = max(outage.start, span.start)
        end = span.end if outage.end is None else min(outage.end, span.end)
        if outage.system == system.id and outage.node in places.site_of_node and start < end:
            yield outage.node, line, start, end


def _both_ends(rows: Sequence[Gone], lines: Sequence[str]) -> pl.DataFrame:
    ends = [
        (node, at, *(sign * (line == one) for one in lines))
        for node, line, start, end in rows
        for at, sign in ((start, 1), (end, -1))
    ]
    return pl.DataFrame(ends, schema={"node": pl.String, **dict.fromkeys(("t", *lines), pl.Int64)}, orient="row")


def _first(line: str, lines: Sequence[str]) -> pl.Expr:
    """Whether `line` is the first of `lines` that a node stands in."""
    before = lines[: lines.index(line)]
    return (pl.col(line) > 0) & pl.all_horizontal(pl.lit(True), *(pl.col(one) == 0 for one in before))


def _busy(places: Places, runs: pl.DataFrame, rows: Sequence[Gone], span: Period) -> tuple[pl.DataFrame, pl.DataFrame]:
    """When GPUs of the nodes that are away are taken and given back by runs (a whole node, where that is charged)."""
    gone = {
        node: (min(row[2] for row in group), max(row[3] for row in group))
        for node, found in groupby(sorted(rows), key=itemgetter(0))
        for group in [list(found)]
    }
    stop = pl.min_horizontal(pl.col("start") + pl.col("elapsed"), span.end)
    begin = pl.max_horizontal("start", span.start)
    running = runs.filter(pl.col("start").is_not_null() & (begin < stop)).select(
        "nodes", "site", "gpus", begin.alias("begin"), stop.alias("stop")
    )
    found = running.join(_nodes_of(places, running, gone), on=["nodes", "site"]).filter(
        (pl.col("begin") < pl.col("back")) & (pl.col("stop") > pl.col("away"))
    )
    whole = places.system.charge == "node"
    even = pl.col("gpus") // pl.col("of") + (pl.col("place") < pl.col("gpus") % pl.col("of")).cast(pl.Int64)
    gpus = pl.lit(places.system.gpus_per_node, pl.Int64) if whole else even
    taken = found.select("node", pl.col("begin").alias("t"), gpus.alias("busy"))
    return taken, found.select("node", pl.col("stop").alias("t"), (-gpus).alias("busy"))


def _nodes_of(places: Places, running: pl.DataFrame, gone: Mapping[str, tuple[int, int]]) -> pl.DataFrame:
    """For each node list: the nodes in it that go away, from when until when, and their place among its nodes there."""
    rows = []
    for node_list, site in running.select("nodes", "site").unique().iter_rows():
        here = [name for name in places.names(node_list) if places.site_of_node.get(name, site) == site]
        rows += [
            (node_list, site, name, place, len(here), *gone[name]) for place, name in enumerate(here) if name in gone
        ]
    schema = {
        "nodes": pl.Categorical,
        "site": pl.Categorical,
        "node": pl.String,
        **dict.fromkeys(("place", "of", "away", "back"), pl.Int64),
    }
    return pl.DataFrame(rows, schema=schema, orient="row")
