"""Find your door: a few questions, and every access mode with its answer and the reasons."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render

from schmelz.faults import BadInput
from schmelz.policy.schema import Factory
from schmelz.portal.clock import now
from schmelz.portal.policy import factory
from schmelz.rules.eligibility import Answers, Finding, doors
from schmelz.units import local_date
from schmelz.web.answers import Faults, number_or_none, placed
from schmelz.web.guard import public
from schmelz.web.views.calls import Call, call_of

NUMBERS = {"gpu_hours": (1, 10**9), "months": (1, 120), "founded": (1500, 2200), "inference_percent": (0, 100)}


@dataclass(frozen=True)
class Door:
    """An access mode, how it fits, and what stands against it or is still open."""

    call: Call
    verdict: str
    open: tuple[Finding, ...]
    said: tuple[Finding, ...]


@public
def door(request: HttpRequest) -> HttpResponse:
    policy = factory()
    try:
        answers, faults = _answers(policy, request.GET), Faults()
    except BadInput as error:
        answers, faults = _assumed(policy), placed(error)
    found = [
        Door(
            call_of(policy, fit.mode, now()),
            fit.verdict,
            tuple(f for f in fit.findings if f.verdict != "yes"),
            tuple(f for f in fit.findings if f.verdict == "yes" and f.rule not in fit.mode.statements),
        )
        for fit in doors(policy, answers, local_date(now(), policy.zone).year)
    ]
    return render(
        request,
        "web/door.html",
        {
            "said": request.GET,
            "faults": faults,
            "answered": any(request.GET.values()),
            "countries": countries(policy),
            "fits": [d for d in found if d.verdict == "yes"],
            "may": [d for d in found if d.verdict == "unknown"],
            "no": [d for d in found if d.verdict == "no"],
        },
        status=400 if faults else 200,
    )


def countries(policy: Factory) -> list[str]:
    """Every country that some rule knows."""
    return sorted({country for region in policy.regions for country in region.countries})


def _assumed(policy: Factory) -> Answers:
    """Nothing said yet; what has to be declared is declared later, in the form."""
    return Answers(statements=frozenset(s.id for s in policy.statements))


def _answers(policy: Factory, query: QueryDict) -> Answers:
    numbers: dict[str, Any] = {}
    faults: list[str] = []
    for key, (least, most) in NUMBERS.items():
        try:
            numbers[key] = number_or_none(query, key, least, most)
        except BadInput as error:
            faults += error.faults
    category, country = query.get("category") or None, query.get("country") or None
    categories = [c.id for c in policy.categories]
    if category is not None and category not in categories:
        faults.append(f"category: {category[:40]!r} is not known; one of: {', '.join(categories)}")
    if country is not None and not (len(country) == 2 and country.isascii() and country.isupper()):
        faults.append(f"country: {country[:40]!r} is not a country of two capital letters, such as LU")
    if faults:
        raise BadInput(faults)
    return Answers(category=category, country=country, statements=_assumed(policy).statements, **numbers)
