"""The plan: what would change on the cluster, how far it reaches, and applying exactly the plan that was read."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from schmelz.faults import BadInput
from schmelz.operate import cluster
from schmelz.policy.schema import System
from schmelz.portal.people.queries import general_relations, roles
from schmelz.rules.permissions import Permission, may
from schmelz.web.answers import number_or_none
from schmelz.web.guard import needs, posted, signed_in, the_system


@needs(Permission.PLAN_READ, the_system)
def page(request: HttpRequest, system: System) -> HttpResponse:
    person = signed_in(request)
    found = cluster.current_plan(system)
    lines = [(_kind(line), line) for line in found.as_text().splitlines()[1:]]
    return render(
        request,
        "web/plan.html",
        {
            "system": system,
            "systems": cluster.running_systems(),
            "plan": found,
            "lines": lines,
            "may_apply": may(Permission.PLAN_APPLY, general_relations(person, roles(person), system.operator)),
        },
    )


def _kind(line: str) -> str:
    return {"+": "add", "~": "change", "-": "remove", "!": "change"}.get(line[:1], "")


@needs(Permission.PLAN_APPLY, the_system)
@posted
def apply(request: HttpRequest, system: System) -> HttpResponse:
    """Apply the plan whose hash the form carries; any other plan is refused."""
    read = request.POST.get("hash", "")
    if len(read) != 64 or not set(read) <= set("0123456789abcdef"):
        raise BadInput("hash: is not the hash of a plan; apply a plan from the page that shows it")
    allowed = number_or_none(request.POST, "allow_remove", 0, 10**6) or 0
    done = cluster.apply_plan(signed_in(request), system, expected_hash=read, allow_remove=allowed)
    said = "1 change was" if done.changes == 1 else f"{done.changes} changes were"
    messages.success(request, f"Plan {done.hash[:12]} is applied: {said} made on {system.title}.")
    return redirect(f"{reverse('plan')}?system={system.id}")
