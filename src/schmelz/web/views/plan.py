"""The plan: what would change on the cluster, why and how far it reaches; applying exactly what was read, and going back.

What takes away more than one operator may needs a second one, who approves the same hash on the same page.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from schmelz.cluster import words
from schmelz.cluster.diff import Change
from schmelz.cluster.plan import Plan
from schmelz.faults import BadInput
from schmelz.operate import applies, approve as approvals, cluster, follow
from schmelz.policy.schema import System
from schmelz.portal.clusters import choices
from schmelz.portal.clusters.queries import approvers
from schmelz.portal.people.models import Person
from schmelz.portal.people.queries import general_relations, roles
from schmelz.rules.permissions import Permission, may
from schmelz.web.answers import number_or_none
from schmelz.web.guard import needs, posted, signed_in, the_system
from schmelz.web.words import counted

SHOWN_APPLIES = 12
SHOWN_CHANGES = 300


@dataclass(frozen=True)
class Line:
    """A change as the page shows it: how (new, changed, gone), what, and why."""

    kind: str
    said: str
    because: str


@dataclass(frozen=True)
class Group:
    """Changes of one kind with their number; of very many only the first are shown."""

    title: str
    count: int
    lines: tuple[Line, ...]

    @property
    def more(self) -> int:
        return self.count - len(self.lines)


GROUPS: tuple[tuple[str, Callable[[Change], bool]], ...] = (
    ("Taken away or stopped", lambda change: change.removes),
    ("Changed", lambda change: not change.removes and change.op != "add"),
    ("New", lambda change: not change.removes and change.op == "add"),
)


@needs(Permission.PLAN_READ, the_system)
def page(request: HttpRequest, system: System) -> HttpResponse:
    person, undo = signed_in(request), bool(request.GET.get("undo"))
    past = applies.applies(system)
    found = follow.current_plan(system, undo=undo)
    return render(
        request,
        "web/plan.html",
        {
            "system": system,
            "systems": cluster.running_systems(),
            "plan": found,
            "undo": undo,
            "groups": list(_groups(found.changes)),
            "notices": applies.notices(system, past),
            "past": past[:SHOWN_APPLIES],
            "older": max(0, len(past) - SHOWN_APPLIES),
            "may_undo": any(one.entry.state == "done" for one in past[1:]),
            "unfinished": bool(past) and past[0].entry.state in ("interrupted", "failed"),
            "by_hand": _by_hand(system, past),
            **_rights(person, system, found),
        },
    )


def _by_hand(system: System, past: Sequence[applies.Past]) -> int:
    """How many changes by hand the last look found; none is told of a look that is older than the last apply."""
    last = choices.comparison(system)
    return len(last.by_hand) if last and (not past or past[0].entry.at <= last.at) else 0


def _groups(changes: Sequence[Change]) -> Iterator[Group]:
    for title, belongs in GROUPS:
        mine = [change for change in changes if belongs(change)]
        if mine:
            yield Group(title, len(mine), tuple(map(_line, mine[:SHOWN_CHANGES])))


def _line(change: Change) -> Line:
    kind = "remove" if change.removes else {"add": "add", "change": "change", "remove": "remove"}[change.op]
    return Line(kind, words.lines(change)[0], change.because)


def _rights(person: Person, system: System, found: Plan) -> dict[str, object]:
    """What this person may do with the plan, and whether a second operator has to."""
    related = general_relations(person, roles(person), system.operator)
    by = approvers(found.hash)
    many = found.removals > system.cluster.removals_alone
    return {
        "may_apply": may(Permission.PLAN_APPLY, related),
        "may_approve": many and may(Permission.PLAN_APPROVE, related) and person.handle not in by,
        "needs_second": many,
        "approved_by": by,
        "second_is_there": bool(set(by) - {person.handle}),
        "alone": system.cluster.removals_alone,
    }


@needs(Permission.PLAN_APPLY, the_system)
@posted
def apply(request: HttpRequest, system: System) -> HttpResponse:
    """Apply the plan whose hash the form carries; any other plan is refused."""
    allowed = number_or_none(request.POST, "allow_remove", 0, 10**6) or 0
    undo = request.POST.get("undo") == "1"
    done = follow.apply_plan(signed_in(request), system, expected_hash=_read(request), allow_remove=allowed, undo=undo)
    said = "1 change was" if done.changes == 1 else f"{done.changes} changes were"
    messages.success(request, f"Plan {done.hash[:12]} is applied: {said} made on {system.title}.")
    return _back(system)


@needs(Permission.PLAN_APPROVE, the_system)
@posted
def approve(request: HttpRequest, system: System) -> HttpResponse:
    """Say as a second operator that what the plan takes away is meant."""
    found = approvals.approve(signed_in(request), system, _read(request))
    said = counted(found.removals, "removal")
    messages.success(request, f"You approved plan {found.hash[:12]} with {said}; another operator applies it.")
    return _back(system, "&undo=1" if request.POST.get("undo") == "1" else "")


def _read(request: HttpRequest) -> str:
    """The hash of the plan that the person read. Raises BadInput."""
    read = request.POST.get("hash", "")
    if len(read) != follow.WHOLE_HASH or not set(read) <= set("0123456789abcdef"):
        raise BadInput("hash: is not the hash of a plan; apply a plan from the page that shows it")
    return read


def _back(system: System, more: str = "") -> HttpResponse:
    return redirect(f"{reverse('plan')}?system={system.id}{more}")
