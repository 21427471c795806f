"""Months of a grant: they add up, they end where the calendar says, and no limit is above the grant."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from schmelz.rules.pacing import limit, month_of, months, reachable
from schmelz.units import HOUR, day_start

ZONES = [ZoneInfo(name) for name in ("Europe/Luxembourg", "Europe/Athens", "America/St_Johns", "Pacific/Apia")]
LUX = ZONES[0]
DAYS = st.dates(date(2026, 1, 1), date(2029, 12, 31))
GRANTS = st.integers(0, 10**12)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=LUX).timestamp())


@st.composite
def projects(draw) -> tuple[int, int, int, ZoneInfo]:
    """Grant, start (often in the middle of a day), end (midnight), zone."""
    zone, grant = draw(st.sampled_from(ZONES)), draw(GRANTS)
    first, last = sorted((draw(DAYS), draw(DAYS)))
    start, end = day_start(first, zone) + draw(st.integers(0, 80_000)), day_start(last, zone)
    return grant, start, max(start, end), zone


def test_a_year_as_meluxina_cuts_it() -> None:
    """1,200 node-hours a year are 72,000 node-minutes: January 6,115, February 5,523."""
    found = months(72_000, day_start(date(2026, 1, 1), LUX), day_start(date(2027, 1, 1), LUX), LUX)
    assert [month.gpu_seconds for month in found[:2]] == [6115, 5523]
    assert (len(found), sum(month.gpu_seconds for month in found)) == (12, 72_000)


def test_a_leap_year_has_a_longer_february() -> None:
    found = months(366, day_start(date(2028, 1, 1), LUX), day_start(date(2029, 1, 1), LUX), LUX)
    assert [month.gpu_seconds for month in found] == [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]


def test_months_with_a_change_of_clocks_are_cut_by_days() -> None:
    """March 2026 has 743 hours and October 745, and both get 31 days' worth."""
    found = months(61, at("2026-03-01"), at("2026-05-01"), LUX)
    assert [(m.gpu_seconds, (m.end - m.start) // HOUR) for m in found] == [(31, 743), (30, 720)]
    assert (months(31, at("2026-10-01"), at("2026-11-01"), LUX)[0].end - at("2026-10-01")) // HOUR == 745


def test_a_project_within_one_month_has_one_budget() -> None:
    start, end = at("2026-03-10T15:20"), at("2026-03-20")
    assert [(m.start, m.end, m.gpu_seconds) for m in months(99, start, end, LUX)] == [(start, end, 99)]
    assert months(99, start, start, LUX) == () and limit("monthly", 99, start, start, start, 0, LUX) == 0


@pytest.mark.parametrize(
    ("now", "monthly", "carried"),
    [
        ("2026-01-20", 27, 27),  # before the start the first month counts: jobs are taken already
        ("2026-02-02", 27, 27),
        ("2026-02-28T23:59", 27, 27),
        ("2026-03-01", 10 + 31, 58),
        ("2026-04-30", 10 + 3, 61),
        ("2026-06-01", 10 + 3, 61),
    ],
)
def test_the_limit_by_the_calendar(now, monthly, carried) -> None:
    facts = (61, at("2026-02-02T11:00"), at("2026-04-04"), at(now))
    used = 0 if now < "2026-03" else 10
    found = [limit(kind, *facts, used, LUX) for kind in ("whole", "monthly", "carry-over")]
    assert found == [61, monthly, carried]


def test_what_a_month_leaves_is_lost_or_kept() -> None:
    """Nothing was used in January and February, and 5 in March, of three equal months."""
    facts = (90, at("2026-01-01"), at("2026-04-01"), at("2026-03-15"))
    assert reachable("monthly", *facts, 5, 0, LUX) == 31 - 5
    assert reachable("carry-over", *facts, 5, 0, LUX) == reachable("whole", *facts, 5, 0, LUX) == 85
    assert reachable("monthly", 90, at("2026-01-01"), at("2026-04-01"), at("2026-02-01"), 0, 0, LUX) == 59
    assert reachable("whole", 90, at("2026-01-01"), at("2026-04-01"), at("2026-04-01"), 0, 0, LUX) == 0


@given(projects())
def test_months_add_up_and_leave_no_gap(project) -> None:
    grant, start, end, zone = project
    found = months(*project)
    assert sum(month.gpu_seconds for month in found) == (grant if end > start else 0)
    assert [month.start for month in found] + [end] * bool(found) == [start] * bool(found) + [m.end for m in found]
    for month in found[1:]:
        local = datetime.fromtimestamp(month.start, zone)
        assert (local.day, local.hour, local.minute) == (1, 0, 0)


@given(projects(), st.data())
def test_limits_stay_under_the_grant_and_carry_over_only_grows(project, data) -> None:
    grant, start, end, zone = project
    moments = sorted(data.draw(st.lists(st.integers(start - 10**6, end + 10**6), min_size=2, max_size=5)))
    used = data.draw(st.integers(0, grant))
    carried = [limit("carry-over", grant, start, end, now, used, zone) for now in moments]
    assert carried == sorted(carried)
    for now, kept in zip(moments, carried, strict=True):
        monthly = limit("monthly", grant, start, end, now, used, zone)
        assert 0 <= monthly <= grant and 0 <= kept <= grant
        for kind, most in (("monthly", monthly), ("carry-over", kept)):
            rest = reachable(kind, grant, start, end, now, used, used, zone)
            assert 0 <= rest <= grant - used and (now >= end or rest >= min(grant, most) - used)


@given(projects(), st.data())
def test_using_every_month_whole_uses_the_grant_whole(project, data) -> None:
    """Whoever takes each month's budget ends with the grant, to the second, in both kinds."""
    grant, start, end, zone = project
    used = 0
    for month in months(*project):
        assert month_of(months(*project), month.start) == month
        assert limit("carry-over", grant, start, end, month.end - 1, used, zone) == used + month.gpu_seconds
        used = limit("monthly", grant, start, end, month.end - 1, used, zone)
    assert used == (grant if end > start else 0)
