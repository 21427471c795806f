"""Statements: the list of those that one may read, each as a page, and as PDF, CSV or JSON (`format=` in the address).

A page shows the same tables as the files; only their form differs. Nobody sees more here than on the pages whose figures
the statement holds: a project's for those who may read it, a pool's for anyone, the annual pack in full and the key figures
for those who may read reports, the annual pack without small groups for anyone.
"""

from collections.abc import Callable
from datetime import timedelta

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from schmelz.metering.statement import Statement, said
from schmelz.operate.annual import annual, report_relations
from schmelz.operate.forms import MEDIA, in_form
from schmelz.operate.key_figures import key_figures
from schmelz.operate.pool_statements import of_pool
from schmelz.operate.statements import project_statement
from schmelz.policy.schema import System
from schmelz.portal.clock import now
from schmelz.portal.policy import factory
from schmelz.portal.projects.models import Project
from schmelz.portal.projects.queries import visible_to
from schmelz.rules.permissions import Permission, may
from schmelz.units import local_date
from schmelz.web.guard import Found, needs, person_of, system_named, the_project, the_system
from schmelz.web.listing import of_query

MONTHS, QUARTERS, YEARS = 24, 8, 3


def the_reports(request: HttpRequest) -> Found:
    """The reports over the whole factory."""
    return Found(report_relations(person_of(request)))


@needs(Permission.SPLIT_READ, the_system)
def every(request: HttpRequest, system: System) -> HttpResponse:
    """Every statement that there is for this person."""
    person, policy = person_of(request), factory()
    found = of_query(
        request,
        visible_to(policy, person),
        choices={},
        columns=("code", "title"),
        searched=("code", "title", "organisation"),
        default="code",
    )
    return render(
        request,
        "web/statements.html",
        {
            "system": system,
            "systems": [one for one in policy.systems if one.gpus()],
            "quarters": _quarters(4),
            "years": _years(),
            "listing": found,
            "months": _months(2),
            "full": may(Permission.REPORT_READ, report_relations(person)),
            "section": "statements",
        },
    )


@needs(Permission.PROJECT_READ, the_project)
def project(request: HttpRequest, project: Project) -> HttpResponse:
    return _given(request, "month", _months(MONTHS), lambda month: project_statement(project, month))


def the_pool(request: HttpRequest, pool: str) -> Found:
    """A pool of the system that the address names."""
    found = the_system(request)
    if pool not in (one.id for one in system_named(request.GET.get("system")).pools):
        raise Http404(f"pool: {pool!r} is not known")
    return Found(found.relations, (*found.things, pool))


@needs(Permission.SPLIT_READ, the_pool)
def pool(request: HttpRequest, system: System, pool: str) -> HttpResponse:
    return _given(request, "quarter", _quarters(QUARTERS), lambda quarter: of_pool(system, pool, quarter))


@needs(Permission.SPLIT_READ)
def public(request: HttpRequest) -> HttpResponse:
    """The annual pack without small groups."""
    return _given(request, "year", _years(), lambda year: annual(year, public=True))


@needs(Permission.REPORT_READ, the_reports)
def complete(request: HttpRequest) -> HttpResponse:
    """The annual pack in full."""
    return _given(request, "year", _years(), lambda year: annual(year, public=False))


@needs(Permission.REPORT_READ, the_reports)
def key(request: HttpRequest) -> HttpResponse:
    """The key figures of a year."""
    return _given(request, "year", _years(), key_figures)


def _given(request: HttpRequest, asks: str, offered: list[str], make: Callable[[str], Statement]) -> HttpResponse:
    """The statement of the month, quarter or year of the address (the present one unless it says), as page or file."""
    chosen = request.GET.get(asks) or offered[0]
    statement = make(chosen[:20])
    if form := request.GET.get("format"):
        media, data = in_form(statement, form[:10])
        headers = {"Content-Disposition": f'attachment; filename="{statement.name}.{form}"'}
        return HttpResponse(data, content_type=media, headers=headers)
    return render(
        request,
        "web/statement.html",
        {
            "statement": statement,
            "tables": said(statement, factory().zone),
            "asks": asks,
            "chosen": chosen,
            "offered": offered,
            "asked_system": request.GET.get("system", ""),
            "forms": list(MEDIA),
            "section": "statements",
        },
    )


def _months(count: int) -> list[str]:
    """The last months, the present one first."""
    day, found = local_date(now(), factory().zone), []
    for _ in range(count):
        found.append(f"{day:%Y-%m}")
        day = day.replace(day=1) - timedelta(days=1)
    return found


def _quarters(count: int) -> list[str]:
    months = _months(3 * count)
    return list(dict.fromkeys(f"{month[:4]}-Q{(int(month[5:]) + 2) // 3}" for month in months))[:count]


def _years() -> list[str]:
    return sorted({month[:4] for month in _months(12 * YEARS - 11)}, reverse=True)
