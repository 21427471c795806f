"""The cluster follows the decisions: the plan of this moment, applying it with its journal, going back one apply.

*Kept* fields are left as they are: those a person chose to leave, and the caps that a mandate of steering covers. An
*undo* makes the cluster what it was before the last apply; the decisions stay, so the next plan shows the difference
again. Every apply that touched the cluster is in the ledger, failed ones too, with its entry in the journal.
"""

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass

from django.db import transaction

from schmelz.cluster.apply import Applied, apply
from schmelz.cluster.desired import Desired, desired
from schmelz.cluster.diff import Keep, Kept
from schmelz.cluster.journal import before
from schmelz.cluster.model import ClusterError
from schmelz.cluster.plan import Plan, make
from schmelz.faults import BadInput, Refused
from schmelz.operate.applies import What, journal, note, note_failure
from schmelz.operate.cluster import backend
from schmelz.operate.steer import steered
from schmelz.policy.schema import System
from schmelz.portal.clock import now
from schmelz.portal.clusters import choices, mandates
from schmelz.portal.clusters.queries import approvers
from schmelz.portal.people.models import Person
from schmelz.portal.people.queries import general_relations, roles
from schmelz.portal.projects.actions import mark_applied
from schmelz.portal.projects.wanted import desired_projects
from schmelz.rules.permissions import Permission, require
from schmelz.units import iso

WHOLE_HASH = 64
STEERED = Kept("steering moves it inside the mandate in force")


@dataclass(frozen=True)
class Errand:
    """What an apply is asked for: the state to reach, what is left as it is, and what the ledger says it was."""

    asked: Desired
    keep: Keep
    what: What = "apply"


def wanted(system: System) -> Desired:
    """What the decisions ask of the cluster today."""
    return desired(system, desired_projects(system), now())


def keeping(system: System) -> dict[tuple[str, str, str], Kept]:
    """The fields that a plan leaves as they are now, each with its reason."""
    kept = dict.fromkeys(_steered(system), STEERED)
    for choice in choices.in_force(system):
        day, who = iso(choice.until)[:10], choice.person.handle
        because = f"left as it is until {day}, says {who}: {choice.because}"
        kept[choice.kind, choice.name, choice.field] = Kept(because, (choice.value,))
    return kept


def _steered(system: System) -> set[tuple[str, str, str]]:
    """The caps that a mandate covers; the cluster is only asked while one is in force."""
    if system.steering is None or mandates.in_force(system.id, now()) is None:
        return set()
    machine = backend(system)
    return steered(system, machine.observe().qos, sum(room.up for room in machine.rooms().values()))


def errand(system: System, *, undo: bool = False) -> Errand:
    """What is to be done: what the decisions ask for, or what stood there before the last apply."""
    asked = before(journal(system)) if undo else wanted(system)
    return Errand(asked, keeping(system), "undo" if undo else "apply")


def plan_of(system: System, errand: Errand) -> Plan:
    """What the errand would change now. Running jobs are only asked for when it takes something away."""
    machine = backend(system)
    return make(errand.asked, machine.observe(), keep=errand.keep, jobs=machine.jobs)


def _plan_meanwhile(system: System, undo: bool) -> Plan:
    """The same, with the errand looked up while the cluster answers."""
    machine = backend(system)
    with ThreadPoolExecutor(1) as aside:
        look = aside.submit(copy_context().run, machine.observe)
        found = errand(system, undo=undo)
        return make(found.asked, look.result(), keep=found.keep, jobs=machine.jobs)


def current_plan(system: System, *, undo: bool = False) -> Plan:
    """What would change on the cluster if the plan (or the undo) were applied now."""
    return _plan_meanwhile(system, undo)


def apply_plan(
    person: Person, system: System, *, expected_hash: str | None, allow_remove: int, undo: bool = False
) -> Applied:
    """Apply the plan as an operator. Raises Refused: no operator, the world moved, too much is taken away."""
    may_apply(person, system)
    return carry_out(person, system, errand(system, undo=undo), expected_hash=expected_hash, allow_remove=allow_remove)


def may_apply(person: Person, system: System) -> None:
    """Raise Refused for anybody but an operator of the system."""
    require(Permission.PLAN_APPLY, general_relations(person, roles(person), system.operator), person.name)


def carry_out(
    person: Person, system: System, errand: Errand, *, expected_hash: str | None, allow_remove: int
) -> Applied:
    """Run the errand through hash, brake, second operator and journal, and tell the ledger how it ended."""
    book = journal(system)
    last = next(iter(book.entries()), None)
    unfinished = [entry.id for entry in book.unfinished()]
    try:
        done = apply(
            backend(system),
            errand.asked,
            expected_hash=expected_hash,
            allow_remove=allow_remove,
            journal=book,
            who=person.handle,
            alone=system.cluster.removals_alone,
            approved=approvers,
            keep=errand.keep,
        )
    except (ClusterError, Refused, BadInput):
        note_failure(person, system, errand.what, last)
        raise
    with transaction.atomic():
        mark_applied([account.name for account in errand.asked.accounts if account.open], person, done.hash)
        if done.journal:
            entry = next(entry for entry in book.entries() if entry.id == done.journal)
            seconds = [handle for handle in approvers(done.hash) if handle != person.handle]
            note(person, system, errand.what, entry, done.digest, seconds, unfinished)
    return done
