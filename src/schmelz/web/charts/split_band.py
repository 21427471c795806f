"""The split band: whose the machine was, lent to whom, what was lost. A column per day, as high as what is installed.

Every pool has a lane as high as its share. In a lane, from the line that it shares with its neighbour outwards: what
others borrowed (hatched, in the borrower's colour), the pool's own use (solid), idle (empty), overhead and unassigned
use (thin hatching in grey), and at the far edge what was down or in maintenance (grey). So a borrower's colour crosses
the line.
Invariant: the parts of a lane add up to its height exactly, and the lanes to the height of the day.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from schmelz.units import split_by_weight
from schmelz.web.charts.svg import boxes, drawing, element, stripes, text
from schmelz.web.words import gpu_time, percent

HEIGHT = 1000
WIDTH = 2200


@dataclass(frozen=True)
class Lane:
    """A pool as the band shows it."""

    pool: str
    title: str
    tint: str
    weight: int


@dataclass(frozen=True)
class Column:
    """One day in GPU-seconds; `own`, `over` (borrowed and returned) and `lent` have one number per lane."""

    label: str
    installed: int
    own: tuple[int, ...]
    over: tuple[int, ...]
    lent: tuple[int, ...]
    other: int
    away: int


@dataclass(frozen=True)
class Part:
    """A stretch of a lane, from `start` outwards, in the units of the column."""

    kind: str
    tint: str
    start: int
    size: int


def parts_of(column: Column, lanes: Sequence[Lane]) -> tuple[tuple[Part, ...], ...]:
    """The parts of each lane of a column, from the line outwards, in GPU-seconds; they add up to its share."""
    weights = [lane.weight for lane in lanes]
    share = split_by_weight(column.installed, weights)
    away, other = split_by_weight(column.away, weights), split_by_weight(column.other, weights)
    return tuple(_lane(column, lanes, i, share[i], away[i], other[i]) for i in range(len(lanes)))


def _lane(column: Column, lanes: Sequence[Lane], i: int, share: int, away: int, other: int) -> tuple[Part, ...]:
    lent = split_by_weight(column.lent[i], [0 if j == i else over for j, over in enumerate(column.over)])
    wanted = [("lent", lanes[j].tint, size) for j, size in enumerate(lent)]
    wanted.append(("own", lanes[i].tint, column.own[i]))
    # a lane holds no more than its share: what is down has its place first, then what was used
    room = share - min(away, share)
    parts, start = [], 0
    for kind, tint, size in wanted:
        fits = min(size, room - start)
        parts.append(Part(kind, tint, start, fits))
        start += fits
    beside = min(other, room - start)
    parts.append(Part("idle", "", start, room - start - beside))
    parts.append(Part("other", "slag", room - beside, beside))
    parts.append(Part("away", "slag", room, share - room))
    return tuple(part for part in parts if part.size)


def split_band(lanes: Sequence[Lane], columns: Sequence[Column], title: str, key: str = "band") -> str:
    """The band as SVG."""
    shapes: dict[tuple[str, str], list[tuple[int, int, int, int]]] = {}
    edges = split_by_weight(HEIGHT, [lane.weight for lane in lanes])
    names = []
    for number, column in enumerate(columns):
        left, right = WIDTH * number // len(columns), WIDTH * (number + 1) // len(columns)
        for i, parts in enumerate(parts_of(column, lanes)):
            for part in parts:
                top, bottom = _place(part, i, edges, column.installed, lanes)
                shapes.setdefault((part.kind, part.tint), []).append((left, top, right - left, bottom - top))
        names.append(
            element(
                "rect", text("title", told(column, lanes)), x=left, y=0, width=right - left, height=HEIGHT, cls="clear"
            )
        )
    drawn = [_draw(kind, tint, found, key) for (kind, tint), found in sorted(shapes.items()) if kind != "idle"]
    lines = [
        element("line", x1=0, x2=WIDTH, y1=sum(edges[:i]), y2=sum(edges[:i]), cls="mid") for i in range(1, len(lanes))
    ]
    patterns = [stripes(f"{key}-{lane.tint}", lane.tint, gap=16) for lane in lanes]
    return drawing(
        WIDTH,
        HEIGHT,
        title,
        _described(lanes, columns),
        element("defs", *dict.fromkeys(patterns), stripes(f"{key}-slag", "slag", turn=0, gap=16)),
        *drawn,
        *lines,
        *names,
        key=key,
    )


def _place(part: Part, lane: int, edges: Sequence[int], installed: int, lanes: Sequence[Lane]) -> tuple[int, int]:
    """Top and bottom of a part: the first lane grows upwards from its lower edge, all others downwards."""
    share = max(1, split_by_weight(installed, [each.weight for each in lanes])[lane])
    begin, end = (edges[lane] * at // share for at in (part.start, part.start + part.size))
    above = sum(edges[:lane])
    return (edges[0] - end, edges[0] - begin) if lane == 0 else (above + begin, above + end)


def _draw(kind: str, tint: str, found: list[tuple[int, int, int, int]], key: str) -> str:
    if kind in ("own", "away"):
        return boxes(found, cls=f"{tint} flat")
    return boxes(found, fill=f"url(#{key}-{tint})")


def told(column: Column, lanes: Sequence[Lane]) -> str:
    """One day in words."""
    rows = [
        f"{lane.title}: own {percent(own, column.installed)}, over its share {percent(over, column.installed)}"
        for lane, own, over in zip(lanes, column.own, column.over, strict=True)
    ]
    used = sum(column.own) + sum(column.over) + column.other
    idle = column.installed - used - column.away
    return "; ".join(
        [
            f"{column.label}: {gpu_time(column.installed)} installed",
            *rows,
            f"idle {percent(max(0, idle), column.installed)}",
            f"down {percent(column.away, column.installed)}",
        ]
    )


def _described(lanes: Sequence[Lane], columns: Sequence[Column]) -> str:
    if not columns:
        return "Nothing to show yet."
    up = f"{lanes[0].title} from the line upwards"
    down = "".join(f", {lane.title} downwards" for lane in lanes[1:])
    return (
        f"One column per day from {columns[0].label} to {columns[-1].label}; full height is what is installed. "
        f"{up}{down}. "
        "Solid: own use. Hatched: borrowed, in the borrower's colour. Empty: idle. Grey: down or in maintenance."
    )


def swatch(kind: str, tint: str, key: str) -> str:
    """A key of the legend: the same pattern on a small ground. Decoration beside its words."""
    ground = element("rect", width=24, height=14, cls="paper")
    inside = (
        ""
        if kind == "idle"
        else boxes([(0, 0, 24, 14)], cls=f"{tint} flat")
        if kind in ("own", "away")
        else stripes(f"{key}-{kind}-{tint}", tint, turn=0 if kind == "other" else 45, gap=6)
        + boxes([(0, 0, 24, 14)], fill=f"url(#{key}-{kind}-{tint})")
    )
    return element("svg", ground, inside, xmlns="http://www.w3.org/2000/svg", viewBox="0 0 24 14", aria_hidden="true")
