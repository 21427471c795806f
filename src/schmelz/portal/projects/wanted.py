"""The projects as the cluster should have them, in a fixed number of queries whatever the number of projects.

Who is no member any more, or not active, is told of in the stories, so that a plan can say why access is taken away.
"""

from collections.abc import Mapping, Sequence

from schmelz.cluster.desired import Project as DesiredProject
from schmelz.policy.system import System
from schmelz.portal.people.models import Person
from schmelz.portal.projects.models import Membership, Project
from schmelz.portal.projects.paces import limits, pacing_of
from schmelz.portal.projects.stories import Told, events_of, of_members, of_project
from schmelz.units import HOUR, iso


def desired_projects(system: System) -> list[DesiredProject]:
    """All projects of a system, past ones too, with members, budgets and stories."""
    projects = list(Project.objects.filter(system=system.id))
    members: dict[int, list[Membership]] = {}
    for membership in Membership.objects.filter(project__system=system.id).select_related("person"):
        members.setdefault(membership.project_id, []).append(membership)
    events, budgets, unix = events_of(projects), limits(system, projects), _unix_names()
    return [
        _desired(system, p, members.get(p.pk, ()), events.get(p.code, ()), budgets.get(p.code), unix) for p in projects
    ]


def _unix_names() -> dict[int, str]:
    return {pk: name for pk, name in Person.objects.values_list("pk", "unix_name") if name}


def _desired(
    system: System,
    project: Project,
    memberships: Sequence[Membership],
    events: Sequence[Told],
    budget: int | None,
    unix: Mapping[int, str],
) -> DesiredProject:
    active = [m for m in memberships if m.person.is_active]
    named = [(m.person.unix_name, m.leads) for m in active if m.person.unix_name]
    stories = {unix[pk]: story for pk, story in _members(memberships, events).items() if pk in unix}
    return DesiredProject(
        id=project.code,
        pool=project.pool,
        gpu_seconds=project.grant_gpu_s,
        start=project.start,
        end=project.end,
        suspended=project.suspended,
        members=tuple(sorted(name for name, _ in named)),
        nameless=tuple(sorted(m.person.handle for m in active if not m.person.unix_name)),
        sites=tuple(filter(None, project.sites.split(","))),
        coordinators=tuple(name for name, leads in named if leads and system.cluster.pi_coordinates),
        budget=budget,
        stories={"": _story(system, project, events, budget)} | stories,
    )


def _members(memberships: Sequence[Membership], events: Sequence[Told]) -> dict[int, str]:
    """A story for everybody who is or was a member."""
    told, first = (
        of_members(events),
        "taken over" if any(e.kind == "project.adopted" for e in events) else "by the award",
    )
    for m in memberships:
        role = "principal investigator" if m.leads else "member"
        since = f"{role} since {iso(m.since)[:10]}, {told.get(m.person_id, first)}"
        told[m.person_id] = since if m.person.is_active else f"{m.person.handle} is not active any more"
    return told


def _story(system: System, project: Project, events: Sequence[Told], budget: int | None) -> str:
    story = of_project(project, events)
    if budget is None:
        return story
    return f"{story}; {pacing_of(system, project)} pacing allows {budget // HOUR} GPU-hours by now"
