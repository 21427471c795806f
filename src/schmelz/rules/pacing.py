"""Pacing: how much of a grant may have been used by now, when it is cut into calendar months.

A month's *budget* = grant x days of the project in that month / days of the project, as MeluXina cuts its grants: calendar
days of the factory's zone, the first and the last one counted whole. Rounded cumulatively, so that the budgets add up
to the grant exactly. The *limit* is the use up to which jobs may run, counted from the project's start, because the use
on the cluster is never set back:
`whole`       the grant;
`monthly`     what was used before this month, and this month's budget: what a month leaves is lost, on the first of
              the month counting starts anew;
`carry-over`  the budgets up to and including this month: what a month leaves is for the next ones.
Invariant: months cover [start, end) without gaps, no limit is above the grant. GPU-seconds; see docs/decisions/0008.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from schmelz.policy.system import Pacing
from schmelz.units import day_start, local_date


@dataclass(frozen=True)
class Month:
    """The part [start, end) of a project's time that lies in one calendar month, and its budget."""

    start: int
    end: int
    gpu_seconds: int


def months(grant: int, start: int, end: int, zone: ZoneInfo) -> tuple[Month, ...]:
    """A project's months with their budgets; none where it has no time."""
    if end <= start:
        return ()
    first, after = local_date(start, zone), local_date(end - 1, zone) + timedelta(days=1)
    days = (after - first).days
    cuts = [(day, grant * (day - first).days // days) for day in _cuts(first, after)]
    return tuple(
        Month(max(start, day_start(begins, zone)), min(end, day_start(ends, zone)), whole - before)
        for (begins, before), (ends, whole) in pairwise(cuts)
    )


def _cuts(first: date, after: date) -> Iterator[date]:
    """The first day, every first of a month that follows, and the day after the last."""
    day = first
    while day < after:
        yield day
        day = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    yield after


def month_of(found: tuple[Month, ...], now: int) -> Month | None:
    """The month in which `now` lies: the first before the project's start, the last after its end."""
    return next((month for month in found if now < month.end), found[-1] if found else None)


def limit(pacing: Pacing, grant: int, start: int, end: int, now: int, used_before_month: int, zone: ZoneInfo) -> int:
    """How much may have been used at most. `used_before_month`: the use before the month of `now` (for `monthly`)."""
    if pacing == "whole":
        return grant
    found = months(grant, start, end, zone)
    month = month_of(found, now)
    if month is None:
        return 0
    if pacing == "monthly":
        return min(grant, used_before_month + month.gpu_seconds)
    return sum(one.gpu_seconds for one in found if one.start <= month.start)


def reachable(
    pacing: Pacing, grant: int, start: int, end: int, now: int, used: int, used_before_month: int, zone: ZoneInfo
) -> int:
    """What the project can still use: the rest of this month's limit and the budgets of the months after it."""
    if now >= end:
        return 0
    rest = max(0, grant - used)
    if pacing != "monthly":
        return rest
    found = months(grant, start, end, zone)
    month = month_of(found, now)
    this = limit(pacing, grant, start, end, now, used_before_month, zone) - used
    return min(rest, max(0, this) + sum(one.gpu_seconds for one in found if month and one.start > month.start))
