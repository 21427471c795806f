"""The words of the split, one by one, on numbers that can be checked by hand: 16 GPUs, 100 seconds."""

import json
from datetime import date
from typing import Any

import pytest

import make
from schmelz.metering.attribute import attribute
from schmelz.metering.split import PoolSplit, Split, split, window
from schmelz.metering.supply import Outage
from schmelz.policy.schema import Factory
from schmelz.units import Period, day_start

END = 100
THREE = {"a": 50, "b": 35, "c": 15}
ALL = ("n[01-02]", "s[01-02]")


def of(
    *rows: dict[str, Any],
    factory: Factory | None = None,
    outages: tuple[Outage, ...] = (),
    as_of: int = END,
    period: Period | None = None,
    **more: Any,
) -> Split:
    the_factory = factory or make.factory()
    runs = attribute(make.runs(*({"elapsed": END, **row} for row in rows)), the_factory, {})
    return split(the_factory, make.SYSTEM, runs, outages, period or Period(0, END), as_of, **more)


def job(pool: str, gpus: int, start: int | None = 0, elapsed: int = END, **more: Any) -> dict[str, Any]:
    """Each pool of a two-pool factory stays at its own site, where it fits."""
    return {"account": f"{pool}-1", "gpus": gpus, "start": start, "elapsed": elapsed, **more}


def waiting(pool: str, gpus: int, since: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "account": f"{pool}-1",
        "gpus": gpus,
        "start": None,
        "elapsed": 0,
        "eligible": since,
        "state": "PENDING",
        "limit_s": 1000,
        **more,
    }


def flows(pool: PoolSplit) -> tuple[int, int, int, int]:
    return pool.own_gpu_s, pool.returned_gpu_s, pool.borrowed_gpu_s, pool.lent_gpu_s


def test_entitlement_is_the_weight_of_what_was_delivered() -> None:
    down = Outage(make.SYSTEM, "n01", "down", 0, 33)
    found = of(factory=make.factory(pools=THREE), outages=(down,))
    assert found.delivered_gpu_s == 1600 - 4 * 33
    assert [pool.entitlement_gpu_s for pool in found.pools] == [734, 514, 220], "1468 by largest remainder"


def test_use_up_to_the_share_is_own_and_above_it_is_borrowed_and_lent() -> None:
    found = of(job("eurohpc", 8, nodes="n[01-02]"), job("eurohpc", 4, nodes="s01"), job("national", 4, nodes="s02"))
    eurohpc, national = found.pools
    assert flows(eurohpc) == (800, 0, 400, 0)
    assert flows(national) == (400, 0, 0, 400)
    assert (eurohpc.deficit_gpu_s, national.deficit_gpu_s) == (-400, 400)


def test_what_a_pool_lent_comes_back_as_returned_before_it_borrows() -> None:
    first = job("eurohpc", 16, 0, 40, nodes=",".join(ALL))
    second = job("national", 16, 40, 60, nodes=",".join(ALL))
    eurohpc, national = of(first, second).pools
    assert flows(eurohpc) == (320, 0, 320, 480)
    assert flows(national) == (480, 320, 160, 320), (
        "8 GPUs x 40 s were owed; paid back in 40 s; the last 20 s are borrowed"
    )


def test_lent_is_shared_by_what_each_pool_left_over() -> None:
    found = of(job("a", 16, nodes=",".join(ALL)), factory=make.factory(pools=THREE))
    assert [flows(pool) for pool in found.pools] == [(800, 0, 800, 0), (0, 0, 0, 560), (0, 0, 0, 240)]


def test_carry_is_added_once_counts_as_deficit_and_is_capped() -> None:
    busy = job("eurohpc", 12, nodes="n[01-02],s01")
    found = of(busy, carry={"eurohpc": 30})
    assert found.pools[0].entitlement_gpu_s == 830
    assert flows(found.pools[0]) == (800, 30, 370, 0)
    assert of(carry={"eurohpc": 10**6}).pools[0].entitlement_gpu_s == 800 + 40, "five per cent of the share"
    assert of(carry={"eurohpc": 10**6}, as_of=50).pools[0].entitlement_gpu_s == 400 + 40


