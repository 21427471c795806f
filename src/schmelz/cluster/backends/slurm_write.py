"""The commands that change accounts and members, as argument lists, and the file that makes new ones. Pure.

Equal values go into one command for many names; different values into several that may run side by side. A command
never goes out with an empty list of names: to Slurm that would mean every account there is. Names are checked, because
the load file is text. A member without a partition is asked for by `partition=`: without that word Slurm takes the
associations of all partitions. Source: sacctmgr of Slurm 22.05, tried out on the real thing.
"""

import re
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import TypeVar

from schmelz.cluster.backends.slurm_many import Command
from schmelz.cluster.model import MARK, Account, ClusterError, Member
from schmelz.faults import BadInput

Change = tuple[Account, Account]
Pair = tuple[str, str]
"""A user and an account."""

T = TypeVar("T")
W = TypeVar("W", bound=Hashable)

LOAD: Command = ("sacctmgr", "-i", "load", "file=/dev/stdin")  # one transaction: all of it or nothing
MOST_NAMES = 500  # a thousand in one list was fine
_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,79}")


def check_names(names: Iterable[str]) -> None:
    """Slurm turns names into small letters and the load file has quotes and colons of its own."""
    if faults := [
        f"{name!r}: not a name that Slurm keeps as it is; small letters, digits and . _ - only"
        for name in sorted(set(names))
        if not _NAME.fullmatch(name)
    ]:
        raise BadInput(faults)


def grouped(wishes: Iterable[tuple[T, W]]) -> list[tuple[W, list[T]]]:
    """Those who want the same, at most so many together."""
    groups: dict[W, list[T]] = {}
    for one, wish in wishes:
        groups.setdefault(wish, []).append(one)
    return [
        (wish, group[first : first + MOST_NAMES])
        for wish, group in groups.items()
        for first in range(0, len(group), MOST_NAMES)
    ]


# -- new accounts and members


def load_file(cluster: str, accounts: Iterable[Account], members: Iterable[Member]) -> str:
    """What `sacctmgr load` reads: new accounts under their parents, then members under their accounts, in the same order.

    Slurm numbers the tree from left to right, and whoever joins shifts all that stands further right: in the order of
    the tree the data base has least to do (on 22.05 a quarter less for 1,000 accounts of two pools than by name).

    It names only what is to be made: a line about an account that is there would change it, even move it. Users get no
    DefaultAccount: whoever has one keeps it, for others Slurm takes the first account. A cluster that is not there
    would be made, so somebody must have looked first. Members' limits are lifted: some were members before.
    Coordinators come afterwards: in the file they cost a message each, one after the other (1,000: a minute and a half).
    """
    new = list(_in_order(accounts))
    place = {account.name: number for number, account in enumerate(new)}
    lines = [f"Cluster - '{cluster}'", *_account_lines(new)]
    parent = None
    for member in sorted(members, key=lambda one: (place.get(one.account, -1), one.account, one.user, one.partition)):
        lines += [f"Parent - '{member.account}'"] if member.account != parent else []
        parent = member.account
        lines.append(_member_line(member))
    return "\n".join([*lines, ""])


def _account_lines(accounts: Iterable[Account]) -> Iterator[str]:
    for parent, group in groupby(accounts, key=lambda account: account.parent):
        yield f"Parent - '{parent}'"
        yield from map(_account_line, group)


def _in_order(accounts: Iterable[Account]) -> Iterator[Account]:
    """Parents before children, the children of one parent together."""
    below: dict[str, list[Account]] = {}
    for account in sorted(accounts):
        below.setdefault(account.parent, []).append(account)
    new = {account.name for group in below.values() for account in group}
    parents = sorted(parent for parent in below if parent not in new)
    for parent in parents:  # grows while it is walked: parents before children
        for account in below.pop(parent):
            yield account
            parents += [account.name] if account.name in below else []
    if below:
        raise ClusterError(f"the accounts {', '.join(sorted(below))} are parents of each other")


def _account_line(account: Account) -> str:
    values = [f"Organization='{MARK}'", f"Fairshare={account.shares}"]
    values += [f"GrpTRESMins=gres/gpu={account.gpu_minutes}"] if account.gpu_minutes is not None else []
    values += [] if account.open and not account.held else _access(account)
    values += [f"QOS='{','.join(account.qos)}'"] if account.qos else []
    values += [f"DefaultQOS='{account.default_qos}'"] if account.default_qos else []
    return ":".join([f"Account - '{account.name}'", *values])


def _member_line(member: Member) -> str:
    values = [f"Partition='{member.partition}'"] if member.partition else []
    return ":".join([f"User - '{member.user}'", *values, "MaxJobs=-1", "MaxSubmitJobs=-1"])


