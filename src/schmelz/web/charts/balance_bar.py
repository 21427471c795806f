"""The balance bar of a project: settled (solid), running (dense hatching), committed (light hatching), left (empty).

Full width is the grant; where more is committed than was granted, the bar ends in a red stretch beyond the grant. A
tick shows how much of the project's time has passed, so that use and time can be compared. Parts add up to the width.
"""

from dataclasses import dataclass

from schmelz.units import split_by_weight
from schmelz.web.charts.svg import boxes, drawing, element, stripes
from schmelz.web.words import gpu_time

WIDTH, HEIGHT = 2200, 80


@dataclass(frozen=True)
class Bar:
    """A balance in GPU-seconds; `time_ppm` is how much of the project's time has passed, in millionths."""

    grant: int
    settled: int
    running: int
    committed: int
    left: int
    time_ppm: int


def widths(bar: Bar) -> dict[str, int]:
    """The width of each part; they add up to the whole width exactly."""
    taken = [bar.settled, bar.running, bar.committed]
    within, room = [], bar.grant
    for size in taken:
        within.append(max(0, min(size, room)))
        room -= within[-1]
    parts = split_by_weight(WIDTH, [*within, max(0, bar.left), max(0, -bar.left)])
    return dict(zip(("settled", "running", "committed", "left", "beyond"), parts, strict=True))


def balance_bar(bar: Bar, tint: str, key: str = "balance-bar") -> str:
    """The bar as SVG."""
    drawn, start = [], 0
    looks = {
        "settled": {"cls": f"{tint} flat"},
        "running": {"fill": f"url(#{key}-running)"},
        "committed": {"fill": f"url(#{key}-committed)"},
        "beyond": {"cls": "stopped flat"},
    }
    for part, width in widths(bar).items():
        if part in looks:
            drawn.append(boxes([(start, 0, width, HEIGHT)], **looks[part]))
        start += width
    edge = element("rect", x=1, y=1, width=WIDTH - 2, height=HEIGHT - 2, cls=f"{tint} outline", stroke_width=2)
    passed = WIDTH * max(0, min(bar.time_ppm, 10**6)) // 10**6
    tick = element("line", x1=passed, x2=passed, y1=0, y2=HEIGHT, cls="mid", stroke_dasharray="6 4")
    said = (
        f"Of {gpu_time(bar.grant)}: {gpu_time(bar.settled)} settled, {gpu_time(bar.running)} running, "
        f"{gpu_time(bar.committed)} committed, {gpu_time(bar.left)} left. The dashed line is the time that has passed."
    )
    patterns = element(
        "defs", stripes(f"{key}-running", tint, gap=16), stripes(f"{key}-committed", tint, turn=135, gap=32)
    )
    return drawing(WIDTH, HEIGHT, "Balance", said, patterns, *drawn, edge, tick, key=key)
