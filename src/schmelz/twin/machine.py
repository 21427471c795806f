"""One system, simulated: every job starts when and where `rules.queue.next_starts` says so.

An event simulation: at each instant first all ends, then nodes that leave or return, then submissions, then one
scheduling pass. An *outage* takes nodes away: free ones first, busy ones as soon as their jobs have ended, for jobs
that run go on. An *announced* outage of a whole site is kept clear: no job starts there that could reach into it.
Deficits come from an undecayed ledger per window (`shares`). Invariants: no GPU is ever used by two jobs, no job spans
sites, the same input gives the same placement. Source: the design's deficit rule (4.5).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from heapq import heappop, heappush
from typing import Literal
from zoneinfo import ZoneInfo

from schmelz.policy.schema import System
from schmelz.rules.queue import Running, Start, State, Waiting, next_starts
from schmelz.rules.shares import dead_band
from schmelz.twin.nodes import SiteNodes, Taken
from schmelz.twin.shares import Shares
from schmelz.units import Period, day_start, local_date

Away = Literal["down", "maintenance", "drained", "reserved"]


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
    kind: Away = "down"
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


def simulate(
    system: System, jobs: Sequence[SimJob], outages: Sequence[Outage], period: Period, zone: ZoneInfo
) -> tuple[Placed, ...]:
    """Run the jobs through `period`; those that started, in the order of their starts. `zone` bounds the windows.

    Raises ValueError for a job that is not on whole nodes where nodes are charged, and for a number used twice.
    """
    if len({job.job for job in jobs}) != len(jobs):
        raise ValueError("two jobs have the same number")
    for job in jobs:
        if system.charge == "node" and job.gpus != job.nodes * system.gpus_per_node:
            raise ValueError(f"job {job.job}: {job.gpus} GPUs are not {job.nodes} whole nodes")
    machine = _Machine(system, jobs, outages, period, zone)
    while (now := machine.next_event()) < period.end:
        machine.advance(now)
    return tuple(machine.placed)


class _Machine:
    """What changes while the simulation runs. The three lists of events are kept with the next one last or on top."""

    def __init__(
        self, system: System, jobs: Sequence[SimJob], outages: Sequence[Outage], period: Period, zone: ZoneInfo
    ) -> None:
        self.system, self.period, self.outages = system, period, outages
        self.sites = {site: SiteNodes(names, system.gpus_per_node) for site, names in system.node_names.items()}
        self.shares = Shares(system, period.start, zone)
        self.placed: list[Placed] = []
        self._jobs = {job.job: job for job in jobs}
        self._longest = max((job.limit for job in jobs), default=0)
        self._arrivals = sorted(jobs, key=lambda job: max(job.submit, period.start))[::-1]
        self._changes = _changes(outages, period)[::-1]
        self._ends: list[tuple[int, str]] = []
        self._waiting: dict[str, Waiting] = {}
        self._running: dict[str, Running] = {}
        self._taken: dict[str, Taken] = {}
        self._away: dict[int, tuple[int, ...]] = {}
        self._in_use = {pool.id: 0 for pool in system.pools}
        self._zone, self._midnight = zone, _next_day(period.start, zone)

    def next_event(self) -> int:
        """The instant of the next event, or the period's end."""
        heads = [self.period.end, self._midnight]  # each day has a pass: deficits change while nothing else does
        if self._arrivals:
            heads.append(max(self._arrivals[-1].submit, self.period.start))
        if self._changes:
            heads.append(self._changes[-1][0])
        if self._ends:
            heads.append(self._ends[0][0])
        heads += [late + 1 for number in self._waiting if (late := self._jobs[number].latest) is not None]
        return min(heads)

    def advance(self, now: int) -> None:
        """All that happens at one instant: ends, nodes that return or leave, submissions, one scheduling pass."""
        self.shares.advance(now, self._delivered(), self._in_use)
        self._midnight = _next_day(now, self._zone)
        while self._ends and self._ends[0][0] == now:
            self._end(heappop(self._ends)[1])
        while self._changes and self._changes[-1][0] == now:
            _, leaves, number = self._changes.pop()
            self._leave(number) if leaves else self._return(number)
        while self._arrivals and self._arrivals[-1].submit <= now:
            job = self._arrivals.pop()
            self._waiting[job.job] = Waiting(job.job, job.pool, job.gpus, job.limit, job.sites)
        self._forget_late(now)
        self._pass(now)

    def _delivered(self) -> int:
        return sum(nodes.delivered() for nodes in self.sites.values())

    def _end(self, number: str) -> None:
        run = self._running.pop(number)
        self.sites[run.site].give_back(self._taken.pop(number))
        self._in_use[run.pool] -= run.gpus

    def _leave(self, number: int) -> None:
        outage = self.outages[number]
        self._away[number] = self.sites[outage.site].leave(outage.nodes)

    def _return(self, number: int) -> None:
        self.sites[self.outages[number].site].come_back(self._away.pop(number))

    def _forget_late(self, now: int) -> None:
        """Late jobs leave the queue for good."""
        for number in [job.job for job in map(self._jobs.__getitem__, self._waiting) if _is_late(job, now)]:
            del self._waiting[number]

    def _pass(self, now: int) -> None:
        free = {site: nodes.free() for site, nodes in self.sites.items()}
        if not self._waiting or not any(free.values()):
            return
        band = dead_band(self.shares.whole_window(self.system.gpus()), self.system.sharing.dead_band_ppm)
        state = State(
            now,
            self._delivered(),
            free,
            self._eligible(now),
            tuple(self._running.values()),
            self.shares.deficits(),
            band,
            self.system.sharing.floor_percent,
        )
        for start in next_starts(state):
            self._start(now, start)

    def _eligible(self, now: int) -> tuple[Waiting, ...]:
        """The queue, each job without the sites that must be clear before it could end."""
        ahead = [
            (outage.start, outage.site)
            for outage in self.outages
            if now < outage.start < now + self._longest and self._clears_site(outage)
        ]
        waiting = self._waiting.values()
        return tuple(_keeping_clear(job, now, ahead) for job in waiting) if ahead else tuple(waiting)

    def _clears_site(self, outage: Outage) -> bool:
        names = self.system.node_names[outage.site]
        count = outage.nodes if isinstance(outage.nodes, int) else len(outage.nodes)
        return outage.announced and count >= len(names)

    def _start(self, now: int, start: Start) -> None:
        del self._waiting[start.job]
        job, nodes = self._jobs[start.job], self.sites[start.site]
        end = now + min(job.run, job.limit)
        taken = self._taken[job.job] = nodes.take(job.gpus, self.system.charge == "node")
        self._running[job.job] = Running(job.job, job.pool, job.gpus, start.site, now + job.limit)
        self._in_use[job.pool] += job.gpus
        heappush(self._ends, (end, job.job))
        self.placed.append(Placed(job.job, now, end, start.site, tuple(nodes.names[index] for index, _ in taken)))


def _next_day(instant: int, zone: ZoneInfo) -> int:
    return day_start(local_date(instant, zone) + timedelta(days=1), zone)


def _is_late(job: SimJob, now: int) -> bool:
    return job.latest is not None and now > job.latest


def _keeping_clear(job: Waiting, now: int, ahead: Sequence[tuple[int, str]]) -> Waiting:
    closed = {site for start, site in ahead if now + job.limit > start}
    return replace(job, sites=tuple(site for site in job.sites if site not in closed))


def _changes(outages: Sequence[Outage], period: Period) -> list[tuple[int, bool, int]]:
    """When nodes of which outage leave (True) or return (False), in order; returns before leaves."""
    changes = []
    for number, outage in enumerate(outages):
        away = Period(outage.start, outage.end).clip(period)
        if away.seconds:
            changes += [(away.start, True, number), (away.end, False, number)]
    return sorted(changes)
