"""Applications: the list of those that one may read, and one of them: what was asked, where it stands, its story."""

import json
from dataclasses import dataclass

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from schmelz.policy.schema import Factory
from schmelz.portal.calls import actions
from schmelz.portal.calls.models import Application
from schmelz.portal.calls.queries import findings, relations, turn, visible_to
from schmelz.portal.calls.states import WAITING, ApplicationState
from schmelz.portal.clock import now
from schmelz.portal.ledger.models import Event
from schmelz.portal.ledger.queries import story
from schmelz.portal.policy import factory
from schmelz.portal.projects.models import Project
from schmelz.rules.clock import working_days_left
from schmelz.rules.eligibility import verdict
from schmelz.rules.permissions import Permission, may
from schmelz.rules.texts import english
from schmelz.units import iso
from schmelz.web.guard import needs, posted, signed_in, the_application
from schmelz.web.listing import as_csv, of_query, wants_csv

LIGHTS = {
    ApplicationState.SUBMITTED: "",
    ApplicationState.PROPOSED: "warn",
    ApplicationState.AWARDED: "ok",
    ApplicationState.REFUSED: "stop",
    ApplicationState.WITHDRAWN: "",
}
CSV = (
    "application",
    "mode",
    "pool",
    "organisation",
    "title",
    "gpu_hours",
    "state",
    "submitted",
    "due",
    "award_gpu_hours",
)
MOVES = {
    "submit": "Received",
    "propose": "Award proposed",
    "countersign": "Signed",
    "award": "Signed by all: awarded",
    "refuse": "Refused",
    "withdraw": "Taken back",
}


@dataclass(frozen=True)
class Row:
    """An application in a list: the mode's title, the state in words, the clock in working days while it waits."""

    application: Application
    mode: str
    state: str
    light: str
    days_left: int | None


@dataclass(frozen=True)
class Step:
    """One event of the story in words."""

    event: Event
    sentence: str
    gpu_hours: int | None


def row_of(policy: Factory, application: Application, moment: int) -> Row:
    state = ApplicationState(application.state)
    left = (
        working_days_left(moment, application.due, policy.zone, policy.factory.holidays) if state in WAITING else None
    )
    return Row(application, mode_title(policy, application.mode), state.label, LIGHTS[state], left)


def mode_title(policy: Factory, mode_id: str) -> str:
    """The mode's title; its id when the policy file does not have it any more."""
    return next((english(mode.title) for mode in policy.modes if mode.id == mode_id), mode_id)


@needs(Permission.APPLICATION_READ, rows=True)
def every(request: HttpRequest) -> HttpResponse:
    policy, moment, whole = factory(), now(), wants_csv(request)
    pools = dict.fromkeys(pool.id for system in policy.systems for pool in system.pools)
    found = of_query(
        request,
        visible_to(policy, signed_in(request)),
        choices={"state": ApplicationState.values, "mode": [m.id for m in policy.modes], "pool": list(pools)},
        columns=("code", "title", "organisation", "gpu_hours", "due", "submitted", "state", "mode"),
        searched=("code", "title", "organisation", "applicant__name"),
        default="-submitted",
        whole=whole,
    )
    if whole:
        return as_csv(
            "applications",
            CSV,
            [
                (
                    a.code,
                    a.mode,
                    a.pool,
                    a.organisation,
                    a.title,
                    a.gpu_hours,
                    a.state,
                    iso(a.submitted),
                    iso(a.due),
                    a.award_gpu_hours,
                )
                for a in found.rows
            ],
        )
    return render(
        request,
        "web/applications.html",
        {
            "listing": found,
            "rows": [row_of(policy, a, moment) for a in found.rows],
            "states": ApplicationState.choices,
            "modes": policy.modes,
            "pools": list(pools),
        },
    )


@needs(Permission.APPLICATION_READ, the_application)
def one(request: HttpRequest, application: Application) -> HttpResponse:
    policy, person = factory(), signed_in(request)
    found, related = findings(policy, application), relations(policy, person, application)
    waiting = application.state in WAITING
    return render(
        request,
        "web/application.html",
        {
            "application": application,
            "row": row_of(policy, application, now()),
            "findings": found,
            "verdict": verdict(found),
            "system": policy.system(application.system),
            "pool": policy.system(application.system).pool(application.pool),
            "category": policy.category(application.category),
            "waits_for": turn(policy, application),
            "signatures": application.signatures.select_related("person"),
            "story": _story(application),
            "project": Project.objects.filter(application=application.code).first(),
            "may_decide": waiting and may(Permission.DECISION_SIGN, related),
            "may_withdraw": waiting and may(Permission.APPLICATION_WITHDRAW, related),
            "is_applicant": application.applicant_id == person.pk,
            "section": "applications",
        },
    )


def _story(application: Application) -> list[Step]:
    return [
        Step(
            event,
            MOVES.get(event.kind.removeprefix("application."), event.kind),
            json.loads(event.data).get("gpu_hours"),
        )
        for event in story(f"application:{application.code}")
    ]


@needs(Permission.APPLICATION_WITHDRAW, the_application)
@posted
def withdraw(request: HttpRequest, application: Application) -> HttpResponse:
    actions.withdraw(factory(), application.code, signed_in(request))
    messages.success(request, f"You took back {application.code}.")
    return redirect("application", code=application.code)
