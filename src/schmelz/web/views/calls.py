"""Open calls, and applying: every access mode with its state, and its form with each question."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render

from schmelz.faults import BadInput, Refused
from schmelz.policy.schema import Factory, Mode, Size, System
from schmelz.portal.calls.actions import check_open, submit
from schmelz.portal.calls.forms import template
from schmelz.portal.clock import now
from schmelz.portal.people.models import Person
from schmelz.portal.policy import factory
from schmelz.rules.eligibility import Answers, Finding, assess, verdict
from schmelz.rules.permissions import Permission
from schmelz.rules.texts import english
from schmelz.units import local_date
from schmelz.web.answers import Faults, placed, whole_number
from schmelz.web.guard import needs, public, signed_in, the_mode
from schmelz.web.words import counted, number

NUMBERS = ("gpu_hours", "months", "founded", "inference_percent")
TEXTS = ("title", "summary", "system", "organisation", "category", "country")
PRICES = {
    "free": "Free of charge",
    "market": "At market price",
    "indicative": "At an indicative price",
    "co-funded": "Co-funded",
}


@dataclass(frozen=True)
class Call:
    """An access mode as the page of open calls shows it."""

    mode: Mode
    size: str
    audience: str
    price: str
    cut_off: int | None
    closed_because: str
    source: str
    host: str
    months: str


def size_words(size: Size) -> str:
    """The bounds of a mode as a person reads them."""
    if size.max is None:
        return f"{number(size.min)} GPU-hours or more" if size.min > 1 else "No upper limit"
    if size.min == size.max:
        return f"{number(size.max)} GPU-hours"
    if size.min in (0, 1):
        return f"Up to {number(size.max)} GPU-hours"
    return f"{number(size.min)} to {number(size.max)} GPU-hours"


def call_of(policy: Factory, mode: Mode, moment: int) -> Call:
    later = [int(cut.timestamp()) for cut in mode.cut_offs if cut.timestamp() > moment]
    by_price: dict[str, list[str]] = {}
    for category, price in mode.price.items():
        by_price.setdefault(price, []).append(english(policy.category(category).title))
    prices = "; ".join(
        f"{PRICES[price]} for {', '.join(who)}" if len(by_price) > 1 else PRICES[price]
        for price, who in by_price.items()
    )
    return Call(
        mode,
        size_words(mode.size(policy.system(mode.systems[0]))),
        ", ".join(english(policy.category(c).title) for c in mode.audience),
        prices,
        min(later, default=None),
        _closed_because(mode),
        _link(mode.source),
        urlsplit(_link(mode.source)).netloc,
        months_words(mode.months),
    )


def months_words(months: Sequence[int]) -> str:
    """1, 2 or 3 months."""
    *first, last = map(str, months)
    return f"{', '.join(first)} or {last} months" if first else counted(months[0], "month")


def _closed_because(mode: Mode) -> str:
    try:
        check_open(mode)
    except Refused as error:
        return f"{error.because} {error.remedy}"
    return ""


def _link(source: str) -> str:
    """The first address that a source names, if it is one that a browser can follow."""
    return next((word.strip("(),;") for word in source.split() if word.startswith(("https://", "http://"))), "")


def every_call(policy: Factory, moment: int) -> list[Call]:
    """All access modes: those one can apply in first, then open, paused, closed; else in the order of the file."""
    order = {"open": 1, "paused": 2, "closed": 3}
    calls = [call_of(policy, mode, moment) for mode in policy.modes]
    return sorted(calls, key=lambda call: order[call.mode.state] if call.closed_because else 0)


@public
def open_calls(request: HttpRequest) -> HttpResponse:
    calls = every_call(factory(), now())
    return render(
        request,
        "web/calls.html",
        {"open": [c for c in calls if c.mode.state == "open"], "others": [c for c in calls if c.mode.state != "open"]},
    )


@needs(Permission.APPLICATION_CREATE, the_mode)
def apply(request: HttpRequest, mode: Mode) -> HttpResponse:
    check_open(mode)
    person = signed_in(request)
    if request.method != "POST":
        return _form(request, mode, person, {**template(mode, factory()), "statements": []})
    answers = answers_in(request.POST, mode)
    if "check" in request.POST:
        return _form(request, mode, person, answers, looked=True)
    try:
        application = submit(factory(), mode_id=mode.id, person=person, answers=answers)
    except BadInput as error:
        return _form(request, mode, person, answers, placed(error), looked=True)
    messages.success(
        request, f"Your application {application.code} was received. A letter about it is in your letters."
    )
    return redirect("application", code=application.code)


@needs(Permission.APPLICATION_CREATE, the_mode)
def check(request: HttpRequest, mode: Mode) -> HttpResponse:
    """Only the eligibility of what is in the form so far; nothing is kept."""
    found = preview(factory(), mode, signed_in(request), answers_in(request.POST, mode))
    return render(request, "web/findings.html", {"findings": found, "verdict": verdict(found)})


def answers_in(form: QueryDict, mode: Mode) -> dict[str, Any]:
    """The form's answers; what was left empty is left out."""
    typed = {key: form.get(key, "") for key in (*TEXTS, *NUMBERS)}
    answers: dict[str, Any] = {
        key: whole_number(said) if key in NUMBERS else said for key, said in typed.items() if said.strip()
    }
    answers["statements"] = sorted(set(form.getlist("statements")))
    return answers


