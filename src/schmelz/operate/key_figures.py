"""The key figures of a year: projects, applications and how fast they were answered, who uses it, how the machines did.

Medians are the nearest rank. An answer took the working days after the day of the application, up to the day of the decision;
the promise is that of the access mode. Waits are those of jobs that started in the year, from eligible to start.
"""

from collections import Counter
from collections.abc import Sequence

import polars as pl

from schmelz.metering.statement import Column, Statement, Table, Value
from schmelz.operate.annual import BY, units, year_of
from schmelz.policy.schema import Factory, Mode, System
from schmelz.portal.calls.models import Application
from schmelz.portal.calls.states import ApplicationState
from schmelz.portal.clock import now
from schmelz.portal.policy import factory
from schmelz.portal.projects.figures import attributed, split
from schmelz.portal.projects.models import Project
from schmelz.portal.projects.states import ProjectState
from schmelz.rules.clock import working_days_left
from schmelz.rules.texts import english
from schmelz.units import PPM, Period


def key_figures(year: str) -> Statement:
    """The table of a year, so far while it lasts."""
    policy = factory()
    name, period = year_of(policy, year)
    as_of = min(now(), period.end)
    tables = (
        _projects(period),
        _applications(policy, period),
        _users(period, as_of),
        _systems(policy, name, period, as_of),
    )
    facts = (("factory", policy.factory.name), ("year", f"{name}, days of {policy.factory.zone}"))
    return Statement("kpi", f"key-figures-{name}", f"Key figures {name}", as_of, facts, tables)


def _projects(period: Period) -> Table:
    columns = (
        Column("state", "state"),
        Column("projects", "projects", "count"),
        Column("granted_gpu_s", "granted", "gpu"),
    )
    found = Project.objects.filter(start__lt=period.end, end__gt=period.start).values_list("state", "grant_gpu_s")
    numbers, granted = Counter[str](), Counter[str]()
    for state, gpu_s in found:
        numbers[state] += 1
        granted[state] += gpu_s
    rows = [(str(state.label), numbers[state], granted[state]) for state in ProjectState]
    whole = ("all", numbers.total(), granted.total())
    note = "Projects with time in the year, in the state that they have now."
    return Table("projects", "Projects", columns, (*rows, whole), note, sums=True)


def _applications(policy: Factory, period: Period) -> Table:
    columns = (
        Column("mode", "access mode"),
        *(Column(key, key, "count") for key in ("submitted", "awarded", "refused", "withdrawn", "waiting")),
        Column("median_days", "median days", "count"),
        Column("promised_days", "promised", "count"),
        Column("in_time", "in time", "count"),
        Column("late", "late", "count"),
    )
    asked: dict[str, list[Application]] = {}
    for application in Application.objects.filter(submitted__gte=period.start, submitted__lt=period.end):
        asked.setdefault(application.mode, []).append(application)
    rows = tuple(
        _mode(policy, mode, asked.get(mode.id, [])) for mode in policy.modes if mode.state == "open" or mode.id in asked
    )
    return Table("applications", "Applications", columns, rows, "Sent in the year; working days until the decision.")


def _mode(policy: Factory, mode: Mode, asked: Sequence[Application]) -> tuple[Value, ...]:
    S = ApplicationState
    states = Counter(application.state for application in asked)
    answered = [(a, a.decided) for a in asked if a.state in (S.AWARDED, S.REFUSED) and a.decided is not None]
    holidays = policy.factory.holidays
    took = [working_days_left(a.submitted, decided + 1, policy.zone, holidays) for a, decided in answered]
    kept = sum(decided < a.due for a, decided in answered)
    return (
        english(mode.title),
        len(asked),
        *(states[state] for state in (S.AWARDED, S.REFUSED, S.WITHDRAWN)),
        states[S.SUBMITTED] + states[S.PROPOSED],
        median(took),
        mode.answer_in,
        kept,
        len(answered) - kept,
    )


def _users(period: Period, as_of: int) -> Table:
    active = [unit for unit in units(period, as_of) if unit.ours]
    country, category, sme = (list(BY).index(key) for key in ("country", "category", "sme"))

    def organisations(index: int, *values: str) -> int:
        return len({unit.organisation for unit in active if not values or unit.values[index] in values})

    rows = (
        ("projects with jobs in the year", len({unit.project for unit in active})),
        ("organisations with jobs in the year", organisations(country)),
        ("of them small and medium-sized, start-ups included", organisations(sme, "yes")),
        ("of them start-ups", organisations(category, "startup")),
        ("countries", len({unit.values[country] for unit in active})),
    )
    return Table("users", "Who uses it", (Column("what", "what"), Column("number", "number", "count")), rows)


def _systems(policy: Factory, year: str, period: Period, as_of: int) -> Table:
    columns = (
        Column("system", "system"),
        Column("delivered_gpu_s", "delivered", "gpu"),
        Column("used_gpu_s", "used", "gpu"),
        Column("used_of_delivered_ppm", "used of delivered", "ppm"),
        Column("share_error_ppm", "share error", "ppm"),
        Column("runs", "jobs started", "count"),
        Column("median_wait_s", "median wait, s", "count"),
    )
    running = [system for system in policy.systems if system.gpus() and system.cluster.backend != "none"]
    rows = tuple(_system(system, year, Period(period.start, as_of)) for system in running)
    return Table(
        "systems", "The machines", columns, rows, "No share error is defined while a pool asks for less than its share."
    )


def _system(system: System, year: str, span: Period) -> tuple[Value, ...]:
    found, runs = split(system, year, span.end), attributed(system)
    started = runs.filter((pl.col("start") >= span.start) & (pl.col("start") < span.end) & (pl.col("part") == 0))
    waits = started.select((pl.col("start") - pl.col("eligible")).drop_nulls().alias("wait"))["wait"].to_list()
    used = found.supply.used + found.supply.held
    return (
        system.title,
        found.delivered_gpu_s,
        used,
        used * PPM // found.delivered_gpu_s if found.delivered_gpu_s else None,
        found.share_error_ppm,
        started.height,
        median(waits),
    )


def median(values: Sequence[int]) -> int | None:
    """The nearest rank; None of nothing."""
    return sorted(values)[(len(values) - 1) // 2] if values else None
