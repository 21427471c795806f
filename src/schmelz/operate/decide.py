"""Turning a change by hand into a decision of the portal, made by the same people as any other decision.

Another budget becomes an amendment that the pool's first signer proposes; a closed project is suspended and an open one
goes on; a member is added or removed by the principal investigator. Whoever may not is told who does it, and how.
"""

from collections.abc import Callable, Mapping

from schmelz.cluster.diff import Place
from schmelz.cluster.drift import Row
from schmelz.faults import Refused
from schmelz.operate.drift import differing
from schmelz.policy.schema import System
from schmelz.portal.people.models import Person
from schmelz.portal.people.queries import by_unix_name, holders, roles
from schmelz.portal.policy import factory
from schmelz.portal.projects import actions, amend
from schmelz.portal.projects.models import Project
from schmelz.portal.projects.paces import pacing_of
from schmelz.portal.projects.queries import leader, pool_of
from schmelz.units import HOUR

MINUTES = HOUR // 60


def decide(person: Person, system: System, place: Place, *, because: str) -> str:
    """Make the change by hand a decision; what happens next, in words. Raises Refused, saying who may do it."""
    row = differing(system, place, "decide")
    code = row.name.partition("/")[0]
    project = Project.objects.filter(code=code, system=system.id).first()
    if project is None:
        raise Refused(
            f"{code} is no project's account, so there is nothing to decide about.", "The policy file says it."
        )
    return WAYS[row.kind, row.field](person, system, project, row, because)


def _amount(person: Person, system: System, project: Project, row: Row, because: str) -> str:
    code, minutes = project.code, row.seen
    if not isinstance(minutes, int):
        raise Refused(f"{code} has no limit on the cluster, and a grant is an amount.", "Put it right with --repair.")
    if pacing_of(system, project) != "whole":
        raise Refused(
            f"the budget of {code} on the cluster is only what its pacing allows by now.",
            f"The whole grant is changed by: schmelz amend {code} --gpu-hours N --because ...",
        )
    first, gpu_hours = pool_of(factory(), project).signers[0], minutes // MINUTES
    if first not in roles(person):
        raise Refused(
            f"another amount is proposed by {first}{_names(first)}.",
            f"They say: schmelz amend {code} --gpu-hours {gpu_hours} --because ...",
        )
    amend.propose(factory(), code, person, gpu_hours=gpu_hours, because=because)
    return (
        f"{gpu_hours} GPU-hours are proposed for {code} and wait for the next signer; until then the plan puts it back"
    )


def _names(role: str) -> str:
    """Who holds a role, as an aside."""
    names = ", ".join(person.name for person in holders(role))
    return f" ({names})" if names else ""


def _switch(person: Person, system: System, project: Project, row: Row, because: str) -> str:
    if row.seen:
        actions.resume(factory(), project.code, person, because=because)
        return f"{project.code} goes on: that is decided now"
    actions.suspend(factory(), project.code, person, because=because)
    return f"{project.code} is suspended: that is decided now"


def _member(person: Person, system: System, project: Project, row: Row, because: str) -> str:
    user = row.name.partition("/")[2].partition("@")[0]
    whom, pi = by_unix_name(user), leader(project)
    if whom is None:
        raise Refused(
            f"the Unix user {user} is nobody here, so it is not known whom to add.",
            f"schmelz person add ... --unix {user}; or take the access away with --repair.",
        )
    if project.memberships.filter(person=whom).exists() == bool(row.seen):
        raise Refused(
            f"{user} is {'a' if row.seen else 'no'} member of {project.code} by decision already.",
            "In which partitions follows from the sites of the project: put it right with --repair.",
        )
    if pi is None or pi.pk != person.pk:
        raise Refused(
            f"members of {project.code} are added and removed by its principal investigator{f', {pi.name}' if pi else ''}.",
            f"They do it on the page of {project.code}; until then leave it, or put it right.",
        )
    if row.seen:
        actions.add_member(factory(), project, whom, actor=person)
    else:
        actions.remove_member(factory(), project, whom, actor=person)
    return f"{user} is {'a' if row.seen else 'no'} member of {project.code}: that is decided now"


WAYS: Mapping[tuple[str, str], Callable[[Person, System, Project, Row, str], str]] = {
    ("account", "gpu_minutes"): _amount,
    ("account", "open"): _switch,
    ("member", ""): _member,
}
