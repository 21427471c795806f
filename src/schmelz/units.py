"""Small frozen values that every room shares: GPU-seconds, periods, integer shares.

Integers only. A GPU-second is one GPU held for one second; hours exist only at the edge, for reading and writing.
A Period is half open, [start, end), in UTC epoch seconds. Parts made by `split_by_weight` always add up to the whole
(largest remainder; ties go to the part named first, so that the same input gives the same parts).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

HOUR = 3600
DAY = 86400
PPM = 1_000_000


@dataclass(frozen=True, order=True)
class Period:
    """A half-open span of time, [start, end), in UTC epoch seconds."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise ValueError(f"a period ends before it starts: {self.start} .. {self.end}")

    @property
    def seconds(self) -> int:
        return self.end - self.start

    def clip(self, other: "Period") -> "Period":
        """The part of this period inside `other`; empty (at `other`'s nearer end) where they do not meet."""
        start = min(max(self.start, other.start), other.end)
        return Period(start, max(start, min(self.end, other.end)))


def hours(gpu_seconds: int) -> str:
    """GPU-seconds as whole GPU-hours with thin spaces, rounded half up: for people, never for sums."""
    rounded = (abs(gpu_seconds) + HOUR // 2) // HOUR
    sign = "-" if gpu_seconds < 0 and rounded else ""
    return sign + f"{rounded:,}".replace(",", "\u202f")


def span(seconds: int) -> str:
    """A span of time in its two largest units."""
    rest, parts = abs(seconds), list[str]()
    for size, unit in ((DAY, "d"), (HOUR, "h"), (60, "min"), (1, "s")):
        if rest >= size and len(parts) < 2:
            parts.append(f"{rest // size} {unit}")
            rest %= size
        elif parts:
            break
    return " ".join(parts) or "0 s"


def split_by_weight(total: int, weights: Sequence[int]) -> tuple[int, ...]:
    """Cut `total` in parts proportional to `weights` by largest remainder; the parts add up to `total`.

    All weights zero: nothing can be given to anybody, every part is 0.
    """
    whole = sum(weights)
    if whole == 0:
        return tuple(0 for _ in weights)
    parts = [total * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for index in by_remainder[: total - sum(parts)]:
        parts[index] += 1
    return tuple(parts)


def day_start(day: date, zone: ZoneInfo) -> int:
    """UTC epoch second at which the calendar day `day` begins in `zone`."""
    return int(datetime.combine(day, time(), zone).timestamp())


def local_date(instant: int, zone: ZoneInfo) -> date:
    """The calendar day in `zone` in which the UTC epoch second `instant` lies."""
    return datetime.fromtimestamp(instant, zone).date()


def day_period(day: date, zone: ZoneInfo) -> Period:
    """One calendar day of `zone`: 23, 24 or 25 hours."""
    return Period(day_start(day, zone), day_start(day + timedelta(days=1), zone))


def days(period: Period, zone: ZoneInfo) -> Iterator[tuple[date, Period]]:
    """The calendar days of `zone` that meet `period`, in order, each with its part inside the period."""
    if period.seconds == 0:
        return
    day = local_date(period.start, zone)
    while (whole := day_period(day, zone)).start < period.end:
        yield day, whole.clip(period)
        day += timedelta(days=1)


def iso(instant: int) -> str:
    """A UTC epoch second as text, e.g. 2026-11-23T09:00:00Z."""
    return datetime.fromtimestamp(instant, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def add_months(instant: int, months: int, zone: ZoneInfo) -> int:
    """Midnight at the end of the day that lies `months` calendar months after `instant`'s day in `zone`.

    A day that the last month does not have becomes its last day (31 January + 1 month = 28 February).
    """
    day = local_date(instant, zone)
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    first = date(year, month + 1, 1)
    length = (first.replace(day=28) + timedelta(days=4)).replace(day=1) - first
    return day_start(first + timedelta(days=min(day.day, length.days)), zone)
