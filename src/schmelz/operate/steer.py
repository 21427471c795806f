"""The fast share steering of a cluster that schedules by itself: read the queue, ask the rule, move the caps.

One step reads the queue, the rooms, the caps and the ledger's deficits, and makes at most one move, inside the mandate
in force. Without a mandate, on an old ledger or with the hour's moves used up it touches nothing and says so once: the
caps stay as they are, Slurm goes on, and the next plan brings the shares back once no mandate covers the caps. A move is
written down before it is made, so none is unknown. *Eligible* jobs wait for nothing but GPUs, by the scheduler's own word.
"""

import fcntl
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from django.conf import settings

from schmelz.cluster.desired import borrow, own
from schmelz.cluster.model import Backend, Job, Qos, Room, Steering
from schmelz.faults import Refused
from schmelz.operate import cluster
from schmelz.policy.system import System
from schmelz.portal.clock import now
from schmelz.portal.clusters import mandates
from schmelz.portal.clusters.mandates import Word
from schmelz.portal.clusters.models import Mandate
from schmelz.portal.projects.queries import pools
from schmelz.portal.usage.models import Reading
from schmelz.rules.queue import Running, State, Waiting
from schmelz.rules.steering import Decision, Facts, Owed, Range, decide, owed
from schmelz.units import iso

C = TypeVar("C", int, int | None)
ELIGIBLE = frozenset({"None", "Priority", "QOSGrpGRES", "QOSResourceLimit", "Resources"})
"""Slurm's words for jobs that wait for GPUs: not looked at yet, behind others, at the cap of their QOS, for room."""
TRIED = "Resources"  # the word of a job that the scheduler looked at and could not place


@dataclass(frozen=True)
class Step:
    """What one look came to: whether it steers (`word`), why, the caps of the QOS before and after, and whether a move
    is due and was made."""

    system: str
    at: int
    word: Word
    because: str
    mandate: str = ""
    before: Mapping[str, int | None] = field(default_factory=dict)
    after: Mapping[str, int] = field(default_factory=dict)
    due: bool = False
    moved: bool = False

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "at": iso(self.at), "steers": self.word == "steers"}


