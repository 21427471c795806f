"""What holds for every workload: no second lost, nothing idle that could run, shares kept over a year."""

from collections import Counter
from dataclasses import replace

import numpy as np
from hypothesis import given, strategies as st

from schmelz.rules.queue import next_starts
from schmelz.twin.generator import generated
from schmelz.twin.pool_results import pool_results
from schmelz.twin.pools import deficit, fairshare, partition
from schmelz.twin.sharing import PoolOptions, Sharing
from schmelz.twin.workload import Options, Schedule, Workload
from schmelz.units import DAY, PPM
from twin.made import jobs, scenes, workload
from twin.plain_classic import starts
from twin.plain_pools import Plain

YEAR = 365 * DAY


def easy(work: Workload, gpus: int) -> list[int]:
    """EASY in plain Python; a job larger than the machine is cut to it, as the policies with pools do."""
    return starts("easy", replace(work, size=np.minimum(work.size, gpus)), Options(gpus))


@given(jobs(pools=1, largest=9, most=40), st.integers(1, 8))
def test_one_pool_is_easy(rows: list[tuple[int, ...]], gpus: int) -> None:
    work = workload(rows, "a")
    assert deficit(work, PoolOptions(gpus)).start.tolist() == easy(work, gpus)


def test_one_pool_is_easy_on_long_queues() -> None:
    work = generated(2000, 256, load=1.1)
    assert deficit(work, PoolOptions(256)).start.tolist() == easy(work, 256)


@given(jobs(pools=2, largest=4))
def test_without_lending_there_are_two_machines(rows: list[tuple[int, ...]]) -> None:
    work = workload(rows)
    done = deficit(work, PoolOptions(8, sharing=Sharing((3, 1), lend=False)))
    assert done.start.tolist() == partition(work, PoolOptions(8, sharing=Sharing((3, 1)))).start.tolist()
    for pool, gpus in enumerate((6, 2)):
        mine = work.pool == pool
        alone = workload([row for row in sorted(rows, key=lambda r: r[0]) if row[4] == pool], "ab")
        assert done.start[mine].tolist() == easy(alone, gpus)


@given(scenes())
def test_every_gpu_second_is_used_once(scene: tuple[Workload, Sharing, int]) -> None:
    work, sharing, gpus = scene
    for policy in (deficit, fairshare):
        done = policy(work, PoolOptions(gpus, sharing=sharing))
        started = done.start >= 0
        assert (done.start[started] >= work.submit[started]).all()
        assert (done.end - done.start == np.where(started, work.run, 0)).all()
        used = check_machine(work, done, sharing)
        assert used == int((done.size * work.run)[started].sum() + done.lost.sum())
        found = pool_results(work, done, PoolOptions(gpus, sharing=sharing))
        assert found.get("used_gpu_s", 0) == used
        if started.any():
            assert all(
                p["own_gpu_s"] + p["returned_gpu_s"] + p["borrowed_gpu_s"] + 2 >= p["used_gpu_s"]
                for p in found["pools"]
            )


def check_machine(work: Workload, done: Schedule, sharing: Sharing) -> int:
    """Second by second, no site has more in use than it has; the GPU-seconds used."""
    change: Counter[tuple[int, int]] = Counter()
    runs = [
        (j, int(done.start[j]), int(done.end[j]), int(done.site[j])) for j in range(len(work)) if done.start[j] >= 0
    ]
    for job, start, end, site in [*runs, *done.cuts]:
        assert sharing.job_sites is None or int(sharing.job_sites[job]) >> site & 1
        change[site, start] += int(done.size[job])
        change[site, end] -= int(done.size[job])
    used = 0
    for number, (_, gpus) in enumerate(sharing.sites):
        level = before = 0
        for moment in sorted(t for site, t in change if site == number):
            used += level * (moment - before)
            level, before = level + change[number, moment], moment
            assert 0 <= level <= gpus
        assert level == 0
    return used


@given(scenes())
def test_nothing_idle_that_the_rule_would_start(scene: tuple[Workload, Sharing, int]) -> None:
    """After each event the rule, asked about the machine as the kernel left it, starts nothing more."""
    work, sharing, gpus = scene
    sharing = replace(sharing, budgets=None, minimum_run=None, windows=())
    done = deficit(work, PoolOptions(gpus, sharing=sharing))
    plain = Plain(work, sharing, sharing.sites, sharing.weights, int(work.submit[0]))
    for job, start, site in zip(plain.jobs, done.start, done.site, strict=True):
        job.start, job.site = int(start), sharing.sites[site][0] if site >= 0 else ""
    plain.now = plain.events()[0]
    for now in sorted({*done.start.tolist(), *done.end.tolist(), *plain.events()} - {-1}):
        plain.book(now, [])
        there = [job for job in plain.jobs if job.submit <= now]
        plain.running = {job.number: job for job in there if 0 <= job.start <= now < job.start + job.run}
        plain.waiting = {job.number: job for job in there if job.start < 0 or job.start > now}
        assert next_starts(plain.state()) == ()


@given(scenes())
def test_no_owner_is_ever_beyond_its_budget(scene: tuple[Workload, Sharing, int]) -> None:
    """What ran, and what runs by its estimate, is within what the owner may use by then; renewed steps are left out."""
    work, sharing, gpus = scene
    if sharing.budgets is None:
        return
    budgets = replace(sharing.budgets, renewed=None, then=np.sort(sharing.budgets.then))
    sharing = replace(sharing, budgets=budgets, minimum_run=None)
    done = deficit(work, PoolOptions(gpus, sharing=sharing))
    used = work.size if done.size is None else done.size
    for now in {*done.start.tolist()} - {-1}:
        begun = (done.start >= 0) & (done.start <= now)
        took = used * np.where(done.end <= now, work.run, work.estimate)
        for owner in range(len(work.owners)):
            steps = budgets.then[(budgets.owner == owner) & (budgets.time <= now)]
            most = max([int(budgets.allowed[owner]), *steps.tolist()])  # a step down takes nothing back that runs
            assert int(took[begun & (work.owner == owner)].sum()) <= most


def test_both_in_demand_for_a_year() -> None:
    """The shares are kept as promised: within max(2,500 ppm, largest job / delivered); no breach; one job's shortfall.

    Two deficits within the dead band count as equal, so it must be smaller than a job, as it is on a large machine.
    """
    work = generated(240_000, 128, load=4, seed=1, pools=("a", "b"))
    sharing = Sharing((3, 2), (("n", 64), ("s", 64)), dead_band_ppm=200, until=int(work.submit[0]) + YEAR)
    work = replace(work, size=np.minimum(work.size, 16)).chosen(np.flatnonzero(work.submit < sharing.until))
    options = PoolOptions(128, sharing=sharing)
    found = pool_results(work, deficit(work, options), options)
    largest = int((work.size * work.estimate).max())
    assert found["share_error_ppm"] is not None
    assert found["share_error_ppm"] <= max(2500, largest * PPM // found["delivered_gpu_s"])
    assert [pool["floor_breaches"] for pool in found["pools"]] == [0, 0]
    assert all(pool["shortfall_gpu_s"] <= largest for pool in found["pools"])
