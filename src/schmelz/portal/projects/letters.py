"""The letters of a running project, to its principal investigator: suspended, going on, another amount; whose turn it is."""

from schmelz.policy.schema import Factory
from schmelz.portal.people.actions import write_letter
from schmelz.portal.people.models import Letter
from schmelz.portal.people.queries import holders
from schmelz.portal.projects.models import Amendment, Project
from schmelz.portal.projects.queries import leader
from schmelz.units import HOUR


def suspended_letter(factory: Factory, project: Project, reason: str) -> Letter | None:
    text = (
        f"is suspended. The reason:\n\n{reason}\n\nJobs that run go on; no new job is taken or started. "
        "Answer to the operator if you think that this is wrong."
    )
    return _letter(factory, project, "Suspended", text)


def resumed_letter(factory: Factory, project: Project, reason: str) -> Letter | None:
    text = f"goes on. The reason:\n\n{reason}\n\nJobs can run as soon as the operator has applied the plan."
    return _letter(factory, project, "Goes on", text)


def amended_letter(factory: Factory, amendment: Amendment) -> Letter | None:
    text = (
        f"has {amendment.grant_gpu_s // HOUR} GPU-hours now; it had {amendment.before_gpu_s // HOUR}. The reason:\n\n"
        f"{amendment.because}\n\nThe cluster follows as soon as the operator has applied the plan."
    )
    return _letter(factory, amendment.project, "Another amount", text)


def unchanged_letter(factory: Factory, amendment: Amendment, reason: str) -> Letter | None:
    text = (
        f"keeps its {amendment.before_gpu_s // HOUR} GPU-hours: {amendment.grant_gpu_s // HOUR} were proposed and "
        f"refused. The reason:\n\n{reason}"
    )
    return _letter(factory, amendment.project, "Unchanged", text)


def turn_letters(amendment: Amendment, role: str) -> list[Letter]:
    """Tell everybody who holds the role that it is their turn."""
    project = amendment.project
    body = (
        f'Project {project.code} "{project.title}": {amendment.grant_gpu_s // HOUR} instead of '
        f"{amendment.before_gpu_s // HOUR} GPU-hours wait for you as {role}.\n"
    )
    return [
        write_letter(person, f"Your turn: {project.code}", body, f"project:{project.code}") for person in holders(role)
    ]


def _letter(factory: Factory, project: Project, subject: str, text: str) -> Letter | None:
    person = leader(project)
    if person is None:
        return None
    body = f'Dear {person.name},\n\nyour project {project.code} "{project.title}" {text}\n\n{factory.factory.name}\n'
    return write_letter(person, f"{subject}: {project.code}", body, f"project:{project.code}")
