"""Drift: what differs on the cluster from what was last applied, and why.

Every difference between the decisions and the cluster is in one part: *pending* (the decisions are newer than the last
apply), *by_hand* (somebody changed a field), *missing* (somebody removed what we had made), *extra* (somebody added to
what is ours), *unmarked* (a name of ours that stands there without our mark). With nothing ever applied all is pending
but what is unmarked. Kept fields are no difference. Pure.
"""

from dataclasses import dataclass
from typing import Literal

from schmelz.cluster.desired import Desired
from schmelz.cluster.diff import Change, Keep, Kind, Value, diff
from schmelz.cluster.model import Observed
from schmelz.cluster.owned import sides

Part = Literal["by_hand", "missing", "extra", "unmarked", "pending"]
PARTS: tuple[Part, ...] = ("by_hand", "missing", "extra", "unmarked", "pending")


@dataclass(frozen=True)
class Row:
    """One difference: `seen` is on the cluster, `wanted` is decided; the field is "" for the object as a whole."""

    part: Part
    kind: Kind
    name: str
    field: str
    seen: Value
    wanted: Value
    because: str = ""


def drift(last: Desired | None, observed: Observed, wanted: Desired, keep: Keep | None = None) -> tuple[Row, ...]:
    """Every difference with its part, in the order of PARTS, then as a plan has them."""
    known = _Known(last, observed, wanted)
    rows = [row for change in diff(wanted, observed, keep) for row in known.rows(change)]
    rows += [Row("unmarked", "account", name, "", None, None) for name in _unmarked(wanted, observed)]
    rows += [
        Row("unmarked", "qos", name, "", None, None)
        for name in sorted({qos.name for qos in wanted.qos} & set(observed.foreign_qos))
    ]
    rows += [Row("extra", "qos", name, "", True, False) for name in known.extra_qos]
    return tuple(sorted(rows, key=lambda row: PARTS.index(row.part)))


def _unmarked(wanted: Desired, observed: Observed) -> list[str]:
    alone = sides(wanted, observed).alone
    return sorted(name for name in alone if name in observed.foreign)


class _Known:
    """What the last apply left, to tell whose a difference is."""

    def __init__(self, last: Desired | None, observed: Observed, wanted: Desired) -> None:
        self._last = last
        before = diff(last, observed) if last else ()
        self._before = {(c.kind, c.name, c.op): c for c in before}
        self._fields = {(c.kind, c.name, field) for c in before for field, _, _ in c.fields if c.op == "change"}
        both = (wanted, last) if last else (wanted,)
        self._accounts = {account.name for one in both for account in one.accounts}
        named = {qos.name for one in both for qos in one.qos}
        self.extra_qos = sorted({qos.name for qos in observed.qos} - named)

    def rows(self, change: Change) -> list[Row]:
        """A change, field by field where it has several."""
        if change.op == "change":
            return [
                Row(self._field(change, field), change.kind, change.name, field, old, new, change.because)
                for field, old, new in change.fields
            ]
        is_there = change.op == "remove"
        return [Row(self._whole(change), change.kind, change.name, "", is_there, not is_there, change.because)]

    def _field(self, change: Change, field: str) -> Part:
        if self._last is None:
            return "pending"
        if change.kind == "account" and change.name not in self._accounts:
            return "extra"
        return "by_hand" if (change.kind, change.name, field) in self._fields else "pending"

    def _whole(self, change: Change) -> Part:
        """Added or removed: by hand, if the last apply would have to be repeated for it as well."""
        if change.op == "remove" and not change.removes:  # what a leaving member left over
            return "pending"
        if (change.kind, change.name, change.op) not in self._before:
            return "pending"
        if change.kind == "user":
            return "by_hand"
        return "missing" if change.op == "add" else "extra"
