"""The avoidable idle of a schedule: none in the twin's own, and to the second where a job was held back by hand."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, strategies as st

from schmelz.rules.levels import beyond
from schmelz.rules.queue import next_starts
from schmelz.twin.avoidable import CYCLE, avoidable
from schmelz.twin.generator import generated
from schmelz.twin.policies import POLICIES
from schmelz.twin.sharing import PoolOptions, Sharing
from schmelz.twin.workload import Options, Schedule, Workload
from schmelz.units import Period
from twin.made import scenes, workload
from twin.plain_pools import Plain

TOLD = ("fcfs", "easy", "sjbf", "partition", "fairshare", "deficit")


def moved(work: Workload, done: Schedule, job: int, to: int) -> Schedule:
    start = done.start.copy()
    start[job] = to
    return replace(done, start=start, end=np.where(start < 0, -1, start + work.run))


@pytest.mark.parametrize("policy", TOLD)
@pytest.mark.parametrize("load", [0.9, 1.3])
def test_the_twin_itself_has_none_and_yet_idles(policy: str, load: float) -> None:
    work, options = generated(3000, 256, load=load, pools=("a", "b")), PoolOptions(256)
    done = POLICIES[policy](work, options)
    assert avoidable(policy, work, done, options) == 0
    waits = np.flatnonzero((done.start == work.submit) & (work.run > 200))[5]
    assert avoidable(policy, work, moved(work, done, waits, int(done.end.max())), options) > 0


@pytest.mark.parametrize("policy", TOLD)
def test_a_job_held_back_by_hand(policy: str) -> None:
    """Six GPUs of a part of eight stay idle for 500 s; the small job that runs beside changes nothing."""
    work = workload([(0, 100, 2), (10, 300, 6)])
    options = PoolOptions(16 if policy == "partition" else 8, sharing=Sharing((1, 1)))
    done = POLICIES[policy](work, options)
    assert done.start.tolist() == [0, 10]
    late = moved(work, done, 1, 510)
    assert avoidable(policy, work, late, options) == 6 * (500 - CYCLE)
    assert avoidable(policy, work, late, options, Period(0, 210)) == 6 * (200 - CYCLE)
    assert avoidable(policy, work, moved(work, done, 1, 10 + CYCLE), options) == 0


def test_what_the_rule_keeps_free_is_not_avoidable() -> None:
    """The head needs all GPUs at 100: a job of 150 s would delay it, one of 90 s that comes at 3 would not."""
    work, options = workload([(0, 100, 4), (1, 100, 8), (2, 150, 2), (3, 90, 2)]), Options(8)
    late = Schedule(np.array([0, 100, 200, 200]), np.array([100, 200, 350, 290]))
    assert avoidable("fcfs", work, late, options) == 0
    assert avoidable("easy", work, late, options) == 2 * (97 - CYCLE)
    head_late = Schedule(np.array([0, 300, 400, 400]), np.array([100, 400, 550, 490]))
    assert avoidable("fcfs", work, head_late, options) == 8 * (200 - CYCLE)


@pytest.mark.parametrize(("policy", "minimum_run"), [("conservative", None), ("deficit", 0), ("fairshare", 0)])
def test_where_it_is_not_told(policy: str, minimum_run: int | None) -> None:
    work, options = (
        workload([(0, 100, 2), (10, 300, 6)]),
        PoolOptions(8, sharing=Sharing((1, 1), minimum_run=minimum_run)),
    )
    assert avoidable(policy, work, POLICIES[policy](work, options), options) is None


@given(scenes(), st.integers(0, 29), st.integers(0, 400))
def test_equal_to_the_rule_asked_at_each_event(scene: tuple[Workload, Sharing, int], which: int, by: int) -> None:
    """A job comes late, after all others; the plain rule is asked about the machine at each event."""
    work, sharing, gpus = scene
    sharing = replace(sharing, budgets=None, minimum_run=None, windows=(), away=())
    options = PoolOptions(gpus, sharing=sharing)
    done = POLICIES["deficit"](work, options)
    ran = np.flatnonzero(done.start >= 0)
    if not len(ran):
        return
    late = moved(work, done, int(ran[which % len(ran)]), int(done.end.max()) + by)
    assert avoidable("deficit", work, late, options) == asked(work, sharing, late)


def asked(work: Workload, sharing: Sharing, done: Schedule) -> int:
    plain = Plain(work, sharing, sharing.sites, sharing.weights, int(work.submit[0]))
    for job, start, site in zip(plain.jobs, done.start, done.site, strict=True):
        job.start, job.site = int(start), sharing.sites[site][0] if site >= 0 else ""
    plain.now = plain.events()[0]
    moments = sorted({*done.start.tolist(), *done.end.tolist(), *plain.events()} - {-1})
    heights = [height(plain, moment) for moment in moments]
    return beyond([0] * len(moments), [*np.diff(moments).tolist(), 0], heights, CYCLE)


def height(plain: Plain, now: int) -> int:
    plain.book(now, [])
    there = [job for job in plain.jobs if job.submit <= now]
    plain.running = {job.number: job for job in there if 0 <= job.start <= now < job.start + job.run}
    plain.waiting = {job.number: job for job in there if job.start < 0 or job.start > now}
    return sum(plain.waiting[int(start.job)].size for start in next_starts(plain.state()))


def test_the_command_tells_it_or_says_why_not(run) -> None:
    said = {}
    for policy in ("easy", "conservative", "deficit"):
        arguments = ("--generate", "300", "--gpus", "64", "--load", "1.2", "--policy", policy, "--json")
        code, out, _ = run(*arguments)
        assert code == 0
        said[policy] = json.loads(out)
    assert [said[policy]["avoidable_idle_gpu_s"] for policy in said] == [0, None, 0]
    assert [any("avoidable idle" in rule for rule in said[policy]["rules"]) for policy in said] == [False, True, False]
    assert all(one["idle_while_waiting_gpu_s"] > 0 for one in said.values())
