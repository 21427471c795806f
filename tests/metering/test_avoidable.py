"""Avoidable idle: by hand, and against a replay that asks the rule anew at every change and counts every second."""

import dataclasses
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import make
from metering.test_split import job, waiting
from schmelz.metering import avoidable as module
from schmelz.metering.attribute import attribute
from schmelz.metering.avoidable import FAR, avoidable
from schmelz.metering.supply import Outage
from schmelz.rules.levels import beyond
from schmelz.rules.queue import Running, State, Waiting, next_starts
from schmelz.units import DAY, Period

END, CYCLE = 100, 10
EVERYWHERE = {"partition": "any"}


def of(*rows: dict[str, Any], outages: tuple[Outage, ...] = (), charge: str = "gpu", **more: Any) -> int:
    factory = make.factory(charge=charge, sharing={"cycle": CYCLE})
    return avoidable(
        factory.systems[0],
        factory.zone,
        attribute(make.runs(*({"elapsed": END, **row} for row in rows)), factory, {}),
        outages,
        Period(0, END),
        window_s=END,
        **more,
    )


def test_idle_that_the_rule_would_fill_counts_after_one_cycle() -> None:
    assert of(waiting("national", 4)) == 4 * (END - CYCLE)
    assert of(waiting("national", 4, since=85)) == 4 * (15 - CYCLE)
    assert of(waiting("national", 4, since=90)) == 0, "exactly one cycle"


def test_what_starts_within_a_cycle_was_no_fault() -> None:
    rows = [job("national", 4, n + CYCLE, 5, eligible=n, nodes="n01") for n in range(0, 80, 20)]
    assert of(*rows) == 0


def test_only_what_fits_the_free_gpus_of_a_site_counts() -> None:
    busy = (job("eurohpc", 6, nodes="n[01-02]", limit_s=END), job("eurohpc", 8, nodes="s[01-02]", limit_s=END))
    assert of(*busy, waiting("national", 4)) == 0
    assert of(*busy, waiting("national", 2)) == 2 * 90
    assert of(*busy, waiting("national", 2, partition="gpu-south")) == 0, "it asked for the other site"
    assert of(*busy, waiting("national", 2, **EVERYWHERE)) == 2 * 90


def test_a_place_may_have_been_kept_at_either_site() -> None:
    """The large job ran in the south, but may have asked for any site: then the north was kept for it."""
    north, south = job("eurohpc", 6, nodes="n[01-02]", limit_s=END), job("eurohpc", 8, nodes="s[01-02]", limit_s=END)
    large = job("national", 8, END + 5, 5, nodes="s[01-02]", eligible=0, limit_s=50)
    small = waiting("eurohpc", 2, since=1, limit_s=2 * END)
    assert of(north, south, large, small) == 0
    assert of(north, south, small) == 2 * (END - 1 - CYCLE)


def test_who_was_cancelled_stood_in_the_queue_and_is_not_missed() -> None:
    busy = job("eurohpc", 4, 0, END, nodes="n01", limit_s=END)
    gone = waiting("national", 8, state="CANCELLED", end=60, limit_s=50)
    small = waiting("eurohpc", 4, since=1, limit_s=2 * END)
    assert of(waiting("national", 4, state="CANCELLED", end=60)) == 0
    assert of(busy, gone, small) == 4 * (END - 60 - CYCLE), "until it was cancelled the place was kept for it"


def test_nobody_starts_what_would_reach_into_a_maintenance() -> None:
    planned = tuple(Outage(make.SYSTEM, node, "maintenance", 80, 90) for node in ("n01", "n02", "s01", "s02"))
    assert of(waiting("national", 4, limit_s=200), outages=planned) == 0
    assert of(waiting("national", 4, limit_s=50), outages=planned) == 4 * (80 - CYCLE)
    broken = tuple(dataclasses.replace(one, kind="down") for one in planned)
    assert of(waiting("national", 4, limit_s=200), outages=broken) == 4 * (80 - CYCLE), "nobody knew"


def test_a_gap_kept_for_a_large_job_is_not_avoidable() -> None:
    """The large job waits for what ends at 50; a small one with a long limit would delay it, a short one would not."""
    busy = job("eurohpc", 4, 0, 50, nodes="n01", limit_s=50)
    large = waiting("national", 8, limit_s=100)
    assert of(busy, large, waiting("eurohpc", 4, since=1, limit_s=100)) == 8 * (50 - CYCLE)
    assert of(busy, large, waiting("eurohpc", 4, since=1, limit_s=40)) == 4 * (99 - CYCLE) + 4 * (50 - CYCLE)


def test_gpus_that_are_away_or_reserved_are_not_idle() -> None:
    away = tuple(Outage(make.SYSTEM, node, "down", 0, None) for node in ("n01", "n02"))
    assert of(waiting("national", 4), outages=away) == 0
    kept = tuple(Outage(make.SYSTEM, node, "reserved", 0, None) for node in ("n01", "n02"))
    assert of(waiting("national", 4), outages=kept) == 0


