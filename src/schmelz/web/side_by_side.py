"""Policies side by side: tables and pictures of several runs of the same jobs, for the page, the terminal and the PDF."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from schmelz.metering.statement import Column, Statement, Table, Value
from schmelz.operate.changes import day_of
from schmelz.operate.pdf import Picture, pdf
from schmelz.operate.ranges import MACHINE_ROWS, range_said
from schmelz.twin.foreseen import Forecast
from schmelz.units import PPM, local_date
from schmelz.web.charts.lines import Line, lines, top
from schmelz.web.charts.paper import Chart, colour, on_paper
from schmelz.web.words import number, percent

TINTS = ("iron", "ember", "moss", "plum")
ROWS = (("wait_mean_s", "mean wait"), ("wait_p95_s", "95 of 100 wait at most"), ("share_ppm", "part of the use"))


@dataclass(frozen=True)
class Side:
    """A pool as it is shown."""

    id: str
    title: str
    tint: str
    weight: int


def statement(
    title: str,
    name: str,
    as_of: int,
    pools: Sequence[Side],
    found: Mapping[str, Forecast],
    facts: Sequence[str],
    zone: ZoneInfo,
) -> Statement:
    """All figures as a document, one column for each policy."""
    heads = (Column("what", "what"), *(Column(policy, policy) for policy in found))

    def row(words: str, key: str, of: Sequence[Mapping[str, object]]) -> tuple[Value, ...]:
        return (words, *(range_said(key, one[key], 1, zone) for one in of))  # type: ignore[arg-type]

    machine = [row(words, key, [one.machine for one in found.values()]) for key, words in MACHINE_ROWS]
    tables = [Table("machine", "The machine", heads, tuple(machine))]
    for pool in pools:
        rows = [row(words, key, [one.pools[pool.id] for one in found.values()]) for key, words in ROWS]
        tables.append(Table(f"pool-{pool.id}", pool.title, heads, tuple(rows)))
    every = sorted({least for one in found.values() for least in one.classes})
    sizes = [
        (
            f"{number(least)} GPUs or more",
            *(range_said("wait_mean_s", one.classes[least]["wait_mean_s"], 1, zone) if least in one.classes else "no jobs"
              for one in found.values()),
        )
        for least in every
    ]  # fmt: skip
    tables.append(Table("sizes", "Mean waits by size of job", heads, tuple(sizes)))
    tables += [
        _series(key, words, pools, found, zone)
        for key, words in (("share", "Part of the use so far"), ("queue", "Jobs that wait"))
    ]
    return Statement("side-by-side", name, title, as_of, tuple(("about", text) for text in facts), tuple(tables))


def _series(key: str, words: str, pools: Sequence[Side], found: Mapping[str, Forecast], zone: ZoneInfo) -> Table:
    heads = [Column(f"{policy}_{pool.id}", f"{policy}: {pool.title}") for policy in found for pool in pools]
    name = "share_ppm" if key == "share" else "jobs"
    moments = next(iter(found.values())).moments
    rows: list[tuple[Value, ...]] = [
        (
            local_date(moment - 1, zone),
            *(range_said(name, getattr(one, key)[pool.id][at], 1, zone) for one in found.values() for pool in pools),
        )
        for at, moment in enumerate(moments)
    ]
    return Table(key, words, (Column("day", "by the end of", "day"), *heads), tuple(rows))


def charts(
    pools: Sequence[Side], found: Mapping[str, Forecast], start: int, zone: ZoneInfo
) -> list[tuple[str, list[Chart]]]:
    """Share and queue over time of every policy, all on the same scales."""
    most = top([one.median for seen in found.values() for line in seen.queue.values() for one in line])
    weights = sum(pool.weight for pool in pools)
    marks = [pool.weight * PPM // weights for pool in pools]
    made = []
    for policy, seen in found.items():
        first, last = (day_of(at, zone).partition(",")[0] for at in (start, seen.moments[-1] - 1))
        share = _drawn(f"Part of the use under {policy}", "share", pools, seen, (0, PPM), marks, policy)
        queue = _drawn(f"Jobs that wait under {policy}", "queue", pools, seen, (0, most), (), policy)
        made.append(
            (
                policy,
                [
                    Chart(f"Share over time, {policy}", share, percent(PPM, PPM), percent(0, PPM), first, last),
                    Chart(f"Queue over time, {policy}", queue, f"{number(most)} jobs wait", "0", first, last),
                ],
            )
        )
    return made


def _drawn(
    title: str,
    key: str,
    pools: Sequence[Side],
    seen: Forecast,
    span: tuple[int, int],
    marks: Sequence[int],
    policy: str,
) -> str:
    shown = [Line(pool.title, pool.tint, [one.median for one in getattr(seen, key)[pool.id]]) for pool in pools]
    ends = [(pool.title, line.values[-1]) for pool, line in zip(pools, shown, strict=True)]
    words = "; ".join(
        f"{name}: {'nothing' if v is None else percent(v, PPM) if key == 'share' else number(v)}" for name, v in ends
    )
    return lines(title, f"At the end {words}.", shown, span, marks, f"{key}-{policy}")


def as_pdf(
    document: Statement, pools: Sequence[Side], found: Mapping[str, Forecast], start: int, author: str, zone: ZoneInfo
) -> bytes:
    """The document with its charts."""
    key = ", ".join(f"{pool.title} {colour(pool.tint)}" for pool in pools)
    made = [
        Picture(chart.title, on_paper(chart.svg), f"{chart.title}; the numbers stand in the tables.",
                f"{chart.lower} to {chart.upper}, {chart.first} to {chart.last}. {key}.")
        for _, both in charts(pools, found, start, zone)
        for chart in both
    ]  # fmt: skip
    return pdf(document, author, zone, made)
