"""What should stand on the cluster: the decisions (pools and projects) as accounts, members and QOS, at one moment.

Each pool has an account below the tree's root, its shares the pool's weight, and two QOS: *own*, guaranteed, capped at
the pool's part of the GPUs (largest remainder) and served first; *borrow*, without a cap, for jobs that may be taken
back from by any pool's own. A project's account hangs below its pool, with what may have been used by now as budget. It
is *held* before its start (jobs are taken, none starts), *open* until its end, and closed while suspended and after its
end. Its members stay until the last job can have ended, for each partition of its sites where it names sites. An ended
project stays desired, closed and empty, so that its records keep their account. People without a Unix name are
*nameless*: warned about, never invented. `stories` say which decision asks for what. Pure: the moment comes in as `now`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypedDict

from schmelz.cluster.model import Account, Member, Qos
from schmelz.faults import BadInput
from schmelz.policy.system import System
from schmelz.units import iso, split_by_weight

GUARANTEED, BORROWED = 1000, 1  # priorities of the two kinds of QOS


class Qualities(TypedDict):
    """The QOS that the jobs of an account may ask for."""

    qos: tuple[str, ...]
    default_qos: str


@dataclass(frozen=True)
class Project:
    """A decided project: its grant in GPU-seconds, its time [start, end), and its people by Unix name.

    `budget`: GPU-seconds that may have been used by now at most, as the pacing says (None: the whole grant).
    `sites`: where its jobs may run (none: everywhere). `stories` says for the project ("") and for each member by whom
    it was decided, and when.
    """

    id: str
    pool: str
    gpu_seconds: int
    start: int
    end: int
    suspended: bool = False
    members: tuple[str, ...] = ()
    nameless: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    coordinators: tuple[str, ...] = ()
    budget: int | None = None
    stories: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Desired:
    """What the decisions ask for: accounts (parents before children), members, and what a person should know.

    `stories` tells for an account `p1` or a member `p1/anna` which decision asks for it.
    """

    accounts: tuple[Account, ...]
    members: tuple[Member, ...]
    warnings: tuple[str, ...] = ()
    qos: tuple[Qos, ...] = ()
    stories: Mapping[str, str] = field(default_factory=dict)


def desired(system: System, projects: Iterable[Project], now: int) -> Desired:
    """What should stand on the cluster of `system` at `now`. Raises BadInput for projects that cannot all stand."""
    ordered = sorted(projects, key=lambda project: project.id)
    present = [project for project in ordered if now < _leaves(system, project)]
    _check(system, ordered, present)
    pools = {pool.id: pool.account for pool in system.pools}
    members = {Member(user, p.id, part) for p in present for user in p.members for part in _partitions(system, p)}
    stories = [_pool_stories(system), *(_stories(system, project, now) for project in ordered)]
    return Desired(
        accounts=(
            *sorted(_pools(system)),
            *(_account(system, project, pools[project.pool], now) for project in ordered),
        ),
        members=tuple(sorted(members)),
        warnings=tuple(
            f"{project.id}: {person} has no Unix name, so gets no access to the cluster yet; give the person one"
            for project in present
            for person in sorted(project.nameless)
        ),
        qos=_qos(system),
        stories={name: story for told in stories for name, story in told.items()},
    )


def own(account: str) -> str:
    """The name of the guaranteed QOS of a pool with this account."""
    return f"{account}-own"


def borrow(account: str) -> str:
    """The name of the QOS in which jobs of this pool's projects borrow."""
    return f"{account}-borrow"


def _leaves(system: System, project: Project) -> int:
    """When its members leave: a job that began in the last second may run as long as any job may."""
    return project.end + system.cluster.max_time


def _qos(system: System) -> tuple[Qos, ...]:
    caps = split_by_weight(system.gpus(), [pool.weight for pool in system.pools])
    lent = tuple(sorted(borrow(pool.account) for pool in system.pools))
    guaranteed = [
        Qos(own(pool.account), GUARANTEED, cap, preempts=lent) for pool, cap in zip(system.pools, caps, strict=True)
    ]
    borrowed = [Qos(name, BORROWED, preemptible=True, exempt=system.sharing.minimum_run) for name in lent]
    return tuple(sorted((*guaranteed, *borrowed)))


def _pools(system: System) -> list[Account]:
    root = system.cluster.root
    return [Account(p.account, root, p.weight, **_qualities(p.account)) for p in system.pools]


def _qualities(pool: str) -> Qualities:
    return {"qos": (borrow(pool), own(pool)), "default_qos": own(pool)}


def _account(system: System, project: Project, pool: str, now: int) -> Account:
    budget = project.gpu_seconds if project.budget is None else min(project.budget, project.gpu_seconds)
    is_open = now < project.end and not project.suspended
    return Account(
        project.id,
        pool,
        gpu_minutes=budget // 60,
        open=is_open,
        held=is_open and now < project.start,
        coordinators=tuple(sorted(set(project.coordinators))) if now < _leaves(system, project) else (),
        **_qualities(pool),
    )


def _partitions(system: System, project: Project) -> tuple[str, ...]:
    """The partitions of the project's sites; "" (all of them) for a project that may run everywhere."""
    if not project.sites:
        return ("",)
    return tuple(name for site in project.sites for name in system.partitions.get(site, ()))


def _pool_stories(system: System) -> dict[str, str]:
    """Why the accounts and QOS of the pools are as they are."""
    return {
        name: f"{pool.id} owns {pool.weight} of {system.weight_sum} parts of {system.id}, says the policy file"
        for pool in system.pools
        for name in (pool.account, own(pool.account), borrow(pool.account))
    }


def _stories(system: System, project: Project, now: int) -> dict[str, str]:
    """The decisions about a project and its members, with what the calendar adds to them."""
    clock = f"held until it starts on {_day(project.start)}" if now < project.start else ""
    clock = f"ended on {_day(project.end - 1)}" if now >= project.end else clock
    told = {project.id: "; ".join(filter(None, (project.stories.get(""), clock)))}
    told |= {f"{project.id}/{user}": story for user, story in project.stories.items() if user}
    if now >= _leaves(system, project):
        told |= {f"{project.id}/{user}": f"the project {clock}" for user in project.members}
    return {name: story for name, story in told.items() if story}


def _day(instant: int) -> str:
    return iso(instant)[:10]


def _check(system: System, projects: Iterable[Project], present: Iterable[Project]) -> None:
    pools = [pool.id for pool in system.pools]
    taken = {pool.account for pool in system.pools} | {system.cluster.root}
    faults = []
    for project in projects:
        if project.pool not in pools:
            faults.append(
                f"project {project.id}: pool {project.pool!r} has no share of {system.id}; one of: {', '.join(pools)}"
            )
        if project.id in taken:
            faults.append(f"project {project.id}: another account has this name; each project needs its own")
        if project.gpu_seconds < 0 or project.end < project.start:
            faults.append(f"project {project.id}: a grant is 0 or more and a project ends after it starts")
        taken.add(project.id)
    faults += [
        f"project {project.id}: may run at {site} only, and {system.id} has no partitions there; "
        "name them in [systems.partitions]"
        for project in present
        for site in project.sites
        if not system.partitions.get(site)
    ]
    if faults:
        raise BadInput(faults)
