"""Pairs of bars, one pair for each class: what it is today above what it would be. Words stand in the table beside them."""

from collections.abc import Sequence

from schmelz.web.charts.svg import boxes, drawing, element, stripes

WIDTH, BAR, GAP = 2200, 26, 14


def pairs(title: str, said: str, values: Sequence[tuple[int | None, int | None]], most: int, key: str = "pairs") -> str:
    """All pairs as SVG, one below the other; the first of each hatched, the second solid. `most`: a full width."""
    step = 2 * BAR + GAP
    drawn = [
        (place * step + half * BAR, WIDTH * value // max(1, most))
        for place, pair in enumerate(values)
        for half, value in enumerate(pair)
        if value is not None
    ]
    today = [(0, y, max(2, width), BAR) for y, width in drawn if y % step == 0]
    then = [(0, y, max(2, width), BAR) for y, width in drawn if y % step]
    patterns = element("defs", stripes(f"{key}-today", "slag", gap=20))
    return drawing(
        WIDTH,
        max(1, len(values)) * step,
        title,
        said,
        patterns,
        boxes(today, fill=f"url(#{key}-today)"),
        boxes(then, cls="ink flat"),
        key=key,
    )
