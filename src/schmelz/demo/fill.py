"""Filling an empty factory: the demo year goes through the same actions as real work does, each at its own moment.

All of it or nothing: one transaction for what is remembered. Whoever fills the factory acts as Gilles, the operator, on the
command line. Passwords of demo persons are no secret: `<handle>-demo`.
"""

from datetime import date

from django.contrib.auth.hashers import make_password
from django.db import transaction

from schmelz.cluster.model import Backend
from schmelz.demo import people as story
from schmelz.demo.model import Application, Project, Year
from schmelz.demo.year import run, year
from schmelz.faults import BadInput, Refused
from schmelz.metering.supply import Outage
from schmelz.operate import cluster, follow, meter
from schmelz.policy.schema import Factory, Pool
from schmelz.portal import clock
from schmelz.portal.calls import actions as calls
from schmelz.portal.people.actions import add_person
from schmelz.portal.people.models import Organisation, Person
from schmelz.portal.people.queries import by_handle, holders
from schmelz.portal.projects.actions import add_member
from schmelz.portal.projects.models import Project as PortalProject
from schmelz.portal.usage.actions import keep_outages
from schmelz.portal.usage.models import RecordFile
from schmelz.units import day_start, local_date


def is_empty() -> bool:
    """Whether nobody is there and nothing was read yet."""
    return not Person.objects.exists() and not RecordFile.objects.exists()


def fill(factory: Factory, *, seed: int, until: date | None, unix_user: str) -> dict[str, int]:
    """Fill the factory with the year that ends as the day `until` begins (default: today); counts of what was made.

    Raises Refused when the factory is not empty, BadInput for a day that has not begun.
    """
    if not is_empty():
        raise Refused(
            "this factory is not empty; demo data never mix with real ones.", "Give another directory by --data."
        )
    moment = clock.now()
    today = local_date(moment, factory.zone)
    last = until or today
    end = day_start(last, factory.zone)
    if end > moment or last.year < 2001:
        raise BadInput(f"--until: {last} is no day of this century that has begun; write for example {today}")
    made = year(factory, seed, end)
    with transaction.atomic():
        _people(factory, made, unix_user)
        _decisions(factory, made)
        with clock.at(end):
            meter.read_text(run(factory, made), f"demo year, seed {seed}", factory.system(made.system))
            keep_outages((Outage(o.system, o.node, o.kind, o.start, o.end), o.reason) for o in made.node_outages())
    _apply(factory, made)
    return {
        "organisations": len(made.organisations),
        "applications": len(made.applications),
        "projects": len(made.projects),
        "jobs": len(made.jobs),
    }


def _people(factory: Factory, made: Year, unix_user: str) -> None:
    with clock.at(made.period.start):
        homes = {
            o.name: Organisation.objects.create(name=o.name, country=o.country, category=o.category, founded=o.founded)
            for o in made.organisations
        }
        for officer in story.people(factory):
            add_person(
                factory,
                handle=officer.handle,
                name=officer.name,
                email=officer.email,
                roles=officer.roles,
                demo=True,
                organisation=homes.get(officer.organisation or ""),
                password=f"{officer.handle}-demo",
                unix_name=_unix(officer.handle, officer.unix_name, unix_user),
            )
        unusable = make_password(None)
        Person.objects.bulk_create(
            [
                Person(
                    handle=p.handle,
                    name=p.name,
                    email=p.email,
                    organisation=homes[p.organisation],
                    unix_name=p.unix_name,
                    demo=True,
                    password=unusable,
                )
                for p in made.persons
                if not Person.objects.filter(handle=p.handle).exists()
            ]
        )


def _unix(handle: str, usual: str | None, unix_user: str) -> str | None:
    return unix_user if handle == "gilles" else usual if usual != unix_user else None


def _decisions(factory: Factory, made: Year) -> None:
    """Applications and decisions in the order in which they happened, so that codes count up as the year's do."""
    projects = {p.application: p for p in made.projects}
    moments = [(a.submitted, 0, a) for a in made.applications]
    moments += [(a.decided, 1, a) for a in made.applications if a.decided is not None]
    codes: dict[str, str] = {}
    for at, kind, application in sorted(moments, key=lambda m: (m[0], m[1], m[2].code)):
        with clock.at(at):
            if kind == 0:
                codes[application.code] = _submit(factory, application)
            else:
                _decide(factory, application, codes[application.code], projects.get(application.code))


def _submit(factory: Factory, application: Application) -> str:
    mode = factory.mode(application.mode)
    answers = {
        "title": application.title,
        "summary": application.summary,
        "gpu_hours": application.gpu_hours,
        "months": application.months,
        "system": application.system,
        "statements": list(mode.statements),
    }
    if mode.limits.inference_percent is not None:
        answers["inference_percent"] = mode.limits.inference_percent // 2
    person = by_handle(application.applicant)
    return calls.submit(factory, mode_id=mode.id, person=person, answers=answers, brought_over=True).code


def _pool(factory: Factory, application: Application) -> Pool:
    return factory.pool_for(application.system, application.pool, application.mode)


def _decide(factory: Factory, application: Application, code: str, project: Project | None) -> None:
    signers = [holders(role)[0] for role in _pool(factory, application).signers]
    if project is None or application.award_gpu_hours is None:
        calls.refuse(factory, code, signers[0], because=application.reason)
        return
    calls.propose(factory, code, signers[0], gpu_hours=application.award_gpu_hours, because=application.reason)
    for signer in signers[1:]:
        calls.sign(factory, code, signer, start=project.start)
    opened = PortalProject.objects.get(application=code)
    if (opened.code, opened.end) != (project.code, project.end):
        raise AssertionError(
            f"the year says {project.code} until {project.end}, the portal {opened.code} until {opened.end}"
        )
    leader = by_handle(application.applicant)
    for handle in project.members[1:]:
        add_member(factory, opened, by_handle(handle), actor=leader)


def _apply(factory: Factory, made: Year) -> None:
    """Put the projects on the cluster, as the operator."""
    system = factory.system(made.system)
    if system.cluster.backend == "local":
        engine: Backend = cluster.backend(system)
        if not engine.observe().accounts:
            follow.apply_plan(holders(f"{system.operator}:operator")[0], system, expected_hash=None, allow_remove=0)


def sign_ins() -> list[tuple[str, str, str]]:
    """Handle, password and what they do, of the demo persons that can sign in."""
    rows = Person.objects.filter(demo=True).select_related("organisation").prefetch_related("functions")
    return [
        (p.handle, f"{p.handle}-demo", ", ".join(f.role for f in p.functions.all()) or f"of {p.organisation}")
        for p in rows
        if p.has_usable_password()
    ]
