"""Making projects from awards, adding members, and marking what a plan has put on the cluster."""

import re
from collections.abc import Iterable

from django.db import transaction

from schmelz.policy.schema import Factory
from schmelz.portal.clock import now
from schmelz.portal.ledger.actions import record
from schmelz.portal.people.models import Person
from schmelz.portal.projects.models import Membership, Project
from schmelz.portal.projects.queries import relations
from schmelz.portal.projects.states import TRANSITIONS, ProjectState
from schmelz.rules.lifecycle import transition
from schmelz.rules.permissions import Permission, require


def next_code(factory: Factory) -> str:
    """The next free project code: the factory's prefix and five digits, counted up."""
    prefix = factory.factory.project_prefix
    last = Project.objects.filter(code__startswith=prefix).order_by("-code").values_list("code", flat=True).first()
    number = int(re.sub(r"\D", "", last[len(prefix) :])) + 1 if last else 1
    return f"{prefix}{number:05d}"


def open_project(factory: Factory, project: Project, leader: Person, members: Iterable[Person] = ()) -> Project:
    """Save a new project under the next code, with its people. Runs inside the transaction of the award."""
    project.code = next_code(factory)
    project.save(force_insert=True)
    everybody = [leader, *(m for m in members if m.pk != leader.pk)]
    Membership.objects.bulk_create(
        [Membership(project=project, person=person, leads=person.pk == leader.pk, since=now()) for person in everybody]
    )
    return project


@transaction.atomic
def add_member(factory: Factory, project: Project, person: Person, *, actor: Person) -> Membership:
    """Add a person to a project; they reach the cluster with the next plan."""
    require(Permission.PROJECT_INVITE, relations(factory, actor, project), actor.name)
    membership, new = Membership.objects.get_or_create(project=project, person=person, defaults={"since": now()})
    if new:
        record("project.member", f"project:{project.code}", actor, member=person.pk)
    return membership


@transaction.atomic
def mark_applied(codes: Iterable[str], actor: Person | None, plan: str) -> int:
    """The plan with this hash put these accounts on the cluster: awarded projects become active. How many did."""
    projects = Project.objects.select_for_update().filter(code__in=list(codes), state=ProjectState.AWARDED)
    moved = 0
    for project in projects:
        project.state = transition(TRANSITIONS, "activate", project.state).finish
        project.save(update_fields=["state"])
        record("project.activate", f"project:{project.code}", actor, plan=plan)
        moved += 1
    return moved
