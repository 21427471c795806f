"""The letters of a decision: received, your turn, awarded, refused. Plain words, exact numbers, the next step."""

from schmelz.policy.schema import Factory
from schmelz.portal.calls.models import Application
from schmelz.portal.people.actions import write_letter
from schmelz.portal.people.models import Letter
from schmelz.portal.people.queries import holders
from schmelz.portal.projects.models import Project
from schmelz.rules.texts import english
from schmelz.units import local_date


def _about(application: Application) -> str:
    return f"application:{application.code}"


def _date(factory: Factory, instant: int) -> str:
    return local_date(instant, factory.zone).strftime("%a %d %b %Y")


def received_letter(factory: Factory, application: Application) -> Letter:
    mode = factory.mode(application.mode)
    body = (
        f"Dear {application.applicant.name},\n\nwe received your application {application.code} "
        f'"{application.title}" for {application.gpu_hours} GPU-hours in {english(mode.title)}.\n'
        f"You have an answer by {_date(factory, application.due - 1)} at the latest "
        f"({mode.answer_in} working days).\n\n{factory.factory.name}\n"
    )
    return write_letter(application.applicant, f"Received: {application.code}", body, _about(application))


def turn_letters(application: Application, role: str) -> list[Letter]:
    """Tell everybody who holds the role that it is their turn."""
    body = f'Application {application.code} "{application.title}" waits for you as {role}.\n'
    return [
        write_letter(person, f"Your turn: {application.code}", body, _about(application)) for person in holders(role)
    ]


def awarded_letter(factory: Factory, application: Application, project: Project) -> Letter:
    system = factory.system(project.system)
    body = (
        f'Dear {application.applicant.name},\n\nyour application {application.code} "{application.title}" is awarded '
        f"{application.award_gpu_hours} GPU-hours (you asked for {application.gpu_hours}) on {system.title}.\n"
        f"Your project is {project.code}, until {_date(factory, project.end - 1)}. "
        f"You can submit jobs as soon as the operator has put it on the cluster.\n\n{factory.factory.name}\n"
    )
    return write_letter(
        application.applicant, f"Awarded: {application.code} is project {project.code}", body, _about(application)
    )


def refused_letter(factory: Factory, application: Application, reason: str) -> Letter:
    body = (
        f'Dear {application.applicant.name},\n\nyour application {application.code} "{application.title}" was refused. '
        f"The reason:\n\n{reason}\n\nYou may apply again, or ask the coordinator which access mode fits.\n\n"
        f"{factory.factory.name}\n"
    )
    return write_letter(application.applicant, f"Refused: {application.code}", body, _about(application))