# -- values


def moves(cluster: str, pairs: Iterable[Change]) -> list[Command]:
    """Commands that hang accounts under other parents; they shift the whole tree, so one after the other."""
    return _modifications(
        cluster, ((new.name, (f"parent={new.parent}",)) for old, new in sorted(pairs) if old.parent != new.parent)
    )


def settings(cluster: str, pairs: Iterable[Change]) -> list[Command]:
    """Commands that set what differs, one for each set of values; no two are about the same account."""
    wishes = ((new.name, tuple(_values(old, new))) for old, new in sorted(pairs))
    return _modifications(cluster, ((name, wish) for name, wish in wishes if wish))


def _values(old: Account, new: Account) -> Iterator[str]:
    if old.shares != new.shares:
        yield f"Fairshare={new.shares}"
    if old.gpu_minutes != new.gpu_minutes:
        yield f"GrpTRESMins=gres/gpu={-1 if new.gpu_minutes is None else new.gpu_minutes}"
    if _access(old) != _access(new):
        yield from _access(new)
    if (set(old.qos), old.default_qos) != (set(new.qos), new.default_qos):
        # in one command: Slurm drops, without a word, a list that lacks the default or a default that the list lacks
        yield from (f"QOS={','.join(sorted(new.qos))}", f"DefaultQOS={new.default_qos or -1}")


def _access(account: Account) -> list[str]:
    """GrpJobs holds back what waits; running jobs go on. GrpSubmitJobs takes no new ones."""
    return [
        f"GrpJobs={-1 if account.open and not account.held else 0}",
        f"GrpSubmitJobs={-1 if account.open else 0}",
    ]


def _modifications(cluster: str, wishes: Iterable[tuple[str, Command]]) -> list[Command]:
    modify = ("sacctmgr", "-i", "modify", "account", "where")
    return [
        (*modify, f"name={','.join(names)}", f"cluster={cluster}", "set", *value) for value, names in grouped(wishes)
    ]


def new_leads(accounts: Iterable[Account]) -> list[Command]:
    """Commands that make coordinators of new accounts."""
    return _leads("add", ((one.name, one.coordinators) for one in accounts))


def leads(pairs: Sequence[Change]) -> list[Command]:
    """Commands that make and unmake coordinators; the account's new coordinators come first."""
    wanted = [(new.name, sorted(set(new.coordinators) - set(old.coordinators))) for old, new in pairs]
    unwanted = [(new.name, sorted(set(old.coordinators) - set(new.coordinators))) for old, new in pairs]
    return [*_leads("add", wanted), *_leads("delete", unwanted)]


def _leads(verb: str, users: Iterable[tuple[str, Sequence[str]]]) -> list[Command]:
    groups = grouped((account, tuple(theirs)) for account, theirs in users if theirs)
    command = ("sacctmgr", "-i", verb, "coordinator")
    return [(*command, f"account={','.join(accounts)}", f"names={','.join(theirs)}") for theirs, accounts in groups]


def default_accounts(cluster: str, pairs: Iterable[Pair]) -> list[Command]:
    """The account that a user's jobs get unasked."""
    groups = grouped((user, (f"DefaultAccount={account}",)) for user, account in sorted(pairs))
    modify = ("sacctmgr", "-i", "modify", "user", "where")
    return [(*modify, f"name={','.join(users)}", f"cluster={cluster}", "set", *value) for value, users in groups]


# -- members who leave


def removals(cluster: str, members: Iterable[Member]) -> list[tuple[Command, list[Member]]]:
    """A command for each account and partition, with the members that it takes away."""
    return [(("sacctmgr", "-i", "delete", "user", *words), group) for words, group in _by_place(cluster, members)]


def endings(cluster: str, members: Iterable[Member]) -> list[Command]:
    """For members whose jobs still run: no new jobs, waiting ones do not start, running ones go on."""
    modify, none = ("sacctmgr", "-i", "modify", "user", "where"), ("set", "MaxJobs=0", "MaxSubmitJobs=0")
    return [(*modify, *words, *none) for words, _ in _by_place(cluster, members)]


def _by_place(cluster: str, members: Iterable[Member]) -> list[tuple[Command, list[Member]]]:
    """The words that name the members' associations with one account in one partition, and who they are."""
    order = sorted(members, key=lambda one: (one.account, one.partition, one.user))
    return [
        ((f"name={_users(group)}", f"account={account}", f"cluster={cluster}", f"partition={partition}"), group)
        for (account, partition), group in grouped((one, (one.account, one.partition)) for one in order)
    ]


def _users(group: Iterable[Member]) -> str:
    return ",".join(member.user for member in group)
