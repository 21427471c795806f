"""The simulated machine: conservation of GPUs for any input, and small cases by hand."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, strategies as st

import make
from schmelz.policy.schema import Factory, System
from schmelz.twin.machine import Outage, Placed, SimJob, simulate
from schmelz.units import Period

SITES = ("north", "south")
PERIOD = Period(0, 1_000)


def system(charge: str = "node", **keys: Any) -> System:
    """Four nodes of four GPUs at two sites."""
    return make.factory(charge=charge, **keys).systems[0]


def sim(
    machine: System,
    jobs: list[SimJob],
    outages: list[Outage] | None = None,
    period: Period = PERIOD,
    factory: Factory | None = None,
) -> tuple[Placed, ...]:
    return simulate(machine, jobs, outages or [], period, (factory or make.factory()).zone)


def job(number: int, nodes: int = 1, submit: int = 0, limit: int = 100, run: int = 100, **keys: Any) -> SimJob:
    return SimJob(
        **{
            "job": str(number),
            "pool": "eurohpc",
            "project": "p",
            "submit": submit,
            "gpus": 4 * nodes,
            "nodes": nodes,
            "limit": limit,
            "run": run,
            "sites": SITES,
            **keys,
        }
    )


@st.composite
def jobs(draw: st.DrawFn, charge: str) -> list[SimJob]:
    made = []
    for number in range(draw(st.integers(0, 14))):
        nodes = draw(st.integers(1, 2))
        made.append(
            job(
                number,
                nodes,
                draw(st.integers(0, 300)),
                draw(st.integers(1, 200)),
                draw(st.integers(1, 250)),
                gpus=4 * nodes if charge == "node" else draw(st.integers(1, 8)),
                pool=draw(st.sampled_from(("eurohpc", "national"))),
                sites=tuple(draw(st.lists(st.sampled_from(SITES), min_size=1, max_size=2, unique=True))),
            )
        )
    return made


OUTAGES = st.lists(
    st.builds(
        lambda site, nodes, start, length, announced: Outage(site, nodes, start, start + length, announced=announced),
        st.sampled_from(SITES),
        st.integers(1, 2),
        st.integers(0, 300),
        st.integers(1, 200),
        st.booleans(),
    ),
    max_size=3,
)


@pytest.mark.parametrize("charge", ["node", "gpu"])
def test_no_gpu_is_used_twice_and_every_run_is_as_its_job_says(charge: str) -> None:
    machine = system(charge)

    @given(jobs(charge), OUTAGES)
    def check(todo: list[SimJob], outages: list[Outage]) -> None:
        placed = sim(machine, todo, outages)
        assert sim(machine, todo, outages) == placed
        wanted = {one.job: one for one in todo}
        assert len({run.job for run in placed}) == len(placed)
        for run in placed:
            one = wanted[run.job]
            assert run.start >= one.submit and run.end == run.start + min(one.run, one.limit)
            assert run.site in one.sites and set(run.nodes) <= set(machine.node_names[run.site])
            assert len(run.nodes) == one.nodes if charge == "node" else len(run.nodes) * 4 >= one.gpus
        for start in {run.start for run in placed}:
            together = [run for run in placed if run.start <= start < run.end]
            for site in SITES:
                assert sum(wanted[run.job].gpus for run in together if run.site == site) <= machine.gpus(site)
            if charge == "node":
                nodes = [name for run in together for name in run.nodes]
                assert len(nodes) == len(set(nodes))
        if not outages:
            assert len(placed) == len(todo)

    check()


def test_jobs_start_on_submission_or_when_room_comes_free() -> None:
    placed = sim(system(), [job(1, 2, run=50), job(2, 2), job(3, 2, submit=10), job(4, 1, submit=20)])
    assert placed == (
        Placed("1", 0, 50, "north", ("n01", "n02")),
        Placed("2", 0, 100, "south", ("s01", "s02")),
        Placed("3", 50, 150, "north", ("n01", "n02")),
        Placed("4", 100, 200, "south", ("s01",)),
    )


def test_ends_come_before_submissions_of_the_same_instant() -> None:
    todo = [job(1, 2, sites=("north",)), job(2, 2, 100, sites=("north",))]
    assert [run.start for run in sim(system(), todo)] == [0, 100]


def test_what_has_not_started_by_the_end_of_the_period_is_not_placed() -> None:
    todo = [job(1, 2, sites=("north",), limit=2_000, run=2_000), job(2, 1, 5, sites=("north",))]
    assert sim(system(), todo) == (Placed("1", 0, 2_000, "north", ("n01", "n02")),)
    assert sim(system(), [job(1, submit=1_000)]) == ()


def test_a_job_leaves_the_queue_after_its_latest_start() -> None:
    latest = (None, 99, 100)
    todo = [job(number, 2, number, sites=("north",), latest=latest[number]) for number in range(3)]
    assert [(run.job, run.start) for run in sim(system(), todo)] == [("0", 0), ("2", 100)]


def test_an_outage_takes_free_nodes_first_and_lets_jobs_go_on() -> None:
    todo = [job(1, 1, sites=("north",)), job(2, 1, 20, sites=("north",)), job(3, 2, 21, sites=("north",))]
    placed = sim(system(), todo, [Outage("north", 1, 10, 60)])
    assert [(run.job, run.start, run.nodes) for run in placed] == [
        ("1", 0, ("n01",)),
        ("2", 60, ("n02",)),
        ("3", 160, ("n01", "n02")),
    ]
    placed = sim(system(), todo[:2], [Outage("north", ("n01",), 10, 500)])
    assert [(run.job, run.start, run.end) for run in placed] == [("1", 0, 100), ("2", 20, 120)]


def test_a_node_that_is_away_takes_no_job_until_its_last_outage_is_over() -> None:
    away = [Outage("north", ("n01",), 0, 50), Outage("north", ("n01",), 0, 90)]
    one, two = job(1, 1, 10, sites=("north",)), job(2, 1, 60, sites=("north",))
    placed = sim(system(), [one, two], away)
    assert [(run.start, run.nodes) for run in placed] == [(10, ("n02",)), (90, ("n01",))]


def test_a_site_whose_maintenance_is_announced_is_clear_when_it_begins() -> None:
    todo = [job(1, 1, 0, 100), job(2, 1, 30, 80), job(3, 1, 30, 70)]
    away = Outage("north", 2, 100, 200, "maintenance", announced=True)
    south_full = job(9, 2, 0, 500, 500, sites=("south",))
    placed = sim(system(), [south_full, *todo], [away])
    assert [(run.job, run.start) for run in placed] == [("9", 0), ("1", 0), ("3", 30), ("2", 200)]
    placed = sim(system(), [south_full, *todo], [replace(away, announced=False)])
    assert [(run.job, run.start) for run in placed] == [("9", 0), ("1", 0), ("2", 30), ("3", 200)]


def test_the_pool_that_came_late_catches_up() -> None:
    """One pool has the machine for itself; when the other comes, it goes first until both had the same."""
    machine = system(sharing={"dead_band_ppm": 0, "floor_percent": 0})
    first = [job(n, 1, 0, 10, 10) for n in range(200)]
    second = [job(1_000 + n, 1, 200, 10, 10, pool="national") for n in range(200)]
    placed = sim(machine, first + second, period=Period(0, 600))
    pools = {one.job: one.pool for one in first + second}

    def used(pool: str, until: int) -> int:
        return sum(run.end - run.start for run in placed if pools[run.job] == pool and run.end <= until)

    assert used("national", 200) == 0 and used("eurohpc", 200) == 800
    assert used("eurohpc", 400) == 800 and used("national", 400) == 800
    assert abs(used("eurohpc", 600) - used("national", 600)) <= 40
    assert used("eurohpc", 600) + used("national", 600) == 4 * 600


def test_events_follow_each_other() -> None:
    starts = [run.start for run in sim(system(), [job(n, 2, n * 7) for n in range(9)])]
    assert all(one <= other for one, other in pairwise(starts))


def test_jobs_that_cannot_be_as_they_say_are_refused() -> None:
    with pytest.raises(ValueError, match="job 7: 5 GPUs are not 1 whole nodes"):
        sim(system(), [job(7, gpus=5)])
    with pytest.raises(ValueError, match="the same number"):
        sim(system(), [job(7), job(7)])
