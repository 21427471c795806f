"""The plan: every change that would be made on the cluster, for a person to read before anything happens.

Its *hash* covers what was seen on the cluster, what is desired and what follows from it; a plan is applied by its hash,
so that nobody applies what nobody read. Its *radius* says in one sentence how far the change reaches. *Removals* are
members who lose access plus accounts that are closed. Foreign accounts are listed and left alone.
Invariant: the same observation and the same decisions give the same plan, to the byte.
"""

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from schmelz.cluster.desired import Desired
from schmelz.cluster.diff import Change, Value, diff, unreachable
from schmelz.cluster.model import Observed

SIGNS = {"add": "+", "change": "~", "remove": "-"}


@dataclass(frozen=True)
class Plan:
    """What would change on `cluster`, and what it was computed from."""

    cluster: str
    changes: tuple[Change, ...]
    warnings: tuple[str, ...]
    foreign: tuple[str, ...]
    desired: Desired
    observed: Observed

    @cached_property
    def hash(self) -> str:
        """SHA-256 over what is there, what is desired and the changes (so foreign accounts only where they matter)."""
        seen, wanted = self.observed, self.desired
        facts = {
            "cluster": self.cluster,
            "observed": [[asdict(o) for o in sorted(seen.accounts)], [asdict(o) for o in sorted(seen.members)]],
            "desired": [[asdict(o) for o in sorted(wanted.accounts)], [asdict(o) for o in sorted(wanted.members)]],
            "changes": [asdict(change) for change in self.changes],
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    @property
    def removals(self) -> int:
        """Members who lose access plus accounts that are closed."""
        return sum(change.removes for change in self.changes)

    @property
    def radius(self) -> str:
        """How far this reaches, in one sentence."""
        if not self.changes:
            return "nothing changes: the cluster is as decided"
        count = Counter(effect for change in self.changes for effect in _effects(change))
        gains = ", ".join(_phrase(count[name], *words) for name, words in _GAINS if count[name] or name in _ALWAYS)
        losses = ", ".join(_phrase(count[name], *words) for name, words in _LOSSES)
        return f"{gains}; {losses}; running jobs are left alone"

    def as_dict(self) -> dict[str, Any]:
        """The plan as data for `--json`."""
        changes = [
            {"op": c.op, "kind": c.kind, "name": c.name, "fields": {f: [old, new] for f, old, new in c.fields}}
            for c in self.changes
        ]
        return {
            "hash": self.hash,
            "cluster": self.cluster,
            "radius": self.radius,
            "changes": changes,
            "warnings": list(self.warnings),
            "foreign": list(self.foreign),
        }

    def as_text(self) -> str:
        """The plan for people: one line per change, + for new, ~ for changed, - for gone; a newline at the end."""
        lines = [f"plan {self.hash[:12]} for {self.cluster}: {self.radius}"]
        lines += [_line(change) for change in self.changes]
        lines += [f"! {warning}" for warning in self.warnings]
        if self.foreign:
            lines.append(f"  without our mark, left alone: {', '.join(self.foreign)}")
        return "\n".join(lines) + "\n"


def make(desired: Desired, observed: Observed) -> Plan:
    """The plan that leads from what stands on the cluster to what the decisions ask for."""
    blocked = sorted(unreachable(desired, observed))
    warnings = tuple(
        f"{name}: an account of this name, or its parent, stands there without our mark; it is left alone "
        "until an operator marks or renames it"
        for name in blocked
    )
    foreign = tuple(sorted(observed.foreign))
    return Plan(observed.cluster, diff(desired, observed), (*desired.warnings, *warnings), foreign, desired, observed)


_ALWAYS = ("opened", "budget", "gains")
_GAINS = (
    ("opened", ("account opened", "accounts opened")),
    ("prepared", ("account made, still closed", "accounts made, still closed")),
    ("budget", ("budget changed", "budgets changed")),
    ("shares", ("share changed", "shares changed")),
    ("moved", ("account moved", "accounts moved")),
    ("gains", ("member gains access", "members gain access")),
)
_LOSSES = (
    ("closed", ("account closed", "accounts closed")),
    ("loses", ("member loses access", "members lose access")),
)
_OF_FIELD = {"gpu_minutes": "budget", "shares": "shares", "parent": "moved"}


def _effects(change: Change) -> list[str]:
    if change.kind == "member":
        return ["loses" if change.removes else "gains"]
    new = {field: value for field, _, value in change.fields}
    if change.op == "add":
        return ["opened" if new["open"] else "prepared"]
    return [_OF_FIELD.get(field, "opened" if value else "closed") for field, value in new.items()]


def _phrase(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _line(change: Change) -> str:
    if change.kind == "member":
        return f"{SIGNS[change.op]} member  {change.name}"
    show = "{0} {2}" if change.op == "add" else "{0} {1} -> {2}"
    fields = ", ".join(show.format(_WORDS.get(f, f), _said(f, old), _said(f, new)) for f, old, new in change.fields)
    return f"{SIGNS[change.op]} account {change.name}: {fields}"


_WORDS = {"parent": "below", "gpu_minutes": "GPU-minutes"}


def _said(field: str, value: Value) -> str:
    if field == "open":
        return "yes" if value else "no"
    return "unlimited" if value is None else str(value)
