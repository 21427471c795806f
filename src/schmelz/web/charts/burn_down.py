"""The burn-down of a grant: what is left day by day (solid), against an even plan (dashed) and the pacing (steps).

From left to right the project's time, from top to bottom the grant: a line that lies above the dashed one is behind the
plan. Where the grant may be used at any time there are no steps. The stretch after the last known day is empty.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from schmelz.web.charts.svg import drawing, element
from schmelz.web.words import gpu_time

WIDTH, HEIGHT = 2200, 600


@dataclass(frozen=True)
class Burn:
    """A grant from `start` to `end`; `used` are (moment, GPU-seconds used by then), `budgets` (moment, allowed from then)."""

    grant: int
    start: int
    end: int
    used: Sequence[tuple[int, int]]
    budgets: Sequence[tuple[int, int]]


def burn_down(burn: Burn, tint: str, key: str = "burn-down") -> str:
    """The chart as SVG."""
    edge = element("rect", x=1, y=1, width=WIDTH - 2, height=HEIGHT - 2, cls="ink outline", stroke_width=1)
    even = element("line", x1=0, y1=0, x2=WIDTH, y2=HEIGHT, cls="mid", stroke_dasharray="6 4")
    return drawing(
        WIDTH, HEIGHT, "What is left of the grant, day by day", described(burn), area(burn, tint), edge, even,
        steps(burn), key=key,
    )  # fmt: skip


def place(burn: Burn, moment: int, used: int) -> tuple[int, int]:
    """Where a moment and what was used by then stand in the picture."""
    x = WIDTH * min(max(0, moment - burn.start), burn.end - burn.start) // max(1, burn.end - burn.start)
    return x, HEIGHT * min(max(0, used), burn.grant) // max(1, burn.grant)


def area(burn: Burn, tint: str) -> str:
    """What was left, from the line down to nothing."""
    points = [place(burn, moment, used) for moment, used in burn.used]
    if len(points) < 2:
        return ""
    line = "".join(f"L{x} {y}" for x, y in points[1:])
    return element(
        "path",
        d=f"M{points[0][0]} {points[0][1]}{line}V{HEIGHT}H{points[0][0]}z",
        cls=f"{tint} flat",
        fill_opacity="0.85",
    )


def steps(burn: Burn) -> str:
    """How far the pacing lets the grant go down, month by month."""
    if not burn.budgets:
        return ""
    points = [place(burn, moment, allowed) for moment, allowed in burn.budgets]
    drawn = "".join(f"H{x}V{y}" for x, y in points[1:])
    return element("path", d=f"M{points[0][0]} {points[0][1]}{drawn}H{WIDTH}", cls="mid outline", stroke_width=2)


def described(burn: Burn) -> str:
    used = burn.used[-1][1] if burn.used else 0
    paced = " The steps are the pacing: use below them has to wait for the next month." if burn.budgets else ""
    return (
        f"Of {gpu_time(burn.grant)}, {gpu_time(burn.grant - used)} are left. The dashed line is an even plan: above it less "
        f"was used than planned, below it more.{paced}"
    )
