"""Projects that stood on a cluster before they stood here: taken over by an operator, all of them or none.

A project that was *taken over* has no application; `adopted:CODE` stands in its place. People are found by Unix name,
never invented: names without a person are *strangers*, reported so that somebody adds them. Taking over again adds what
is missing (new projects, people who are known now) and changes nothing that is there.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.db import transaction

from schmelz.cluster.adopt_file import Takeover
from schmelz.faults import Refused
from schmelz.policy.schema import Factory, System
from schmelz.portal.clock import now
from schmelz.portal.ledger.actions import record
from schmelz.portal.people.models import Person
from schmelz.portal.people.queries import general_relations, roles
from schmelz.portal.projects.attributes import as_awarded, first_attributes
from schmelz.portal.projects.models import Membership, Project
from schmelz.rules.permissions import Permission, require

LONGEST_CODE = Project._meta.get_field("code").max_length or 0
FACTS = ("title", "pool", "mode", "organisation", "category", "country", "grant_gpu_s", "start", "end")


@dataclass(frozen=True)
class TakenOver:
    """What a take-over did: new projects, people added (code/unix name), projects that stand here with other facts,
    and strangers (Unix name -> codes)."""

    projects: tuple[str, ...]
    members: tuple[str, ...]
    differing: tuple[str, ...]
    strangers: Mapping[str, tuple[str, ...]]


@transaction.atomic
def take_over(factory: Factory, system: System, wanted: Iterable[Takeover], actor: Person) -> TakenOver:
    """Make the projects and memberships. Raises Refused: no operator, or a code that is a project of ours."""
    require(Permission.CLUSTER_ADOPT, general_relations(actor, roles(actor), system.operator), actor.name)
    takeovers = tuple(wanted)
    here = {p.code: p for p in Project.objects.filter(code__in=[t.code for t in takeovers])}
    _check_ours(here.values(), system)
    known = people({name for takeover in takeovers for name in takeover.members})
    new = [_make(factory, system, takeover, actor) for takeover in takeovers if takeover.code not in here]
    projects = here | {project.code: project for project in new}
    members = [name for t in takeovers for name in _join(projects[t.code], t, known, t.code in here, actor)]
    differing = tuple(t.code for t in takeovers if t.code in here and _differs(here[t.code], t))
    return TakenOver(tuple(p.code for p in new), tuple(members), differing, strangers(takeovers, known))


def people(names: Iterable[str]) -> dict[str, Person]:
    """The active persons with these Unix names."""
    return {str(p.unix_name): p for p in Person.objects.filter(unix_name__in=list(names), is_active=True)}


def strangers(takeovers: Iterable[Takeover], known: Mapping[str, Person]) -> dict[str, tuple[str, ...]]:
    """Unix names that are nobody here, each with the projects it is in."""
    found: dict[str, list[str]] = {}
    for takeover in takeovers:
        for name in takeover.members:
            if name not in known:
                found.setdefault(name, []).append(takeover.code)
    return {name: tuple(codes) for name, codes in sorted(found.items())}


def origin(code: str) -> str:
    """What stands in the place of the application."""
    return f"adopted:{code}"


def _check_ours(here: Iterable[Project], system: System) -> None:
    if taken := sorted(p.code for p in here if p.application != origin(p.code) or p.system != system.id):
        raise Refused(
            f"{', '.join(taken)}: a project of this name stands here already and was not taken over from {system.id}.",
            "Leave it out of the file.",
        )


def _make(factory: Factory, system: System, takeover: Takeover, actor: Person) -> Project:
    project = Project(
        code=takeover.code,
        system=system.id,
        application=origin(takeover.code),
        commercial=factory.category(takeover.category).commercial,
        **{name: getattr(takeover, name) for name in FACTS},
    )
    project.save(force_insert=True)
    first_attributes(project, factory.zone)
    subject, grant = f"project:{project.code}", project.grant_gpu_s
    dates, counts_as = {"start": project.start, "end": project.end}, as_awarded(project)
    record("project.adopted", subject, actor, "", pool=project.pool, gpu_s=grant, attributes=counts_as, **dates)
    return project


def _join(project: Project, takeover: Takeover, known: Mapping[str, Person], before: bool, actor: Person) -> list[str]:
    """Add those who are known and not in it yet; whoever joins later has an event of their own."""
    inside = set(project.memberships.values_list("person_id", flat=True))
    joining = [(name, known[name]) for name in takeover.members if name in known and known[name].pk not in inside]
    led = project.memberships.filter(leads=True).exists()
    for name, person in joining:
        leads = name == takeover.leader and not led
        Membership.objects.create(project=project, person=person, leads=leads, since=now())
        if before:
            record("project.member", f"project:{project.code}", actor, member=person.pk)
    return [f"{project.code}/{name}" for name, _ in joining]


def _differs(project: Project, takeover: Takeover) -> bool:
    return any(getattr(project, name) != getattr(takeover, name) for name in FACTS)
