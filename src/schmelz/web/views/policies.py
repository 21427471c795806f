"""Policies side by side: the factory's own past under each, on a page and as PDF."""

from functools import lru_cache

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from schmelz.faults import BadInput, Refused
from schmelz.metering.statement import Statement, said
from schmelz.operate.changes import day_of
from schmelz.operate.policies import DAYS, DAYS_AT_MOST, SideBySide, side_by_side
from schmelz.operate.warm import ready
from schmelz.policy.schema import System
from schmelz.portal.policy import factory, version
from schmelz.rules.permissions import Permission
from schmelz.web.answers import number_or_none, placed
from schmelz.web.guard import needs
from schmelz.web.side_by_side import Side, as_pdf, charts, statement
from schmelz.web.views.whatif import PATIENCE, facts, the_forecasts


@needs(Permission.FORECAST_READ, the_forecasts)
def page(request: HttpRequest, system: System) -> HttpResponse:
    context: dict[str, object] = {"system": system, "section": "whatif", "days": request.GET.get("days", DAYS)}
    context["systems"] = [one for one in factory().systems if one.gpus()]
    try:
        days = number_or_none(request.GET, "days", 1, DAYS_AT_MOST) or DAYS
        if not ready(PATIENCE):
            waits = render(request, "web/policies.html", context | {"waits": True})
            waits["Refresh"] = "5"
            return waits
        found = _found(version(), facts(), system.id, days)
    except BadInput as error:
        return render(request, "web/policies.html", context | {"faults": placed(error)}, status=400)
    except Refused as error:
        return render(request, "web/policies.html", context | {"refusal": error})
    if request.GET.get("format") == "pdf":
        name = document(found).name
        headers = {"Content-Disposition": f'attachment; filename="{name}.pdf"'}
        return HttpResponse(pdf_of(found), content_type="application/pdf", headers=headers)
    tables = said(document(found), factory().zone)
    context["tables"] = [table for table in tables if table.key not in ("share", "queue")]
    context["behind"] = [table for table in tables if table.key in ("share", "queue")]
    context |= {"found": found, "charts": charts(sides(system), found.policies, found.period.start, factory().zone)}
    return render(request, "web/policies.html", context)


@lru_cache(maxsize=4)
def _found(_version: str, _facts: tuple[object, ...], system: str, days: int) -> SideBySide:
    return side_by_side(factory().system(system), days)


def sides(system: System) -> list[Side]:
    return [Side(pool.id, pool.title, pool.tint, pool.weight) for pool in system.pools]


def document(found: SideBySide) -> Statement:
    """The comparison as a document."""
    zone = factory().zone
    first, last = (day_of(at, zone).partition(",")[0] for at in (found.period.start, found.period.end))
    about = (
        f"{found.jobs} jobs of {found.system.title} that were sent from {first} to {last}",
        "deficit is the rule of production; easy knows no pools and no sites",
    )
    name = f"policies-{found.system.id}"
    return statement("Policies side by side", name, found.period.end, sides(found.system), found.policies, about, zone)


def pdf_of(found: SideBySide) -> bytes:
    policy = factory()
    return as_pdf(
        document(found), sides(found.system), found.policies, found.period.start, policy.factory.name, policy.zone
    )
