"""Between the portal and the cluster: the cluster of a system, jobs submitted by members, the scheduling cycle.

The portal remembers what was decided, the cluster room knows how to get there; this is where the two meet. Plans are in
`follow`, differences that nobody decided in `drift`.
"""

from functools import lru_cache
from pathlib import Path

from django.conf import settings

from schmelz.cluster.backends import open_cluster
from schmelz.cluster.model import Backend, Job, Steering
from schmelz.faults import BadInput
from schmelz.metering.windows import window
from schmelz.policy.schema import System
from schmelz.portal.clock import now
from schmelz.portal.people.models import Person
from schmelz.portal.policy import factory, version
from schmelz.portal.projects.figures import split
from schmelz.portal.projects.models import Project
from schmelz.portal.projects.queries import by_code, relations, visible_to
from schmelz.rules.permissions import Permission, require
from schmelz.rules.shares import dead_band


def backend(system: System) -> Backend:
    """The cluster of a system, opened once per process. Raises Refused where the system has none."""
    return _open(version(), system.id, Path(settings.DATA) / "cluster" / system.id)


@lru_cache(maxsize=8)
def _open(_version: str, system: str, directory: Path) -> Backend:
    return open_cluster(factory().system(system), directory)


def running_systems() -> list[System]:
    """The systems of the factory that have a cluster."""
    return [system for system in factory().systems if system.cluster.backend != "none"]


def list_jobs(person: Person, project_code: str | None = None) -> tuple[Job, ...]:
    """The jobs of the projects that the person may read, newest first."""
    if project_code is not None:
        require(Permission.PROJECT_READ, relations(factory(), person, by_code(project_code)), person.name)
    codes = set(visible_to(factory(), person).values_list("code", flat=True))
    found = [
        job
        for system in running_systems()
        for job in backend(system).jobs()
        if job.account in codes and project_code in (None, job.account)
    ]
    return tuple(sorted(found, key=lambda job: (-job.submitted, job.job)))


def job_output(person: Person, job_id: str) -> str:
    """What a job printed, for those who may read its project."""
    job = next((job for job in list_jobs(person) if job.job == job_id), None)
    if job is None:
        raise BadInput(f"job: {job_id!r} is not known, or not of a project of yours")
    project: Project = by_code(job.account)
    return backend(factory().system(project.system)).output(job_id)


def steering(system: System) -> Steering:
    """The deficits of the current window and the rule's bounds, as the scheduling cycle needs them."""
    so_far = split(system)
    whole = system.gpus() * window(factory(), system.id, None, now())[1].seconds
    return Steering(
        deficits={pool.pool: pool.deficit_gpu_s for pool in so_far.pools},
        dead_band=dead_band(whole, system.sharing.dead_band_ppm),
        floor_percent=system.sharing.floor_percent,
    )


def cycle(system: System, rule: Steering | None = None) -> None:
    """One scheduling cycle of an engine of ours; nothing where the cluster schedules by itself."""
    if system.cluster.backend == "local":
        backend(system).tick(now(), steering(system) if rule is None else rule)