class Steerer:
    """The steering of one system. Between steps it remembers which jobs had room and were not placed, and what pools miss
    of their floors; nothing else."""

    def __init__(self, system: System, on: Backend | None = None) -> None:
        self.system = system
        self.every = mandates.rule_of(system).step
        if on is None and system.cluster.backend != "slurm":
            raise Refused(f"{system.title} schedules by the rule itself.", "Only a Slurm cluster is steered.")
        self._on = on
        self._roomy: frozenset[str] = frozenset()
        self._owed = Owed()

    def step(self, *, dry: bool = False, rule: Steering | None = None) -> Step:
        """Look once, and make the move that is due unless `dry`. Raises ClusterError and leaves all as it is."""
        if dry:
            return self._step(True, rule)
        with alone(self.system):
            done = self._step(False, rule)
        mandates.keep_word(self.system, done.word, done.because)
        return done

    def _step(self, dry: bool, rule: Steering | None) -> Step:
        mandate = mandates.in_force(self.system.id, now())
        if mandate is None:
            return self._stopped(*mandates.why_none(self.system.id, now()))
        if old := stale(self.system):
            return self._stopped("stale", old, mandate)
        machine = cluster.backend(self.system) if self._on is None else self._on
        caps = _caps(self.system, machine.caps())
        if len(caps) < len(self.system.pools):
            return self._stopped("apart", "the QOS of the pools are not on the cluster; apply the plan", mandate)
        facts = self._facts(machine, caps, cluster.steering(self.system) if rule is None else rule)
        decision = decide(facts, _range(mandate))
        return self._act(machine, mandate, facts, decision, dry)

    def _act(self, machine: Backend, mandate: Mandate, facts: Facts, decision: Decision, dry: bool) -> Step:
        before, after = self._by_qos(facts.caps), self._by_qos(decision.caps)
        if decision.verdict == "spent":
            because = f"mandate {mandate.code} allows {mandate.moves_per_hour} moves an hour, and they are used up"
            return Step(self.system.id, now(), "spent", because, mandate.code, before, after)
        moves = decision.verdict == "move"
        if moves and not dry:
            mandates.keep_move(self.system, before, after, facts.state.capacity, decision.because)
            machine.cap({name: cap for name, cap in after.items() if cap != before[name]})
        because = decision.because
        return Step(self.system.id, now(), "steers", because, mandate.code, before, after, moves, moves and not dry)

    def _facts(self, machine: Backend, caps: Mapping[str, int | None], rule: Steering) -> Facts:
        rooms = machine.rooms()
        known = pools(self.system)
        live = machine.live()
        waiting = [job for job in live if job.state == "PENDING" and self._waits(job)]
        running = [job for job in live if job.state == "RUNNING"]
        tasks = tuple(self._waiting(waiting, rooms))
        in_parts = self._remember(waiting, rooms)
        stuck = frozenset(task.job for task in tasks if task.job.partition("_")[0] in in_parts)
        state = State(
            now=now(),
            capacity=sum(room.up for room in rooms.values()),
            free={site: room.free for site, room in rooms.items()},
            waiting=tasks,
            running=tuple(
                Running(job.job, self._pool(job, known), job.gpus, job.site or "", (job.started or now()) + job.limit)
                for job in running
            ),
            deficits=rule.deficits,
            dead_band=rule.dead_band,
            floor_percent=rule.floor_percent,
        )
        weights = {pool.id: pool.weight for pool in self.system.pools}
        facts = Facts(state, weights, _used(running, self._own), _used(running, self._lent), caps, stuck)
        self._owed = owed(facts, self._owed)
        return replace(facts, short=self._owed.short)

    @property
    def _own(self) -> dict[str, str]:
        """Guaranteed QOS -> pool."""
        return {own(pool.account): pool.id for pool in self.system.pools}

    @property
    def _lent(self) -> dict[str, str]:
        """QOS of borrowed jobs -> pool."""
        return {borrow(pool.account): pool.id for pool in self.system.pools}

    def _waits(self, job: Job) -> bool:
        return job.qos in self._own and job.word in ELIGIBLE and job.gpus > 0

    def _waiting(self, jobs: Collection[Job], rooms: Mapping[str, Room]) -> Iterator[Waiting]:
        """The jobs for the rule; of an array as many tasks as could run at once."""
        for job in jobs:
            sites = _sites(job, rooms)
            most = sum(rooms[site].up for site in sites) // job.gpus + 1
            for number in range(min(job.tasks, most)):
                name = f"{job.job}_{number}" if job.tasks > 1 else job.job
                yield Waiting(name, self._own[job.qos], job.gpus, job.limit, sites)

    def _pool(self, job: Job, known: Mapping[str, str]) -> str:
        return (self._own | self._lent).get(job.qos) or known.get(job.account, "")

    def _remember(self, waiting: Collection[Job], rooms: Mapping[str, Room]) -> frozenset[str]:
        """The jobs that had room now and at the last look, and were tried in vain: the GPUs are there in parts only."""
        roomy = frozenset(
            job.job
            for job in waiting
            if job.word == TRIED and any(rooms[site].free >= job.gpus for site in _sites(job, rooms))
        )
        stuck, self._roomy = roomy & self._roomy, roomy
        return stuck

    def _by_qos(self, caps: Mapping[str, C]) -> dict[str, C]:
        return {own(pool.account): caps[pool.id] for pool in self.system.pools}

    def _stopped(self, word: Word, because: str, mandate: Mandate | None = None) -> Step:
        return Step(self.system.id, now(), word, because, mandate.code if mandate else "")


def steered(system: System, observed: Collection[Qos], up: int) -> set[tuple[str, str, str]]:
    """What the plan leaves alone, as (kind, name, field): the caps that a mandate in force covers. `up`: GPUs that are up."""
    mandate = mandates.in_force(system.id, now())
    if system.steering is None or mandate is None:
        return set()
    ours = {own(pool.account) for pool in system.pools}
    return {
        ("qos", qos.name, "gpus")
        for qos in observed
        if qos.name in ours and qos.gpus is not None and mandates.covers(mandate, qos.gpus, up)
    }


def stale(system: System) -> str:
    """Why the ledger is too old to steer by; empty when it is fresh."""
    last = Reading.objects.filter(system=system.id).first()
    if last is None:
        return "no job record of this system was read yet"
    if now() - last.at <= mandates.rule_of(system).stale_after:
        return ""
    return f"the newest reading of job records is of {iso(last.at)}"


@contextmanager
def alone(system: System) -> Iterator[None]:
    """One process steers a system at a time. Raises Refused for a second one."""
    with (Path(settings.DATA) / f"steer-{system.id}.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Refused(f"another process steers {system.title} at this moment.", "Try again.") from None
        yield


def _range(mandate: Mandate) -> Range:
    return Range(
        mandate.lowest_percent, mandate.highest_percent, mandate.moves_per_hour, mandates.moves_left(mandate, now())
    )


def _caps(system: System, there: Mapping[str, int | None]) -> dict[str, int | None]:
    """Pool -> present cap, of the pools whose QOS is there."""
    return {pool.id: there[own(pool.account)] for pool in system.pools if own(pool.account) in there}


def _sites(job: Job, rooms: Mapping[str, Room]) -> tuple[str, ...]:
    return tuple(site for site in rooms if job.site in (None, site))


def _used(running: Collection[Job], by_qos: Mapping[str, str]) -> dict[str, int]:
    """GPUs of running jobs by pool, of these QOS."""
    used: dict[str, int] = {}
    for job in running:
        if pool := by_qos.get(job.qos):
            used[pool] = used.get(pool, 0) + job.gpus
    return used
