"""Drift: what stands on the cluster otherwise than it was applied, whose doing it is, and a choice for each difference."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from schmelz.cluster import words
from schmelz.cluster.diff import Value
from schmelz.cluster.drift import Row
from schmelz.faults import BadInput
from schmelz.operate import cluster, decide, drift
from schmelz.policy.schema import System
from schmelz.portal.clock import now
from schmelz.portal.people.queries import general_relations, roles
from schmelz.portal.policy import factory
from schmelz.rules.permissions import Permission, may
from schmelz.units import day_start, local_date
from schmelz.web.answers import number_or_none
from schmelz.web.guard import needs, posted, signed_in, the_system
from schmelz.web.words import number as number_said

SHOWN = 100
PARTS = {
    "by_hand": ("Changed by hand", "A field that the last apply set, and that has another value now."),
    "missing": ("Taken away by hand", "It was made by an apply, and is not there any more."),
    "extra": ("Added by hand", "It hangs on what is ours, and no decision asks for it."),
    "unmarked": ("Without our mark", "A name that the decisions use, but the object is not ours. It is left alone."),
    "pending": ("Waits for the plan", "Decided since the last apply: the plan brings it to the cluster."),
}

DECISIONS = {
    ("account", "gpu_minutes"): "The pool's first signer proposes this amount; the next ones sign it like an award.",
    ("account", "open"): "The project is suspended, or goes on, by decision.",
    ("member", ""): "The principal investigator adds or removes the member.",
}


@dataclass(frozen=True)
class Difference:
    """A row as the page shows it; `number` keeps the ids of its form apart."""

    row: Row
    number: int
    field: str
    seen: str
    wanted: str
    choices: tuple[str, ...]
    removes: bool
    decision: str


@dataclass(frozen=True)
class Part:
    """The differences of one part; of very many only the first are shown."""

    key: str
    title: str
    says: str
    count: int
    rows: tuple[Difference, ...]


@needs(Permission.PLAN_READ, the_system)
def page(request: HttpRequest, system: System) -> HttpResponse:
    person, found = signed_in(request), drift.find(system)
    parts = list(_parts(found))
    tomorrow = local_date(now(), factory().zone) + timedelta(1)
    return render(
        request,
        "web/drift.html",
        {
            "section": "plan",
            "system": system,
            "systems": cluster.running_systems(),
            "parts": parts,
            "found": found,
            "by_hand": sum(found.counts[part] for part in drift.BY_HAND),
            "may_choose": may(Permission.DRIFT_CHOOSE, general_relations(person, roles(person), system.operator)),
            "first_day": tomorrow.isoformat(),
            "month": (tomorrow + timedelta(30)).isoformat(),
        },
    )


def _parts(found: drift.Found) -> Iterator[Part]:
    number = 0
    for key, (title, says) in PARTS.items():
        mine = [row for row in found.rows if row.part == key]
        shown = tuple(_difference(row, number + place) for place, row in enumerate(mine[:SHOWN]))
        number += len(shown)
        if mine:
            yield Part(key, title, says, len(mine), shown)


def _difference(row: Row, number: int) -> Difference:
    field = "default account" if row.kind == "user" else words.named(row.field)
    decision = DECISIONS.get((row.kind, row.field), "")
    return Difference(
        row, number, field, _said(row, row.seen), _said(row, row.wanted), drift.possible(row), _removes(row), decision
    )


def _said(row: Row, value: Value) -> str:
    if isinstance(value, bool):
        return ("there" if value else "not there") if row.field == "" else words.said(row.field, value)
    return number_said(value) if isinstance(value, int) else words.said(row.field, value)


def _removes(row: Row) -> bool:
    """Whether putting it right takes something away from somebody."""
    taken = (("member", "", True), ("account", "open", True), ("account", "held", False))
    return (row.kind, row.field, row.seen) in taken


@needs(Permission.PLAN_READ, the_system)
@posted
def choose(request: HttpRequest, system: System) -> HttpResponse:
    """Carry one choice out; each has its own permission."""
    form = request.POST
    place = (form.get("kind", ""), form.get("name", ""), form.get("field", ""))
    person, because = signed_in(request), form.get("because", "")
    match form.get("do"):
        case "repair":
            allowed = number_or_none(form, "allow_remove", 0, 10**6) or 0
            done = drift.repair(person, system, place, allow_remove=allowed)
            said = f"{place[1]} is put right: apply {done.journal[:6]} did exactly that."
        case "leave":
            drift.leave(person, system, place, until=_end_of(form.get("until", "")), because=because)
            said = f"{place[1]} is left as it is until then; the plan says so."
        case "decide":
            said = f"{decide.decide(person, system, place, because=because)}."
        case _:
            raise BadInput("do: is one of repair, leave, decide; choose on the page that shows the difference")
    messages.success(request, said)
    return redirect(f"{reverse('drift')}?system={system.id}")


def _end_of(text: str) -> int:
    """The end of a day in the factory's zone. Raises BadInput."""
    try:
        return day_start(date.fromisoformat(text) + timedelta(1), factory().zone)
    except (ValueError, OverflowError):
        raise BadInput(f"until: {text[:40]!r} is not a day; write for example 2027-01-31") from None
