"""Accounting windows: a year, a quarter or a month of the factory's zone, by name (2026, 2026-Q3, 2026-10)."""

import re
from collections.abc import Iterator
from datetime import date
from zoneinfo import ZoneInfo

from schmelz.faults import BadInput
from schmelz.policy.schema import Factory
from schmelz.units import Period, day_start, iso, local_date

_NAME = re.compile(r"(20\d\d|21\d\d)(?:-Q([1-4])|-(0[1-9]|1[0-2]))?")
_MONTHS = {"year": 12, "quarter": 3, "month": 1}


def window(factory: Factory, system_id: str, text: str | None, as_of: int) -> tuple[str, Period]:
    """The window that `text` names (None: the one that the system shares by): its name and its whole period.

    "year", "quarter" and "month" are those of `as_of`. Raises BadInput, a ValueError, for a name that is none of these
    and for a window that has not begun by `as_of`.
    """
    wish = text if text is not None else factory.system(system_id).sharing.window
    today = local_date(as_of, factory.zone)
    if wish in _MONTHS:
        months = _MONTHS[wish]
        first = date(today.year, (today.month - 1) // months * months + 1, 1)
    else:
        first, months = _named(wish)
    period = Period(day_start(first, factory.zone), day_start(_after(first, months), factory.zone))
    if period.start > as_of:
        raise BadInput(f"window: {wish} begins at {iso(period.start)}, after {iso(as_of)}; name one that has begun")
    return _name(first, months), period


def name_of(period: Period, zone: ZoneInfo) -> str:
    """The name of a period: that of its window, or from/to when it is none."""
    first = local_date(period.start, zone)
    for months in _MONTHS.values():
        if (
            first.day == 1
            and (first.month - 1) % months == 0
            and period == Period(day_start(first, zone), day_start(_after(first, months), zone))
        ):
            return _name(first, months)
    return f"{iso(period.start)}/{iso(period.end)}"


def shared(factory: Factory, system_id: str, moment: int) -> Period:
    """The window that the system shares by in which the moment lies."""
    return window(factory, system_id, None, moment)[1]


def inside(period: Period, zone: ZoneInfo) -> Iterator[tuple[str, date, date, Period]]:
    """The quarters and months inside a year or a quarter, by their ends: name, first day, day after, period."""
    if "/" in name_of(period, zone):
        return
    first, after = local_date(period.start, zone), local_date(period.end, zone)
    whole = (after.year - first.year) * 12 + after.month - first.month
    for month in range(1, whole + 1):
        for months in (1, 3):
            if months < whole and month % months == 0:
                begin, end = _after(first, month - months), _after(first, month)
                yield _name(begin, months), begin, end, Period(day_start(begin, zone), day_start(end, zone))


def _named(text: str) -> tuple[date, int]:
    match = _NAME.fullmatch(text)
    if match is None:
        raise BadInput(f"window: {text!r} is none; write 2026, 2026-Q3, 2026-10, year, quarter or month")
    year, quarter, month = match.groups()
    if quarter:
        return date(int(year), int(quarter) * 3 - 2, 1), 3
    return (date(int(year), int(month), 1), 1) if month else (date(int(year), 1, 1), 12)


def _after(first: date, months: int) -> date:
    number = first.year * 12 + first.month - 1 + months
    return date(number // 12, number % 12 + 1, 1)


def _name(first: date, months: int) -> str:
    if months == 12:
        return f"{first.year}"
    return f"{first.year}-Q{(first.month + 2) // 3}" if months == 3 else f"{first.year}-{first.month:02d}"