def test_overhead_within_its_cap_is_not_delivered_and_above_it_is_booked() -> None:
    factory = make.factory(overhead={"accounts": ["health"], "cap_percent": 20, "booked_to": "national"})
    found = of({"account": "health", "gpus": 8, "start": 0, "nodes": "n[01-02]"}, factory=factory)
    assert (found.overhead_gpu_s, found.delivered_gpu_s, found.supply.used) == (300, 1300, 800), "20 % of 16 GPUs are 3"
    assert [pool.used_gpu_s for pool in found.pools] == [0, 500]


def test_nobodys_runs_are_in_supply_but_in_no_pool() -> None:
    found = of({"account": "nobody", "gpus": 8, "start": 0, "nodes": "n[01-02]"})
    assert found.supply.used == 800 and [pool.used_gpu_s for pool in found.pools] == [0, 0]


def test_with_excess_the_parts_still_add_up() -> None:
    found = of(job("eurohpc", 30, nodes="n01"), job("national", 6, nodes="s01"))
    assert found.supply.excess == 2200
    assert [flows(pool) for pool in found.pools] == [(2800, 0, 200, 0), (600, 0, 0, 200)]


def test_demand_is_use_and_what_is_eligible_now_within_the_grant() -> None:
    rows = (
        job("eurohpc", 1, nodes="n01"),
        waiting("eurohpc", 2),
        waiting("eurohpc", 1, since=101),
        waiting("eurohpc", 5, state="CANCELLED"),
        waiting("eurohpc", 5, eligible=None),
        waiting("eurohpc", 3, limit_s=None),
        waiting("national", 4),
        job("eurohpc", 1, 150, eligible=90, limit_s=7),
    )
    assert [pool.demand_gpu_s for pool in of(*rows, grants_left={"eurohpc-1": 10**6}).pools] == [100 + 2000 + 7, 0]
    assert [pool.demand_gpu_s for pool in of(*rows, grants_left={"eurohpc-1": 50, "national-1": -5}).pools] == [150, 0]


def test_shortfall_is_what_the_machine_could_have_given() -> None:
    found = of(job("eurohpc", 16, nodes=",".join(ALL)), waiting("national", 8), grants_left={"national-1": 10**6})
    eurohpc, national = found.pools
    assert (national.demand_gpu_s, national.shortfall_gpu_s, national.late_gpu_s) == (8000, 800, 0)
    assert (eurohpc.shortfall_gpu_s, eurohpc.late_gpu_s) == (0, 0)


def test_demand_that_came_too_late_is_late_and_no_shortfall() -> None:
    """National waits for the last 30 s only: 480 GPU-seconds could be reached of the 800 that it was entitled to."""
    late = of(waiting("national", 8, since=70), grants_left={"national-1": 10**6}).pools[1]
    assert (late.shortfall_gpu_s, late.late_gpu_s) == (480, 320)


def test_the_floor_of_another_waiting_pool_cannot_be_reached() -> None:
    rows = (waiting("national", 8, since=70), waiting("eurohpc", 8, since=70))
    found = of(*rows, grants_left={"national-1": 10**6}).pools[1]
    assert (found.shortfall_gpu_s, found.late_gpu_s) == (360, 440), "three quarters of 16 GPUs, 30 s"


def test_cancelled_and_held_jobs_do_not_wait() -> None:
    rows = (
        waiting("national", 8),
        waiting("eurohpc", 8, state="CANCELLED"),
        waiting("eurohpc", 8, eligible=None),
        waiting("eurohpc", 8, since=101),
        waiting("eurohpc", 0),
    )
    found = of(
        *rows,
        factory=make.factory(sharing={"floor_percent": 50}),
        carry={"national": 40},
        grants_left={"national-1": 10**6},
    ).pools[1]
    assert (found.shortfall_gpu_s, found.late_gpu_s) == (840, 0), "all of the machine could be reached, not half of it"


