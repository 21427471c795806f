"""What a demo year consists of: organisations, persons, applications, projects, jobs and outages, as frozen values.

Times are UTC epoch seconds. An *application* was awarded, refused, or is pending; an awarded one became the *project*
that names it. A job's `outcome` says how it ended, if it ended: Slurm's word. Grants are whole GPU-hours.
"""

from dataclasses import dataclass
from random import Random
from typing import Literal

from schmelz.policy.schema import Factory, System
from schmelz.twin.machine import Away, Outage, SimJob
from schmelz.units import HOUR, Period

Outcome = Literal["awarded", "refused", "pending"]
Ending = Literal["COMPLETED", "FAILED", "TIMEOUT", "CANCELLED"]


@dataclass(frozen=True)
class Scene:
    """What everything is made from: the factory, its first system, the year, and the one source of chance."""

    factory: Factory
    system: System
    period: Period
    rng: Random


@dataclass(frozen=True)
class Organisation:
    """Who applies; `commercial` as the policy file says it of the category."""

    name: str
    country: str
    category: str
    founded: int
    commercial: bool


@dataclass(frozen=True)
class Person:
    """Somebody of an organisation."""

    handle: str
    name: str
    email: str
    organisation: str
    unix_name: str


@dataclass(frozen=True)
class Application:
    """A request for `gpu_hours`, who made it and what became of it. Persons are named by handle."""

    code: str
    mode: str
    pool: str
    system: str
    organisation: str
    applicant: str
    title: str
    summary: str
    gpu_hours: int
    months: int
    submitted: int
    outcome: Outcome
    award_gpu_hours: int | None
    reason: str
    decided: int | None


@dataclass(frozen=True)
class Project:
    """An award's GPU-hours in [start, end). `members` are handles, the principal investigator first."""

    code: str
    application: str
    pool: str
    mode: str
    organisation: str
    title: str
    gpu_hours: int
    start: int
    end: int
    members: tuple[str, ...]

    @property
    def grant_gpu_s(self) -> int:
        return self.gpu_hours * HOUR


@dataclass(frozen=True)
class Job:
    """A job of a project: what the simulation needs, who submitted it (Unix name), how it ends."""

    sim: SimJob
    user: str
    outcome: Ending


@dataclass(frozen=True)
class NodeOutage:
    """One node that was away, and why."""

    system: str
    node: str
    kind: Away
    start: int
    end: int
    reason: str


@dataclass(frozen=True)
class Year:
    """The 365 days before `until` on one system."""

    system: str
    period: Period
    organisations: tuple[Organisation, ...]
    persons: tuple[Person, ...]
    applications: tuple[Application, ...]
    projects: tuple[Project, ...]
    jobs: tuple[Job, ...]
    outages: tuple[Outage, ...]

    @property
    def until(self) -> int:
        return self.period.end

    def node_outages(self) -> tuple[NodeOutage, ...]:
        """The outages node by node, in order."""
        return tuple(
            NodeOutage(self.system, node, outage.kind, outage.start, outage.end, outage.reason)
            for outage in self.outages
            if not isinstance(outage.nodes, int)
            for node in outage.nodes
        )
