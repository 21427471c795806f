"""Drift: what stands on the cluster otherwise than the last apply left it, and what a person can choose about it.

*Repair* puts one difference right: an apply of exactly that, with its journal, brake and permission. *Leave* keeps it as
it is until a day. *Decide* turns it into a decision of the portal, see `decide`.
The duty `look` compares every few minutes and keeps the counts, so that pages and metrics need not ask the cluster.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

from schmelz.cluster.apply import Applied
from schmelz.cluster.desired import Desired
from schmelz.cluster.diff import Change, Kept, Place, diff
from schmelz.cluster.drift import PARTS, Row, drift
from schmelz.cluster.model import Account, Observed, Qos
from schmelz.faults import BadInput, Refused
from schmelz.operate import applies, follow
from schmelz.operate.cluster import backend
from schmelz.policy.schema import System
from schmelz.portal.clock import now
from schmelz.portal.clusters import choices
from schmelz.portal.clusters.models import Choice, Move
from schmelz.portal.people.models import Person

BY_HAND = ("by_hand", "missing", "extra")
ELSEWHERE = Kept("not part of this repair")
UNSTEERED = "steering left it so, and no mandate covers it now"
DECIDABLE = {("account", "gpu_minutes"), ("account", "open"), ("member", "")}
"""Where a decision of the portal stands behind a difference; `decide` has the ways."""


@runtime_checkable
class Troubled(Protocol):
    """A backend that can tell of its own inconsistencies."""

    def problems(self) -> Sequence[str]: ...


@dataclass(frozen=True)
class Found:
    """One look: the differences, what is left by choice, and the cluster's own problems."""

    at: int
    rows: tuple[Row, ...]
    left: tuple[Choice, ...]
    problems: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """How many differences of each part; all parts are named."""
        count = Counter[str](row.part for row in self.rows)
        return {part: count[part] for part in PARTS} | {"left": len(self.left), "problem": len(self.problems)}


def find(system: System) -> Found:
    """Compare now. Asks the cluster, changes nothing."""
    machine = backend(system)
    last, wanted = applies.journal(system).last(), follow.wanted(system)
    rows = _unsteered(system, drift(last, machine.observe(), wanted, follow.keeping(system)))
    problems = tuple(machine.problems()) if isinstance(machine, Troubled) else ()
    return Found(now(), rows, tuple(choices.in_force(system)), problems)


def _unsteered(system: System, rows: Sequence[Row]) -> tuple[Row, ...]:
    """Caps that steering left behind were moved by nobody's hand: with the mandate gone, the plan brings them back."""
    last = Move.objects.filter(mandate__system=system.id).first()
    after = last.after if last else {}
    return tuple(
        replace(row, part="pending", because=UNSTEERED)
        if (row.kind, row.field) == ("qos", "gpus") and row.name in after and after[row.name] == row.seen
        else row
        for row in rows
    )


def look(system: System) -> Found:
    """The duty: compare, keep the counts, and tell the ledger when the changes by hand are others than before."""
    applies.tell_missed(system)
    found = find(system)
    mine = [row for row in found.rows if row.part in BY_HAND]
    seen = sorted(f"{row.part} {row.kind} {row.name} {row.field}: {row.seen}" for row in mine)
    choices.keep_comparison(system, found.counts, seen, [(row.kind, row.name, row.field) for row in mine])
    return found


def possible(row: Row) -> tuple[str, ...]:
    """What can be chosen about a difference."""
    if row.part not in BY_HAND or (row.kind == "qos" and row.field == ""):
        return ()
    whole = row.field == "" and row.kind != "member"
    return ("repair",) if whole else ("repair", "leave", *(("decide",) if (row.kind, row.field) in DECIDABLE else ()))


