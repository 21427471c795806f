"""When jobs that wait are likely to start: the twin runs the present queue on, with jobs drawn from the past behind it.

A range is where four of five draws lie. Only *eligible* jobs have one: those that wait for nothing but GPUs. Nothing is said
where the twin is not ready or the cluster does not answer: no page waits for it. The same queue in the same minute gets
the same answer.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from schmelz.cluster.fit import Case
from schmelz.cluster.model import Job
from schmelz.faults import BadInput
from schmelz.operate import future
from schmelz.operate.steer import ELIGIBLE
from schmelz.operate.warm import ready
from schmelz.policy.schema import System
from schmelz.portal.clock import now
from schmelz.portal.policy import factory, version
from schmelz.portal.usage.queries import manifest
from schmelz.twin.forecast import Present, likely, starts
from schmelz.units import DAY, Period

SEEDS, AHEAD, SAME_S = 20, 14 * DAY, 60
LOCAL = "waits until"  # how the local cluster says that a job waits for nothing but GPUs


@dataclass(frozen=True)
class Start:
    """The middle of the draws and the range of four of five; None: not within the next fourteen days."""

    low: int | None
    median: int | None
    high: int | None


def waits_for_gpus(job: Job) -> bool:
    """Whether a job waits for nothing but GPUs and its turn, by the scheduler's own word."""
    return job.state == "PENDING" and (job.word in ELIGIBLE if job.word else job.reason.startswith(LOCAL))


def expected(jobs: Iterable[Job], patience: float = 0) -> dict[str, Start]:
    """The starts of those of the jobs that have one, by job. `patience`: how many seconds the twin may take to get ready."""
    waiting = [job for job in jobs if waits_for_gpus(job)]
    if not waiting or not ready(patience):
        return {}
    found: dict[str, Start] = {}
    for system in factory().systems:
        if system.cluster.backend != "none":
            found |= _of(system)
    return {job.job: found[job.job] for job in waiting if job.job in found}


def _of(system: System) -> Mapping[str, Start]:
    jobs, answered = future.present_jobs(system)
    signature = tuple((job.job, job.state, job.started) for job, _ in jobs)
    return (
        _foreseen(version(), system.id, signature, tuple(sorted(manifest().items())), now() // SAME_S)
        if answered
        else {}
    )


@lru_cache(maxsize=8)
def _foreseen(_version: str, system: str, _jobs: object, _files: object, _minute: int) -> Mapping[str, Start]:
    built = _near(future.build(factory().system(system), future.Ask()))
    names = [name for name, job in zip(built.jobs, built.future.present, strict=True) if job.waits]
    table = starts(built.future, SEEDS)
    return {name: Start(**likely(table[:, place])) for place, name in enumerate(names)}


def _near(built: future.Built) -> future.Built:
    """The same, only for the next days."""
    end = built.future.now + AHEAD
    near = replace(built.future, window=Period(built.future.now, end), delivered=0, used=())
    return replace(built, future=near)


def expected_start(case: Case, patience: float = 0) -> Start | None:
    """The likely start of a job that is not sent yet: as if it stood last in the queue now."""
    if not ready(patience):
        return None
    system, asked = case.system, case.request
    try:
        built = _near(future.build(system, future.Ask()))
    except BadInput:
        return None
    sites = future.bits(system, (asked.site,) if asked.site else asked.sites)
    wish = Present(asked.pool, case.gpus, asked.limit, sites=sites, waits=True)
    table = starts(replace(built.future, present=(*built.future.present, wish)), SEEDS)
    return Start(**likely(np.asarray(table[:, -1])))