def preview(policy: Factory, mode: Mode, person: Person, answers: Mapping[str, Any]) -> tuple[Finding, ...]:
    """Eligibility of answers that are still being written; earlier awards are looked up when it is sent."""
    known = person.organisation

    def whole(key: str, otherwise: int | None = None) -> int | None:
        said = answers.get(key, otherwise)
        return said if isinstance(said, int) else None

    said = Answers(
        category=answers.get("category") or (known.category if known else None),
        country=answers.get("country") or (known.country if known else None),
        gpu_hours=whole("gpu_hours"),
        months=whole("months"),
        founded=whole("founded", known.founded if known else None),
        statements=frozenset(answers.get("statements", ())),
        inference_percent=whole("inference_percent"),
    )
    found = assess(policy, mode, _system(policy, mode, answers), said, local_date(now(), policy.zone).year)
    return (*(f for f in found if f.rule not in mode.statements), *_declared(mode, found))


def _declared(mode: Mode, found: Sequence[Finding]) -> Iterator[Finding]:
    """The declarations as one line while the form is being filled in: not yet declared is no refusal."""
    said = [f for f in found if f.rule in mode.statements]
    missing = sum(f.verdict != "yes" for f in said)
    if missing:
        because = (
            f"{missing} of {counted(len(said), 'declaration')} {'is' if missing == 1 else 'are'} still to be made."
        )
        yield Finding("statements", "unknown", because, "Tick them, if they are true.")
    elif said:
        yield Finding("statements", "yes", "Everything that is asked was declared.")


def _system(policy: Factory, mode: Mode, answers: Mapping[str, Any]) -> System:
    wanted = answers.get("system")
    return policy.system(wanted if wanted in mode.systems else mode.systems[0])


def _form(
    request: HttpRequest,
    mode: Mode,
    person: Person,
    answers: Mapping[str, Any],
    faults: Faults | None = None,
    looked: bool = False,
) -> HttpResponse:
    policy, wrong = factory(), faults or Faults()
    found = preview(policy, mode, person, answers) if looked else ()
    return render(
        request,
        "web/apply.html",
        {
            "call": call_of(policy, mode, now()),
            "mode": mode,
            "answers": answers,
            "faults": wrong,
            "findings": found,
            "verdict": verdict(found),
            "known": person.organisation,
            "systems": [policy.system(s) for s in mode.systems],
            "size": mode.size(_system(policy, mode, answers)),
            "declared": answers.get("statements", ()),
            "statements": [s for s in policy.statements if s.id in mode.statements],
            "asks_founded": mode.limits.founded_within_years is not None
            and (person.organisation is None or person.organisation.founded is None),
            "section": "calls",
        },
        status=400 if wrong else 200,
    )
