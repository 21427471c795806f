"""The gauge: how the use of the window was shared; a tick marks every border between the agreed shares."""

from collections.abc import Sequence

from schmelz.units import split_by_weight
from schmelz.web.charts.split_band import Lane
from schmelz.web.charts.svg import boxes, drawing, element
from schmelz.web.words import percent

WIDTH, HEIGHT = 2200, 64


def widths(used: Sequence[int]) -> tuple[int, ...]:
    """The width of each pool's part; they add up to the whole width, or are all 0 before anything was used."""
    return split_by_weight(WIDTH, used)


def gauge(lanes: Sequence[Lane], used: Sequence[int], key: str = "gauge") -> str:
    """The gauge as SVG."""
    drawn, start = [], 0
    for lane, width in zip(lanes, widths(used), strict=True):
        drawn.append(boxes([(start, 8, width, HEIGHT - 16)], cls=f"{lane.tint} flat"))
        start += width
    agreed = split_by_weight(WIDTH, [lane.weight for lane in lanes])
    ticks = [
        element("line", x1=sum(agreed[:i]), x2=sum(agreed[:i]), y1=0, y2=HEIGHT, cls="mid")
        for i in range(1, len(lanes))
    ]
    edge = element("rect", x=1, y=8, width=WIDTH - 2, height=HEIGHT - 16, cls="ink outline", stroke_width=1)
    total = sum(used)
    said = ", ".join(
        f"{lane.title} {percent(part, total)} of the use against {percent(lane.weight, sum(x.weight for x in lanes))} "
        "agreed"
        for lane, part in zip(lanes, used, strict=True)
    )
    return drawing(WIDTH, HEIGHT, "Use against the agreed shares", said, *drawn, edge, *ticks, key=key)
