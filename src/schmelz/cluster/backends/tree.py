"""The local cluster's accounts, members, QOS and default accounts, and what may become of them. All of them are ours.

Kept as one JSON object; a directory of an earlier version, without QOS and default accounts, is read as it stands: there
a user's default is the first account by name. Pure: reading and writing is the spool's. Raises ClusterError.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from schmelz.cluster import rows
from schmelz.cluster.model import Account, ClusterError, Member, Observed, Qos
from schmelz.faults import BadInput

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,79}")


@dataclass
class Tree:
    """All of it; accounts and QOS by name, default accounts by user."""

    accounts: dict[str, Account] = field(default_factory=dict)
    members: set[Member] = field(default_factory=set)
    qos: dict[str, Qos] = field(default_factory=dict)
    defaults: dict[str, str] = field(default_factory=dict)

    def observed(self, cluster: str) -> Observed:
        members = tuple(sorted(self.members))
        defaults = tuple(sorted(self.defaults.items()))
        return Observed(
            cluster, tuple(self.accounts.values()), members, qos=tuple(self.qos.values()), defaults=defaults
        )

    def create(self, accounts: Sequence[Account], members: Sequence[Member], qos: Sequence[Qos], root: str) -> None:
        _check_names([*(a.name for a in accounts), *(m.user for m in members), *(q.name for q in qos)])
        for one in qos:
            self.qos.setdefault(one.name, one)
        for account in accounts:
            if account.parent not in (*self.accounts, root):
                raise ClusterError(f"account {account.name}: its parent {account.parent} is not there")
            self.accounts.setdefault(account.name, account)
        for member in sorted(members):
            if member.account not in self.accounts:
                raise ClusterError(f"member {member.user}: the account {member.account} is not there")
            self.members.add(member)
            self.defaults.setdefault(member.user, member.account)

    def change(self, accounts: Sequence[Account], qos: Sequence[Qos], defaults: Iterable[tuple[str, str]]) -> None:
        for account in accounts:
            _there("account", account.name, self.accounts)
            self.accounts[account.name] = account
        for one in qos:
            _there("qos", one.name, self.qos)
            self.qos[one.name] = one
        own = {(member.user, member.account) for member in self.members}
        for user, name in defaults:
            if (user, name) not in own:
                raise ClusterError(f"user {user}: is no member of {name}, so that cannot be the default account")
            self.defaults[user] = name

    def remove(self, members: Iterable[Member]) -> None:
        self.members -= set(members)
        own = {(member.user, member.account) for member in self.members}
        self.defaults = {user: account for user, account in self.defaults.items() if (user, account) in own}

    def cap(self, caps: Mapping[str, int | None]) -> None:
        for name, gpus in caps.items():
            _there("qos", name, self.qos)
            self.qos[name] = replace(self.qos[name], gpus=gpus)

    def as_dict(self) -> dict[str, Any]:
        return {
            "accounts": {name: _without_name(account) for name, account in self.accounts.items()},
            "members": sorted(
                [m.user, m.account, m.partition] if m.partition else [m.user, m.account] for m in self.members
            ),
            "qos": {name: _without_name(qos) for name, qos in self.qos.items()},
            "defaults": self.defaults,
        }


def tree(content: Mapping[str, Any]) -> Tree:
    """What `as_dict` made, by this version or an earlier one."""
    members = {Member(*parts) for parts in content["members"]}
    return Tree(
        {name: rows.read(Account, {"name": name, **values}) for name, values in sorted(content["accounts"].items())},
        members,
        {name: rows.read(Qos, {"name": name, **values}) for name, values in sorted(content.get("qos", {}).items())},
        dict(content["defaults"]) if "defaults" in content else _first(members),
    )


def _first(members: Iterable[Member]) -> dict[str, str]:
    """Each user's first account by name."""
    return {member.user: member.account for member in sorted(members, reverse=True)}


def _without_name(one: Account | Qos) -> dict[str, Any]:
    return {name: value for name, value in vars(one).items() if name != "name"}


def _there(kind: str, name: str, known: Mapping[str, object]) -> None:
    if name not in known:
        raise ClusterError(f"{kind} {name}: is not there, so it cannot be changed")


def _check_names(names: Sequence[str]) -> None:
    """Names go into records and file paths of others: letters, digits and a few signs."""
    if faults := [
        f"name {name!r}: letters, digits and . _ - @ + only, at most 80" for name in names if not _NAME.fullmatch(name)
    ]:
        raise BadInput(faults)
