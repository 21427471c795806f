"""Between the portal and the cluster: plans made from decisions, jobs submitted by members, the scheduling cycle.

The portal remembers what was decided, the cluster room knows how to get there; this is where the two meet.
"""

from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.db import transaction

from schmelz.cluster.apply import Applied, apply
from schmelz.cluster.backends import open_cluster
from schmelz.cluster.desired import Desired, desired
from schmelz.cluster.model import Backend, Job, JobRequest, Steering
from schmelz.cluster.plan import Plan, make
from schmelz.faults import BadInput, Refused
from schmelz.metering.windows import window
from schmelz.policy.schema import System
from schmelz.portal.clock import now
from schmelz.portal.ledger.actions import record
from schmelz.portal.people.models import Person
from schmelz.portal.people.queries import general_relations, roles
from schmelz.portal.policy import factory, version
from schmelz.portal.projects.actions import mark_applied
from schmelz.portal.projects.figures import split
from schmelz.portal.projects.models import Project
from schmelz.portal.projects.queries import by_code, desired_projects, relations, visible_to
from schmelz.rules.permissions import Permission, require
from schmelz.rules.shares import dead_band


def backend(system: System) -> Backend:
    """The cluster of a system, opened once per process. Raises Refused where the system has none."""
    return _open(version(), system.id, Path(settings.DATA) / "cluster" / system.id)


@lru_cache(maxsize=8)
def _open(_version: str, system: str, directory: Path) -> Backend:
    return open_cluster(factory().system(system), directory)


def wanted(system: System) -> Desired:
    """What the decisions ask of the cluster today."""
    return desired(system, desired_projects(system), now())


def current_plan(system: System) -> Plan:
    """What would change on the cluster if the plan were applied now."""
    return make(wanted(system), backend(system).observe())


def apply_plan(person: Person, system: System, *, expected_hash: str | None, allow_remove: int) -> Applied:
    """Apply the plan as an operator. Raises Refused: no operator, the world moved, too many removals."""
    require(Permission.PLAN_APPLY, general_relations(person, roles(person), system.operator), person.name)
    asked = wanted(system)
    done = apply(backend(system), asked, expected_hash=expected_hash, allow_remove=allow_remove)
    with transaction.atomic():
        mark_applied([account.name for account in asked.accounts if account.open], person, done.hash)
        if done.changes:
            record("plan.applied", f"system:{system.id}", person, plan=done.hash, changes=done.changes)
    return done


def running_systems() -> list[System]:
    """The systems of the factory that have a cluster."""
    return [system for system in factory().systems if system.cluster.backend != "none"]


def submit_job(
    person: Person,
    project_code: str,
    *,
    script: str,
    gpus: int,
    nodes: int | None = None,
    limit: int | None = None,
    site: str | None = None,
) -> str:
    """Queue a job on a project's GPU-hours as the person's own Unix user; the job's id.

    Raises BadInput for sizes, times and sites that cannot be, Refused when the person, the project or the cluster says no.
    """
    project = by_code(project_code)
    require(Permission.JOB_SUBMIT, relations(factory(), person, project), person.name)
    system = factory().system(project.system)
    if person.unix_name is None:
        raise Refused(f"{person.name} has no Unix user on the cluster.", "The operator gives you one.")
    nodes = -(-gpus // max(1, system.gpus_per_node)) if nodes is None else nodes
    check_size(system, gpus, nodes, site)
    request = JobRequest(
        script=script,
        account=project.code,
        pool=project.pool,
        user=person.unix_name,
        gpus=gpus,
        nodes=nodes,
        limit=system.cluster.default_time if limit is None else limit,
        site=site,
    )
    return backend(system).submit(request)


def check_size(system: System, gpus: int, nodes: int, site: str | None) -> None:
    """Raise BadInput for a job that no site of the system could ever run: a job never spans sites."""
    if site is not None and site not in system.nodes:
        raise BadInput(f"site: {site!r} is not known; one of: {', '.join(system.nodes)}")
    if gpus <= 0:
        raise BadInput(f"gpus: must be 1 or more; this is {gpus}")
    if nodes <= 0 or nodes * system.gpus_per_node < gpus:
        raise BadInput(
            f"nodes: {gpus} GPUs need {-(-gpus // max(1, system.gpus_per_node))} nodes or more; this is {nodes}"
        )
    most = max(len(names) for name, names in system.node_names.items() if site in (None, name))
    if nodes > most:
        raise BadInput(
            f"gpus: {gpus} GPUs on {nodes} nodes are more than {site or 'a site'} has; "
            f"at most {most * system.gpus_per_node} GPUs on {most} nodes"
        )


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
