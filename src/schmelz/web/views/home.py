"""The first page: what this factory is, whether it keeps its promise, and what is open now."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from schmelz.portal.calls.queries import inbox
from schmelz.portal.clock import now
from schmelz.portal.policy import factory, main_system
from schmelz.rules.permissions import Permission
from schmelz.web.band import band, legend, shares, split_of
from schmelz.web.guard import needs, person_of, public
from schmelz.web.views.calls import every_call
from schmelz.web.words import GLOSSARY

DAYS, CALLS = 60, 3


@needs(Permission.SPLIT_READ)
def home(request: HttpRequest) -> HttpResponse:
    policy, system, person = factory(), main_system(), person_of(request)
    split = split_of(system)
    calls = [call for call in every_call(policy, now()) if not call.closed_because]
    return render(
        request,
        "web/home.html",
        {
            "system": system,
            "split": split,
            "shares": shares(system, split),
            "band": band(system, split.days[-DAYS:]),
            "first": split.days[-DAYS:][0].day if split.days else None,
            "last": split.days[-1].day if split.days else None,
            "legend": legend(system),
            "shortfall": sum(pool.shortfall_gpu_s for pool in split.pools),
            "calls": calls[:CALLS],
            "more": len(calls) - CALLS,
            "waiting": inbox(policy, person) if person else [],
        },
    )


@public
def words(request: HttpRequest) -> HttpResponse:
    return render(request, "web/words.html", {"glossary": sorted(GLOSSARY.items(), key=lambda row: row[0].casefold())})
