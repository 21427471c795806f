"""What should stand on the cluster: the decisions (pools and projects) as accounts and members, at one moment.

One account per pool below the tree's root, its shares the pool's weight; one account per project below its pool, with
the grant as budget. A project's account is *open* from its start until its end unless it is suspended; its members keep
their place until the end. An ended project stays desired, closed and empty, so that its records keep their account.
People without a Unix name are *nameless*: they are warned about, never invented. Pure: the moment comes in as `now`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from schmelz.cluster.model import Account, Member
from schmelz.faults import BadInput
from schmelz.policy.system import System


@dataclass(frozen=True)
class Project:
    """A decided project: its grant in GPU-seconds, its time [start, end), and its people by Unix name."""

    id: str
    pool: str
    gpu_seconds: int
    start: int
    end: int
    suspended: bool = False
    members: tuple[str, ...] = ()
    nameless: tuple[str, ...] = ()


@dataclass(frozen=True)
class Desired:
    """What the decisions ask for: accounts (parents before children), members, and what a person should know."""

    accounts: tuple[Account, ...]
    members: tuple[Member, ...]
    warnings: tuple[str, ...] = ()


def desired(system: System, projects: Iterable[Project], now: int) -> Desired:
    """The accounts and members of `system` at `now`. Raises BadInput for projects that cannot all stand."""
    ordered = sorted(projects, key=lambda project: project.id)
    _check(system, ordered)
    pools = {pool.id: Account(pool.account, system.cluster.root, pool.weight) for pool in system.pools}
    accounts = [_account(project, pools[project.pool].name, now) for project in ordered]
    members = {Member(user, project.id) for project in ordered if now < project.end for user in project.members}
    warnings = [
        f"{project.id}: {person} has no Unix name, so gets no access to the cluster yet; give the person one"
        for project in ordered
        if now < project.end
        for person in sorted(project.nameless)
    ]
    return Desired((*sorted(pools.values()), *accounts), tuple(sorted(members)), tuple(warnings))


def _account(project: Project, parent: str, now: int) -> Account:
    is_open = project.start <= now < project.end and not project.suspended
    return Account(project.id, parent, gpu_minutes=project.gpu_seconds // 60, open=is_open)


def _check(system: System, projects: Iterable[Project]) -> None:
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
    if faults:
        raise BadInput(faults)
