"""Numbers, dates and spans as people read them, and the glossary.

GPU time is kept in GPU-seconds and shown in GPU-hours: whole ones from 100 on, two digits below, GPU-seconds where an
hour would hide them. Thousands are parted by a thin space, units are always written. A date names its zone's city
and its distance from now. Source: the design's page on manners.
"""

from datetime import datetime
from types import MappingProxyType
from zoneinfo import ZoneInfo

from schmelz.units import DAY, HOUR, hours, local_date

MINUTE = 60
THIN = "\u202f"

GLOSSARY: MappingProxyType[str, str] = MappingProxyType(
    {
        "access mode": "A way to get GPU-hours: for whom, how much, for how long, and who decides.",
        "award": "The GPU-hours that were granted; with the last signature it becomes a project.",
        "avoidable idle": "GPUs that stood idle although a waiting job could have used them.",
        "blast radius": "How far a plan reaches: what is opened and what is taken away from whom.",
        "borrowed": "Use beyond a pool's share of the moment, lent by a pool that did not ask for it.",
        "carry": "What a pool did not get in the window before, brought into this one: at most a small part, once.",
        "checkpoint": "A quarter or month inside the window: what had come together by its end.",
        "commercial": "Use that is paid for at market prices; only a part of the European share may go there.",
        "committed": "What running and waiting jobs may still take: their GPUs times what is left of their limits.",
        "cut-off": "The moment at which a round of applications closes.",
        "deficit": "What a pool was entitled to so far, less what it has used so far. The larger deficit goes first.",
        "delivered": "What was installed, less what was down, in maintenance or drained, less overhead within its cap.",
        "demand": "What a pool used, and what its waiting jobs could have used within their projects' grants.",
        "drained": "Taken out of service on purpose, node by node.",
        "entitlement": "A pool's share of what was delivered.",
        "floor breach": "A pool waited, and stayed under its floor longer than the longest job that ran could last.",
        "GPU-hour": "One GPU held for one hour. Two GPUs for half an hour are one GPU-hour, too.",
        "GPU-second": "One GPU held for one second; 3,600 of them are one GPU-hour.",
        "head": "One number for a closed month and all months before it. Whoever keeps it can tell any later change.",
        "hash": "A fingerprint: if anything in it changes, so does the fingerprint.",
        "held": "GPUs that nobody else can use because a job has the whole node.",
        "installed": "All GPUs of the machine, every second of the window.",
        "late": "Demand that came too late to be served within the window. Not a fault; it is shown.",
        "lent": "What a pool left unused and others used meanwhile.",
        "own": "Use within a pool's share of the moment.",
        "pacing": "How a grant is spread over its time: cut into calendar months by their days, each with its budget.",
        "pool": "An owner's share of the machine.",
        "quarantine": "Records that could not be read, kept with the reason until somebody looks at them.",
        "reachable": "What can still be used: the least of what is left, the budgets to come, and all GPUs until the end.",
        "reclaim": "How long a pool that asked for its part waited until it had it.",
        "returned": "Use beyond the share of the moment that pays back what the pool had lent before.",
        "running": "Used so far by jobs that still run.",
        "settled": "Used by jobs that have ended.",
        "share error": "How far the use lies from the shares; only defined while every pool asks for its share.",
        "shortfall": "What a pool asked for within its part, and the machine could have given but did not.",
        "site": "A data centre.",
        "used": "GPUs that jobs had; held GPUs included where whole nodes are charged.",
        "time limit": "The job is stopped after this time; a shorter limit starts sooner.",
        "worst week": "The least part of what was delivered that a pool had in seven days in which it always waited.",
        "working day": "Monday to Friday in the factory's zone, without its public holidays.",
    }
)


def number(value: int) -> str:
    """A whole number with thin spaces."""
    return f"{value:,}".replace(",", THIN).replace("-", "\u2212")


def gpu_time(gpu_seconds: int) -> str:
    """GPU-seconds as people read them, with their unit."""
    size = abs(gpu_seconds)
    sign = "\u2212" if gpu_seconds < 0 else ""
    if size >= 100 * HOUR:
        return f"{sign}{hours(size)} GPU-hours"
    if 0 < size < HOUR:
        return sign + counted(size, "GPU-second")
    return f"{sign}{size / HOUR:.2f} GPU-hours" if size else "0 GPU-hours"


def counted(count: int, one: str) -> str:
    """A number and its noun: 1 GPU, 2 GPUs."""
    return f"{number(count)} {one}" if abs(count) == 1 else f"{number(count)} {one}s"


def distance(instant: int, now: int, zone: ZoneInfo) -> str:
    """How far a moment lies from now; days are counted by the calendar of the zone."""
    away = instant - now
    days = (local_date(instant, zone) - local_date(now, zone)).days
    if abs(away) < MINUTE:
        return "now"
    if abs(away) < DAY:
        size, unit = (HOUR, "hour") if abs(away) >= HOUR else (MINUTE, "minute")
        said = counted(abs(away) // size, unit)
    elif abs(days) < 100:
        said = counted(abs(days), "day")
    else:
        said = counted(round(abs(days) / 30.44), "month")
    return f"in {said}" if away > 0 else f"{said} ago"


def city(zone: ZoneInfo) -> str:
    """The zone as people say it: Luxembourg for Europe/Luxembourg."""
    return zone.key.rpartition("/")[2].replace("_", " ")


def moment(instant: int, zone: ZoneInfo, now: int) -> str:
    """Fri 27 Nov 2026, 10:00 Luxembourg (in 3 days)."""
    local = datetime.fromtimestamp(instant, zone)
    return f"{local:%a} {local.day} {local:%b %Y, %H:%M} {city(zone)} ({distance(instant, now, zone)})"


def short_day(instant: int, zone: ZoneInfo) -> str:
    """Fri 27 Nov 2026."""
    local = datetime.fromtimestamp(instant, zone)
    return f"{local:%a} {local.day} {local:%b %Y}"


def clock_time(instant: int, zone: ZoneInfo) -> str:
    """14:20 of today, or the day with it."""
    return f"{datetime.fromtimestamp(instant, zone):%H:%M}"


def working_days(left: int) -> str:
    """A promise's clock in words, from the working days that are left."""
    if left < 0:
        return f"overdue by {counted(-left, 'working day')}"
    return "due today" if left == 0 else f"{counted(left, 'working day')} left"


def percent(part: int, whole: int) -> str:
    """A part in per cent with one digit; a dash where there is no whole."""
    return f"{100 * part / whole:.1f}{THIN}%" if whole else "–"


def points(part: int, whole: int, weight: int, weights: int) -> str:
    """How many percentage points a part lies above (+) or below its weight's share."""
    if not whole or not weights:
        return "–"
    off = 100 * part / whole - 100 * weight / weights
    return f"{off:+.1f}".replace("-", "\u2212") if abs(off) >= 0.05 else "0.0"