def test_who_could_not_start_is_nobodys_fault() -> None:
    assert of(waiting("national", 4), spent=frozenset({"national-1"})) == 0
    assert of(waiting("nobody", 4)) == 0
    assert of(waiting("national", 4, eligible=None), waiting("national", 4, state="CANCELLED")) == 0
    both = job("national", 8, 60, 10, eligible=0, nodes="n01,s01")
    assert of(both) == 0, "a job over two sites is none that the rule would start"


def test_whole_nodes_are_asked_for_where_they_are_charged() -> None:
    rows = (job("national", 1, 60, 10, eligible=0, nodes="n01"),)
    assert of(*rows) == 50
    assert of(*rows, charge="node") == 4 * 50


def test_a_level_that_falls_and_rises_counts_for_what_stayed() -> None:
    rows = (waiting("national", 2), job("national", 4, 50, 50, eligible=20, nodes="n01"))
    assert of(*rows) == 2 * 90 + 4 * (30 - CYCLE)


moments = st.integers(-30, 110)


@st.composite
def rows_of(draw: st.DrawFn) -> dict[str, Any]:
    pool, at = draw(st.sampled_from(("eurohpc", "national"))), draw(moments)
    gpus, limit = draw(st.integers(1, 8)), draw(st.sampled_from((5, 30, None)))
    site = draw(st.sampled_from(("north", "south")))
    if draw(st.booleans()):
        return waiting(pool, gpus, since=at, limit_s=limit, partition=draw(st.sampled_from((f"gpu-{site}", "any"))))
    more = {"limit_s": limit, "eligible": at - draw(st.integers(0, 60)), "nodes": f"{site[0]}[01-02]"}
    return job(pool, gpus, at, draw(st.integers(1, 80)), **more)


def replay(rows: list[dict[str, Any]]) -> int | None:
    """The same, asking anew at every change and then counting seconds; None where records claim too much."""
    long = 172_800
    ran = [(r["start"], r["start"] + r["elapsed"]) for r in rows if r["start"] is not None]
    ends = {t for run in ran for t in run} | {r["eligible"] for r in rows}
    times = sorted({0, END} | {t for t in ends if 0 < t < END})
    filled: list[int] = []
    owed = dict.fromkeys(("eurohpc", "national"), Fraction(0))
    for t, after in pairwise(times):
        running = [r for r in rows if r["start"] is not None and r["start"] <= t < r["start"] + r["elapsed"]]
        asks = [r for r in rows if r["eligible"] <= t and (r["start"] is None or t < r["start"])]
        site = {
            id(r): "north"
            if r.get("nodes", r.get("partition"))[0] in "n" or "north" in r.get("partition", "")
            else "south"
            for r in rows
        }
        free = {s: 8 - sum(r["gpus"] for r in running if site[id(r)] == s) for s in ("north", "south")}
        if min(free.values()) < 0:
            return None
        order = sorted(asks, key=lambda r: (r["eligible"], r["submit"], r["job"]))
        queue = tuple(
            Waiting(
                r["job"], r["account"][:-2], r["gpus"], r["limit_s"] or long,
                ("north", "south") if r.get("partition") == "any" else (site[id(r)],),
            )
            for r in order
        )  # fmt: skip
        busy = tuple(
            Running(r["job"], r["account"][:-2], r["gpus"], site[id(r)], r["start"] + (r["limit_s"] or long))
            for r in running
        )
        state = State(t, 16, free, queue, busy, {p: int(d // 1) for p, d in owed.items()}, 16 * END * 1000 // 10**6, 25)
        sizes = {r["job"]: r["gpus"] for r in rows}
        anywhere = dataclasses.replace(
            state, waiting=tuple(dataclasses.replace(j, sites=("north", "south")) for j in queue)
        )
        both = [sum(sizes[start.job] for start in next_starts(one)) for one in (state, anywhere)]
        filled += [min(both)] * (after - t)
        for pool in owed:
            owed[pool] += (8 - sum(r["gpus"] for r in running if r["account"] == f"{pool}-1")) * (after - t)
    return sum(min(filled[t - CYCLE : t + 1]) for t in range(CYCLE, END))


@given(st.lists(rows_of(), max_size=8))
def test_it_is_what_a_slow_replay_counts(rows: list[dict[str, Any]]) -> None:
    full = [
        {**row, "job": f"{n:02}", "submit": row["eligible"] if "eligible" in row else row["start"]}
        for n, row in enumerate(rows)
    ]
    expected = replay(full)
    if expected is not None:
        assert of(*full) == expected


@pytest.mark.slow  # compiling takes seconds
@settings(
    max_examples=5 * settings.default.max_examples,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(rows_of(), max_size=14))
def test_the_compiled_rule_counts_the_same(monkeypatch: pytest.MonkeyPatch, rows: list[dict[str, Any]]) -> None:
    full = [{**row, "job": f"{n:02}"} for n, row in enumerate(rows)]
    found = []
    for states in (1000, -1):
        monkeypatch.setattr(module, "STATES", states)
        found.append(of(*full))
    assert found[0] == found[1]


@pytest.mark.slow
@settings(max_examples=5 * settings.default.max_examples)
@given(st.data())
def test_the_compiled_rule_starts_what_the_rule_starts(data: st.DataObject) -> None:
    """State by state: several pools and sites, overdue jobs, jobs for any site, floors and dead bands."""
    import numpy as np

    from schmelz.metering import fill_kernel

    pools, sites = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    small, ends = st.integers(1, 9), st.integers(-20, 60)
    asks = data.draw(
        st.lists(
            st.tuples(st.integers(0, pools - 1), small, st.integers(0, 60), st.integers(-1, sites - 1)), max_size=12
        )
    )
    runs = data.draw(
        st.lists(st.tuples(st.integers(-1, pools - 1), small, st.integers(-1, sites - 1), ends), max_size=12)
    )
    free = data.draw(st.lists(st.integers(0, 12), min_size=sites, max_size=sites))
    owed = data.draw(st.lists(st.integers(-50, 50), min_size=pools, max_size=pools))
    capacity, band, floor = data.draw(st.tuples(st.integers(0, 40), st.integers(0, 30), st.sampled_from((0, 25, 50))))
    state = State(
        0, capacity, {f"s{n}": gpus for n, gpus in enumerate(free)},
        tuple(
            Waiting(str(n), f"p{pool}", gpus, limit, tuple(f"s{k}" for k in range(sites)) if only < 0 else (f"s{only}",))
            for n, (pool, gpus, limit, only) in enumerate(asks)
        ),
        tuple(Running(f"r{n}", f"p{pool}", gpus, f"s{site}", end) for n, (pool, gpus, site, end) in enumerate(runs)),
        {f"p{n}": deficit for n, deficit in enumerate(owed)}, band, floor,
    )  # fmt: skip
    expected = sum(asks[int(start.job)][1] for start in next_starts(state))
    waits = np.array([(0, 1, *row, 1, 0) for row in asks], np.int64).reshape(-1, 8)
    busy = np.array([(-1, 1, *row) for row in runs], np.int64).reshape(-1, 6)
    found = fill_kernel.filled(np.array([[0, capacity, *free, *[FAR] * sites, *owed]]), waits, busy, sites, band, floor)
    assert found.tolist() == [expected]


HEIGHTS = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 20), st.integers(0, 5)), max_size=12)


