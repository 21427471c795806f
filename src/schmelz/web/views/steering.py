"""Steering: whether the caps of a system's pools are moved now and why, the mandates with their signatures, the last moves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from schmelz.cluster.desired import own
from schmelz.cluster.model import ClusterError
from schmelz.faults import BadInput, Refused
from schmelz.operate.steer import Steerer, Step
from schmelz.policy.schema import System
from schmelz.portal.clock import now
from schmelz.portal.clusters import mandates
from schmelz.portal.clusters.models import Mandate, Move
from schmelz.portal.people.models import Person
from schmelz.portal.policy import factory
from schmelz.rules.permissions import Permission, Relation, may
from schmelz.web.answers import Faults, number_in, placed
from schmelz.web.guard import Found, needs, person_of, posted, signed_in, system_named

NUMBERS = ("lowest", "highest", "moves_per_hour", "days")
MOVES = 50


@dataclass(frozen=True)
class Line:
    """A mandate as the page shows it: its words, and what this person may do with it."""

    mandate: Mandate
    state: str
    words: str
    next_role: str | None
    may_sign: bool
    may_revoke: bool


def the_steering(request: HttpRequest) -> Found:
    """A system that is steered. Page not found where the policy has no such table."""
    wanted = request.POST.get("system") or request.GET.get("system")
    system = system_named(wanted) if wanted else next((s for s in factory().systems if s.steering), None)
    if system is None or system.steering is None:
        raise Http404("no system of this factory is steered")
    return Found(mandates.relations(factory(), person_of(request), system), (system,))


def the_mandate(request: HttpRequest, code: str) -> Found:
    try:
        mandate = mandates.by_code(code)
    except BadInput as error:
        raise Http404(str(error)) from None
    system = factory().system(mandate.system)
    return Found(mandates.relations(factory(), person_of(request), system, mandate), (mandate,))


@needs(Permission.MANDATE_READ, the_steering)
def page(request: HttpRequest, system: System) -> HttpResponse:
    return _page(request, system)


@needs(Permission.MANDATE_PROPOSE, the_steering)
@posted
def propose(request: HttpRequest, system: System) -> HttpResponse:
    """Ask for a mandate, as the first signer."""
    try:
        given = {key: number_in(request.POST, key, 0, 10**6) for key in NUMBERS}
        because = request.POST.get("because", "")
        made = mandates.propose(
            factory(), system, signed_in(request), lowest=given["lowest"], highest=given["highest"],
            moves_per_hour=given["moves_per_hour"], days=given["days"], because=because,
        )  # fmt: skip
    except BadInput as error:
        return _page(request, system, placed(error))
    messages.success(request, f"Mandate {made.code} is proposed and signed by you; the next owner was told.")
    return _back(system.id)


@needs(Permission.MANDATE_SIGN, the_mandate)
@posted
def sign(request: HttpRequest, mandate: Mandate) -> HttpResponse:
    done = mandates.sign(factory(), mandate.code, signed_in(request))
    words = "is in force" if done.state == "signed" else "waits for the next owner, who was told"
    messages.success(request, f"You signed. Mandate {done.code} {words}.")
    return _back(done.system)


@needs(Permission.MANDATE_REVOKE, the_mandate)
@posted
def revoke(request: HttpRequest, mandate: Mandate) -> HttpResponse:
    try:
        mandates.revoke(factory(), mandate.code, signed_in(request), because=request.POST.get("because", ""))
    except BadInput as error:
        return _page(request, factory().system(mandate.system), placed(error))
    messages.success(request, f"Mandate {mandate.code} is ended. The caps stay until the next plan is applied.")
    return _back(mandate.system)


def _back(system: str) -> HttpResponse:
    return redirect(f"{reverse('steering')}?system={system}")


def _page(request: HttpRequest, system: System, faults: Faults | None = None) -> HttpResponse:
    person, wrong = signed_in(request), faults or Faults()
    step, trouble, silent = _look(system)
    relations = mandates.relations(factory(), person, system)
    return render(
        request,
        "web/steering.html",
        {
            "system": system,
            "systems": [one for one in factory().systems if one.steering],
            "steers": step is not None and step.word == "steers",
            "light": "stop" if silent or (step and step.word == "stale") else "warn",
            "because": step.because if step else trouble,
            "after": _what_then(step),
            "pools": _caps(system, step),
            "lines": [_line(system, mandate, person) for mandate in mandates.mandates(system.id)],
            "moves": [_move(system, move) for move in mandates.moves(system.id, MOVES)],
            "said": mandates.last_word(system.id),
            "may_propose": may(Permission.MANDATE_PROPOSE, relations),
            "given": {key: request.POST.get(key, "") for key in (*NUMBERS, "because")},
            "faults": wrong,
        },
        status=400 if wrong else 200,
    )


def _look(system: System) -> tuple[Step | None, str, bool]:
    """What steering would do now; else why it cannot be told, and whether that is the cluster's silence."""
    try:
        return Steerer(system).step(dry=True), "", False
    except Refused as error:
        return None, error.because, False
    except ClusterError as error:
        return None, f"the cluster does not answer: {error}", True


def _what_then(step: Step | None) -> str:
    """What happens to the caps while nothing steers."""
    if step is None:
        return ""
    if step.word in ("stale", "spent"):
        return "The caps stay as they are until it goes on."
    return "The caps stay as they are; the next plan that is applied brings them back to the shares."


def _caps(system: System, step: Step | None) -> list[tuple[str, str, int | None]]:
    """Tint, title and present cap of each pool, where they are known."""
    if step is None or not step.before:
        return []
    return [(pool.tint, pool.title, step.before[own(pool.account)]) for pool in system.pools]


def _line(system: System, mandate: Mandate, person: Person) -> Line:
    relations = mandates.relations(factory(), person, system, mandate)
    state, words = _standing(mandate)
    role = mandates.turn(system, mandate)
    over = mandate.state == "revoked" or mandate.expires <= now()
    return Line(
        mandate, state, words, role, Relation.NEXT_SIGNER in relations and role is not None,
        may(Permission.MANDATE_REVOKE, relations) and not over,
    )  # fmt: skip


def _standing(mandate: Mandate) -> tuple[str, str]:
    """How the mandate stands: the light and the word."""
    if mandate.state == "revoked":
        return "stop", "ended by a person"
    if mandate.expires <= now():
        return "", "expired"
    if mandate.state == "proposed":
        return "warn", "not signed by all"
    return ("ok", "in force") if mandate.start <= now() else ("warn", "begins later")


def _move(system: System, move: Move) -> dict[str, object]:
    changes = [(pool.title, move.before, move.after, own(pool.account)) for pool in system.pools]
    return {"move": move, "changes": [_change(*change) for change in changes if change[3] in move.after]}


def _change(title: str, before: Mapping[str, int | None], after: Mapping[str, int], name: str) -> Sequence[object]:
    return title, before.get(name), after[name]
