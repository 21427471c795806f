"""What is to come, whether a share can still be reached, and how much to call for."""

from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given, strategies as st

import make
from metering.test_split import END, job, of
from schmelz.metering.claims import Claim
from schmelz.metering.coming import coming
from schmelz.metering.feasibility import AHEAD, Feasibility, feasibility
from schmelz.metering.split import Split
from schmelz.policy.schema import Factory
from schmelz.units import HOUR, Period, iso

FACTORY = make.factory()


def look(found: Split, end: int, *claims: Claim, factory: Factory = FACTORY) -> tuple[Feasibility, ...]:
    return feasibility(factory.systems[0], factory.zone, found, end, claims)


def claim(left: int, pool: str = "national", start: int = 0, end: int = 10**6, commercial: bool = False) -> Claim:
    return Claim("p1", pool, commercial, left, start, end)


def test_to_come_is_installed_less_planned_maintenance_less_the_cap_of_overhead() -> None:
    begin = datetime(2026, 5, 4, 8, tzinfo=FACTORY.zone)
    planned = [{"start": begin, "end": begin + timedelta(hours=1), "nodes": "n*,s02", "reason": "firmware"}]
    overhead = {"accounts": ["health"], "cap_percent": 10, "booked_to": "national"}
    system = make.factory(maintenance=planned, overhead=overhead).systems[0]
    t = int(begin.timestamp())
    future = coming(system, FACTORY.zone, Period(t - HOUR, t + 2 * HOUR))
    assert future.steps == [(t - HOUR, HOUR, 15), (t, HOUR, 3), (t + HOUR, HOUR, 15)], "1 of 16 GPUs is the overhead's"
    assert (future.total, future.until(t), future.until(t + 10), future.until(0)) == (
        33 * HOUR,
        15 * HOUR,
        15 * HOUR + 30,
        0,
    )
    assert [future.reached(n) for n in (1, 15 * HOUR, 15 * HOUR + 1, 33 * HOUR)] == [
        t - HOUR + 1,
        t,
        t + 1,
        t + 2 * HOUR,
    ]
    assert future.reached(33 * HOUR + 1) is None


def test_by_hand() -> None:
    """16 GPUs, 100 of 300 s gone; national used nothing: its deficit is 800, 75 % of 3,200 can still be had."""
    found = of(job("eurohpc", 16, nodes="n[01-02],s[01-02]"), period=Period(0, 300))
    eurohpc, national = look(found, 300)
    now = national.now
    assert (now.deficit_gpu_s, now.time_left_s, now.most_gpu_s, now.reachable) == (800, 200, 2400, True)
    assert national.unreachable_from == iso(181), "800 + 8 x 80 = 1,440 = 75 % of 16 x 120; a second later it is less"
    assert (national.unused_gpu_s, national.claimed_gpu_s, national.call_for_gpu_hours) == (2400, 0, 1)
    assert (eurohpc.now.deficit_gpu_s, eurohpc.unused_gpu_s, eurohpc.unreachable_from) == (-800, 800, iso(261))
    assert (national.ahead.at, national.ahead.deficit_gpu_s, national.ahead.reachable) == (iso(300), 2400, False)
    assert (national.alarm, eurohpc.alarm) == ("ahead", "none")


def test_a_share_that_is_lost_says_so() -> None:
    found = of(job("eurohpc", 16, nodes="n[01-02],s[01-02]"), period=Period(0, 150))
    national = look(found, 150)[1]
    assert (national.now.deficit_gpu_s, national.now.most_gpu_s, national.now.reachable) == (800, 600, False)
    assert (national.unreachable_from, national.alarm) == (iso(END), "lost")


def test_a_pool_that_has_all_of_its_share_can_not_lose_it() -> None:
    found = of(job("eurohpc", 16, nodes="n[01-02],s[01-02]"), period=Period(0, 200))
    eurohpc = look(found, 200)[0]
    assert (eurohpc.unreachable_from, eurohpc.unused_gpu_s, eurohpc.call_for_gpu_hours) == (None, 0, 0)


@pytest.mark.parametrize(
    ("what", "worth"),
    [
        (claim(900), 900),
        (claim(10**9), 16 * 200),
        (claim(10**9, end=150), 16 * 50),
        (claim(10**9, start=290), 16 * 10),
        (claim(10**9, start=300), 0),
        (claim(10**9, end=100), 0),
        (claim(10**9, end=50), 0),
        (claim(10**9, start=350), 0),
        (claim(900, pool="eurohpc"), 0),
    ],
)
def test_what_projects_have_left_within_their_time_needs_no_call(what: Claim, worth: int) -> None:
    found = of(job("eurohpc", 16, nodes="n[01-02],s[01-02]"), period=Period(0, 300))
    assert look(found, 300, what)[1].claimed_gpu_s == worth


def test_whole_gpu_hours_are_called_for() -> None:
    found = of(period=Period(0, 30 * HOUR))
    half = 8 * 30 * HOUR
    assert [look(found, 30 * HOUR, claim(left))[1].call_for_gpu_hours for left in (0, 1, HOUR, half - 1, half)] == [
        240, 240, 239, 1, 0
    ]  # fmt: skip


def test_the_carry_is_part_of_what_is_owed() -> None:
    found = of(period=Period(0, 300), carry={"national": 100})
    national = look(found, 300)[1]
    assert (national.now.deficit_gpu_s, national.unused_gpu_s) == (900, 2500)


def test_ninety_days_ahead_the_pool_goes_on_as_before() -> None:
    end = 4 * AHEAD
    found = of(job("national", 4, 0, AHEAD, nodes="n01"), period=Period(0, end), as_of=AHEAD)
    national = look(found, end)[1]
    assert national.now.deficit_gpu_s == 4 * AHEAD
    assert (national.ahead.deficit_gpu_s, national.ahead.time_left_s) == (8 * AHEAD, 2 * AHEAD)
    assert (national.ahead.most_gpu_s, national.ahead.reachable) == (12 * 2 * AHEAD, True)


def test_what_is_smaller_than_the_dead_band_rings_no_bell() -> None:
    found = of(job("eurohpc", 8, nodes="n[01-02]"), job("national", 8, 1, 99, nodes="s[01-02]"))
    wide = make.factory(sharing={"dead_band_ppm": 5000})
    assert look(found, END)[1].now.reachable is False
    assert (look(found, END)[1].alarm, look(found, END, factory=wide)[1].alarm) == ("lost", "none")


THREE = {"a": 50, "b": 35, "c": 15}


@given(st.integers(-3000, 3000), st.integers(1, 400), st.sampled_from((0, 5, 15)), st.integers(0, 60))
def test_the_date_is_the_first_second_that_is_too_late(deficit: int, left: int, floor: int, cap: int) -> None:
    factory = make.factory(
        pools=THREE,
        sharing={"floor_percent": floor},
        overhead={"accounts": ["health"], "cap_percent": cap, "booked_to": "a"},
    )
    found = of(factory=factory, period=Period(0, END + left))
    found = replace(found, pools=tuple(replace(pool, deficit_gpu_s=deficit) for pool in found.pools))
    gpus = 16 - 16 * cap // 100
    for pool in look(found, END + left, factory=factory):
        weight = THREE[pool.pool]

        def lost(t: int, weight: int = weight) -> bool:
            owed = deficit + Fraction(weight * gpus * (t - END), 100)
            return owed > Fraction((100 - 2 * floor) * gpus * (END + left - t), 100)

        first = next((t for t in range(END, END + left + 1) if lost(t)), None)
        assert pool.unreachable_from == (None if first is None else iso(first))
        assert pool.now.reachable is not lost(END)
