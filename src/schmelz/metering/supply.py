"""Where the GPUs of a system were: outages of nodes, and the lines of supply that add up to what is installed.

Each GPU stands in one line in each second, the first that matches: used > held > down > maintenance > drained >
reserved-idle > idle. A node that is away but still has a running job is *used* for the GPUs of that job, only the rest is
away. A run's GPUs lie evenly on its nodes (records say no more). Planned windows of the policy count like outages.
*excess* is what records claim beyond the installed GPUs: installed = the sum of the other lines - excess, per site.
Source: the definitions page, "Supply".
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args
from zoneinfo import ZoneInfo

import polars as pl

from schmelz.metering.attribute import Places
from schmelz.policy.fields import node_matches
from schmelz.policy.schema import System
from schmelz.units import Period

Kind = Literal["down", "maintenance", "drained", "reserved"]
KINDS: tuple[Kind, ...] = get_args(Kind)
CHANGES: dict[str, pl.DataType] = {"t": pl.Int64(), "line": pl.String(), "delta": pl.Int64()}


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
    return tuple(Outage(system.id, node, "maintenance", _epoch(window.start, zone), _epoch(window.end, zone))
                 for window in system.maintenance for nodes in system.node_names.values() for node in nodes
                 if node_matches(node, window.nodes))


def _epoch(moment: datetime, zone: ZoneInfo) -> int:
    return int((moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp())


def away(system: System, runs: pl.DataFrame, outages: Iterable[Outage], span: Period) -> pl.DataFrame:
    """How many GPUs go away and come back at each moment, per line and site (`down@north`), those in use left out."""
    places = Places(system)
    rows = list(_clipped(system, places, outages, span))
    if not rows:
        return pl.DataFrame(schema=CHANGES)
    changes = pl.concat([_both_ends(rows), _busy(places, runs, {node for node, *_ in rows}, span)])
    lines = away_lines(system)
    nodes = changes.pivot("line", on_columns=["busy", *lines], index=["node", "t"], values="delta",
                          aggregate_function="sum").fill_null(0).sort("node", "t")
    nodes = nodes.with_columns(pl.col("busy", *lines).cum_sum().over("node"))
    free = pl.max_horizontal(0, system.gpus_per_node - pl.col("busy"))
    nodes = nodes.with_columns(pl.when(_first(line, lines)).then(free).otherwise(0).alias(line) for line in lines)
    nodes = nodes.with_columns(pl.col(line) - pl.col(line).shift(1).over("node").fill_null(0) for line in lines)
    sites = pl.col("node").replace_strict(places.site_of_node, return_dtype=pl.String)
    return nodes.with_columns(sites.alias("site")).unpivot(lines, index=["t", "site"], variable_name="line",
                                                           value_name="delta") \
        .filter(pl.col("delta") != 0).select("t", pl.format("{}@{}", "line", "site").alias("line"), "delta")


def _clipped(system: System, places: Places, outages: Iterable[Outage], span: Period) -> Iterator[tuple[str, str, int, int]]:
    """(node, line, start, end) of the outages of installed nodes, inside the span."""
    pools = {pool.id for pool in system.pools}
    for outage in outages:
        line = outage.kind if outage.kind != "reserved" else f"reserved:{outage.pool if outage.pool in pools else ''}"
        start = max(outage.start, span.start)
        end = span.end if outage.end is None else min(outage.end, span.end)
        if outage.system == system.id and outage.node in places.site_of_node and start < end:
            yield outage.node, line, start, end


def _both_ends(rows: Sequence[tuple[str, str, int, int]]) -> pl.DataFrame:
    ends = [(node, at, line, sign) for node, line, start, end in rows for at, sign in ((start, 1), (end, -1))]
    return pl.DataFrame(ends, schema={"node": pl.String, **CHANGES}, orient="row")


def _first(line: str, lines: Sequence[str]) -> pl.Expr:
    """Whether `line` is the first of `lines` that a node stands in."""
    before = lines[:lines.index(line)]
    return (pl.col(line) > 0) & pl.all_horizontal(pl.lit(True), *(pl.col(one) == 0 for one in before))


def _busy(places: Places, runs: pl.DataFrame, nodes: set[str], span: Period) -> pl.DataFrame:
    """When GPUs of the nodes that are away are taken and given back by runs (a whole node, where that is charged)."""
    stop = pl.min_horizontal(pl.col("start") + pl.col("elapsed"), span.end)
    running = runs.filter(stop > pl.max_horizontal("start", span.start)).select("nodes", "site", "start", "gpus",
                                                                               stop.alias("stop"))
    rows = []
    for node_list, site in running.select("nodes", "site").unique().iter_rows():
        here = [name for name in places.names(node_list) if places.site_of_node.get(name, site) == site]
        rows += [(node_list, site, name, place, len(here)) for place, name in enumerate(here) if name in nodes]
    schema = {"nodes": pl.String, "site": pl.String, "node": pl.String, "place": pl.Int64, "of": pl.Int64}
    found = running.join(pl.DataFrame(rows, schema=schema, orient="row"), on=["nodes", "site"])
    whole = places.system.charge == "node"
    even = pl.col("gpus") // pl.col("of") + (pl.col("place") < pl.col("gpus") % pl.col("of")).cast(pl.Int64)
    gpus = pl.lit(places.system.gpus_per_node, pl.Int64) if whole else even
    return pl.concat([
        found.select("node", pl.max_horizontal("start", span.start).alias("t"), pl.lit("busy").alias("line"),
                     gpus.alias("delta")),
        found.select("node", pl.col("stop").alias("t"), pl.lit("busy").alias("line"), (-gpus).alias("delta"))])
