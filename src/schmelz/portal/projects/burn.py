"""How a project's grant went down: used by the end of each day, by an even plan, and what its pacing allowed.

Months are those of the project (its first and last may be short); their budgets add up to the grant. Use is that of the
days so far, held GPUs included where whole nodes are charged; integers, in GPU-seconds.
"""

from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl

from schmelz.policy.schema import System
from schmelz.portal.clock import now
from schmelz.portal.policy import factory
from schmelz.portal.projects.figures import usage
from schmelz.portal.projects.models import Project
from schmelz.portal.projects.paces import pacing_of
from schmelz.rules.pacing import months
from schmelz.units import day_start, local_date


@dataclass(frozen=True)
class MonthUsed:
    """One month of the project: budget and use in it; used and planned since the start, by its end or by now."""

    name: str
    begun: bool
    budget: int
    used: int
    used_so_far: int
    planned_so_far: int


@dataclass(frozen=True)
class BurnDown:
    """`used`: (moment, used by then) per day; `budgets`: (moment, allowed from then), empty where nothing is paced."""

    used: tuple[tuple[int, int], ...]
    budgets: tuple[tuple[int, int], ...]
    months: tuple[MonthUsed, ...]


def burn_down(system: System, project: Project) -> BurnDown:
    zone, moment = factory().zone, min(now(), project.end)
    found = months(project.grant_gpu_s, project.start, project.end, zone)
    by_day = _by_day(project, local_date(moment, zone))
    used = _so_far(by_day, project.start, moment)
    whole, budgets, rows = 0, [], []
    for month in found:
        budgets.append((month.start, whole := whole + month.gpu_seconds))
        first, last = local_date(month.start, zone), local_date(month.end - 1, zone)
        rows.append(
            MonthUsed(
                f"{first:%Y-%m}",
                month.start <= moment,
                month.gpu_seconds,
                sum(gpu_s for day, gpu_s in by_day.items() if first <= day <= last),
                sum(gpu_s for day, gpu_s in by_day.items() if day <= last),
                project.grant_gpu_s * (min(month.end, moment) - project.start) // max(1, project.end - project.start),
            )
        )
    paced = pacing_of(system, project) != "whole"
    return BurnDown(tuple(used), tuple(budgets) if paced else (), tuple(rows))


def _by_day(project: Project, last: date) -> dict[date, int]:
    rows = usage(["project", "day"], None, last, held=True).filter(pl.col("project").cast(pl.String) == project.code)
    return {row["day"]: row["gpu_s"] + row["held_gpu_s"] for row in rows.sort("day").to_dicts()}


def _so_far(by_day: dict[date, int], start: int, moment: int) -> list[tuple[int, int]]:
    """Used by the end of each day, from the project's start (or its first use, if that was before) until now."""
    zone = factory().zone
    day, last, whole = local_date(start, zone), local_date(moment, zone), 0
    whole = sum(gpu_s for used_on, gpu_s in by_day.items() if used_on < day)
    found = [(start, whole)]
    while day <= last and start < moment:
        whole += by_day.get(day, 0)
        day += timedelta(days=1)
        found.append((min(day_start(day, zone), moment), whole))
    return found
