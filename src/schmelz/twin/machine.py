"""One system, simulated: every job starts when and where `rules.queue.next_starts` says so.

An event simulation: at each instant first all ends, then nodes that leave or return, then submissions, then one
scheduling pass. An *outage* takes nodes away: free ones first, busy ones as soon as their jobs have ended, for jobs that
run go on. An *announced* outage of a whole site is kept clear: no job starts there that could reach into it.
Deficits come from an undecayed ledger per window (`shares`). Invariants: no GPU is ever used by two jobs, no job spans
sites, the same input gives the same placement. Source: the design's deficit rule (4.5).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush
from zoneinfo import ZoneInfo

from schmelz.policy.schema import System
from schmelz.rules.queue import Running, Start, State, Waiting, next_starts
from schmelz.rules.shares import dead_band
from schmelz.twin.nodes import SiteNodes, Taken
from schmelz.twin.shares import Shares
from schmelz.units import Period


@dataclass(frozen=True)
class SimJob:
    """A job to come: GPUs as they are charged, whole nodes where nodes are charged; `run` is cut at `limit`.

    `latest` is the last instant at which it may start (its project ends); after it, the job leaves the queue.
    """

    job: str
    pool: str
    project: str
    submit: int
    gpus: int
    nodes: int
    limit: int
    run: int
    sites: tuple[str, ...]
    latest: int | None = None


@dataclass(frozen=True)
class Outage:
    """Nodes of a site that are away in [start, end): a number of them, or these by name."""

    site: str
    nodes: int | tuple[str, ...]
    start: int
    end: int
    kind: str = "down"
    announced: bool = False
    reason: str = ""


@dataclass(frozen=True)
class Placed:
    """Where and when a job ran. The end may lie after the period; nodes are in the order of the policy file."""

    job: str
    start: int
    end: int
    site: str
    nodes: tuple[str, ...]


def simulate(system: System, jobs: Sequence[SimJob], outages: Sequence[Outage], period: Period,
             zone: ZoneInfo) -> tuple[Placed, ...]:
    """Run the jobs through `period`; those that started, in the order of their starts. `zone` bounds the windows.

    Raises ValueError for a job that is not on whole nodes where nodes are charged, and for a number used twice.
    """
    _check(system, jobs)
    machine = _Machine(system, outages, period, zone)
    events = sorted(_changes(machine, outages, period) + _submissions(machine, jobs, period), key=lambda e: e[:2])
    machine.work_off(events)
    return tuple(machine.placed)


def _check(system: System, jobs: Sequence[SimJob]) -> None:
    if len({job.job for job in jobs}) != len(jobs):
        raise ValueError("two jobs have the same number")
    for job in jobs:
        if system.charge == "node" and job.gpus != job.nodes * system.gpus_per_node:
            raise ValueError(f"job {job.job}: {job.gpus} GPUs are not {job.nodes} whole nodes")


_Event = tuple[int, int, Callable[[], None]]


def _changes(machine: "_Machine", outages: Sequence[Outage], period: Period) -> list[_Event]:
    met = [(outage, Period(outage.start, outage.end).clip(period)) for outage in outages]
    met = [(outage, away) for outage, away in met if away.seconds]
    return [(away.start, 1, lambda o=outage: machine.leave(o)) for outage, away in met]
