"""The forecast: seeds are draws that can be repeated, the same jobs for the same grants, figures that add up."""

from dataclasses import replace

import numpy as np
import pytest

from schmelz.twin.forecast import Future, Grant, Mix, Present, forecast, likely, starts, usual, workload
from schmelz.twin.sharing import Away, Sharing
from schmelz.units import DAY, HOUR, PPM, Period

NOW = 1_000_000
SHARING = Sharing((1, 1), (("x", 8), ("y", 8)), window_s=40 * DAY, dead_band_ppm=0)


def mix(size: int = 2, run: int = HOUR, limit: int = 2 * HOUR, many: int = 3) -> Mix:
    return Mix(*(np.full(many, value, np.int64) for value in (size, run, limit)))


def future(*grants: Grant, present: tuple[Present, ...] = (), sharing: Sharing = SHARING, **changes: object) -> Future:
    window = Period(NOW - 20 * DAY, NOW + 20 * DAY)
    made = Future(("a", "b"), sharing, NOW, window, present, grants, {"a": mix(), "b": mix()})
    return replace(made, **changes)


def grant(pool: str, hours: int, name: str = "", days: int = 20) -> Grant:
    return Grant(name or f"{pool}{hours}", pool, hours * HOUR, NOW, NOW + days * DAY)


def test_the_same_input_gives_the_same_forecast_and_seeds_differ() -> None:
    one = future(grant("a", 500), grant("b", 900))
    assert forecast(one, 3) == forecast(one, 3)
    draws = [workload(one, seed)[0].submit.tolist() for seed in (1, 2)]
    assert draws[0] != draws[1]


def test_another_grant_leaves_the_jobs_of_the_others_as_they_are() -> None:
    alone, both = (
        workload(future(*grants), 1)[0] for grants in ((grant("a", 300),), (grant("b", 100), grant("a", 300)))
    )
    assert both.submit[both.pool == 0].tolist() == alone.submit.tolist()


def test_a_grant_is_used_up_to_the_second_and_no_further() -> None:
    jobs, _ = workload(future(grant("a", 101)), 1)
    assert int((jobs.size * jobs.run).sum()) == 101 * HOUR and len(jobs) == 51
    assert jobs.submit.min() >= NOW and jobs.submit.max() < NOW + 20 * DAY


def test_use_share_and_entitlement_add_up() -> None:
    found = forecast(
        future(grant("a", 100, days=10), grant("b", 300, days=10), delivered=16 * 20 * DAY, used=(5 * HOUR, 0)), 5
    )
    a, b = found.pools["a"], found.pools["b"]
    assert (a["used_gpu_s"].median, b["used_gpu_s"].median) == (105 * HOUR, 300 * HOUR)
    assert a["share_ppm"].low == a["share_ppm"].high == 105 * PPM // 405
    assert a["entitlement_gpu_s"].median == 16 * 40 * DAY // 2, "delivered so far and until the end, by weight"
    assert found.machine["delivered_gpu_s"].median == 16 * 40 * DAY
    assert found.share["a"][-1].median == 105 * PPM // 405 and len(found.moments) == 20
    assert found.pools["a"]["wait_mean_s"].low is not None and found.classes.keys() == {2}


def test_a_full_machine_makes_waits_and_an_outage_makes_them_longer() -> None:
    busy = future(grant("a", 16 * 24 * 10), grant("b", 16 * 24 * 10))
    away = replace(SHARING, away=(Away("x", 8, NOW + 5 * DAY, NOW + 10 * DAY, announced=True),))
    before, after = (forecast(one, 3) for one in (busy, replace(busy, sharing=away)))
    assert before.machine["wait_mean_s"].median < after.machine["wait_mean_s"].low
    assert after.machine["delivered_gpu_s"].median == 16 * 20 * DAY - 8 * 5 * DAY


def test_a_share_is_out_of_reach_when_its_pool_asks_for_too_little() -> None:
    found = forecast(future(grant("b", 16 * 24 * 20)), 3)
    assert found.pools["b"]["unreachable_from"].seeds == 0
    lost = found.pools["a"]["unreachable_from"]
    assert lost.seeds == 3 and NOW + 10 * DAY < lost.low <= lost.high < NOW + 14 * DAY
    # half of what came > 75 % of what comes: after 3/5 of the time = 12 days


def test_jobs_that_run_keep_their_gpus_and_those_that_wait_start_when_they_end() -> None:
    runs = (Present("a", 8, 2 * HOUR, 30 * 60, 1), Present("b", 8, 2 * HOUR, 0, 2))
    one = future(present=(*runs, Present("a", 8, HOUR, waits=True), Present("b", 1, HOUR, waits=True)))
    found = starts(one, 4) - NOW
    assert found[:, 0].tolist() == [30 * 60 - 1] * 4, "an hour as all past jobs of that limit, half an hour is gone"
    assert (found[:, 1] > 0).all() and (found[:, 1] <= HOUR).all()


def test_a_job_that_ran_longer_than_any_before_is_taken_to_its_limit() -> None:
    runs = tuple(Present("a", 8, 2 * HOUR, HOUR + 60, site) for site in (1, 2))
    found = starts(future(present=(*runs, Present("b", 8, HOUR, waits=True))), 3) - NOW
    assert found[:, 0].tolist() == [HOUR - 61] * 3


def test_likely_says_none_where_draws_never_come_to_it() -> None:
    assert likely(np.array([50, 10, 20, 30, 40])) == {"low": 10, "median": 30, "high": 40}
    assert likely(np.array([5, -1, -1])) == {"low": 5, "median": None, "high": None}


def test_nothing_at_all_is_a_forecast_too() -> None:
    found = forecast(future(used=(3, 1)), 2)
    assert found.pools["a"]["jobs"].median == 0 and found.pools["a"]["share_ppm"].median == 750_000
    assert found.machine["utilisation_ppm"].median is None


def test_a_window_to_come_counts_only_what_is_used_in_it() -> None:
    later = Period(NOW + 20 * DAY, NOW + 60 * DAY)
    grants = (Grant("p1", "a", 400 * HOUR, NOW, NOW + 40 * DAY), Grant("p2", "b", 400 * HOUR, NOW, NOW + 20 * DAY))
    found = forecast(future(*grants, window=later, sharing=replace(SHARING, windows=(later.start,))), 3)
    assert 100 * HOUR < found.pools["a"]["used_gpu_s"].low < found.pools["a"]["used_gpu_s"].high < 300 * HOUR
    assert found.pools["b"]["used_gpu_s"].high <= 16 * HOUR, "only what was under way when the window began"


@pytest.mark.parametrize("unit", (1, 4))
def test_a_machine_without_a_past_has_the_generators_jobs_in_whole_nodes(unit: int) -> None:
    made = usual(64, unit)
    assert (made.size % unit == 0).all() and (made.run <= made.limit).all()
