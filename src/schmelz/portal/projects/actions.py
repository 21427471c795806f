"""Making projects from awards, adding and removing members, suspending, and marking what a plan put on the cluster."""

from collections.abc import Iterable

from django.db import transaction

from schmelz.faults import Refused
from schmelz.policy.schema import Factory
from schmelz.portal.clock import now
from schmelz.portal.ledger.actions import record
from schmelz.portal.people.models import Person
from schmelz.portal.projects.attributes import first_attributes
from schmelz.portal.projects.letters import resumed_letter, suspended_letter
from schmelz.portal.projects.models import Membership, Project
from schmelz.portal.projects.queries import check_running, locked, relations
from schmelz.portal.projects.states import TRANSITIONS, ProjectState
from schmelz.rules.award import check_reason
from schmelz.rules.lifecycle import transition
from schmelz.rules.permissions import Permission, require


def next_code(factory: Factory) -> str:
    """The next free project code: the factory's prefix and five digits, counted up."""
    prefix = factory.factory.project_prefix
    codes = Project.objects.filter(code__regex=rf"^{prefix}[0-9]+$").values_list("code", flat=True)
    number = max((int(code[len(prefix) :]) for code in codes), default=0) + 1
    return f"{prefix}{number:05d}"


def open_project(factory: Factory, project: Project, leader: Person, members: Iterable[Person] = ()) -> Project:
    """Save a new project under the next code, with its people. Runs inside the transaction of the award."""
    project.code = next_code(factory)
    project.save(force_insert=True)
    first_attributes(project, factory.zone)
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
def remove_member(factory: Factory, project: Project, person: Person, *, actor: Person) -> None:
    """Take a person out of a project; they lose access with the next plan. The principal investigator stays."""
    require(Permission.PROJECT_INVITE, relations(factory, actor, project), actor.name)
    membership = Membership.objects.select_for_update().filter(project=project, person=person).first()
    if membership is None:
        raise Refused(f"{person.handle} is no member of {project.code}.", "Nothing is to be done.")
    if membership.leads:
        raise Refused("the principal investigator answers for the project.", "Only members can be removed.")
    membership.delete()
    record("project.member-removed", f"project:{project.code}", actor, member=person.pk)


@transaction.atomic
def suspend(factory: Factory, code: str, person: Person, *, because: str) -> Project:
    """Stop a project: with the next plan it takes no jobs and starts none; running jobs go on, members stay."""
    project = _switch(factory, code, person, "suspend", because)
    suspended_letter(factory, project, because.strip())
    return project


@transaction.atomic
def resume(factory: Factory, code: str, person: Person, *, because: str) -> Project:
    """Let a suspended project go on with the next plan."""
    project = _switch(factory, code, person, "resume", because)
    resumed_letter(factory, project, because.strip())
    return project


def _switch(factory: Factory, code: str, person: Person, name: str, because: str) -> Project:
    """Suspend or resume, with a reason that the members read."""
    reason = check_reason(because)
    project = locked(code)
    require(Permission.PROJECT_SUSPEND, relations(factory, person, project), person.name)
    check_running(project)
    if project.suspended == (name == "suspend"):
        raise Refused(f"{code} is {'' if project.suspended else 'not '}suspended already.", "Nothing is to be done.")
    project.suspended = not project.suspended
    project.save(update_fields=["suspended"])
    record(f"project.{name}", f"project:{code}", person, reason)
    return project


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
