"""What if: a page of its own for operators and signers, and the same beside a decision.

The address says what is asked, so that an answer can be sent on. A forecast has a bounded number of draws; while the twin
is still being made ready (once after an update) the page says so and asks again by itself.
"""

from collections.abc import Mapping
from functools import lru_cache

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import render

from schmelz.faults import BadInput, Refused
from schmelz.metering.statement import said
from schmelz.operate import whatif as asking
from schmelz.operate.changes import AS_IS, Change, change
from schmelz.operate.told import as_dict, statement
from schmelz.operate.warm import ready
from schmelz.operate.whatif import Award, WhatIf
from schmelz.policy.schema import System
from schmelz.portal.calls.models import Application
from schmelz.portal.calls.states import WAITING
from schmelz.portal.clock import now
from schmelz.portal.policy import factory, version
from schmelz.portal.usage.queries import manifest
from schmelz.rules.permissions import Permission
from schmelz.web.answers import number_or_none, placed
from schmelz.web.foreseen import as_pdf, bars, charts
from schmelz.web.guard import Found, needs, person_of, signed_in, system_named, the_application

SEEDS, SAME_S, PATIENCE = 10, 60, 2.0


def the_forecasts(request: HttpRequest) -> Found:
    """The system that the address names, and what the person is to its forecasts."""
    system = system_named(request.GET.get("system"))
    return Found(asking.relations(person_of(request), system), (system,))


@needs(Permission.FORECAST_READ, the_forecasts)
def page(request: HttpRequest, system: System) -> HttpResponse:
    """Choose a change, see it beside today."""
    given, fault = request.GET, None
    asked: tuple[tuple[Award, ...], Change, str | None] | None = None
    try:
        asked = _asked(request, system, given)
    except (BadInput, Refused) as error:
        fault = error
    return _answer(request, system, asked, fault, _form(given))


@needs(Permission.FORECAST_READ, the_application)
def of_application(request: HttpRequest, application: Application) -> HttpResponse:
    """What one award does; the amount of the address, else the proposal's, else the request's."""
    system, fault, asked = factory().system(application.system), None, None
    try:
        amount = number_or_none(request.GET, "gpu_hours", 1, 10**9)
        text = application.code if amount is None else f"{application.code}={amount}"
        asked = (asking.awards(signed_in(request), [text]), AS_IS, None)
    except (BadInput, Refused) as error:
        fault = error
    return _answer(request, system, asked, fault, {"application": application, "section": "inbox"})


def _asked(
    request: HttpRequest, system: System, given: QueryDict
) -> tuple[tuple[Award, ...], Change, str | None] | None:
    """What the address asks; None where it asks nothing yet."""
    codes = [code for text in given.getlist("award") for code in text.replace(",", " ").split()]
    outages = [*given.getlist("outage")]
    if site := given.get("site", ""):
        outages.append(f"{site}:{given.get('from', '')}..{given.get('to', '')}")
    nodes, floor = number_or_none(given, "nodes", 1, 10**6), number_or_none(given, "floor", 0, 100)
    changed = change(system, factory().zone, now(), filter(None, outages), nodes, floor)
    awards = asking.awards(signed_in(request), codes)
    if awards and awards[0].application.system != system.id:
        raise BadInput(
            f"award: {awards[0].application.code} is an application for another machine; choose that one first"
        )
    return (awards, changed, given.get("window") or None) if awards or changed else None


def _form(given: QueryDict) -> dict[str, object]:
    names = ("from", "to", "nodes", "floor", "site", "window")
    return {"given": {name: given.get(name, "") for name in names}, "codes": " ".join(given.getlist("award"))}


def _answer(
    request: HttpRequest,
    system: System,
    asked: tuple[tuple[Award, ...], Change, str | None] | None,
    fault: BadInput | Refused | None,
    more: Mapping[str, object],
) -> HttpResponse:
    part = bool(request.headers.get("HX-Request"))
    context: dict[str, object] = {"system": system, "section": "whatif", "fragment": part, **more}
    if asked is None:
        context["faults"] = placed(fault) if isinstance(fault, BadInput) else placed(None)
        context["refusal"] = fault if isinstance(fault, Refused) else None
        context |= _offered(system)
        return render(request, _template(request), context, status=200 if fault is None else 400)
    if not ready(PATIENCE):
        waits = render(request, _template(request), context | {"waits": True} | _offered(system))
        waits["Refresh"] = "5"
        return waits
    try:
        found = _found(version(), facts(), system.id, asked)
    except BadInput as error:
        return render(request, _template(request), context | {"faults": placed(error)} | _offered(system), status=400)
    if form := request.GET.get("format"):
        return _file(found, form)
    return render(request, _template(request), context | _told(found) | _offered(system))


def _template(request: HttpRequest) -> str:
    return "web/whatif_found.html" if request.headers.get("HX-Request") else "web/whatif.html"


def facts() -> tuple[object, ...]:
    """What the answer may be kept for: the same records, the same minute."""
    return tuple(sorted(manifest().items())), now() // SAME_S


@lru_cache(maxsize=16)
def _found(
    _version: str, _facts: tuple[object, ...], system: str, asked: tuple[tuple[Award, ...], Change, str | None]
) -> WhatIf:
    awards, changed, window = asked
    return asking.whatif(factory().system(system), awards, changed, seeds=SEEDS, window=window)


def _told(found: WhatIf) -> dict[str, object]:
    tables = said(statement(found), factory().zone)
    return {
        "found": found,
        "heads": list(zip(found.system.pools, heads(found), strict=True)),
        "charts": charts(found),
        "bars": bars(found),
        "tables": [table for table in tables if table.key not in ("share", "queue", "sizes")],
        "behind": [table for table in tables if table.key in ("share", "queue")],
    }


def heads(found: WhatIf) -> list[dict[str, int | None]]:
    """The number of each pool that a reader wants first: its mean wait as it would be, against today."""
    made: list[dict[str, int | None]] = []
    for pool in found.system.pools:
        sides = [side.forecast.pools[pool.id] for side in (found.today, found.then)]
        made.append({"before": sides[0]["wait_mean_s"].median, "after": sides[1]["wait_mean_s"].median})
    return made


def _offered(system: System) -> dict[str, object]:
    titles = {site.id: site.title for site in factory().sites}
    return {
        "systems": [one for one in factory().systems if one.gpus()],
        "sites": [(site, titles.get(site, site)) for site in system.nodes],
        "node_count": sum(len(names) for names in system.node_names.values()),
        "floor_now": system.sharing.floor_percent,
        "waiting_for": Application.objects.filter(system=system.id, state__in=WAITING).count(),
    }


def _file(found: WhatIf, form: str) -> HttpResponse:
    name = statement(found).name
    if form == "json":
        return JsonResponse(as_dict(found), json_dumps_params={"indent": 2, "ensure_ascii": False})
    if form == "pdf":
        headers = {"Content-Disposition": f'attachment; filename="{name}.pdf"'}
        return HttpResponse(as_pdf(found), content_type="application/pdf", headers=headers)
    raise Http404("format: one of: json, pdf")
