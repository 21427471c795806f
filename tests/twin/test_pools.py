"""Policies with pools: sites, parts, outages, budgets, marks and pre-emption, and what is told of them."""

from dataclasses import replace

import numpy as np
import pytest

from schmelz.faults import BadInput
from schmelz.twin.pool_results import pool_results
from schmelz.twin.pools import deficit, fairshare, partition
from schmelz.twin.sharing import Away, Budgets, PoolOptions, Sharing
from schmelz.twin.workload import Options, Schedule, Workload
from twin.made import workload

HALVES = Sharing((1, 1), (("n", 4), ("s", 4)))


def run(work: Workload, sharing: Sharing = HALVES, gpus: int = 8) -> Schedule:
    return deficit(work, PoolOptions(gpus, sharing=sharing))


def test_a_job_never_spans_sites() -> None:
    done = run(workload([(0, 10, 3), (0, 10, 3), (0, 10, 2)]))
    assert done.start.tolist() == [0, 0, 10]  # two GPUs are free, one at each site
    assert done.site.tolist()[:2] == [0, 1]


def test_a_job_larger_than_a_site_is_cut_and_counted() -> None:
    done = run(workload([(0, 10, 7)]))
    assert done.size.tolist() == [4]
    assert dict(done.figures)["cut_to_site"] == 1


def test_the_larger_deficit_goes_first() -> None:
    rows = [(0, 100, 4), (0, 100, 4), (1, 10, 4, 10, 0), (2, 10, 4, 10, 1)]
    assert run(workload(rows)).start.tolist() == [0, 0, 100, 100]
    one_site = replace(HALVES, sites=(("n", 4),), dead_band_ppm=0)
    assert run(workload([(0, 100, 4), (1, 10, 4, 10, 0), (2, 10, 4, 10, 1)]), one_site, 4).start.tolist() == [
        0,
        110,
        100,
    ]


def test_what_one_pool_does_not_ask_for_is_lent_but_not_by_fixed_parts() -> None:
    work = workload([(0, 10, 4), (0, 10, 4)])
    assert run(work).start.tolist() == [0, 0]
    parts = partition(work, PoolOptions(8, sharing=Sharing((1, 1))))
    assert parts.start.tolist() == [0, 10]


def test_fair_share_forgets_and_the_ledger_does_not() -> None:
    """Pool a ran long ago: fair share has forgotten it and lets the arrival decide, the ledger has not."""
    rows = [(0, 50, 4, 50, 0), (5000, 100, 4, 100, 1), (5001, 10, 4, 10, 1), (5002, 10, 4, 10, 0)]
    sharing = Sharing((1, 1), (("n", 4),), half_life=100, dead_band_ppm=0, window_s=1)
    ours = run(workload(rows), sharing, 4).start.tolist()
    fair = fairshare(workload(rows), PoolOptions(4, sharing=sharing)).start.tolist()
    assert (ours[2:], fair[2:]) == ([5110, 5100], [5110, 5100])
    rows[0] = (0, 2000, 4, 2000, 0)
    ours = run(workload(rows), sharing, 4).start.tolist()
    fair = fairshare(workload(rows), PoolOptions(4, sharing=sharing)).start.tolist()
    assert (ours[2:], fair[2:]) == ([5100, 5110], [5110, 5100])


def test_gpus_that_leave_wait_for_their_jobs() -> None:
    away = (Away("n", 4, 5, 40),)
    done = run(workload([(0, 20, 4), (6, 10, 2)]), Sharing((1, 1), (("n", 4),), away=away), 4)
    assert done.start.tolist() == [0, 40]


def test_an_announced_outage_is_kept_clear() -> None:
    away = (Away("n", 4, 50, 60, announced=True),)
    done = run(workload([(0, 20, 4, 60), (0, 20, 4, 30)]), Sharing((1, 1), (("n", 4),), away=away), 4)
    assert done.start.tolist() == [60, 0]
    unannounced = replace(away[0], announced=False)
    done = run(workload([(0, 20, 4, 60), (0, 20, 4, 30)]), Sharing((1, 1), (("n", 4),), away=(unannounced,)), 4)
    assert done.start.tolist() == [0, 20]


