"""Numbers and dates as people read them."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from schmelz.units import DAY, HOUR, span
from schmelz.web import words

LUX = ZoneInfo("Europe/Luxembourg")
NOW = int(datetime(2026, 11, 24, 9, 0, tzinfo=UTC).timestamp())


def test_a_moment_names_its_zone_and_distance() -> None:
    friday = int(datetime(2026, 11, 27, 9, 0, tzinfo=UTC).timestamp())
    assert words.moment(friday, LUX, NOW) == "Fri 27 Nov 2026, 10:00 Luxembourg (in 3 days)"
    assert words.moment(friday, ZoneInfo("America/New_York"), NOW) == "Fri 27 Nov 2026, 04:00 New York (in 3 days)"


@pytest.mark.parametrize(
    ("away", "said"),
    [
        (0, "now"),
        (59, "now"),
        (60, "in 1 minute"),
        (-150, "2 minutes ago"),
        (HOUR, "in 1 hour"),
        (-23 * HOUR, "23 hours ago"),
        (DAY, "in 1 day"),
        (-3 * DAY, "3 days ago"),
        (99 * DAY, "in 99 days"),
        (-365 * DAY, "12 months ago"),
    ],
)
def test_distances(away: int, said: str) -> None:
    assert words.distance(NOW + away, NOW, LUX) == said


@pytest.mark.parametrize(
    ("gpu_s", "said"),
    [
        (0, "0 GPU-hours"),
        (1, "1 GPU-second"),
        (3599, "3\u202f599 GPU-seconds"),
        (HOUR, "1.00 GPU-hours"),
        (-60, "\u221260 GPU-seconds"),
        (99 * HOUR + 1800, "99.50 GPU-hours"),
        (5000 * HOUR, "5\u202f000 GPU-hours"),
        (-5000 * HOUR, "\u22125\u202f000 GPU-hours"),
    ],
)
def test_gpu_time_always_has_its_unit(gpu_s: int, said: str) -> None:
    assert words.gpu_time(gpu_s) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (3600, "1 h"),
        (5430, "1 h 30 min"),
        (172800, "2 d"),
        (90061, "1 d 1 h"),
        (3601, "1 h"),
    ],
)
def test_spans(seconds: int, said: str) -> None:
    assert span(seconds) == said


def test_points() -> None:
    assert words.points(549, 1000, 50, 100) == "+4.9"
    assert words.points(451, 1000, 50, 100) == "\u22124.9"
    assert words.points(350, 1000, 35, 100) == "0.0"
    assert words.points(0, 0, 50, 100) == "–"


def test_working_days() -> None:
    assert [words.working_days(n) for n in (-2, -1, 0, 1, 5)] == [
        "overdue by 2 working days",
        "overdue by 1 working day",
        "due today",
        "1 working day left",
        "5 working days left",
    ]
