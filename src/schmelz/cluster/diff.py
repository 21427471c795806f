"""The difference between what should stand on the cluster and what stands there, as a sorted tuple of changes.

A *change* adds, changes or removes one account or member; its fields tell old and new in a fixed order. *removes* marks
what takes something away from somebody: an account closed, a member gone. Accounts are never deleted: a marked account
that nobody wants any more is closed. Accounts without our mark, and what would hang below them, are left alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from schmelz.cluster.desired import Desired
from schmelz.cluster.model import Account, Member, Observed

ACCOUNT_FIELDS = ("parent", "shares", "gpu_minutes", "open")
Value = str | int | bool | None
Field = tuple[str, Value, Value]


@dataclass(frozen=True)
class Change:
    """One difference: `fields` holds (field, old, new); a member's name is `account/user`."""

    op: Literal["add", "change", "remove"]
    kind: Literal["account", "member"]
    name: str
    fields: tuple[Field, ...]
    removes: bool = False


def diff(desired: Desired, observed: Observed) -> tuple[Change, ...]:
    """What has to happen so that `observed` becomes `desired`; accounts first, each kind by name."""
    out_of_reach = unreachable(desired, observed)
    accounts = _account_changes([a for a in desired.accounts if a.name not in out_of_reach], observed)
    members = _member_changes([m for m in desired.members if m.account not in out_of_reach], observed)
    return (*sorted(accounts, key=lambda change: change.name), *sorted(members, key=lambda change: change.name))


def unreachable(desired: Desired, observed: Observed) -> frozenset[str]:
    """Desired accounts that stand there without our mark, and the desired accounts below those."""
    found = set(observed.foreign) & {account.name for account in desired.accounts}
    found |= {account.name for account in desired.accounts if account.parent in found}
    return frozenset(found)


def _account_changes(wanted: list[Account], observed: Observed) -> Iterator[Change]:
    there = {account.name: account for account in observed.accounts}
    for account in wanted:
        old = there.pop(account.name, None)
        if old is None:
            yield Change("add", "account", account.name, _fields(None, account))
        elif fields := _fields(old, account):
            yield Change("change", "account", account.name, fields, removes=old.open and not account.open)
    for account in there.values():
        if account.open:
            yield Change("change", "account", account.name, (("open", True, False),), removes=True)


def _fields(old: Account | None, new: Account) -> tuple[Field, ...]:
    pairs = ((name, getattr(old, name, None), getattr(new, name)) for name in ACCOUNT_FIELDS)
    return tuple(pair for pair in pairs if old is None or pair[1] != pair[2])


def _member_changes(wanted: list[Member], observed: Observed) -> Iterator[Change]:
    ours = {account.name for account in observed.accounts}
    there = {member for member in observed.members if member.account in ours}
    for member in set(wanted) - there:
        yield _member("add", member, removes=False)
    for member in there - set(wanted):
        yield _member("remove", member, removes=True)


def _member(op: Literal["add", "remove"], member: Member, *, removes: bool) -> Change:
    def field(name: str, value: str) -> Field:
        return (name, value, None) if removes else (name, None, value)

    fields = (field("user", member.user), field("account", member.account))
    return Change(op, "member", f"{member.account}/{member.user}", fields, removes)
