"""The commercial gauge: used (solid) and awarded (hatched) of a share, with a tick at each alarm, the last the ceiling.

The scale ends at five quarters of the ceiling, or at what is used and awarded where that is more; so the picture says how
near the ceiling is, and the words beside it the per cent. Parts add up to the width.
"""

from schmelz.units import split_by_weight
from schmelz.web.charts.svg import boxes, drawing, element, stripes
from schmelz.web.words import gpu_time, percent

WIDTH, HEIGHT = 2200, 64
ALARMS = (80, 90, 100)  # per cent of the ceiling


def scale(used: int, committed: int, ceiling: int) -> int:
    """What the whole width stands for, in GPU-seconds."""
    return max(1, used + committed, ceiling * 5 // 4)


def widths(used: int, committed: int, ceiling: int) -> tuple[int, ...]:
    """The widths of used, awarded and the rest; they add up to the whole width."""
    return split_by_weight(WIDTH, [used, committed, scale(used, committed, ceiling) - used - committed])


def ceiling_gauge(used: int, committed: int, ceiling: int, share: int, tint: str, key: str) -> str:
    """The gauge as SVG."""
    solid, hatched, _ = widths(used, committed, ceiling)
    whole = scale(used, committed, ceiling)
    ticks = [_tick(WIDTH * (ceiling * step // 100) // whole, step) for step in ALARMS] if ceiling else []
    said = (
        f"{gpu_time(used)} used and {gpu_time(committed)} awarded, together {percent(used + committed, share)} of the share; "
        f"the ceiling is {gpu_time(ceiling)}. The dashed lines are the first alarms, the full one is the ceiling."
    )
    return drawing(
        WIDTH,
        HEIGHT,
        "Commercial use against its ceiling",
        said,
        element("defs", stripes(f"{key}-awarded", tint, gap=16)),
        boxes([(0, 8, solid, HEIGHT - 16)], cls=f"{tint} flat"),
        boxes([(solid, 8, hatched, HEIGHT - 16)], fill=f"url(#{key}-awarded)"),
        element("rect", x=1, y=8, width=WIDTH - 2, height=HEIGHT - 16, cls="ink outline", stroke_width=1),
        *ticks,
        key=key,
    )


def _tick(x: int, step: int) -> str:
    last = step == ALARMS[-1]
    dashes = None if last else "6 4"
    return element("line", x1=x, x2=x, y1=0 if last else 8, y2=HEIGHT, cls="mid", stroke_dasharray=dashes)
