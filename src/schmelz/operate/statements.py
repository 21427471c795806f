"""The statement of a project and a month: what it used day by day, what is left and what can still be reached.

Everything is as of the end of the month, or of now while the month lasts; charged use includes held GPUs where whole
nodes are charged. Members stand under pseudonyms of this project, jobs have no names. The *even plan* spreads the grant
over the project's seconds; *allowed* is what its pacing let it have used by the end of that day.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

import polars as pl

from schmelz.faults import BadInput
from schmelz.metering import usage as using
from schmelz.metering.as_of import as_it_was
from schmelz.metering.pieces import pieces
from schmelz.metering.statement import Column, Statement, Table, Value, moment, total
from schmelz.metering.usage import Balance
from schmelz.metering.windows import window
from schmelz.operate.hand_out import closed_directory, without_users
from schmelz.policy.schema import Factory, System
from schmelz.portal.clock import now
from schmelz.portal.ledger.queries import closings
from schmelz.portal.people.models import Person
from schmelz.portal.policy import factory
from schmelz.portal.projects import figures
from schmelz.portal.projects.attributes import on_day
from schmelz.portal.projects.models import Project
from schmelz.portal.projects.paces import gpus_of, pacing_of
from schmelz.portal.projects.queries import by_code, grant_at, relations
from schmelz.portal.usage.queries import read_until
from schmelz.proof.closing import CORRECTIONS, read_totals
from schmelz.rules.pacing import limit, month_of, months, reachable
from schmelz.rules.permissions import Permission, require
from schmelz.rules.texts import english
from schmelz.units import Period, days, local_date

USED = (Column("runs", "jobs started", "count"), Column("used_gpu_s", "used", "gpu"))
HELD = (Column("held_gpu_s", "held", "gpu"), Column("charged_gpu_s", "charged", "gpu"))


def of_project(person: Person | None, code: str, month: str) -> Statement:
    """The statement, for those who may read the project; nobody in particular is whoever owns the data directory."""
    project = by_code(code)
    if person is not None:
        require(Permission.PROJECT_READ, relations(factory(), person, project), person.name)
    return project_statement(project, month)


def project_statement(project: Project, month: str) -> Statement:
    """The statement of a project. Raises BadInput for what is no month, or one that has not begun."""
    sheet = _Sheet(project, month)
    return Statement(
        "project",
        f"statement-{project.code}-{sheet.name}",
        f"Statement of {project.code}, {sheet.name}",
        sheet.as_of,
        tuple(sheet.facts()),
        (sheet.balance_table(), sheet.plan(), sheet.by_day(), sheet.by_member(), sheet.corrections()),
    )


@dataclass(frozen=True)
class _Sheet:
    """A project in a month, and the figures that its tables share."""

    project: Project
    month: str

    @cached_property
    def policy(self) -> Factory:
        return factory()

    @cached_property
    def system(self) -> System:
        return self.policy.system(self.project.system)

    @cached_property
    def window(self) -> tuple[str, Period]:
        name, period = window(self.policy, self.system.id, self.month, now())
        if len(name) != len("2026-10") or "Q" in name:
            raise BadInput(f"month: {self.month!r} is none; write for example 2026-10")
        return name, period

    @property
    def name(self) -> str:
        return self.window[0]

    @cached_property
    def as_of(self) -> int:
        return min(now(), self.window[1].end)

    @cached_property
    def grant(self) -> int:
        return grant_at(self.project, self.as_of)

    @cached_property
    def runs(self) -> pl.DataFrame:
        mine = figures.attributed().filter(pl.col("project") == self.project.code)
        return as_it_was(mine, self.as_of)

    @cached_property
    def balance(self) -> Balance:
        return using.balance(self.grant, self.runs, self.as_of)

    @cached_property
    def use(self) -> pl.DataFrame:
        """Charged use per day and member (under `account`), up to the end of the month."""
        member = pl.when(pl.col("user") == "").then(pl.lit("none")).otherwise(pl.col("user")).fill_null("none")
        runs = without_users(self.runs).with_columns(account=member)
        cut = pieces(runs, self.policy.zone, self.as_of)
        return cut.with_columns((pl.col("gpu_s") + pl.col("held_gpu_s")).alias("charged"))

    @cached_property
    def first(self) -> date:
        return local_date(self.window[1].start, self.policy.zone)

    @cached_property
    def before(self) -> int:
        """Charged before the month."""
        return int(self.use.filter(pl.col("day") < self.first)["charged"].sum())

    @cached_property
    def used(self) -> int:
        return self.balance.settled + self.balance.running

    # -- what stands on it

    def facts(self) -> Iterator[tuple[str, str]]:
        project, zone = self.project, self.policy.zone
        known = on_day(project, local_date(self.as_of - 1, zone))
        category = next((english(c.title) for c in self.policy.categories if c.id == known.category), known.category)
        yield "project", f"{project.code}, {project.title}"
        yield "organisation", f"{known.organisation} ({known.country}), {category}"
        yield "machine and pool", f"{self.system.title}, {self.system.pool(project.pool).title}"
        yield "time", f"{local_date(project.start, zone)} to {local_date(project.end - 1, zone)}"
        yield "month", f"{self.name}, days of {self.policy.factory.zone}"
        yield "pacing of the grant", pacing_of(self.system, project)

    def balance_table(self) -> Table:
        read = read_until(self.system.id, self.as_of)
        columns = (Column("what", "what"), Column("gpu_s", "GPU-time", "gpu"), Column("as_of", "as of", "moment"))
        rows: list[tuple[Value, ...]] = [
            (what, getattr(self.balance, what), read) for what in ("settled", "running", "committed")
        ]
        rows += [("left", self.balance.left, read), ("granted", self.grant, self.as_of)]
        note = "Settled, running, committed and left add up to the grant; each as of the newest job records."
        return Table("balance", "What is left", columns, tuple(rows), note, sums=True)

    def plan(self) -> Table:
        facts, zone = (self.grant, self.project.start, self.project.end), self.policy.zone
        month = month_of(months(*facts, zone), self.as_of - 1)
        rows: tuple[tuple[Value, ...], ...] = (
            ("used by now", self.used),
            ("by an even plan", self.even(self.as_of)),
            ("allowed by the pacing", self.allowed(self.as_of - 1)),
            ("used in this month", self.used - self.before),
            ("budget of this month", month.gpu_seconds if month else 0),
            ("still reachable before the end", self.reachable()),
        )
        note = (
            "Reachable: the least of what is not used, the remaining months' budgets, and all GPUs of the machine until the end. "
            f"Until then: {moment(self.project.end, zone)}."
        )
        return Table(
            "plan", "Against the plan", (Column("what", "what"), Column("gpu_s", "GPU-time", "gpu")), rows, note
        )

    def even(self, instant: int) -> int:
        project = self.project
        passed = min(max(0, instant - project.start), project.end - project.start)
        return self.grant * passed // max(1, project.end - project.start)

    def allowed(self, instant: int) -> int:
        project, kind = self.project, pacing_of(self.system, self.project)
        if instant < project.start:
            return 0
        return limit(kind, self.grant, project.start, project.end, instant, self.before, self.policy.zone)

    def reachable(self) -> int:
        project, kind = self.project, pacing_of(self.system, self.project)
        facts = (self.grant, project.start, project.end)
        by_pace = reachable(kind, *facts, self.as_of - 1, self.used, self.before, self.policy.zone)
        return min(by_pace, gpus_of(self.system, project) * max(0, project.end - max(self.as_of, project.start)))

    def by_day(self) -> Table:
        so_far = (("since_start_gpu_s", "since the start"), ("even_gpu_s", "even plan"), ("allowed_gpu_s", "allowed"))
        columns = (Column("day", "day", "day"), *self._used_columns(), *(Column(k, t, "gpu") for k, t in so_far))
        sums = self._sums("day")
        rows: list[tuple[Value, ...]] = []
        whole = self.before
        for day, span in days(Period(self.window[1].start, self.as_of), self.policy.zone):
            figures = sums.get(day, (0, 0, 0, 0))
            whole += figures[-1]
            rows.append((day, *figures[: len(columns) - 4], whole, self.even(span.end), self.allowed(span.end - 1)))
        summed = (*total(rows, columns)[: len(columns) - 3], None, None, None)
        return Table("days", "Use by day", columns, (*rows, summed), "GPU-time of jobs on that day.", sums=True)

    def by_member(self) -> Table:
        columns = (Column("member", "member"), *self._used_columns())
        in_month = self._sums("account", self.first)
        rows: list[tuple[Value, ...]] = [
            (str(member), *found[: len(columns) - 1]) for member, found in in_month.items()
        ]
        note = "Under pseudonyms that hold in this project only; the same as in exports."
        return Table("members", "Use by member", columns, (*rows, total(rows, columns)), note, sums=True)

    def corrections(self) -> Table:
        """Changes of months that were closed already, as they were booked when this month was closed."""
        columns = (
            Column("of", "of the month"),
            Column("day", "day", "day"),
            Column("site", "site"),
            *self._used_columns(),
        )
        note = "Changes of earlier, closed months that were booked when this one was closed."
        if not any(row.month == self.name for row in closings()):
            return Table("corrections", "Corrections of earlier months", columns, (), "The month is not closed yet.")
        booked = read_totals(closed_directory() / self.name, CORRECTIONS).filter(pl.col("project") == self.project.code)
        figures = [pl.col("runs"), pl.col("gpu_s"), pl.col("held_gpu_s"), pl.col("gpu_s") + pl.col("held_gpu_s")]
        shown = [expr.alias(str(i)) for i, expr in enumerate(figures[: len(self._used_columns())])]
        rows = booked.select("closed_month", "day", "site", *shown).rows()
        return Table("corrections", "Corrections of earlier months", columns, tuple(rows), note)

    @property
    def _held(self) -> bool:
        return self.system.charge == "node"

    def _used_columns(self) -> tuple[Column, ...]:
        return (*USED, *HELD) if self._held else USED

    def _sums(self, key: str, first: date | None = None) -> dict[Any, tuple[int, ...]]:
        """Jobs started, used, held and charged by day or member."""
        chosen = self.use if first is None else self.use.filter(pl.col("day") >= first)
        sums = chosen.group_by(key).agg(pl.col("started", "gpu_s", "held_gpu_s", "charged").sum()).sort(key)
        return {row[0]: row[1:] for row in sums.iter_rows()}