def test_no_job_starts_before_its_budget() -> None:
    """Two jobs of 40 GPU-seconds each; the second month allows the second one."""
    months = Budgets(np.array([50]), np.array([0]), np.array([100]), np.array([0]), np.array([90]))
    done = run(workload([(0, 10, 4), (0, 10, 4), (0, 10, 4)]), replace(HALVES, budgets=months))
    assert done.start.tolist() == [0, 100, -1]
    assert dict(done.figures)["never_started"] == 1


def test_what_a_job_leaves_of_its_estimate_is_given_back() -> None:
    whole = Budgets(np.array([80]), np.array([0]))
    done = run(workload([(0, 10, 4, 20), (0, 10, 4, 10)]), replace(HALVES, budgets=whole))
    assert done.start.tolist() == [0, 10]


def test_only_marked_jobs_give_way_and_only_after_the_minimum_run() -> None:
    rows = [(0, 100, 8, 100, 0), (10, 20, 4, 20, 1)]
    sharing = Sharing((1, 1), (("n", 8),), minimum_run=30)
    assert run(workload(rows), sharing).start.tolist() == [0, 100]
    marked = run(workload(rows), replace(sharing, marked=np.array([True, False])))
    assert marked.start.tolist() == [50, 30]  # begins anew when the other has ended
    assert list(marked.cuts) == [(0, 0, 30, 0)]
    assert marked.lost.tolist() == [240, 0]
    assert run(workload(rows), replace(sharing, mark_over=True)).start.tolist() == [50, 30]


def test_a_pool_within_its_share_loses_nothing() -> None:
    rows = [(0, 100, 4, 100, 0), (0, 100, 4, 100, 0), (10, 20, 8, 20, 1)]
    sharing = Sharing((1, 1), (("n", 8),), minimum_run=0, marked=np.array([True, True, False]))
    assert run(workload(rows), sharing).cuts == []  # with eight GPUs the second pool would be over its share itself


def test_figures() -> None:
    work = workload([(0, 10, 8, 10, 0), (10, 10, 8, 10, 1), (10, 30, 4, 30, 0)], owners=1)
    options = PoolOptions(8, sharing=Sharing((1, 1), (("n", 8),)))
    found = pool_results(work, deficit(work, options), options)
    a, b = found["pools"]
    assert (found["delivered_gpu_s"], found["used_gpu_s"]) == (8 * 50, 80 + 80 + 120)
    assert (a["used_gpu_s"], a["entitlement_gpu_s"], a["demand_gpu_s"]) == (200, 200, 200)
    assert (b["own_gpu_s"], b["returned_gpu_s"], b["borrowed_gpu_s"]) == (40, 40, 0)  # b pays itself back what it lent
    assert (a["own_gpu_s"], a["borrowed_gpu_s"], b["lent_gpu_s"], a["lent_gpu_s"]) == (160, 40, 40, 40)
    assert (a["reclaims"], a["reclaim_p50_s"], b["reclaims"]) == (1, 10, 0)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (PoolOptions(8, order="serial"), "batch"),
        (PoolOptions(8, sharing=Sharing((1,))), "one for each pool"),
        (PoolOptions(8, sharing=Sharing((1, 1), (("n", 4),))), "add up to 8"),
        (PoolOptions(8, sharing=Sharing(away=(Away("x", 1, 0, 1),))), "outage"),
    ],
)
def test_what_cannot_be_run_is_said(options: Options, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        deficit(workload([(0, 1, 1)]), options)


def test_without_jobs_there_is_nothing_to_tell() -> None:
    empty = workload([])
    done = deficit(empty, PoolOptions(8))
    assert len(done.start) == 0
    assert pool_results(empty, done, PoolOptions(8))["pools"] == []
