"""The call planner of a system: each pool's plan, with the access modes that feed it and the last day to call.

The *last day to call* is so many working days before the pool's projects run dry as the slowest open access mode promises
an answer in; a day that is gone already means: now.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from schmelz.metering.coming import coming
from schmelz.metering.planner import YEAR, CallPlan, Scene, plan
from schmelz.metering.statement import Column, Statement, Table, Value
from schmelz.metering.windows import shared
from schmelz.policy.schema import Mode, Pool, System
from schmelz.portal.clock import now
from schmelz.portal.policy import factory
from schmelz.portal.projects import figures, outlook
from schmelz.rules.clock import is_working_day
from schmelz.units import HOUR, Period, hours, iso, local_date


@dataclass(frozen=True)
class Advice:
    """One pool's plan; `call_by` is the last day to call (None: nothing to call for within a year)."""

    pool: Pool
    plan: CallPlan
    modes: tuple[Mode, ...]
    call_by: date | None
    late: bool

    def as_dict(self) -> dict[str, Any]:
        return {
            **self.plan.as_dict(),
            "call_by": None if self.call_by is None else self.call_by.isoformat(),
            "late": self.late,
            "modes": [
                {"mode": mode.id, "state": mode.state, "answer_in_working_days": mode.answer_in} for mode in self.modes
            ],
        }


def advice(system: System) -> tuple[Advice, ...]:
    """The plans of all pools, as of now."""
    policy, moment = factory(), now()
    found, window = figures.split(system), shared(policy, system.id, moment)
    scene = Scene(
        moment,
        window.end,
        coming(system, policy.zone, Period(moment, moment + YEAR)),
        system.weight_sum,
        max(0, 100 - system.sharing.floor_percent * (len(system.pools) - 1)),
        sum(pool.deficit_gpu_s for pool in found.pools),
    )
    rest, ahead = outlook.claims(system, moment), {one.pool: one for one in outlook.outlook(system)}
    deficits = {pool.pool: pool.deficit_gpu_s for pool in found.pools}
    return tuple(
        _advice(system, pool, plan(scene, pool.id, pool.weight, deficits[pool.id], rest, ahead.get(pool.id)))
        for pool in system.pools
    )


def _advice(system: System, pool: Pool, found: CallPlan) -> Advice:
    policy = factory()
    modes = tuple(
        mode for mode in policy.modes if mode.pool == pool.id and system.id in mode.systems and mode.state == "open"
    )
    today = local_date(now(), policy.zone)
    if found.runs_dry is None:
        return Advice(pool, found, modes, None, late=False)
    days = max((mode.answer_in or 0 for mode in modes), default=0)
    by = before(local_date(found.runs_dry, policy.zone), days, policy.factory.holidays)
    return Advice(pool, found, modes, max(by, today), late=by < today)


def before(day: date, working_days: int, holidays: Collection[date]) -> date:
    """The day so many working days earlier."""
    while working_days > 0:
        day -= timedelta(days=1)
        working_days -= is_working_day(day, holidays)
    return day


def as_dict(system: System, found: Sequence[Advice]) -> dict[str, Any]:
    """Everything as plain data."""
    return {"system": system.id, "as_of": iso(now()), "pools": [one.as_dict() for one in found]}


def sentence(one: Advice) -> str:
    """What to do, in a sentence."""
    amount = f"{hours(one.plan.call_for_gpu_hours * HOUR)} GPU-hours"
    if not one.plan.call_for_gpu_hours:
        later = "" if one.call_by is None else f"; call by {_said(one.call_by)} for what comes after"
        return f"nothing to call for in the next 90 days{later}"
    return f"call for {amount} {'now' if one.call_by is None or one.late else f'by {_said(one.call_by)}'}"


def _said(day: date) -> str:
    return f"{day:%a} {day.day} {day:%b %Y}"


def statement(system: System, found: Sequence[Advice]) -> Statement:
    """The plan as a document."""
    zone = factory().zone
    columns = (
        Column("pool", "pool"),
        Column("need_gpu_s", "its share gives", "gpu"),
        Column("expected_gpu_s", "projects will use", "gpu"),
        Column("call_gpu_s", "to call for", "gpu"),
        Column("dry", "projects run dry", "day"),
        Column("by", "call by", "day"),
    )
    rows: list[tuple[Value, ...]] = [
        (
            one.pool.title,
            one.plan.need_gpu_s,
            one.plan.expected_gpu_s,
            one.plan.call_for_gpu_hours * HOUR,
            None if one.plan.runs_dry is None else local_date(one.plan.runs_dry, zone),
            one.call_by,
        )
        for one in found
    ]
    note = "Share: with what the pool is behind the others, if it can be caught up. Projects use what they have left evenly."
    facts = (("machine", system.title), *((one.pool.title, sentence(one)) for one in found))
    tables = (Table("plan", "The next 90 days", columns, tuple(rows), note), _window(found), *map(_months, found))
    return Statement("call-plan", f"call-plan-{system.id}", f"Call planner of {system.title}", now(), facts, tables)


def _window(found: Sequence[Advice]) -> Table:
    columns = (
        Column("pool", "pool"),
        Column("unused_gpu_s", "left of the share", "gpu"),
        Column("claimed_gpu_s", "projects may use", "gpu"),
        Column("call_gpu_s", "not promised", "gpu"),
        Column("from", "out of reach from, unused", "text"),
        Column("alarm", "alarm"),
    )
    rows = tuple(
        (
            one.pool.title,
            one.plan.window.unused_gpu_s,
            one.plan.window.claimed_gpu_s,
            one.plan.window.call_for_gpu_hours * HOUR,
            (one.plan.window.unreachable_from or "never")[:10],
            one.plan.window.alarm,
        )
        for one in found
        if one.plan.window
    )
    return Table(
        "window", "The present window", columns, rows, "By the definition of feasibility; up to the window's end."
    )


def _months(one: Advice) -> Table:
    zone = factory().zone
    columns = (
        Column("from", "thirty days from", "day"),
        Column("expected_gpu_s", "projects will use", "gpu"),
        Column("share_gpu_s", "share", "gpu"),
    )
    rows = tuple((local_date(m.start, zone), m.expected_gpu_s, m.share_gpu_s) for m in one.plan.months)
    return Table(f"months-{one.pool.id}", f"{one.pool.title}: the year to come", columns, rows)