def test_the_share_error_is_null_unless_everybody_asked_for_what_is_his() -> None:
    rows = (job("eurohpc", 9, nodes="n[01-02],s01"), job("national", 6, nodes="s[01-02]"))
    left = {"eurohpc-1": 10**6, "national-1": 10**6}
    assert of(*rows, grants_left=left).share_error_ppm is None
    assert of(*rows, waiting("national", 8), grants_left=left).share_error_ppm == 100_000, "100 x 600 of 50 x 1500"
    even = (job("eurohpc", 8, nodes="n[01-02]"), job("national", 8, nodes="s[01-02]"))
    assert of(*even).share_error_ppm == 0


def test_running_jobs_count_with_the_elapsed_of_their_record() -> None:
    running = job("eurohpc", 4, 0, 30, state="RUNNING", nodes="n01")
    assert of(running).pools[0].used_gpu_s == 120
    assert of(running, as_of=20).pools[0].used_gpu_s == 80


def test_days_add_up_to_the_window_over_a_change_of_clocks() -> None:
    factory = make.factory(pools=THREE)
    name, period = window(factory, make.SYSTEM, "2026-03", day_start(date(2026, 4, 2), factory.zone))
    found = of(
        {"account": "c-1", "gpus": 7, "start": period.start + 1, "elapsed": 30 * 86400, "nodes": "n[01-02]"},
        factory=factory,
        period=period,
        as_of=period.end,
    )
    assert (name, found.window, len(found.days)) == ("2026-03", "2026-03", 31)
    assert found.installed_gpu_s == 16 * (31 * 86400 - 3600) == sum(day.installed_gpu_s for day in found.days)
    assert found.days[28].installed_gpu_s == 16 * 23 * 3600
    for number, pool in enumerate(found.pools):
        assert pool.borrowed_gpu_s == sum(day.pools[number].borrowed_gpu_s for day in found.days)


def test_the_split_as_data() -> None:
    found = json.loads(json.dumps(of(job("eurohpc", 8, nodes="n[01-02]")).as_dict()))
    assert set(found) == {
        "system",
        "window",
        "from",
        "to",
        "as_of",
        "installed_gpu_s",
        "delivered_gpu_s",
        "overhead_gpu_s",
        "supply",
        "share_error_ppm",
        "pools",
        "sites",
        "checkpoints",
    }
    assert (found["from"], found["to"]) == ("1970-01-01T00:00:00Z", "1970-01-01T00:01:40Z")
    assert found["supply"] == {
        "used": 800,
        "held": 0,
        "down": 0,
        "maintenance": 0,
        "drained": 0,
        "reserved_idle": 0,
        "idle": 800,
        "excess": 0,
    }
    assert found["pools"][0] == {
        "pool": "eurohpc",
        "weight": 50,
        "entitlement_gpu_s": 800,
        "used_gpu_s": 800,
        "own_gpu_s": 800,
        "borrowed_gpu_s": 0,
        "returned_gpu_s": 0,
        "lent_gpu_s": 0,
        "demand_gpu_s": 800,
        "shortfall_gpu_s": 0,
        "deficit_gpu_s": 0,
        "late_gpu_s": 0,
        "carry_gpu_s": 0,
        "floor_breaches": 0,
        "floor_breach_longest_s": 0,
        "reclaims": 0,
        "reclaim_p50_s": None,
        "reclaim_p95_s": None,
        "worst_week_ppm": None,
    }
    assert found["sites"][1] == {
        "site": "south",
        "installed_gpu_s": 800,
        "supply": {
            "used": 0,
            "held": 0,
            "down": 0,
            "maintenance": 0,
            "drained": 0,
            "reserved_idle": 0,
            "idle": 800,
            "excess": 0,
        },
    }


@pytest.mark.parametrize("as_of", [-5, 0])
def test_a_window_of_no_length_is_all_zero(as_of: int) -> None:
    found = of(job("eurohpc", 8), as_of=as_of)
    assert (found.installed_gpu_s, found.days, found.supply.installed) == (0, (), 0)
    assert [pool.used_gpu_s for pool in found.pools] == [0, 0]


def test_other_systems_are_not_counted() -> None:
    assert of(job("eurohpc", 8, system="other")).supply.used == 0
