"""Moving an application: submit, propose, sign, refuse, withdraw. One function moves it; all others prepare the move.

A move locks the row, asks the table and the permissions, writes, records the event and the letters - in one transaction.
The last signature turns the award into a project.
"""

from collections.abc import Callable

from django.db import transaction

from schmelz.faults import Refused
from schmelz.policy.schema import Factory, Mode
from schmelz.portal.calls.forms import Form, read_form
from schmelz.portal.calls.letters import awarded_letter, received_letter, refused_letter, turn_letters
from schmelz.portal.calls.models import Application, Signature
from schmelz.portal.calls.queries import mode_of, pool_of, relations, signatures
from schmelz.portal.calls.states import TRANSITIONS
from schmelz.portal.clock import now
from schmelz.portal.ledger.actions import record
from schmelz.portal.people.models import Person
from schmelz.portal.people.queries import roles
from schmelz.portal.policy import version
from schmelz.portal.projects.actions import open_project
from schmelz.portal.projects.attributes import as_awarded
from schmelz.portal.projects.models import Project
from schmelz.portal.projects.outlook import check_ceiling
from schmelz.rules.award import check_amount, check_reason, check_signer, next_role
from schmelz.rules.clock import due
from schmelz.rules.lifecycle import transition
from schmelz.rules.permissions import Permission, Relation, require
from schmelz.rules.texts import english
from schmelz.units import HOUR, add_months

DECISIONS = (Permission.DECISION_PROPOSE, Permission.DECISION_SIGN, Permission.DECISION_REFUSE)


def check_open(mode: Mode) -> None:
    """Raise Refused when the mode takes no applications now, or is decided in a way that is not built yet."""
    if mode.state != "open":
        raise Refused(f"{english(mode.title)} is {mode.state}.", "Choose an access mode that is open.")
    if mode.order == "ranked" or "peer-review" in mode.steps or "panel" in mode.steps:
        raise Refused(
            f"{english(mode.title)} is decided by reviewers and ranking, which this portal cannot run yet.",
            "Apply where the source of the access mode says; it is linked on the page of open calls.",
        )


@transaction.atomic
def submit(
    factory: Factory, *, mode_id: str, person: Person, answers: object, brought_over: bool = False
) -> Application:
    """A new application. Raises BadInput for unusable answers, Refused for a mode that is not open.

    `brought_over`: it was received elsewhere, when the mode was open; only its answers are checked.
    """
    mode = mode_of(factory, mode_id)
    require(Permission.APPLICATION_CREATE, {Relation.SIGNED_IN}, person.name)
    if not brought_over:
        check_open(mode)
    form = read_form(factory, mode, person, answers)
    moment = now()
    application = Application(
        code=_next_code(),
        mode=mode.id,
        mode_version=mode.version,
        policy=version(),
        system=form.system or mode.systems[0],
        pool=mode.pool,
        applicant=person,
        title=form.title,
        summary=form.summary,
        organisation=form.organisation,
        category=form.category,
        country=form.country,
        gpu_hours=form.gpu_hours,
        months=form.months,
        answers=_kept(form),
        submitted=moment,
        due=due(moment, mode.answer_in, factory.zone, factory.factory.holidays),
    )
    application.save(force_insert=True)
    record("application.submit", f"application:{application.code}", person, mode=mode.id, gpu_hours=form.gpu_hours)
    received_letter(factory, application)
    turn_letters(application, pool_of(factory, application).signers[0])
    return application


def _next_code() -> str:
    last = Application.objects.order_by("-code").values_list("code", flat=True).first()
    return f"a{int(last[1:]) + 1 if last else 1:05d}"


def _kept(form: Form) -> dict[str, object]:
    return {"founded": form.founded, "statements": sorted(form.statements), "inference_percent": form.inference_percent}