@given(HEIGHTS, st.integers(0, 12))
def test_levels_count_what_lasted_beyond_a_cycle(steps: list[tuple[int, int, int]], cycle: int) -> None:
    """Against seconds counted one by one: the least height of the last cycle, inside a piece."""
    steps = sorted(steps, key=lambda step: step[0])
    expected = 0
    for piece in range(3):
        line = [gpus for number, seconds, gpus in steps if number == piece for _ in range(seconds)]
        expected += sum(min(line[t - cycle : t + 1]) for t in range(cycle, len(line)))
    assert beyond(*([step[n] for step in steps] for n in range(3)), cycle) == expected


def by_parts(monkeypatch: pytest.MonkeyPatch, days: int, *rows: dict[str, Any]) -> list[int]:
    """The count of a span of so many days: at once, and day by day."""
    factory, whole = make.factory(sharing={"cycle": 3600}), Period(0, days * DAY)
    runs = attribute(make.runs(*({**row, "job": f"{n:02}"} for n, row in enumerate(rows))), factory, {})
    found = []
    for part in (31, 1):
        monkeypatch.setattr(module, "PART_DAYS", part)
        found.append(avoidable(factory.systems[0], factory.zone, runs, (), whole, window_s=whole.seconds))
    return found


def test_what_is_owed_goes_on_from_part_to_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the first day one pool has everything; on the second its smaller job came first, and the other's starts."""
    first = [job("eurohpc", 8, 0, DAY, eligible=0, nodes=nodes) for nodes in ("n[01-02]", "s[01-02]")]
    floors = {"eurohpc": "n01", "national": "s01"}
    second = [job(pool, 4, DAY, DAY, eligible=DAY, nodes=node, limit_s=DAY) for pool, node in floors.items()]
    asks = (waiting("eurohpc", 3, since=DAY, limit_s=DAY), waiting("national", 4, since=DAY, limit_s=DAY))
    assert by_parts(monkeypatch, 2, *first, *second, *asks) == [4 * (DAY - 3600)] * 2


@pytest.mark.slow
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(rows_of(), max_size=14))
def test_a_long_span_is_counted_in_parts(monkeypatch: pytest.MonkeyPatch, rows: list[dict[str, Any]]) -> None:
    """Runs drawn out over three days."""
    times = ("start", "elapsed", "eligible", "limit_s")
    long = [{**row, **{name: row[name] * 2400 for name in times if row.get(name)}} for row in rows]
    whole, daily = by_parts(monkeypatch, 3, *long)
    assert whole == daily
