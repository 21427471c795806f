"""What an existing cluster could become here: accounts read from it, sorted into projects, branches and the rest. Pure.

*Standing* is an account as it stands; *use* is what its jobs took so far. An account in which people are, or that has a
budget, is *proposed* as a project; its *branch* are the accounts above it, the nearest first, by which it is given to a
pool. What cannot be proposed is said in a *remark*, never dropped. The file that comes of it is written by `adopt_file`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase

from schmelz.policy.system import System

NOBODY = "Nobody is in it, it has no budget, and no job ran."
_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]*")


@dataclass(frozen=True)
class Standing:
    """An account of the cluster: place, title, budget in GPU-minutes (None: no limit), Unix names, what else it has."""

    account: str
    parent: str
    title: str = ""
    marked: bool = False
    gpu_minutes: int | None = None
    users: tuple[str, ...] = ()
    coordinators: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Use:
    """What an account's jobs took: GPU-seconds by Unix user, and the days of the first and the last job."""

    by_user: Mapping[str, int]
    first: date
    last: date

    @property
    def gpu_seconds(self) -> int:
        return sum(self.by_user.values())


@dataclass(frozen=True)
class Proposed:
    """An account that looks like a project: its branch, its pool (None: not known), its leader, and how it was guessed."""

    standing: Standing
    branch: tuple[str, ...]
    pool: str | None
    leader: str
    guess: str
    use: Use | None
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class Proposal:
    """Everything that was read: the projects by account, and remarks on all that is none (account -> sentence)."""

    projects: tuple[Proposed, ...]
    remarks: tuple[tuple[str, str], ...]


def propose(system: System, found: Sequence[Standing], use: Mapping[str, Use], longest_name: int) -> Proposal:
    """Sort the accounts of a cluster. `longest_name`: how many characters a project's code may have."""
    tree = {account.account: account for account in found}
    parents = {account.parent for account in found}
    projects, remarks = [], []
    for account in found:
        why = _no_project(account, parents, use, system, longest_name)
        if why:
            remarks.append((account.account, why))
        else:
            projects.append(_proposed(account, tree, use.get(account.account), system))
    gone = sorted(set(use) - set(tree) - {""})
    remarks += [(name, f"Is no account any more; {_told(use[name])}") for name in gone]
    return Proposal(tuple(projects), tuple(sorted(remarks)))


def _no_project(
    account: Standing, parents: set[str], use: Mapping[str, Use], system: System, longest_name: int
) -> str | None:
    """Why an account is not proposed; None when it is."""
    name = account.account
    if account.marked:
        return "Carries our mark: it is in the hands of the plan already."
    if name in {pool.account for pool in system.pools}:
        crowd = f" The people in it ({', '.join(account.users)}) need projects of their own." if account.users else ""
        return f"Is the account of a pool.{crowd}"
    if system.overhead and any(fnmatchcase(name, pattern) for pattern in system.overhead.accounts):
        return "Is overhead by the policy file."
    if not account.users and account.gpu_minutes is None and name not in use:
        return "Is a branch: nobody is in it." if name in parents else NOBODY
    if len(name) > longest_name or not _NAME.fullmatch(name):
        return (
            f"Cannot be a project's code: at most {longest_name} small letters, digits and . _ - ; Slurm cannot rename."
        )
    return None


def _proposed(account: Standing, tree: Mapping[str, Standing], use: Use | None, system: System) -> Proposed:
    branch = tuple(_above(account, tree))
    leader, guess = _leader(account, use)
    below = sorted(one.account for one in tree.values() if one.parent == account.account)
    remarks = [f"the accounts below it share its budget now: {', '.join(below)}"] if below else []
    remarks += account.remarks
    remarks += ["the cluster has no limit for it: write one"] if account.gpu_minutes is None else []
    remarks += ["nobody is in it"] if not account.users else []
    pool = pool_of(account.account, branch, patterns(system))
    return Proposed(account, branch, pool, leader, guess, use, tuple(remarks))


def patterns(system: System) -> dict[str, tuple[str, ...]]:
    """Which accounts belong to which pool, by the policy file."""
    return {pool.id: tuple(dict.fromkeys((pool.account, *pool.accounts))) for pool in system.pools}


def pool_of(account: str, branch: Sequence[str], pools: Mapping[str, Sequence[str]]) -> str | None:
    """The pool of an account: whose patterns match it, else the account above it, and so on up."""
    return next(
        (
            pool
            for name in (account, *branch)
            for pool, theirs in pools.items()
            if any(fnmatchcase(name, pattern) for pattern in theirs)
        ),
        None,
    )


def _above(account: Standing, tree: Mapping[str, Standing]) -> Iterator[str]:
    """The accounts above, the nearest first, without the root."""
    while (parent := tree.get(account.parent)) is not None:
        yield parent.account
        account = parent


def _leader(account: Standing, use: Use | None) -> tuple[str, str]:
    """Who may be the principal investigator, and why we think so."""
    inside = [name for name in account.coordinators if name in account.users]
    if inside:
        return inside[0], "coordinates the account"
    if len(account.users) == 1:
        return account.users[0], "the only person in it"
    used = {name: use.by_user.get(name, 0) for name in account.users} if use else {}
    if any(used.values()):
        return min(used, key=lambda name: (-used[name], name)), "a guess: used most; please check"
    return "", "not known: name one of the members"


def _told(use: Use) -> str:
    return f"{use.gpu_seconds // 3600} GPU-hours were used from {use.first} to {use.last}."
