"""Projects: the list of those that one may read, and one of them: how much is left, and will it last?"""

from dataclasses import dataclass

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.safestring import SafeString

from schmelz.faults import BadInput
from schmelz.metering.usage import Balance, used_by_project
from schmelz.policy.schema import Factory, System
from schmelz.portal.clock import now
from schmelz.portal.ledger.models import Event
from schmelz.portal.people.models import Person
from schmelz.portal.people.queries import by_handle
from schmelz.portal.policy import factory
from schmelz.portal.projects import actions, figures
from schmelz.portal.projects.burn import burn_down
from schmelz.portal.projects.models import Amendment, Project
from schmelz.portal.projects.paces import month_so_far, still_reachable
from schmelz.portal.projects.queries import amends, open_amendment, pool_of, signed, visible_to
from schmelz.portal.projects.states import ProjectState
from schmelz.portal.projects.stories import suspension
from schmelz.portal.usage.queries import read_until
from schmelz.rules.award import next_role
from schmelz.rules.permissions import Permission, Relation, may
from schmelz.rules.texts import english
from schmelz.units import DAY, PPM
from schmelz.web.answers import Faults, placed
from schmelz.web.band import picture
from schmelz.web.charts.balance_bar import Bar, balance_bar
from schmelz.web.charts.burn_down import Burn, burn_down as burn_down_chart
from schmelz.web.guard import needs, posted, signed_in, the_project
from schmelz.web.listing import as_csv, of_query, wants_csv
from schmelz.web.views.applications import mode_title
from schmelz.web.words import counted

CSV = ("project", "pool", "system", "organisation", "title", "state", "grant_gpu_s", "used_gpu_s")
LIGHTS = {ProjectState.AWARDED: "warn", ProjectState.ACTIVE: "ok", ProjectState.ENDED: ""}


@dataclass(frozen=True)
class Row:
    """A project in a list."""

    project: Project
    pool: str
    tint: str
    state: str
    light: str
    used: int
    left: int


@dataclass(frozen=True)
class Pace:
    """Use against time: days left, time and grant passed in per cent, GPUs that would use up the rest."""

    days_left: int
    time_percent: int
    used_percent: int
    gpus: str


@dataclass(frozen=True)
class Standing:
    """Where a project stands: over, held until its start, suspended (by which event), with which open amendment; and what
    the person who looks at it may do."""

    over: bool
    held: bool
    suspended: Event | None
    amendment: Amendment | None
    waits_for: str | None
    may_decide: bool
    may_suspend: bool
    may_invite: bool
    may_submit: bool


def _row(system: System, project: Project, used: int) -> Row:
    pool, state = system.pool(project.pool), ProjectState(project.state)
    label, light = ("suspended", "stop") if project.suspended else (state.label, LIGHTS[state])
    return Row(project, pool.title, pool.tint, label, light, used, project.grant_gpu_s - used)


@needs(Permission.PROJECT_READ, rows=True)
def every(request: HttpRequest) -> HttpResponse:
    policy, whole = factory(), wants_csv(request)
    pools = dict.fromkeys(pool.id for system in policy.systems for pool in system.pools)
    found = of_query(
        request,
        visible_to(policy, signed_in(request)),
        choices={"state": ProjectState.values, "pool": list(pools)},
        columns=("code", "title", "organisation", "grant_gpu_s", "start", "end", "state", "pool"),
        searched=("code", "title", "organisation"),
        default="-code",
        whole=whole,
    )
    used = used_by_project(figures.attributed(), now()) if found.rows else {}
    rows = [_row(policy.system(p.system), p, used.get(p.code, 0)) for p in found.rows]
    if whole:
        return as_csv(
            "projects",
            CSV,
            [
                (
                    r.project.code,
                    r.project.pool,
                    r.project.system,
                    r.project.organisation,
                    r.project.title,
                    r.project.state,
                    r.project.grant_gpu_s,
                    r.used,
                )
                for r in rows
            ],
        )
    return render(
        request,
        "web/projects.html",
        {"listing": found, "rows": rows, "states": ProjectState.choices, "pools": list(pools)},
    )


