"""Accounting windows by name."""

from datetime import date

import pytest
from hypothesis import given, strategies as st

import make
from schmelz.metering.windows import name_of, window
from schmelz.units import Period, day_start

FACTORY = make.factory()
NOW = day_start(date(2026, 11, 23), FACTORY.zone)


def period(first: date, end: date) -> Period:
    return Period(day_start(first, FACTORY.zone), day_start(end, FACTORY.zone))


@pytest.mark.parametrize(
    ("text", "name", "first", "end"),
    [
        ("2026", "2026", date(2026, 1, 1), date(2027, 1, 1)),
        ("year", "2026", date(2026, 1, 1), date(2027, 1, 1)),
        (None, "2026", date(2026, 1, 1), date(2027, 1, 1)),
        ("2026-Q3", "2026-Q3", date(2026, 7, 1), date(2026, 10, 1)),
        ("quarter", "2026-Q4", date(2026, 10, 1), date(2027, 1, 1)),
        ("2026-10", "2026-10", date(2026, 10, 1), date(2026, 11, 1)),
        ("month", "2026-11", date(2026, 11, 1), date(2026, 12, 1)),
        ("2025-12", "2025-12", date(2025, 12, 1), date(2026, 1, 1)),
    ],
)
def test_names(text: str | None, name: str, first: date, end: date) -> None:
    assert window(FACTORY, make.SYSTEM, text, NOW) == (name, period(first, end))
    assert name_of(period(first, end), FACTORY.zone) == name


def test_the_window_of_the_system() -> None:
    assert window(make.factory(sharing={"window": "month"}), make.SYSTEM, None, NOW)[0] == "2026-11"


@pytest.mark.parametrize("text", ["", "2026-13", "2026-Q5", "2026-1", "26", "week", "2026-10-01", "2026\n", "１２３４"])
def test_what_is_no_window_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is none; write 2026, 2026-Q3, 2026-10, year, quarter or month"):
        window(FACTORY, make.SYSTEM, text, NOW)


@pytest.mark.parametrize("text", ["2027", "2026-12", "2027-Q1", "2199"])
def test_a_window_in_the_future_is_refused(text: str) -> None:
    with pytest.raises(
        ValueError, match=rf"window: {text} begins at .*, after 2026-11-22T23:00:00Z; name one that has begun"
    ):
        window(FACTORY, make.SYSTEM, text, NOW)


def test_a_period_that_is_no_window_is_named_by_its_ends() -> None:
    assert name_of(Period(0, 60), FACTORY.zone) == "1970-01-01T00:00:00Z/1970-01-01T00:01:00Z"


@given(st.integers(0, 4 * 10**9), st.sampled_from(("year", "quarter", "month")))
def test_now_lies_in_the_current_window(now: int, text: str) -> None:
    if now > day_start(date(2000, 1, 1), FACTORY.zone):
        name, found = window(FACTORY, make.SYSTEM, text, now)
        assert found.start <= now < found.end
        assert window(FACTORY, make.SYSTEM, name, now) == (name, found)
