"""Submitting jobs, and looking before: what one would cost, what would hold it, whether it would start now.

A look changes nothing. Its facts come from the ledger (grant, use, pacing), from the cluster (account, caps, jobs, free
GPUs) and from the policy; the rules are `cluster.fit`. On a real Slurm its own word is asked as well. Whatever is asked or
sent goes out with the rights of the person's own Unix user.
"""

from dataclasses import dataclass, replace

from schmelz.cluster.backends.admission import check
from schmelz.cluster.backends.slurm import SlurmCluster
from schmelz.cluster.desired import borrow, own
from schmelz.cluster.fit import Case, Facts, Kind, Verdict, preemption, verdict
from schmelz.cluster.model import Backend, ClusterError, JobRequest
from schmelz.faults import BadInput, Refused
from schmelz.metering.usage import Balance
from schmelz.operate.cluster import backend
from schmelz.policy.schema import System
from schmelz.portal.people.models import Person
from schmelz.portal.policy import factory
from schmelz.portal.projects.figures import balance
from schmelz.portal.projects.models import Project
from schmelz.portal.projects.paces import MonthSoFar, month_so_far
from schmelz.portal.projects.queries import by_code, pools, relations
from schmelz.rules.permissions import Permission, Relation, require

KINDS: tuple[Kind, Kind] = ("own", "borrowed")


@dataclass(frozen=True)
class Wish:
    """A job as a person asks for it; what is None is filled in: as few nodes as hold the GPUs, the usual time limit."""

    script: str
    gpus: int
    nodes: int | None = None
    limit: int | None = None
    site: str | None = None
    borrowed: bool = False


@dataclass(frozen=True)
class Look:
    """A verdict with the figures behind it; `other` is about the same job of the other kind."""

    project: Project
    verdict: Verdict
    other: Verdict
    balance: Balance
    month: MonthSoFar | None
    slurm_says: str | None


def look(person: Person, project_code: str, wish: Wish) -> Look:
    """What would become of a job. Raises BadInput for what is no job, Refused for whoever may not read the project."""
    project = by_code(project_code)
    known = relations(factory(), person, project)
    require(Permission.PROJECT_READ, known, person.name)
    system = factory().system(project.system)
    asked = _request(system, project, person, wish)
    check(replace(asked, limit=1), system)  # a limit that is too long is one of the verdict's limits
    so_far = balance(project)
    month = month_so_far(system, project, so_far)
    facts = _facts(system, project, so_far, month, asked, member=Relation.MEMBER in known)
    cases = [Case(system, facts, asked, kind, _pool_account(system, project)) for kind in KINDS]
    case, other = reversed(cases) if wish.borrowed else cases
    return Look(project, verdict(case), verdict(other), so_far, month, _slurm_says(case))


def submit_job(person: Person, project_code: str, wish: Wish) -> str:
    """Queue a job on a project's GPU-hours as the person's own Unix user; the job's id.

    Raises BadInput for sizes, times and sites that cannot be, Refused when the person, the project or the cluster says no.
    """
    project = by_code(project_code)
    require(Permission.JOB_SUBMIT, relations(factory(), person, project), person.name)
    system = factory().system(project.system)
    if person.unix_name is None:
        raise Refused(f"{person.name} has no Unix user on the cluster.", "The operator gives you one.")
    asked = _request(system, project, person, wish)
    _check_size(system, asked)
    return backend(system).submit(asked)


def pre_emption(project_code: str) -> str:
    """What the owner of a borrowed job of this project is told."""
    return preemption(factory().system(by_code(project_code).system))


def _request(system: System, project: Project, person: Person, wish: Wish) -> JobRequest:
    """The job as the cluster is asked for it. Raises BadInput for what is no job."""
    least = -(-wish.gpus // max(1, system.gpus_per_node))
    nodes = least if wish.nodes is None else wish.nodes
    if wish.site is not None and wish.site not in system.nodes:
        raise BadInput(f"site: {wish.site!r} is not known; one of: {', '.join(system.nodes)}")
    if wish.gpus <= 0:
        raise BadInput(f"gpus: must be 1 or more; this is {wish.gpus}")
    if nodes < max(1, least):
        raise BadInput(f"nodes: {wish.gpus} GPUs need {least} nodes or more; this is {nodes}")
    return JobRequest(
        script=wish.script,
        account=project.code,
        pool=project.pool,
        user=person.unix_name or "",
        gpus=wish.gpus,
        nodes=nodes,
        limit=system.cluster.default_time if wish.limit is None else wish.limit,
        site=wish.site,
        qos=borrow(_pool_account(system, project)) if wish.borrowed else "",
        sites=tuple(filter(None, project.sites.split(","))),
    )


def _check_size(system: System, asked: JobRequest) -> None:
    """Raise BadInput for a job that no site of the system could ever run: a job never spans sites."""
    most = max(len(names) for name, names in system.node_names.items() if asked.site in (None, name))
    if asked.nodes > most:
        raise BadInput(
            f"gpus: {asked.gpus} GPUs on {asked.nodes} nodes are more than {asked.site or 'a site'} has; "
            f"at most {most * system.gpus_per_node} GPUs on {most} nodes"
        )


def _pool_account(system: System, project: Project) -> str:
    return next(pool.account for pool in system.pools if pool.id == project.pool)


def _facts(
    system: System, project: Project, so_far: Balance, month: MonthSoFar | None, asked: JobRequest, *, member: bool
) -> Facts:
    cluster, pool = backend(system), _pool_account(system, project)
    there = cluster.observe()
    account = next((account for account in there.accounts if account.name == project.code), None)
    return Facts(
        now=so_far.as_of,
        start=project.start,
        end=project.end,
        grant=project.grant_gpu_s,
        settled=so_far.settled,
        running=so_far.running,
        committed=so_far.committed,
        may_use=project.grant_gpu_s if month is None else so_far.settled + so_far.running + month.left,
        anew=month.anew if month else None,
        suspended=project.suspended,
        member=member,
        access=account is None or any((m.user, m.account) == (asked.user, asked.account) for m in there.members),
        account=account,
        cap=next((qos.gpus for qos in there.qos if qos.name == own(pool)), None),
        own_in_use=_own_in_use(system, cluster, project.pool, borrow(pool)),
        free=_free(cluster),
    )


def _own_in_use(system: System, cluster: Backend, pool: str, lent: str) -> int:
    """GPUs of running jobs of the pool that are not borrowed."""
    owners = pools(system)
    running = [job for job in cluster.jobs() if job.state == "RUNNING" and job.qos != lent]
    return sum(job.gpus for job in running if owners.get(job.account) == pool)


def _free(cluster: Backend) -> dict[str, int] | None:
    try:
        return {site: room.free for site, room in cluster.rooms().items()}
    except ClusterError:
        return None


def _slurm_says(case: Case) -> str | None:
    """Slurm's own word, where there is a Slurm, the person has a Unix user and we may act as it."""
    cluster = backend(case.system)
    if not isinstance(cluster, SlurmCluster) or not case.request.user:
        return None
    try:
        return cluster.forecast(case.request)
    except (BadInput, ClusterError, Refused):  # said in our own words already, or not possible from here
        return None
