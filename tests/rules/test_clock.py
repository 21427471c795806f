"""Working-day clocks in Luxembourg's zone and with Luxembourg's holidays."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from schmelz.rules.clock import due, is_working_day, working_days_left

ZONE = ZoneInfo("Europe/Luxembourg")
HOLIDAYS = frozenset(
    date.fromisoformat(f"2026-{day}")
    for day in ("01-01", "04-06", "05-01", "05-09", "05-14", "05-25", "06-23", "08-15", "11-01", "12-25", "12-26")
)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZONE).timestamp())


@pytest.mark.parametrize(
    ("start", "working_days", "end"),
    [
        ("2026-11-23T09:00", 2, "2026-11-26T00:00"),  # Monday: Tuesday, Wednesday
        ("2026-11-23T23:59", 2, "2026-11-26T00:00"),  # the hour of the day does not matter
        ("2026-11-27T17:00", 2, "2026-12-02T00:00"),  # Friday: Monday, Tuesday
        ("2026-11-28T12:00", 2, "2026-12-02T00:00"),  # Saturday: Monday, Tuesday as well
        ("2026-04-03T12:00", 1, "2026-04-08T00:00"),  # Good Friday works, Easter Monday does not
        ("2026-05-13T12:00", 1, "2026-05-16T00:00"),  # Ascension is a Thursday
        ("2026-12-24T12:00", 1, "2026-12-29T00:00"),  # Christmas is a Friday, St Stephen a Saturday
        ("2026-06-22T12:00", 0, "2026-06-23T00:00"),  # promised for today
    ],
)
def test_a_promise_is_kept_until_the_end_of_its_last_working_day(start: str, working_days: int, end: str) -> None:
    assert due(at(start), working_days, ZONE, HOLIDAYS) == at(end)


def test_the_day_is_the_zones_own() -> None:
    """Half past ten at night in UTC is already tomorrow in Luxembourg in summer."""
    late = at("2026-07-06T00:30")
    assert due(late, 1, ZONE, HOLIDAYS) == at("2026-07-08T00:00")
    assert due(late, 1, ZoneInfo("UTC"), HOLIDAYS) == int(datetime.fromisoformat("2026-07-07T00:00+00:00").timestamp())


def test_days_of_23_and_25_hours_count_as_days() -> None:
    assert due(at("2026-03-27T12:00"), 1, ZONE, HOLIDAYS) - at("2026-03-28T00:00") == 3 * 86400 - 3600
    assert due(at("2026-10-23T12:00"), 1, ZONE, HOLIDAYS) - at("2026-10-24T00:00") == 3 * 86400 + 3600


@pytest.mark.parametrize(
    ("now", "left"),
    [
        ("2026-11-23T09:00", 3),
        ("2026-11-25T09:00", 1),
        ("2026-11-26T09:00", 0),
        ("2026-11-26T23:59", 0),
        ("2026-11-27T00:00", -1),
        ("2026-11-28T09:00", -1),
        ("2026-11-30T09:00", -2),
        ("2026-12-01T09:00", -3),
    ],
)
def test_days_left_and_days_overdue(now: str, left: int) -> None:
    assert working_days_left(at(now), at("2026-11-27T00:00"), ZONE, HOLIDAYS) == left


def test_a_missed_friday_is_overdue_on_saturday() -> None:
    friday = due(at("2026-11-25T10:00"), 2, ZONE, HOLIDAYS)
    assert working_days_left(at("2026-11-28T10:00"), friday, ZONE, HOLIDAYS) == -1
    assert working_days_left(at("2026-11-30T10:00"), friday, ZONE, HOLIDAYS) == -1


@given(st.integers(at("2026-01-01T00:00"), at("2026-12-20T00:00")), st.integers(0, 30))
def test_a_fresh_promise_has_all_its_days_left(start: int, working_days: int) -> None:
    assert working_days_left(start, due(start, working_days, ZONE, HOLIDAYS), ZONE, HOLIDAYS) == working_days


def test_weekends_and_holidays_are_no_working_days() -> None:
    assert is_working_day(date(2026, 6, 22), HOLIDAYS)
    assert not is_working_day(date(2026, 6, 23), HOLIDAYS)
    assert not is_working_day(date(2026, 6, 20), HOLIDAYS)
