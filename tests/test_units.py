"""GPU-seconds, periods and days: parts add up to the whole."""

from datetime import date, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from schmelz.units import HOUR, Period, day_period, days, hours, iso, local_date, split_by_weight

ZONE = ZoneInfo("Europe/Luxembourg")
INSTANTS = st.integers(1_600_000_000, 1_900_000_000)
PERIODS = st.tuples(INSTANTS, st.integers(0, 40 * 86400)).map(lambda pair: Period(pair[0], pair[0] + pair[1]))


@given(st.integers(0, 10**15), st.lists(st.integers(0, 100), min_size=1, max_size=6))
def test_parts_add_up_and_are_within_one_of_the_exact_share(total: int, weights: list[int]) -> None:
    parts = split_by_weight(total, weights)
    whole = sum(weights)
    assert sum(parts) == (total if whole else 0)
    assert all(abs(part * whole - total * weight) < whole for part, weight in zip(parts, weights, strict=True) if whole)
    assert all(part == 0 for part, weight in zip(parts, weights, strict=True) if weight == 0)


def test_of_equal_remainders_the_first_gets_the_rest() -> None:
    assert split_by_weight(10, (1, 1, 1)) == (4, 3, 3)
    assert split_by_weight(5, (0, 0)) == (0, 0)
    assert split_by_weight(7, ()) == ()


@given(PERIODS, PERIODS)
def test_the_clipped_part_lies_in_both_and_nothing_else_does(one: Period, other: Period) -> None:
    part = one.clip(other)
    assert other.start <= part.start <= part.end <= other.end
    meet = range(max(one.start, other.start), min(one.end, other.end))
    assert part.seconds == len(meet) == other.clip(one).seconds
    assert part.seconds == 0 or (part.start, part.end) == (meet.start, meet.stop)
    assert one.clip(one) == one


def test_a_period_does_not_end_before_it_starts() -> None:
    with pytest.raises(ValueError, match="ends before it starts"):
        Period(2, 1)


@given(PERIODS)
def test_the_days_of_a_period_follow_each_other_and_add_up(period: Period) -> None:
    parts = list(days(period, ZONE))
    assert sum(part.seconds for _, part in parts) == period.seconds
    for (day, part), (next_day, next_part) in pairwise(parts):
        assert part.end == next_part.start and day + timedelta(days=1) == next_day
    assert all(local_date(part.start, ZONE) == day == local_date(part.end - 1, ZONE) for day, part in parts)


@pytest.mark.parametrize(("day", "length"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 7, 1), 24)])
def test_days_of_23_24_and_25_hours(day: date, length: int) -> None:
    assert day_period(day, ZONE).seconds == length * HOUR


def test_a_day_that_begins_at_one_o_clock() -> None:
    """Where clocks go forward at midnight, the day begins when they have."""
    day = day_period(date(2026, 4, 24), ZoneInfo("Africa/Cairo"))
    assert (iso(day.start), day.seconds) == ("2026-04-23T22:00:00Z", 23 * HOUR)


def test_hours_are_for_reading() -> None:
    assert [hours(n * HOUR) for n in (0, 1, 12345, -7)] == ["0", "1", "12\u202f345", "-7"]
    assert (hours(HOUR // 2), hours(HOUR // 2 - 1), hours(-1)) == ("1", "0", "0")


def test_an_instant_as_text() -> None:
    assert iso(1_795_424_400) == "2026-11-23T09:00:00Z"
