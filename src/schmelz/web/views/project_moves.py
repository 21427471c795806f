"""Deciding about a project on its page: suspend or let go on, another amount, a member who leaves.

Each is a form that is sent; what cannot be read comes back on the project's page beside its form, and nothing is written.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from schmelz.faults import BadInput
from schmelz.portal.people.models import Person
from schmelz.portal.policy import factory
from schmelz.portal.projects import actions, amend
from schmelz.portal.projects.models import Project
from schmelz.portal.projects.states import AmendmentState
from schmelz.rules.permissions import Permission
from schmelz.units import HOUR
from schmelz.web.answers import number_in, placed
from schmelz.web.guard import needs, posted, signed_in, the_project
from schmelz.web.views.projects import page

Move = Callable[[HttpRequest, Project], str]
T = TypeVar("T")


@needs(Permission.PROJECT_INVITE, the_project)
@posted
def remove_member(request: HttpRequest, project: Project) -> HttpResponse:
    return _moved(request, project, "members", _remove)


@needs(Permission.PROJECT_SUSPEND, the_project)
@posted
def suspend(request: HttpRequest, project: Project) -> HttpResponse:
    return _moved(request, project, "suspend", _switch)


@needs(Permission.PROJECT_READ, the_project)
@posted
def amend_grant(request: HttpRequest, project: Project) -> HttpResponse:
    """For the signer whose turn it is; the action itself refuses everybody else."""
    return _moved(request, project, "amend", _amend)


def _moved(request: HttpRequest, project: Project, form: str, move: Move) -> HttpResponse:
    try:
        said = move(request, project)
    except BadInput as error:
        return page(request, project, placed(error), form)
    messages.success(request, said)
    return redirect("project", code=project.code)


def _remove(request: HttpRequest, project: Project) -> str:
    handle = request.POST.get("handle", "")[:40]
    person = Person.objects.filter(handle=handle, memberships__project=project).first()
    if person is None:
        raise BadInput(f"handle: {handle!r} is no member of {project.code}")
    actions.remove_member(factory(), project, person, actor=signed_in(request))
    return f"{person.name} is no member of {project.code} any more, and loses access with the next plan."


def _switch(request: HttpRequest, project: Project) -> str:
    act = _chosen(request, {"suspend": actions.suspend, "resume": actions.resume})
    done = act(factory(), project.code, signed_in(request), because=request.POST.get("because", ""))
    return f"{done.code} {'is suspended' if done.suspended else 'goes on'} with the next plan that is applied."


def _amend(request: HttpRequest, project: Project) -> str:
    return _chosen(request, {"propose": _propose, "sign": _sign, "refuse": _refuse})(request, project)


def _propose(request: HttpRequest, project: Project) -> str:
    amount, because = number_in(request.POST, "gpu_hours", 1, 10**9), request.POST.get("because", "")
    amend.propose(factory(), project.code, signed_in(request), gpu_hours=amount, because=because)
    return f"You proposed another amount for {project.code}; the next signer was told."


def _sign(request: HttpRequest, project: Project) -> str:
    done = amend.sign(factory(), project.code, signed_in(request))
    if done.state == AmendmentState.SIGNED:
        return f"You signed. {project.code} has {done.grant_gpu_s // HOUR} GPU-hours; the cluster follows with the next plan."
    return f"You signed for {project.code}; the next signer was told."


def _refuse(request: HttpRequest, project: Project) -> str:
    amend.refuse(factory(), project.code, signed_in(request), because=request.POST.get("because", ""))
    return f"You refused. {project.code} keeps its GPU-hours; a letter with your reason went to its principal investigator."


def _chosen(request: HttpRequest, moves: Mapping[str, T]) -> T:
    wish = request.POST.get("do", "")
    if wish not in moves:
        raise BadInput(f"do: {wish[:20]!r} is no decision; one of: {', '.join(moves)}")
    return moves[wish]
