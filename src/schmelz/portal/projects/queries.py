"""Asking for projects: who sees which, what one person is to one project, what the cluster should have of them."""

from collections.abc import Iterable

from django.db.models import Q, QuerySet

from schmelz.cluster.desired import Project as DesiredProject
from schmelz.faults import BadInput
from schmelz.policy.schema import Factory, System
from schmelz.portal.people.models import Person
from schmelz.portal.people.queries import general_relations, roles, signs_for
from schmelz.portal.projects.models import Membership, Project
from schmelz.rules.permissions import PERMISSIONS, Permission, Relation


def by_code(code: str) -> Project:
    """The project with this code. Raises BadInput."""
    project = Project.objects.filter(code=code).first()
    if project is None:
        raise BadInput(f"project: {code!r} is not known; a project looks like p200001")
    return project


def relations(factory: Factory, person: Person | None, project: Project) -> set[Relation]:
    """What a person is to a project."""
    held = roles(person)
    system = factory.system(project.system)
    found = general_relations(person, held, system.operator)
    if person is None or not person.pk:
        return found
    membership = Membership.objects.filter(project=project, person=person).first()
    if membership:
        found |= {Relation.MEMBER, Relation.PI} if membership.leads else {Relation.MEMBER}
    if held & set(factory.pool_for(project.system, project.pool, project.mode).signers):
        found.add(Relation.SIGNER)
    return found


def visible_to(factory: Factory, person: Person | None) -> QuerySet[Project]:
    """The projects that a person may read; the same rule as PROJECT_READ over `relations`, as one query."""
    if person is None or not person.pk:
        return Project.objects.none()
    granted = PERMISSIONS[Permission.PROJECT_READ].granted_to
    held = roles(person)
    wanted = Q(memberships__person=person)
    for system in factory.systems:
        if general_relations(person, held, system.operator) & granted:
            wanted |= Q(system=system.id)
        wanted |= Q(system=system.id) & signs_for(factory, system, held)
    return Project.objects.filter(wanted).distinct()


def pools(system: System) -> dict[str, str]:
    """Account -> pool of every project of a system, past ones too."""
    return dict(Project.objects.filter(system=system.id).values_list("code", "pool"))


def desired_projects(system: System) -> list[DesiredProject]:
    """The projects as the cluster should have them, in two queries."""
    people: dict[int, list[tuple[str | None, str]]] = {}
    rows = Membership.objects.filter(project__system=system.id, person__is_active=True)
    for project_id, unix_name, handle in rows.values_list("project_id", "person__unix_name", "person__handle"):
        people.setdefault(project_id, []).append((unix_name, handle))
    return [_desired(project, people.get(project.pk, [])) for project in Project.objects.filter(system=system.id)]


def _desired(project: Project, people: Iterable[tuple[str | None, str]]) -> DesiredProject:
    named = list(people)
    return DesiredProject(
        id=project.code, pool=project.pool, gpu_seconds=project.grant_gpu_s, start=project.start, end=project.end,
        suspended=False, members=tuple(sorted(unix for unix, _ in named if unix)),
        nameless=tuple(sorted(handle for unix, handle in named if not unix)))
