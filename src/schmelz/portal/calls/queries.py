"""Asking for applications: by code, who sees which, what one person is to one, and what waits for whom."""

from django.db.models import Q, QuerySet

from schmelz.faults import BadInput
from schmelz.policy.schema import Factory, Mode, Pool
from schmelz.portal.calls.models import Application
from schmelz.portal.calls.states import WAITING, ApplicationState
from schmelz.portal.clock import now
from schmelz.portal.people import queries as people
from schmelz.portal.people.models import Person
from schmelz.portal.projects.outlook import over_ceiling
from schmelz.rules.award import Signature, next_role
from schmelz.rules.eligibility import Answers, Finding, assess
from schmelz.rules.permissions import Permission, Relation
from schmelz.units import HOUR, local_date


def by_code(code: str) -> Application:
    """The application with this code. Raises BadInput."""
    application = Application.objects.filter(code=code).select_related("applicant").first()
    if application is None:
        raise BadInput(f"application: {code!r} is not known; an application looks like a00001")
    return application


def mode_of(factory: Factory, mode_id: str) -> Mode:
    """The access mode of this id. Raises BadInput."""
    mode = next((m for m in factory.modes if m.id == mode_id), None)
    if mode is None:
        raise BadInput(f"mode: {mode_id!r} is not known; one of: {', '.join(m.id for m in factory.modes)}")
    return mode


def pool_of(factory: Factory, application: Application) -> Pool:
    """The pool that decides, with the signers for this application's access mode."""
    return factory.pool_for(application.system, application.pool, application.mode)


def signatures(application: Application) -> tuple[Signature, ...]:
    """Who signed so far, in order."""
    return tuple(Signature(s.person.handle, s.role) for s in application.signatures.select_related("person"))


def turn(factory: Factory, application: Application) -> str | None:
    """The role whose turn it is; None when the application waits for nobody."""
    if application.state not in WAITING:
        return None
    return next_role(pool_of(factory, application), signatures(application))


def relations(factory: Factory, person: Person | None, application: Application) -> set[Relation]:
    """What a person is to an application."""
    found = people.relations(factory, person, application.system, pool_of(factory, application).signers)
    if person is not None and application.applicant_id == person.pk:
        found.add(Relation.APPLICANT)
    if Relation.SIGNER in found and turn(factory, application) in people.roles(person):
        found.add(Relation.NEXT_SIGNER)
    return found


def visible_to(factory: Factory, person: Person | None) -> QuerySet[Application]:
    """The applications that a person may read."""
    rows = people.readable(factory, person, Permission.APPLICATION_READ, Q(applicant=person))
    return Application.objects.filter(rows).select_related("applicant")


def inbox(factory: Factory, person: Person) -> list[Application]:
    """What waits for this person's signature, by clock, the longest overdue first."""
    held = people.roles(person)
    waiting = visible_to(factory, person).filter(state__in=WAITING).prefetch_related("signatures__person")
    mine = []
    for application in waiting:
        signed = tuple(Signature(s.person.handle, s.role) for s in application.signatures.all())
        role = next_role(pool_of(factory, application), signed)
        if role in held and person.handle not in {s.person for s in signed}:
            mine.append(application)
    return sorted(mine, key=lambda a: (a.due, a.submitted, a.pk))


def answers_of(application: Application) -> Answers:
    said = application.answers
    earlier = Application.objects.filter(
        organisation=application.organisation, state=ApplicationState.AWARDED, submitted__lt=application.submitted
    ).count()
    return Answers(
        category=application.category,
        country=application.country,
        gpu_hours=application.gpu_hours,
        months=application.months,
        founded=said.get("founded"),
        statements=frozenset(said.get("statements", ())),
        inference_percent=said.get("inference_percent"),
        earlier_awards=earlier,
    )


def findings(factory: Factory, application: Application) -> tuple[Finding, ...]:
    """Eligibility, computed anew with the reasons, as of the year of submission."""
    year = local_date(application.submitted or now(), factory.zone).year
    return assess(
        factory, mode_of(factory, application.mode), factory.system(application.system), answers_of(application), year
    )


def ceiling_warning(factory: Factory, application: Application) -> str | None:
    """Why the proposed award of a commercial project could not be signed today; None when it could."""
    if not factory.category(application.category).commercial:
        return None
    more = (application.award_gpu_hours or 0) * HOUR
    return over_ceiling(factory.system(application.system), application.pool, more, now())
