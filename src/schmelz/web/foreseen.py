"""From a what-if to its pictures: share over time, queue over time, waits by size of job; for pages and for the PDF."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from schmelz.operate.changes import day_of
from schmelz.operate.pdf import Picture, pdf
from schmelz.operate.told import statement
from schmelz.operate.whatif import Side, WhatIf
from schmelz.portal.policy import factory
from schmelz.twin.foreseen import Range
from schmelz.units import PPM, span
from schmelz.web.charts.lines import Line, lines, top
from schmelz.web.charts.pairs import pairs
from schmelz.web.charts.paper import Chart, colour, on_paper
from schmelz.web.words import number, percent

LOOKS = "Dashed: as things are; solid, with the range of the draws: with the change."


@dataclass(frozen=True)
class Bar:
    """A class of sizes: today and then, in words and as parts of the longest."""

    words: str
    today: str
    then: str
    today_part: int
    then_part: int


def charts(found: WhatIf) -> list[Chart]:
    """The lines of share and queue."""
    zone = factory().zone
    ends = day_of(max(found.as_of, found.period.start), zone), day_of(found.period.end - 1, zone)
    first, last = (end.partition(",")[0] for end in ends)
    sides = (found.today.forecast, found.then.forecast)
    shown = [v for side in sides for line in side.share.values() for one in line for v in (one.low, one.high)]
    known = [v for v in shown if v is not None] or [PPM // 2]
    span_of = (max(0, min(known) - 20_000) // 10_000 * 10_000, min(PPM, max(known) + 20_000))
    share = lines(
        "Part of the use so far, by pool",
        _words(found, "share"),
        _lines(found, "share"),
        span_of,
        [pool.weight * PPM // found.system.weight_sum for pool in found.system.pools],
        "share-lines",
    )
    most = top([one.high for side in sides for line in side.queue.values() for one in line])
    queue = lines(
        "Jobs that wait, by pool", _words(found, "queue"), _lines(found, "queue"), (0, most), (), "queue-lines"
    )
    return [
        Chart("Share over time", share, percent(span_of[1], PPM), percent(span_of[0], PPM), first, last),
        Chart("Queue over time", queue, f"{number(most)} jobs wait", "0", first, last),
    ]


def _lines(found: WhatIf, key: str) -> list[Line]:
    today = [
        Line(f"{pool.title}, today", pool.tint, _middle(found.today, key, pool.id), dashed=True)
        for pool in found.system.pools
    ]
    then = [
        Line(
            pool.title,
            pool.tint,
            _middle(found.then, key, pool.id),
            [one.low for one in _line(found.then, key, pool.id)],
            [one.high for one in _line(found.then, key, pool.id)],
        )
        for pool in found.system.pools
    ]
    return [*then, *today]


def _line(side: Side, key: str, pool: str) -> Sequence[Range]:
    found: Sequence[Range] = getattr(side.forecast, key)[pool]
    return found


def _middle(side: Side, key: str, pool: str) -> list[int | None]:
    return [one.median for one in _line(side, key, pool)]


def _words(found: WhatIf, key: str) -> str:
    """The ends of the lines in a sentence each."""
    said = []
    for pool in found.system.pools:
        before, after = (_middle(side, key, pool.id)[-1] for side in (found.today, found.then))
        shown = [
            ("nothing" if v is None else percent(v, PPM) if key == "share" else number(v)) for v in (before, after)
        ]
        said.append(f"{pool.title}: {shown[0]} at the end as things are, {shown[1]} with the change")
    return "; ".join(said) + f". {LOOKS}"


def bars(found: WhatIf) -> list[Bar]:
    """Mean waits by size of job."""
    rows = _classes(found)
    most = max((value for _, *pair in rows for value in pair if value is not None), default=0)
    return [
        Bar(f"{number(least)} GPUs or more", _wait(today), _wait(then), _part(today, most), _part(then, most))
        for least, today, then in rows
    ]


def _wait(value: int | None) -> str:
    return "no jobs" if value is None else span(value)


def _part(value: int | None, most: int) -> int:
    return 100 * (value or 0) // max(1, most)


def _classes(found: WhatIf) -> list[tuple[int, int | None, int | None]]:
    sides = (found.today.forecast.classes, found.then.forecast.classes)
    return [
        (least, *(side[least]["wait_mean_s"].median if least in side else None for side in sides))  # type: ignore[misc]
        for least in sorted({least for side in sides for least in side})
    ]


# -- on paper


def as_pdf(found: WhatIf) -> bytes:
    """The what-if as a document, with its charts."""
    policy, rows = factory(), _classes(found)
    most = max((value for _, *pair in rows for value in pair if value is not None), default=0)
    waits = pairs("Mean waits by size of job", "", [(today, then) for _, today, then in rows], most)
    names = ", ".join(number(least) for least, _, _ in rows)
    key = ", ".join(f"{pool.title} {colour(pool.tint)}" for pool in found.system.pools)
    made = [
        Picture(
            chart.title,
            on_paper(chart.svg),
            f"{chart.title}. {_alt(chart.svg)}",
            f"{chart.lower} to {chart.upper}, {chart.first} to {chart.last}. {key}. {LOOKS}",
        )
        for chart in charts(found)
    ]
    under = f"From top to bottom jobs of at least {names} GPUs. Hatched: as things are; solid: with the change."
    alt = "Mean waits by size of job; the numbers stand in the table of the same name."
    made.append(Picture("Mean waits by size of job", on_paper(waits), alt, f"{under} Full width: {span(most)}."))
    return pdf(statement(found), policy.factory.name, policy.zone, made)


def _alt(svg: str) -> str:
    match = re.search(r"<desc>(.*?)</desc>", svg)
    return match[1] if match else ""