@needs(Permission.PROJECT_READ, the_project)
def one(request: HttpRequest, project: Project) -> HttpResponse:
    return page(request, project, Faults())


@needs(Permission.PROJECT_INVITE, the_project)
@posted
def add_member(request: HttpRequest, project: Project) -> HttpResponse:
    handle = request.POST.get("handle", "").strip()
    try:
        if not handle:
            raise BadInput("handle: is empty; write the handle of the person")
        person = by_handle(handle[:40])
    except BadInput as error:
        return page(request, project, placed(error))
    actions.add_member(factory(), project, person, actor=signed_in(request))
    messages.success(request, f"{person.name} is a member of {project.code}, on the cluster with the next plan.")
    return redirect("project", code=project.code)


def page(request: HttpRequest, project: Project, faults: Faults, form: str = "members") -> HttpResponse:
    """The project's page; with faults it shows them at the form that was sent."""
    policy, person = factory(), signed_in(request)
    system, balance = policy.system(project.system), figures.balance(project)
    row, burnt = _row(system, project, balance.settled + balance.running), burn_down(system, project)
    return render(
        request,
        "web/project.html",
        {
            "project": project,
            "row": row,
            "system": system,
            "balance": balance,
            "records": read_until(project.system, balance.as_of),
            "bar": _bar(project, balance, row.tint),
            "mode": mode_title(policy, project.mode),
            "category": _category(policy, project),
            "pace": pace(project, balance),
            "reachable": still_reachable(system, project, balance),
            "burn": burnt,
            "burning": picture(burn_down_chart(Burn(*_facts(project), burnt.used, burnt.budgets), row.tint)),
            "month": month_so_far(system, project, balance),
            "standing": standing(policy, person, project),
            "members": project.memberships.select_related("person"),
            "faults": faults,
            "form": form,
            "said": {key: request.POST.get(key, "") for key in ("handle", "gpu_hours", "because")},
            "runs": system.cluster.backend != "none",
            "section": "projects",
        },
        status=400 if faults else 200,
    )


def standing(policy: Factory, person: Person, project: Project) -> Standing:
    """What is decided about a project, and what this person may do about it."""
    amendment = open_amendment(project)
    related, moment = amends(policy, person, project, amendment), now()
    over = moment >= project.end or project.state == ProjectState.ENDED
    return Standing(
        over=over,
        held=moment < project.start,
        suspended=suspension(project) if project.suspended else None,
        amendment=amendment,
        waits_for=next_role(pool_of(policy, project), signed(amendment)) if amendment else None,
        may_decide=not over and Relation.MEMBER not in related and may(Permission.GRANT_SIGN, related),
        may_suspend=not over and may(Permission.PROJECT_SUSPEND, related),
        may_invite=may(Permission.PROJECT_INVITE, related),
        may_submit=not over and not project.suspended and may(Permission.JOB_SUBMIT, related),
    )


def _category(policy: Factory, project: Project) -> str:
    return next((english(c.title) for c in policy.categories if c.id == project.category), project.category)


def _facts(project: Project) -> tuple[int, int, int]:
    return project.grant_gpu_s, project.start, project.end


def _bar(project: Project, balance: Balance, tint: str) -> SafeString:
    whole = max(1, project.end - project.start)
    bar = Bar(
        project.grant_gpu_s,
        balance.settled,
        balance.running,
        balance.committed,
        balance.left,
        max(0, balance.as_of - project.start) * PPM // whole,
    )
    return picture(balance_bar(bar, tint))


def pace(project: Project, balance: Balance) -> Pace:
    """Will it last, and is it used: time and use side by side."""
    left = max(0, project.end - balance.as_of)
    passed = min(max(0, balance.as_of - project.start), project.end - project.start)
    used = balance.settled + balance.running
    rest = max(0, project.grant_gpu_s - used)
    return Pace(
        -(-left // DAY),
        100 * passed // max(1, project.end - project.start),
        100 * used // max(1, project.grant_gpu_s),
        _gpus(rest / left) if left and rest else "",
    )


def _gpus(needed: float) -> str:
    """How many GPUs, as people say it: 0.4 GPUs, 23 GPUs."""
    return f"{needed:.1f} GPUs" if needed < 10 else counted(round(needed), "GPU")
