"""The plan: every change that would be made on the cluster, for a person to read before anything happens.

Its *hash* covers what was seen on the cluster, what is desired and what follows from it; a plan is applied by its hash,
so that nobody applies what nobody read. Kept fields count as desired in it, whatever their value: they may move while a
plan is read. Its *radius* says in one sentence how far the change reaches. *Removals* are members who lose access plus
accounts that are closed or held. Foreign objects are listed and left alone.
Invariant: the same observation and the same decisions give the same plan, to the byte.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from schmelz.cluster import owned, words
from schmelz.cluster.desired import Desired
from schmelz.cluster.diff import Change, Keep, Left, Place, Value, member_name, parted
from schmelz.cluster.model import Account, Observed, Qos


@dataclass(frozen=True)
class Plan:
    """What would change on `cluster`, and what it was computed from.

    `sides`: the two within reach and in normal form. `touched`: running jobs of those who lose something (None: nobody
    looked). `left`: differences that are kept.
    """

    cluster: str
    changes: tuple[Change, ...]
    warnings: tuple[str, ...]
    foreign: tuple[str, ...]
    desired: Desired
    observed: Observed
    sides: owned.Sides
    touched: int | None = 0
    left: tuple[Left, ...] = ()

    @cached_property
    def hash(self) -> str:
        """SHA-256 over what is there, what is desired and the changes (so foreign objects only where they matter)."""
        both, left = self.sides, {place: new for place, _, new in self.left}
        facts = {
            "cluster": self.cluster,
            "observed": _facts(both.seen.qos, both.seen.accounts, both.seen.members, left),
            "desired": _facts(both.wanted.qos, both.wanted.accounts, both.wanted.members, {}),
            "changes": [[c.op, c.kind, c.name, c.fields] for c in self.changes],
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    @property
    def removals(self) -> int:
        """Members who lose access plus accounts that are closed or held."""
        return len(self.removed)

    @property
    def removed(self) -> tuple[str, ...]:
        """The removals by name: `account p1`, `member p1/anna`."""
        return tuple(f"{change.kind} {change.name}" for change in self.changes if change.removes)

    @property
    def radius(self) -> str:
        """How far this reaches, in one sentence."""
        return words.radius(self.changes, self.desired, self.observed, self.touched)

    def as_dict(self) -> dict[str, Any]:
        """The plan as data for `--json`."""
        return {
            "hash": self.hash,
            "cluster": self.cluster,
            "radius": self.radius,
            "changes": [_change(change) for change in self.changes],
            "warnings": list(self.warnings),
            "foreign": list(self.foreign),
        }

    def as_text(self) -> str:
        """The plan for people: one line per change, + for new, ~ for changed, - for gone; a newline at the end."""
        lines = [f"plan {self.hash[:12]} for {self.cluster}: {self.radius}"]
        lines += [line for change in self.changes for line in words.lines(change)]
        lines += [f"! {warning}" for warning in self.warnings]
        if self.foreign:
            lines.append(f"  without our mark, left alone: {', '.join(self.foreign)}")
        return "\n".join(lines) + "\n"


def make(desired: Desired, observed: Observed, *, keep: Keep | None = None, jobs: words.Jobs | None = None) -> Plan:
    """The plan that leads from what stands on the cluster to what the decisions ask for.

    `keep`: fields that are left as they are. `jobs`: the cluster's jobs, or how to get them; asked for only when the
    plan takes something away.
    """
    both = owned.sides(desired, observed)
    changes, left = parted(desired, observed, both, keep)
    return Plan(
        observed.cluster,
        changes,
        (*desired.warnings, *owned.warnings(desired, observed, both.alone), *(_kept(one, keep or {}) for one in left)),
        (*sorted(observed.foreign), *(f"qos {name}" for name in sorted(observed.foreign_qos))),
        desired,
        observed,
        both,
        words.touched(changes, jobs),
        left,
    )


def _kept(left: Left, keep: Keep) -> str:
    (kind, name, field), old, new = left
    if field == "":
        is_there, should = ("is there", "is not decided") if old else ("is not there", "is decided")
        return f"{kind} {name}: {is_there}, {should}; {keep[left[0]].because}"
    return (
        f"{kind} {name}: {words.named(field)} is {words.said(field, old)}, decided is {words.said(field, new)}; "
        f"{keep[left[0]].because}"
    )


def _change(change: Change) -> dict[str, Any]:
    fields = {field: [old, new] for field, old, new in change.fields}
    return {"op": change.op, "kind": change.kind, "name": change.name, "fields": fields, "because": change.because}


def _facts(
    qos: Iterable[Qos], accounts: Iterable[Account], members: Iterable[Any], left: dict[Place, Value]
) -> list[Any]:
    """Sorted rows; a kept field has the value that it should have."""
    rows = {("qos", one.name): dict(vars(one)) for one in qos} | {
        ("account", one.name): dict(vars(one)) for one in accounts
    }
    names = {member_name(member) for member in members}
    for (kind, name, field), value in left.items():
        if kind == "member":
            (names.add if value else names.discard)(name)
        elif (kind, name) in rows:
            rows[kind, name][field] = value
    return [[[*key, row] for key, row in sorted(rows.items())], sorted(names)]
