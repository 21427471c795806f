"""Asking for projects: who sees which, and what one person is to one project."""

from django.db.models import Q, QuerySet

from schmelz.faults import BadInput, Refused
from schmelz.policy.schema import Factory, Pool, System
from schmelz.portal.clock import now
from schmelz.portal.people import queries as people
from schmelz.portal.people.models import Person
from schmelz.portal.projects.models import Amendment, Membership, Project
from schmelz.portal.projects.states import AmendmentState, ProjectState
from schmelz.rules.award import Signature, next_role
from schmelz.rules.permissions import Permission, Relation
from schmelz.units import iso


def by_code(code: str) -> Project:
    """The project with this code. Raises BadInput."""
    project = Project.objects.filter(code=code).first()
    if project is None:
        raise BadInput(f"project: {code!r} is not known; a project looks like p200001")
    return project


def locked(code: str) -> Project:
    """The same, and nobody else changes it until the transaction ends. Raises BadInput."""
    by_code(code)
    return Project.objects.select_for_update().get(code=code)


def check_running(project: Project) -> None:
    """Raise Refused for a project that is over: nothing about it can be decided any more."""
    if project.state == ProjectState.ENDED or project.end <= now():
        raise Refused(f"{project.code} ended on {iso(project.end - 1)[:10]}.", "Apply for a new project.")


def leader(project: Project) -> Person | None:
    """The principal investigator."""
    membership = project.memberships.filter(leads=True).select_related("person").first()
    return membership.person if membership else None


def relations(factory: Factory, person: Person | None, project: Project) -> set[Relation]:
    """What a person is to a project."""
    found = people.relations(factory, person, project.system, pool_of(factory, project).signers)
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


def pool_of(factory: Factory, project: Project) -> Pool:
    """The pool that decides, with the signers for the project's access mode."""
    return factory.pool_for(project.system, project.pool, project.mode)


def open_amendment(project: Project) -> Amendment | None:
    """The amendment that is proposed and not decided, with its signatures."""
    rows = Amendment.objects.filter(project=project, state=AmendmentState.PROPOSED)
    return rows.prefetch_related("signatures__person").first()


def grant_at(project: Project, moment: int) -> int:
    """The grant as it was: an amendment that was signed later had another amount before it."""
    later = Amendment.objects.filter(project=project, state=AmendmentState.SIGNED, decided__gt=moment)
    before = later.order_by("decided", "pk").values_list("before_gpu_s", flat=True).first()
    return project.grant_gpu_s if before is None else before


def signed(amendment: Amendment | None) -> tuple[Signature, ...]:
    """Who signed an amendment so far, in order; nobody, where there is none."""
    return tuple(Signature(s.person.handle, s.role) for s in amendment.signatures.all()) if amendment else ()


def amends(factory: Factory, person: Person | None, project: Project, amendment: Amendment | None) -> set[Relation]:
    """What a person is to a project's amendment: like `relations`, and whether it is their turn to propose or sign."""
    found, done = relations(factory, person, project), signed(amendment)
    turn = next_role(pool_of(factory, project), done)
    own = Relation.MEMBER in found or (person is not None and person.handle in {s.person for s in done})
    return found | {Relation.NEXT_SIGNER} if turn in people.roles(person) and not own else found


def waiting_amendments(factory: Factory, person: Person) -> list[Amendment]:
    """The amendments that wait for this person's signature, the oldest first."""
    held, rows = people.roles(person), Amendment.objects.filter(state=AmendmentState.PROPOSED)
    others = rows.exclude(project__memberships__person=person).exclude(signatures__person=person)
    return [
        amendment
        for amendment in others.select_related("project").prefetch_related("signatures__person").order_by("at", "pk")
        if next_role(pool_of(factory, amendment.project), signed(amendment)) in held
    ]
