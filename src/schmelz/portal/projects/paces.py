"""Pacing of projects: how much each may have used by now, and where one stands in its month.

The use before a month comes from the ledger's records, and is only looked for when a project needs it. A project without
a pacing of its own (that of its access mode) has that of its system.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

from schmelz.metering.usage import Balance
from schmelz.policy.system import Pacing, System
from schmelz.portal.clock import now
from schmelz.portal.policy import factory
from schmelz.portal.projects.figures import used_before
from schmelz.portal.projects.models import Project
from schmelz.rules.pacing import limit, month_of, months, reachable


@dataclass(frozen=True)
class MonthSoFar:
    """A paced project in its month: budget, use and what is left, when the next month begins (None: it is the last)."""

    pacing: Pacing
    budget: int
    used: int
    left: int
    anew: int | None
    reachable: int


def pacing_of(system: System, project: Project) -> Pacing:
    """The pacing of the project's access mode at the award, or else of its system."""
    return cast(Pacing, project.pacing or system.pacing)


def limits(system: System, projects: Iterable[Project]) -> dict[str, int]:
    """For each paced project, how many GPU-seconds may have been used by now at most."""
    paced = [(project, kind) for project in projects if (kind := pacing_of(system, project)) != "whole"]
    before = _before([project for project, kind in paced if kind == "monthly"])
    zone, moment = factory().zone, now()
    return {
        p.code: limit(kind, p.grant_gpu_s, p.start, p.end, moment, before.get(p.code, 0), zone) for p, kind in paced
    }


def month_so_far(system: System, project: Project, balance: Balance) -> MonthSoFar | None:
    """Where a paced project stands this month; None where the grant may be used at any time, or has no month left."""
    kind, zone, moment = pacing_of(system, project), factory().zone, balance.as_of
    facts = (project.grant_gpu_s, project.start, project.end)
    month = month_of(months(*facts, zone), moment)
    if kind == "whole" or month is None or moment >= project.end:
        return None
    used, before = balance.settled + balance.running, used_before({project.code: month.start}).get(project.code, 0)
    most = limit(kind, *facts, moment, before, zone)
    return MonthSoFar(
        kind,
        budget=month.gpu_seconds,
        used=used - before,
        left=max(0, most - used),
        anew=month.end if month.end < project.end else None,
        reachable=reachable(kind, *facts, moment, used, before, zone),
    )


def still_reachable(system: System, project: Project, balance: Balance) -> int:
    """The least of what is not used, the remaining months' budgets, and all its GPUs until its end."""
    kind, zone, moment = pacing_of(system, project), factory().zone, balance.as_of
    facts = (project.grant_gpu_s, project.start, project.end)
    month = month_of(months(*facts, zone), moment)
    before = used_before({project.code: month.start}).get(project.code, 0) if month and kind == "monthly" else 0
    by_pace = reachable(kind, *facts, moment, balance.settled + balance.running, before, zone)
    return min(by_pace, gpus_of(system, project) * max(0, project.end - max(moment, project.start)))


def gpus_of(system: System, project: Project) -> int:
    """All GPUs of the sites that the project may use."""
    sites = [site for site in project.sites.split(",") if site in system.nodes] or list(system.nodes)
    return sum(system.gpus(site) for site in sites)


def _before(projects: list[Project]) -> dict[str, int]:
    """What each project had used before its present month (its last one, when it has ended)."""
    zone, moment = factory().zone, now()
    found = {p.code: month_of(months(p.grant_gpu_s, p.start, p.end, zone), moment) for p in projects}
    starts = {code: month.start for code, month in found.items() if month}
    return used_before(starts) if starts else {}
