"""Lines over time: one for each pool, with the range of the draws hatched behind it, and level marks where shares are agreed.

What is compared with (today) is drawn dashed and thin, what is asked about solid. Time runs evenly from left to right;
a moment without a value breaks the line. The axis stands under the picture as words, the numbers in a table below it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from schmelz.web.charts.svg import drawing, element, stripes

WIDTH, HEIGHT = 2200, 600


@dataclass(frozen=True)
class Line:
    """One line: its values from left to right, and where the range of the draws ends (empty: none is drawn)."""

    title: str
    tint: str
    values: Sequence[int | None]
    low: Sequence[int | None] = ()
    high: Sequence[int | None] = ()
    dashed: bool = False


def lines(
    title: str, said: str, drawn: Sequence[Line], span: tuple[int, int], marks: Sequence[int] = (), key: str = "lines"
) -> str:
    """The chart as SVG. `span`: the values at the lower and the upper edge."""
    patterns, ranges, strokes = [], [], []
    for number, line in enumerate(drawn):
        if line.low:
            patterns.append(stripes(f"{key}-{number}", line.tint, turn=45 if number % 2 else 135, gap=12))
            ranges += [
                element("path", d=path, fill=f"url(#{key}-{number})", cls="faint") for path in _between(line, span)
            ]
        look = {"stroke_dasharray": "14 10"} if line.dashed else {}
        strokes += [
            element("polyline", points=points, cls=f"{line.tint} outline {'thin' if line.dashed else 'thick'}", **look)
            for points in _runs(line.values, span)
        ]
    levels = [
        element("line", x1=0, x2=WIDTH, y1=_y(mark, span), y2=_y(mark, span), cls="mid", stroke_dasharray="2 6")
        for mark in marks
    ]
    defs = element("defs", *patterns) if patterns else ""
    return drawing(WIDTH, HEIGHT, title, said, defs, *ranges, *levels, *strokes, key=key)


def top(values: Sequence[int | None]) -> int:
    """A round number not below any of the values, for the upper edge."""
    most = max((value for value in values if value is not None), default=0)
    size = int(10 ** max(0, len(str(most)) - 1))
    return next(step * size for step in (1, 2, 3, 4, 5, 6, 8, 10, 12) if step * size >= max(most, 1))


def _x(place: int, count: int) -> int:
    return WIDTH * place // max(1, count - 1)


def _y(value: int, span: tuple[int, int]) -> int:
    low, high = span
    return HEIGHT - HEIGHT * (min(max(value, low), high) - low) // max(1, high - low)


def _runs(values: Sequence[int | None], span: tuple[int, int]) -> Iterator[str]:
    """The points of each unbroken part; a part of one point is a short stroke."""
    part: list[str] = []
    for place, value in enumerate((*values, None)):
        if value is not None:
            part.append(f"{_x(place, len(values))},{_y(value, span)}")
        elif part:
            yield " ".join(part if len(part) > 1 else part * 2)
            part = []


def _between(line: Line, span: tuple[int, int]) -> Iterator[str]:
    """The areas between low and high."""
    part: list[tuple[int, int, int]] = []
    for place, (low, high) in enumerate((*zip(line.low, line.high, strict=True), (None, None))):
        if low is not None and high is not None:
            part.append((_x(place, len(line.low)), _y(low, span), _y(high, span)))
        elif part:
            there = " ".join(f"{x},{above}" for x, _, above in part)
            back = " ".join(f"{x},{below}" for x, below, _ in reversed(part))
            yield f"M{there} L{back}z"
            part = []