def repair(person: Person, system: System, place: Place, *, allow_remove: int) -> Applied:
    """Put one difference right: apply exactly that. Raises Refused as an apply does."""
    choices.may_choose(person, system)
    follow.may_apply(person, system)
    observed, keep = backend(system).observe(), _keeping_but(system, place)
    last = applies.journal(system).last()
    row = _row(drift(last, observed, follow.wanted(system), keep), place, "repair")
    asked = _with(last or Desired((), ()), observed, row)
    others = {one: ELSEWHERE for change in diff(asked, observed) for one in _places(change) if not _part_of(row, one)}
    errand = follow.Errand(asked, others | keep, "repair")
    exactly = follow.plan_of(system, errand).hash
    done = follow.carry_out(person, system, errand, expected_hash=exactly, allow_remove=allow_remove)
    choices.settle(person, system, place)
    return done


def leave(person: Person, system: System, place: Place, *, until: int, because: str) -> Choice:
    """Leave a change by hand as it is until a day; the plan then says so."""
    choices.may_choose(person, system)
    row = differing(system, place, "leave")
    return choices.leave(person, system, place, row.seen, until=until, because=because)


def differing(system: System, place: Place, choice: str) -> Row:
    """The difference at this place, left ones too. Raises BadInput for none, Refused where this cannot be chosen."""
    keep = _keeping_but(system, place)
    rows = drift(applies.journal(system).last(), backend(system).observe(), follow.wanted(system), keep)
    return _row(rows, place, choice)


def _keeping_but(system: System, place: Place) -> dict[Place, Kept]:
    """What is kept, but for a choice about this place: a new one may be made. What is steered stays."""
    return {one: why for one, why in follow.keeping(system).items() if one != place or why is follow.STEERED}


def _row(rows: Sequence[Row], place: Place, choice: str) -> Row:
    found = next((row for row in rows if (row.kind, row.name, row.field) == place), None)
    said = " ".join(filter(None, place))
    if found is None:
        raise BadInput(f"{said}: is no difference of this moment; `schmelz drift` lists them")
    if choice not in possible(found):
        only = UNDECIDED if choice == "decide" and found.part in BY_HAND else WHOLE
        raise Refused(f"{said}: it is not possible to {choice} this.", REMEDIES.get(found.part, only))
    return found


UNDECIDED = (
    "No decision about a project stands behind it, but the policy file: change it there, put it right (--repair), "
    "or leave it until a day (--ignore-until)."
)
WHOLE = "It is there or not as a whole: put it right with --repair where that is offered, else by hand on the cluster."
REMEDIES = {
    "pending": "It was decided and waits for the plan: `schmelz apply` brings it to the cluster.",
    "unmarked": "It does not carry our mark, so it is left alone until an operator marks or renames it.",
}


def _with(last: Desired, observed: Observed, row: Row) -> Desired:
    """What the last apply left, with the decided value at the place of this difference."""
    if row.field == "" or row.kind not in ("account", "qos"):
        return last
    if row.kind == "account":
        return replace(last, accounts=_put(last.accounts, observed.accounts, row))
    return replace(last, qos=_put(last.qos, observed.qos, row))


def _put(last: Sequence[Any], seen: Sequence[Any], row: Row) -> tuple[Any, ...]:
    """The objects with one field set; one that the last apply did not know is taken as it stands there."""
    by_name: dict[str, Account | Qos] = {one.name: one for one in last}
    if row.name not in by_name and row.part == "extra":
        return tuple(last)
    by_name |= {one.name: one for one in seen if one.name == row.name and one.name not in by_name}
    by_name[row.name] = replace(by_name[row.name], **{row.field: row.wanted})  # type: ignore[arg-type]
    return tuple(by_name.values())


def _places(change: Change) -> Iterator[Place]:
    if change.op == "change":
        yield from ((change.kind, change.name, field) for field, _, _ in change.fields)
    else:
        yield change.kind, change.name, ""


def _part_of(row: Row, place: Place) -> bool:
    """Whether a difference belongs to the repair: itself, and what it cannot be without: the members of an account that
    is made again, the membership in an account that becomes somebody's default."""
    kind, name, _ = place
    if place == (row.kind, row.name, row.field):
        return True
    if kind != "member":
        return False
    if row.kind == "user":
        return name.partition("@")[0] == f"{row.wanted}/{row.name}"
    return row.part == "missing" and row.kind == "account" and name.startswith(f"{row.name}/")
