"""The difference between what should stand on the cluster and what stands there, as a sorted tuple of changes.

A *change* adds, changes or removes one QOS, account, member or a user's default account; its fields tell old and new in
a fixed order. *removes* marks what takes something away from somebody: an account closed or held, a member gone.
Accounts and QOS are never deleted: an account of ours that nobody wants any more is closed. A user's default account is
changed only when it is ours, or missing, and none of the user's own. A *kept* field is left as it is, for a reason that
the caller knows. What is not ours is left alone (see `owned`). Pure.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Literal

from schmelz.cluster.desired import Desired
from schmelz.cluster.model import Account, Member, Observed, Qos
from schmelz.cluster.owned import Sides, sides

KINDS = ("qos", "account", "member", "user")
ACCOUNT_FIELDS = ("parent", "shares", "gpu_minutes", "open", "held", "qos", "default_qos", "coordinators")
QOS_FIELDS = ("priority", "gpus", "preempts", "preemptible", "exempt")
NOBODY = "no decision asks for it any more"
LEFT_OVER = "left while jobs were there; those have ended, and only a locked association is left"
POLICY = "the policy file"
Op = Literal["add", "change", "remove"]
Kind = Literal["qos", "account", "member", "user"]
Value = str | int | bool | tuple[str, ...] | None
Field = tuple[str, Value, Value]
LOCKED: Field = ("locked", True, None)
Place = tuple[str, str, str]
"""Where a difference is: kind, name, field ("": that it is there at all)."""


@dataclass(frozen=True)
class Kept:
    """A field that is left as it is: why, for people, and while it has which values (None: whatever it is)."""

    because: str
    values: Sequence[object] | None = None

    def covers(self, value: Value) -> bool:
        """Whether this value is left; lists may be given as lists or tuples."""
        plain = list(value) if isinstance(value, tuple) else value
        return self.values is None or value in self.values or plain in self.values


Keep = Mapping[Place, Kept]
Left = tuple[Place, Value, Value]
"""A difference that is left: where, as it is, as it should be."""
Raw = tuple[Op, Kind, str, tuple[Field, ...]]


@dataclass(frozen=True)
class Change:
    """One difference: `fields` holds (field, old, new); a member's name is `account/user` or `account/user@partition`."""

    op: Op
    kind: Kind
    name: str
    fields: tuple[Field, ...]
    removes: bool = False
    because: str = ""


def diff(desired: Desired, observed: Observed, keep: Keep | None = None) -> tuple[Change, ...]:
    """What has to happen so that `observed` becomes `desired`; QOS, accounts, members, default accounts, each by name."""
    return parted(desired, observed, sides(desired, observed), keep)[0]


def parted(
    desired: Desired, observed: Observed, both: Sides, keep: Keep | None = None
) -> tuple[tuple[Change, ...], tuple[Left, ...]]:
    """The changes, and the differences that are left as they are; `both` are the sides of the two."""
    found = [
        *_objects("qos", QOS_FIELDS, both.wanted.qos, both.seen.qos),
        *_objects("account", ACCOUNT_FIELDS, both.wanted.accounts, both.seen.accounts),
        *_orphans(both.wanted.accounts, both.seen.accounts),
        *_members(both.wanted.members, both.seen.members),
        *_left_over(both.wanted.members, both.seen.left),
        *_defaults(desired, both.wanted, observed),
    ]
    found.sort(key=lambda raw: (KINDS.index(raw[1]), raw[2], raw[0]))
    stories, left = _Stories(desired), list[Left]()
    changes = []
    for op, kind, name, fields in found:
        kept = _left((op, kind, name, fields), keep) if keep else ()
        left += kept
        gone = {place[2] for place, _, _ in kept}
        gone |= {"held"} if "open" in gone else set()  # a closed account is not also held
        rest = tuple(field for field in fields if field[0] not in gone) if "" not in gone else ()
        if rest:
            because = stories.of(op, kind, name, rest)
            changes.append(Change(op, kind, name, rest, _removes(op, kind, rest), because))
    return tuple(changes), tuple(left)


def member_name(member: Member) -> str:
    """A member's name in plans and journals."""
    return f"{member.account}/{member.user}" + (f"@{member.partition}" if member.partition else "")


