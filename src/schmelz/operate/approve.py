"""Approving a plan as a second operator: only the plan, or the undo, that would be applied now can be approved."""

from contextlib import suppress

from schmelz.cluster.plan import Plan
from schmelz.faults import Refused
from schmelz.operate.follow import current_plan
from schmelz.policy.schema import System
from schmelz.portal.clusters.actions import approve_plan
from schmelz.portal.people.models import Person
from schmelz.portal.people.queries import general_relations, roles
from schmelz.rules.permissions import Permission, require

SHOWN = 12  # how many characters of its hash a plan shows


def approve(person: Person, system: System, plan_hash: str) -> Plan:
    """Approve the plan with this hash, or the beginning of it that plans show. Raises Refused: no operator, or it is not
    the plan of this moment."""
    require(Permission.PLAN_APPROVE, general_relations(person, roles(person), system.operator), person.name)
    plan = _plan(system, plan_hash)
    if not _means(plan, plan_hash):
        raise Refused(
            f"{plan_hash[:12]} is not the plan of this moment; that is {plan.hash[:12]}: {plan.radius}.",
            "Read it with `schmelz plan` and approve its hash.",
        )
    approve_plan(person, system, plan.hash, removals=plan.removals)
    return plan


def _plan(system: System, plan_hash: str) -> Plan:
    """The plan of this moment, or the undo if that has this hash."""
    plan = current_plan(system)
    with suppress(Refused):  # nothing was applied before, so there is no undo
        if not _means(plan, plan_hash) and _means(undo := current_plan(system, undo=True), plan_hash):
            return undo
    return plan


def _means(plan: Plan, said: str) -> bool:
    return len(said) >= SHOWN and plan.hash.startswith(said)
