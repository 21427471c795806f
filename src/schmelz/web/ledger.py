"""What the split page says beside the picture: the way ahead, how each side was treated, checkpoints, commercial use and
the closed months. Sentences and rows for the template; every figure is one of `schmelz split --json` or of a closing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils.safestring import SafeString

from schmelz.metering.feasibility import Feasibility
from schmelz.metering.gauge import STEPS, Gauge
from schmelz.metering.split import PoolSplit, Split
from schmelz.policy.schema import System
from schmelz.portal.ledger.models import Closing
from schmelz.portal.ledger.queries import closings
from schmelz.portal.projects import idle, outlook
from schmelz.portal.projects.idle import Idle
from schmelz.units import HOUR, PPM, span
from schmelz.web.band import lanes, picture
from schmelz.web.charts.ceiling import ceiling_gauge
from schmelz.web.charts.split_band import Lane
from schmelz.web.words import THIN, counted, percent

SHOWN = 12  # closed months


@dataclass(frozen=True)
class Ahead:
    """One pool's way to its share: a light, what it says, until when nothing is lost, what to call for."""

    lane: Lane
    light: str
    said: str
    why: str
    until: int | None
    call_for: str


@dataclass(frozen=True)
class Ceiling:
    """A commercial gauge: its light, the part of the share, the picture, and the marks under it."""

    lane: Lane
    gauge: Gauge
    light: str
    said: str
    part: str
    room: int
    picture: SafeString
    marks: str


@dataclass(frozen=True)
class Check:
    """A quarter or month: its name, whether it is over, and per pool entitled, used and points of the entitlement."""

    name: str
    over: bool
    quarter: bool
    pools: tuple[tuple[int, int, str], ...]


@dataclass(frozen=True)
class Closed:
    """A closed month, its head, and each signer: role and when it signed."""

    month: str
    head: str
    signers: tuple[tuple[str, int | None], ...]

    @property
    def signed(self) -> int:
        return sum(at is not None for _, at in self.signers)


def idle_of(system: System, found: Split) -> Idle:
    """The avoidable idle of the window, counted in the last hour."""
    return idle.kept(system, found)


# -- ahead

LIGHTS = {
    "none": ("ok", "in reach"),
    "ahead": ("warn", "out of reach in 90 days, if it goes on like this"),
    "lost": ("stop", "out of reach"),
}


def ahead(system: System, found: Split) -> list[Ahead]:
    """The outlook of each pool, while the window lasts."""
    outlooks = outlook.outlook(system, found.window, found.as_of)
    return [_ahead(lane, pool, one) for lane, pool, one in zip(lanes(system), found.pools, outlooks, strict=False)]


def _ahead(lane: Lane, pool: PoolSplit, one: Feasibility) -> Ahead:
    light, said = LIGHTS[one.alarm]
    until = None if one.alarm == "lost" or one.unreachable_from is None else _instant(one.unreachable_from)
    hours = one.call_for_gpu_hours
    less = one.alarm != "none" and not pool.shortfall_gpu_s and pool.demand_gpu_s < pool.entitlement_gpu_s
    why = "It was denied nothing: it asked for less than its share." if less else ""
    return Ahead(lane, light, said, why, until, counted(hours, "GPU-hour") if hours else "")


def _instant(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


# -- how each side was treated


def treated(found: Split, pools: Sequence[str]) -> list[tuple[str, str, list[str]]]:
    """Rows of words: the term, what stands in the row, and one cell per pool."""
    shown = [pool for pool in found.pools if pool.pool in pools]
    rows = (
        ("floor breach", "Under its floor while it waited", _breaches),
        ("reclaim", "Waited for its own: half within", lambda pool: _within(pool.reclaim_p50_s)),
        ("reclaim", "95 in 100 within", lambda pool: _within(pool.reclaim_p95_s)),
        ("worst week", "Least in seven days of waiting", _week),
    )
    return [(term, words, [cell(pool) for pool in shown]) for term, words, cell in rows]


def _breaches(pool: PoolSplit) -> str:
    if not pool.floor_breaches:
        return "never"
    return f"{counted(pool.floor_breaches, 'time')}, the longest {span(pool.floor_breach_longest_s)}"


def _within(seconds: int | None) -> str:
    return "never had to" if seconds is None else span(seconds)


def _week(pool: PoolSplit) -> str:
    return "never waited a week" if pool.worst_week_ppm is None else percent(pool.worst_week_ppm, PPM)


# -- checkpoints


def checks(found: Split, pools: Sequence[str]) -> list[Check]:
    """Months and quarters of the window, each from the window's begin to its end."""
    return [
        Check(
            point.name,
            point.over,
            "Q" in point.name,
            tuple(
                (pool.entitlement_gpu_s, pool.used_gpu_s, _off(pool.used_gpu_s, pool.entitlement_gpu_s))
                for pool in point.pools
                if pool.pool in pools
            ),
        )
        for point in found.checkpoints
    ]


def _off(used: int, entitled: int) -> str:
    """How far the use lies from what it was entitled to, in per cent of that."""
    if not entitled:
        return "–"
    off = 100 * (used - entitled) / entitled
    return f"{off:+.1f}{THIN}%".replace("-", "\u2212")


# -- commercial use


def ceilings(system: System, found: Split) -> list[Ceiling]:
    """The gauges of the calendar year of the window's end."""
    by_pool = {lane.pool: lane for lane in lanes(system)}
    return [_ceiling(by_pool[one.pool], system, one) for one in outlook.gauges(system, at=found.as_of)]


def _ceiling(lane: Lane, system: System, one: Gauge) -> Ceiling:
    percent_of = system.pool(one.pool).commercial_ceiling_percent or 0
    alarms = [f"{percent_of * step / 100:g}" for step in reversed(STEPS)]
    light, said = _said(one.alarm, alarms)
    drawn = ceiling_gauge(
        one.used_gpu_s, one.committed_gpu_s, one.ceiling_gpu_s, one.share_gpu_s, lane.tint, f"ceiling-{one.pool}"
    )
    marks = f"alarms at {', '.join(alarms[:-1])} and {alarms[-1]}{THIN}%, the last is the ceiling"
    part = percent(one.gauge_gpu_s, one.share_gpu_s)
    return Ceiling(lane, one, light, said, part, one.room_gpu_s // HOUR * HOUR, picture(drawn), marks)


def _said(alarm: str, alarms: Sequence[str]) -> tuple[str, str]:
    if alarm == "none":
        return "ok", f"below the first alarm, {alarms[0]}{THIN}%"
    if alarm == alarms[-1]:
        return "stop", f"the ceiling of {alarm}{THIN}% is reached: no commercial award can be signed"
    return "warn", f"past the alarm at {alarm}{THIN}%"


# -- closed months


def closed_months() -> list[Closed]:
    """The last closed months, newest first."""
    return [_closed(row) for row in closings()[: -SHOWN - 1 : -1]]


def _closed(row: Closing) -> Closed:
    signed = {one.role: one.at for one in row.signatures.all()}
    return Closed(row.month, row.head, tuple((role, signed.get(role)) for role in row.signers))
