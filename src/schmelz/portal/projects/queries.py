"""Asking for projects: who sees which, what one person is to one project, what the cluster should have of them."""

from collections.abc import Iterable

from django.db.models import Q, QuerySet

from schmelz.cluster.desired import Project as DesiredProject
from schmelz.faults import BadInput
from schmelz.policy.schema import Factory, System
from schmelz.portal.people import queries as people
from schmelz.portal.people.models import Person
from schmelz.portal.projects.models import Membership, Project
from schmelz.rules.permissions import Permission, Relation


def by_code(code: str) -> Project:
    """The project with this code. Raises BadInput."""
    project = Project.objects.filter(code=code).first()
    if project is None:
        raise BadInput(f"project: {code!r} is not known; a project looks like p200001")
    return project


def relations(factory: Factory, person: Person | None, project: Project) -> set[Relation]:
    """What a person is to a project."""
    signers = factory.pool_for(project.system, project.pool, project.mode).signers
    found = people.relations(factory, person, project.system, signers)
    membership = Membership.objects.filter(project=project, person=person).first() if person is not None else None
    if membership:
        found |= {Relation.MEMBER, Relation.PI} if membership.leads else {Relation.MEMBER}
    return found


def visible_to(factory: Factory, person: Person | None) -> QuerySet[Project]:
    """The projects that a person may read."""
    rows = people.readable(factory, person, Permission.PROJECT_READ, Q(memberships__person=person))
    return Project.objects.filter(rows).distinct()


def pools(system: System) -> dict[str, str]:
    """Account -> pool of every project of a system, past ones too."""
    return dict(Project.objects.filter(system=system.id).values_list("code", "pool"))


def desired_projects(system: System) -> list[DesiredProject]:
    """The projects as the cluster should have them, in two queries."""
    members: dict[int, list[tuple[str | None, str]]] = {}
    rows = Membership.objects.filter(project__system=system.id, person__is_active=True)
    for project_id, unix_name, handle in rows.values_list("project_id", "person__unix_name", "person__handle"):
        members.setdefault(project_id, []).append((unix_name, handle))
    return [_desired(project, members.get(project.pk, [])) for project in Project.objects.filter(system=system.id)]


def _desired(project: Project, people: Iterable[tuple[str | None, str]]) -> DesiredProject:
    named = list(people)
    return DesiredProject(
        id=project.code,
        pool=project.pool,
        gpu_seconds=project.grant_gpu_s,
        start=project.start,
        end=project.end,
        suspended=False,
        members=tuple(sorted(unix for unix, _ in named if unix)),
        nameless=tuple(sorted(handle for unix, handle in named if not unix)),
    )
