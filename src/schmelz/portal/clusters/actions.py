"""Approving a plan: a second operator says that what it takes away is meant."""

from django.db import transaction

from schmelz.policy.system import System
from schmelz.portal.clock import now
from schmelz.portal.clusters.models import Approval
from schmelz.portal.ledger.actions import record
from schmelz.portal.people.models import Person
from schmelz.portal.people.queries import general_relations, roles
from schmelz.rules.permissions import Permission, require


@transaction.atomic
def approve_plan(person: Person, system: System, plan: str, *, removals: int) -> Approval:
    """Note that this operator approves the plan with this hash. Saying it twice changes nothing."""
    require(Permission.PLAN_APPROVE, general_relations(person, roles(person), system.operator), person.name)
    approval, new = Approval.objects.get_or_create(
        plan=plan, person=person, defaults={"system": system.id, "removals": removals, "at": now()}
    )
    if new:
        record("plan.approve", f"system:{system.id}", person, plan=plan, removals=removals)
    return approval
