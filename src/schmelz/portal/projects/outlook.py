"""What is ahead: commercial gauges, whether shares can still be reached, and the whole ledger of a window in one answer.

The gauge is of the calendar year; an award, or a larger grant, of a commercial project that would take it past the
ceiling is refused. Use counts as commercial by what its project was on that day; what a project may still use counts
when it is commercial today, or from a later day that is known. Ended projects claim nothing any more.
"""

from typing import Any

from schmelz.faults import Refused
from schmelz.metering import split as splitting
from schmelz.metering.claims import Claim
from schmelz.metering.coming import coming
from schmelz.metering.feasibility import Feasibility, feasibility
from schmelz.metering.gauge import Gauge, gauge
from schmelz.metering.grants import left
from schmelz.policy.schema import Pool, System
from schmelz.portal.clock import now
from schmelz.portal.policy import factory
from schmelz.portal.projects import figures, idle
from schmelz.portal.projects.attributes import commercial
from schmelz.portal.projects.models import Project
from schmelz.portal.projects.states import ProjectState
from schmelz.units import HOUR, Period, hours, local_date


def claims(system: System, moment: int) -> list[Claim]:
    """What the projects of a system that are not over have left."""
    found = Project.objects.filter(system=system.id, end__gt=moment).exclude(state=ProjectState.ENDED)
    rest = left({project.code: project.grant_gpu_s for project in found}, figures.attributed(system), moment)
    paying = commercial(local_date(moment, factory().zone))
    return [Claim(p.code, p.pool, p.code in paying, rest[p.code], p.start, p.end) for p in found]


def gauges(system: System, moment: int | None = None, at: int | None = None) -> list[Gauge]:
    """The commercial gauges of the calendar year of `moment` (now, or a time to come), of the pools with a ceiling.

    `at`: the present moment, for a page whose figures all stand at the same one.
    """
    return [_gauge(system, pool, moment, at) for pool in system.pools if pool.commercial_ceiling_percent is not None]


def _gauge(system: System, pool: Pool, moment: int | None, present: int | None = None) -> Gauge:
    policy, at = factory(), now() if present is None else present
    name, year = splitting.window(policy, system.id, "year", max(at, moment or at))
    rest = Period(max(at, year.start), year.end)
    came = figures.split(system, name, at).delivered_gpu_s if year.start <= at else 0
    first, today = (local_date(moment, policy.zone) for moment in (year.start, rest.start))
    used = figures.commercial_use(system, pool.id, first, today)
    projected = came + coming(system, policy.zone, rest).total
    return gauge(system, pool, name, projected, used, claims(system, at), rest)


def over_ceiling(system: System, pool_id: str, gpu_s: int, start: int) -> str | None:
    """Why so much more commercial use, beginning at `start`, would pass the ceiling of the pool; None when it does not."""
    pool = system.pool(pool_id)
    if pool.commercial_ceiling_percent is None or gpu_s <= 0:
        return None
    found = _gauge(system, pool, start)
    if found.gauge_gpu_s + gpu_s <= found.ceiling_gpu_s:
        return None
    return (
        f"{hours(gpu_s)} GPU-hours more would pass the ceiling of commercial use of {pool.title} on {system.title}: "
        f"{pool.commercial_ceiling_percent} % of its share of {found.year} are {hours(found.ceiling_gpu_s)} GPU-hours, "
        f"of which {hours(found.gauge_gpu_s)} are used or awarded."
    )


def check_ceiling(system: System, pool_id: str, gpu_s: int, start: int) -> None:
    """Raise Refused when so much more commercial use would pass the ceiling of the pool."""
    because = over_ceiling(system, pool_id, gpu_s, start)
    if because is not None:
        room = _gauge(system, system.pool(pool_id), start).room_gpu_s // HOUR
        raise Refused(because, f"Award at most {room} GPU-hours, or let it begin in the next year.")


def outlook(system: System, window: str | None = None, as_of: int | None = None) -> list[Feasibility]:
    """Whether each pool can still reach its share in a window that is not over; nothing for one that is."""
    policy, found = factory(), figures.split(system, window, as_of)
    _, period = splitting.window(policy, system.id, window, found.as_of)
    if found.as_of >= period.end:
        return []
    return list(feasibility(system, policy.zone, found, period.end, claims(system, found.as_of)))


def ledger(system: System, window: str | None = None, as_of: int | None = None) -> dict[str, Any]:
    """The split of a window as plain data, with the avoidable idle, the gauges of the year and the outlook."""
    found = figures.split(system, window, as_of)
    return found.as_dict() | {
        "avoidable_idle_gpu_s": idle.count(system, found).gpu_s,
        "gauges": [one.as_dict() for one in gauges(system)],
        "feasibility": [one.as_dict() for one in outlook(system, window, as_of)],
    }
