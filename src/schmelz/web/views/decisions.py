"""What waits for a signature, and deciding: request beside proposal, what the rules say, what follows."""

from dataclasses import dataclass

from django.contrib import messages
from django.db.models import Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from schmelz.faults import BadInput
from schmelz.policy.schema import Factory
from schmelz.portal.calls import actions
from schmelz.portal.calls.models import Application
from schmelz.portal.calls.queries import findings, inbox as waiting_for, mode_of, pool_of, relations
from schmelz.portal.calls.states import ApplicationState
from schmelz.portal.clock import now
from schmelz.portal.people.models import Person
from schmelz.portal.policy import factory
from schmelz.portal.projects.models import Project
from schmelz.portal.projects.queries import waiting_amendments
from schmelz.portal.projects.states import ProjectState
from schmelz.rules.eligibility import verdict
from schmelz.rules.permissions import Permission, Relation, may
from schmelz.units import HOUR
from schmelz.web.answers import Faults, number_in, placed
from schmelz.web.guard import needs, signed_in, the_application
from schmelz.web.views.applications import row_of


@dataclass(frozen=True)
class Effect:
    """What a signature leads to: how much the pool has promised, and with this award."""

    promised_gpu_s: int
    projects: int
    with_it_gpu_s: int


@needs(Permission.DECISION_SIGN, rows=True)
def inbox(request: HttpRequest) -> HttpResponse:
    policy, moment = factory(), now()
    person = signed_in(request)
    rows = [row_of(policy, application, moment) for application in waiting_for(policy, person)]
    overdue = sum(1 for row in rows if row.days_left is not None and row.days_left < 0)
    amendments = waiting_amendments(policy, person)
    count = len(rows) + len(amendments)
    return render(
        request, "web/inbox.html", {"rows": rows, "overdue": overdue, "amendments": amendments, "count": count}
    )


@needs(Permission.APPLICATION_READ, the_application)
def decide(request: HttpRequest, application: Application) -> HttpResponse:
    """For the signer whose turn it is; whoever else may read the application is shown where it stands."""
    if request.method != "POST":
        turn = Relation.NEXT_SIGNER in relations(factory(), signed_in(request), application)
        return _page(request, application) if turn else redirect("application", code=application.code)
    try:
        done = _do(factory(), request, application, signed_in(request))
    except BadInput as error:
        return _page(request, application, placed(error))
    messages.success(request, _told(done))
    return redirect("application", code=done.code)


def _do(policy: Factory, request: HttpRequest, application: Application, person: Person) -> Application:
    because = request.POST.get("because", "")
    move = request.POST.get("do", "")
    if move == "propose":
        amount = number_in(request.POST, "gpu_hours", 1, 10**9)
        return actions.propose(policy, application.code, person, gpu_hours=amount, because=because)
    if move == "sign":
        return actions.sign(policy, application.code, person, because=because)
    if move == "refuse":
        return actions.refuse(policy, application.code, person, because=because)
    raise BadInput(f"do: {move[:20]!r} is no decision; one of: propose, sign, refuse")


def _told(application: Application) -> str:
    if application.state == ApplicationState.AWARDED:
        code = Project.objects.filter(application=application.code).values_list("code", flat=True).first()
        return f"You signed. {application.code} is awarded and is project {code}; a letter went to the applicant."
    if application.state == ApplicationState.REFUSED:
        return f"You refused {application.code}; a letter with your reason went to the applicant."
    return f"You signed {application.code}; the next signer was told."


def _page(request: HttpRequest, application: Application, faults: Faults | None = None) -> HttpResponse:
    policy, wrong = factory(), faults or Faults()
    mode, system = mode_of(policy, application.mode), policy.system(application.system)
    found, signed = findings(policy, application), list(application.signatures.select_related("person"))
    pool = pool_of(policy, application)
    return render(
        request,
        "web/decide.html",
        {
            "application": application,
            "row": row_of(policy, application, now()),
            "mode": mode,
            "system": system,
            "pool": pool,
            "category": policy.category(application.category),
            "findings": found,
            "verdict": verdict(found),
            "signatures": signed,
            "waits_for": list(pool.signers[len(signed) :]),
            "proposes": application.state == ApplicationState.SUBMITTED,
            "last": len(signed) == len(pool.signers) - 1,
            "size": mode.size(system),
            "effect": _effect(application),
            "foresees": may(Permission.FORECAST_READ, relations(policy, signed_in(request), application)),
            "faults": wrong,
            "section": "inbox",
            "amount": request.POST.get("gpu_hours", application.award_gpu_hours or application.gpu_hours),
            "because": request.POST.get("because", ""),
        },
        status=400 if wrong else 200,
    )


def _effect(application: Application) -> Effect:
    open_ones = Project.objects.filter(system=application.system, pool=application.pool, end__gt=now()).exclude(
        state=ProjectState.ENDED
    )
    promised = open_ones.aggregate(sum=Sum("grant_gpu_s"))["sum"] or 0
    return Effect(promised, open_ones.count(), promised + (application.award_gpu_hours or application.gpu_hours) * HOUR)