def _objects(
    kind: Literal["qos", "account"],
    names: tuple[str, ...],
    wanted: Sequence[Account] | Sequence[Qos],
    seen: Sequence[Account] | Sequence[Qos],
) -> Iterator[Raw]:
    there = {one.name: one for one in seen}
    values = attrgetter(*names)
    for new in wanted:
        old = there.get(new.name)
        if old is None:
            yield (
                "add",
                kind,
                new.name,
                tuple((name, None, value) for name, value in zip(names, values(new), strict=True)),
            )
        elif old != new:
            pairs = zip(names, values(old), values(new), strict=True)
            fields = tuple((name, before, after) for name, before, after in pairs if before != after)
            yield ("change", kind, new.name, _without_held(fields) if kind == "account" else fields)


def _without_held(fields: tuple[Field, ...]) -> tuple[Field, ...]:
    """A closed account is not also held: closing says it all."""
    closes = ("open", True, False) in fields
    return tuple(field for field in fields if not (closes and field[0] == "held"))


def _orphans(wanted: Sequence[Account], seen: Sequence[Account]) -> Iterator[Raw]:
    """Accounts of ours that nobody wants any more."""
    names = {account.name for account in wanted}
    for account in seen:
        if account.open and account.name not in names:
            yield ("change", "account", account.name, (("open", True, False),))


def _members(wanted: Iterable[Member], seen: Iterable[Member]) -> Iterator[Raw]:
    here, there = set(wanted), set(seen)
    for member in here - there:
        yield ("add", "member", member_name(member), tuple((name, None, value) for name, value in _parts(member)))
    for member in there - here:
        yield ("remove", "member", member_name(member), tuple((name, value, None) for name, value in _parts(member)))


def _left_over(wanted: Iterable[Member], left: Iterable[Member]) -> Iterator[Raw]:
    """Locked associations that nobody needs: takes nothing away from anybody."""
    for member in set(left) - set(wanted):
        parts: list[Field] = [(name, value, None) for name, value in _parts(member)]
        yield ("remove", "member", member_name(member), (*parts, LOCKED))


def _parts(member: Member) -> list[tuple[str, str]]:
    parts = [("user", member.user), ("account", member.account), ("partition", member.partition)]
    return parts if member.partition else parts[:2]


def _defaults(desired: Desired, wanted: Desired, observed: Observed) -> Iterator[Raw]:
    """Users whom we know already: new ones get their first account with their first association."""
    ours = {account.name for account in observed.accounts}
    known, defaults = {member.user for member in observed.members}, dict(observed.defaults)
    own: dict[str, set[str]] = {}
    for member in desired.members:
        own.setdefault(member.user, set()).add(member.account)
    first: dict[str, str] = {}
    for member in wanted.members:
        first[member.user] = min(member.account, first.get(member.user, member.account))
    for user in known & set(first):
        old = defaults.get(user) or None
        if old is None or (old in ours and old not in own[user]):
            yield ("change" if old else "add", "user", user, (("default_account", old, first[user]),))


def _removes(op: Op, kind: Kind, fields: tuple[Field, ...]) -> bool:
    """Closing counts, and holding what stays open; a member who goes always does, a locked association never."""
    if kind == "account" and op == "change":
        decides = next((field for field in fields if field[0] in ("open", "held")), None)
        return decides in (("open", True, False), ("held", False, True))
    return op == "remove" and LOCKED not in fields


def _left(raw: Raw, keep: Keep) -> tuple[Left, ...]:
    """What of a difference is left as it is: fields, or that something is there or not."""
    op, kind, name, fields = raw
    if op != "change":
        fields = (("", op == "remove", op == "add"),)
    places = [((str(kind), name, field), old, new) for field, old, new in fields]
    return tuple(one for one in places if one[0] in keep and keep[one[0]].covers(one[1]))


class _Stories:
    """Why each change is there, in plain words."""

    def __init__(self, desired: Desired) -> None:
        self._stories = desired.stories
        self._parents = {account.name: account.parent for account in desired.accounts}

    def of(self, op: Op, kind: Kind, name: str, fields: tuple[Field, ...]) -> str:
        if kind == "qos":
            return self._stories.get(name, POLICY)
        if kind == "user":
            return "none of the user's projects is the default account" if op == "change" else "there is none yet"
        if kind == "account":
            return self._account(name)
        if LOCKED in fields:
            return LEFT_OVER
        user, account, *_ = (old or new for _, old, new in fields)
        return self._stories.get(f"{account}/{user}", NOBODY if op == "remove" else self._account(str(account)))

    def _account(self, name: str) -> str:
        if name not in self._parents:
            return NOBODY
        return self._stories.get(name, "" if self._parents[name] in self._parents else POLICY)