def _move(
    factory: Factory,
    code: str,
    name: str,
    person: Person,
    because: str,
    write: Callable[[Application], dict[str, object]],
) -> Application:
    """The one way an application changes state. `write` makes the move's own changes and returns the event's data."""
    with transaction.atomic():
        application = Application.objects.select_for_update().filter(code=code).select_related("applicant").get()
        row = transition(TRANSITIONS, name, application.state)
        if row.permission in DECISIONS:
            if application.applicant_id == person.pk:
                raise Refused(
                    "nobody decides about an application of their own.", "Somebody else of the role must act."
                )
            check_signer(pool_of(factory, application), signatures(application), person.handle, roles(person))
        require(row.permission, relations(factory, person, application), person.name)
        application.state = row.finish
        data = write(application)
        application.save()
        record(f"application.{name}", f"application:{code}", person, because, **data)
    return application


def _sign(application: Application, person: Person, role: str, because: str) -> None:
    Signature.objects.create(
        application=application,
        order=application.signatures.count(),
        role=role,
        person=person,
        at=now(),
        because=because,
    )


def propose(factory: Factory, code: str, person: Person, *, gpu_hours: int, because: str) -> Application:
    """The first signer proposes an award; the amount may differ from the request."""
    reason = check_reason(because)

    def write(application: Application) -> dict[str, object]:
        check_amount(mode_of(factory, application.mode), factory.system(application.system), gpu_hours)
        pool = pool_of(factory, application)
        _sign(application, person, pool.signers[0], reason)
        application.award_gpu_hours = gpu_hours
        turn_letters(application, pool.signers[1])
        return {"gpu_hours": gpu_hours}

    return _move(factory, code, "propose", person, reason, write)


def sign(factory: Factory, code: str, person: Person, *, because: str = "", start: int | None = None) -> Application:
    """The next signer signs; with the last signature the award becomes a project, which begins at `start` (default: now)."""
    application = Application.objects.filter(code=code).get()
    pool = pool_of(factory, application)
    signed = signatures(application)
    last = len(signed) == len(pool.signers) - 1

    def write(application: Application) -> dict[str, object]:
        signed = signatures(application)
        role = next_role(pool, signed)
        if role is None or last != (len(signed) == len(pool.signers) - 1):
            raise Refused("somebody else signed at the same moment.", "Look at it again.")
        _sign(application, person, role, because.strip()[:2000])
        if not last:
            turn_letters(application, pool.signers[len(signed) + 1])
            return {"role": role}
        application.decided = now()
        _check_ceiling(factory, application, start or now())
        project = _open(factory, application, start or now())
        awarded_letter(factory, application, project)
        return {"role": role, "project": project.code, "gpu_hours": application.award_gpu_hours}

    return _move(factory, code, "award" if last else "countersign", person, because.strip()[:2000], write)


def _check_ceiling(factory: Factory, application: Application, start: int) -> None:
    if factory.category(application.category).commercial:
        more = (application.award_gpu_hours or 0) * HOUR
        check_ceiling(factory.system(application.system), application.pool, more, start)


def _open(factory: Factory, application: Application, start: int) -> Project:
    assert application.award_gpu_hours is not None
    mode, system = mode_of(factory, application.mode), factory.system(application.system)
    project = Project(
        title=application.title,
        system=application.system,
        pool=application.pool,
        mode=application.mode,
        application=application.code,
        organisation=application.organisation,
        category=application.category,
        country=application.country,
        commercial=factory.category(application.category).commercial,
        grant_gpu_s=application.award_gpu_hours * HOUR,
        start=start,
        end=add_months(start, application.months, factory.zone),
        pacing=mode.pacing or "",
        sites=",".join([site for site in mode.sites if site in system.nodes] or mode.sites),
    )
    open_project(factory, project, application.applicant)
    record(
        "project.open",
        f"project:{project.code}",
        None,
        pool=project.pool,
        gpu_s=project.grant_gpu_s,
        start=project.start,
        end=project.end,
        application=application.code,
        attributes=as_awarded(project),
    )
    return project


def refuse(factory: Factory, code: str, person: Person, *, because: str) -> Application:
    """The signer whose turn it is refuses, with a reason that the applicant reads."""
    reason = check_reason(because)

    def write(application: Application) -> dict[str, object]:
        application.decided = now()
        refused_letter(factory, application, reason)
        return {}

    return _move(factory, code, "refuse", person, reason, write)


def withdraw(factory: Factory, code: str, person: Person) -> Application:
    """The applicant takes the application back before it is decided."""
    return _move(factory, code, "withdraw", person, "", lambda application: {})
