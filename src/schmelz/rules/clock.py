"""Working-day clocks: when an answer was promised for, in the factory's zone, with its holidays.

A promise of n working days made at some instant is kept until the end of the n-th working day after that day.
Days are calendar days of the factory's zone; Saturdays, Sundays and the listed holidays do not count.
"""

from collections.abc import Collection
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from schmelz.units import day_start, local_date


def is_working_day(day: date, holidays: Collection[date]) -> bool:
    return day.weekday() < 5 and day not in holidays


def due(start: int, working_days: int, zone: ZoneInfo, holidays: Collection[date]) -> int:
    """UTC epoch second at which a promise of `working_days` made at `start` runs out."""
    day = local_date(start, zone)
    left = working_days
    while left > 0:
        day += timedelta(days=1)
        left -= is_working_day(day, holidays)
    return day_start(day + timedelta(days=1), zone)


def working_days_left(now: int, until: int, zone: ZoneInfo, holidays: Collection[date]) -> int:
    """Working days that begin after today's day and before `until`; 0 on the last day, below 0 when it is overdue.

    Overdue by the working days that have begun since, and by 1 at least: on the weekend after a missed Friday too.
    """
    today, last = local_date(now, zone), local_date(until - 1, zone)
    if now < until:
        return _working_days_after(today, last, holidays)
    return -max(1, _working_days_after(last, today, holidays))


def _working_days_after(first: date, last: date, holidays: Collection[date]) -> int:
    return sum(is_working_day(first + timedelta(days=n), holidays) for n in range(1, (last - first).days + 1))
