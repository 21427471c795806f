"""Over-commitment at the tightest date, and what to call for: by hand, and as properties."""

from hypothesis import given, strategies as st

from schmelz.metering.claims import Claim
from schmelz.metering.coming import Coming
from schmelz.metering.feasibility import AHEAD
from schmelz.metering.planner import YEAR, Scene, plan, used_by
from schmelz.metering.promises import promise, steps
from schmelz.units import DAY, HOUR, PPM


def claim(left: int, end: int, pool: str = "a", start: int = 0) -> Claim:
    return Claim(f"p{left}-{end}", pool, False, left, start, end)


def test_the_tightest_date_is_found_and_not_the_last() -> None:
    coming = steps((("x", 10), ("y", 10)), (), 0, 1000)
    found = promise("a", 1, 2, [claim(1500, 100), claim(100, 1000), claim(9999, 50, "b")], coming, 200, 500)
    assert (found.projects, found.promised_gpu_s, found.by) == (2, 1600, 100)
    assert (found.due_gpu_s, found.share_gpu_s, found.over_gpu_s) == (1500, 20 * 100 // 2 + 200, 300)
    assert found.ratio_ppm == 1500 * PPM // 1200
    later = promise("a", 1, 2, [claim(1500, 600)], coming, 200, 500)
    assert later.share_gpu_s == 6000, "a deficit counts until its window ends, not beyond"
    assert promise("a", 1, 2, [], coming, 0, 500).by is None


def test_what_is_away_is_not_delivered() -> None:
    coming = steps((("x", 10), ("y", 4)), [("x", 8, 100, 200), ("x", 8, 150, 300), ("y", 9, 0, 10)], 0, 400)
    assert coming.steps == [(0, 10, 10), (10, 90, 14), (100, 50, 6), (150, 50, 4), (200, 100, 6), (300, 100, 14)]
    assert coming.until(10) == 10 * 10 and coming.until(100) == 14 * 100 - 40


@given(
    st.lists(st.tuples(st.integers(1, 10**7), st.integers(1, 300)), max_size=8),
    st.integers(-(10**7), 10**7),
    st.integers(1, 9),
)
def test_every_other_date_is_less_tight(claims: list[tuple[int, int]], deficit: int, weight: int) -> None:
    coming = steps((("x", 8),), (), 0, 301 * DAY)
    mine = [claim(left, day * DAY) for left, day in claims]
    found = promise("a", weight, 10, mine, coming, deficit, 100 * DAY)
    for end in {one.end for one in mine}:
        due = sum(one.left_gpu_s for one in mine if one.end <= end)
        share = max(0, coming.until(end) * weight // 10 + (deficit if end <= 100 * DAY else 0))
        assert due * found.share_gpu_s <= found.due_gpu_s * share


def scene(deficits: int = 0, end: int = 30 * DAY, gpus: int = 8) -> Scene:
    return Scene(0, end, Coming([(0, YEAR, gpus)]), 2, 75, deficits)


def test_what_projects_do_not_cover_is_to_be_called_for() -> None:
    half = 4 * AHEAD  # the share of one of two equal pools
    found = plan(scene(), "a", 1, 0, [claim(half - 10 * HOUR, AHEAD)], None)
    assert (found.need_gpu_s, found.expected_gpu_s, found.call_for_gpu_hours) == (half, half - 10 * HOUR, 10)
    assert found.runs_dry == 0, "its projects use less than the share from the first day on"
    full = plan(scene(), "a", 1, 0, [claim(4 * 200 * DAY, 200 * DAY)], None)
    assert (full.call_for_gpu_hours, full.runs_dry) == (0, 200 * DAY)
    assert [month.expected_gpu_s for month in full.months[:7]] == [4 * 30 * DAY] * 6 + [4 * 20 * DAY]
    assert plan(scene(), "a", 1, 0, [claim(10**12, 2 * YEAR)], None).runs_dry is None


def test_what_a_pool_is_behind_the_other_is_needed_too_but_not_what_stood_idle() -> None:
    behind = plan(scene(deficits=10 * DAY, end=AHEAD), "a", 1, 8 * DAY, [], None)
    assert behind.need_gpu_s == 4 * AHEAD + 3 * DAY, "5 of the 8 are its half of what all are behind"
    idle = plan(scene(deficits=16 * DAY, end=AHEAD), "a", 1, 8 * DAY, [], None)
    assert idle.need_gpu_s == 4 * AHEAD
    much = plan(scene(deficits=0, end=AHEAD), "a", 1, 10**12, [], None)
    assert much.need_gpu_s == 6 * AHEAD, "the floor of the other is 25 %"


@given(st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9), st.integers(1, 360))
def test_the_needs_of_all_pools_fit_what_is_delivered(one: int, other: int, days: int) -> None:
    both = scene(deficits=one + other, end=60 * DAY)
    needs = [both.need(1, deficit, days * DAY) for deficit in (one, other)]
    assert sum(needs) <= both.coming.until(days * DAY) + 2


@given(st.integers(0, 10**9), st.integers(0, 100), st.integers(1, 100), st.integers(0, 300))
def test_used_evenly_and_never_more_than_is_left(left: int, start: int, length: int, until: int) -> None:
    one = claim(left, start + length, start=start)
    used = used_by(one, 10, until)
    assert 0 <= used <= left and (used == left or until < start + length or one.end <= 10)
