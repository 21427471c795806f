"""The present of a system as the twin's start: ledger, projects, jobs, and what the factory's own past jobs were like.

Every assumption stands in a sentence beside the forecast. Sizes are as they are charged: whole nodes where nodes are.
Grants that are not used yet are taken to be used evenly until their projects end; with `renew` new awards follow, so that
every pool goes on to use in each month what it used on average of the past year.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from schmelz.cluster.model import ClusterError, Job
from schmelz.faults import BadInput, Refused
from schmelz.metering import windows
from schmelz.metering.claims import Claim
from schmelz.metering.split import Split
from schmelz.operate.changes import AS_IS, Change, announced, sites
from schmelz.operate.cluster import backend
from schmelz.policy.schema import System
from schmelz.portal.clock import now
from schmelz.portal.policy import factory
from schmelz.portal.projects import figures
from schmelz.portal.projects.models import Project
from schmelz.portal.projects.outlook import claims
from schmelz.twin.forecast import Future, Grant, Mix, Present, usual
from schmelz.twin.sharing import Away, Sharing
from schmelz.units import DAY, Period

FEW, SOON, YEAR, MONTH = 30, 30 * DAY, 365 * DAY, 30 * DAY
MOST_PAST, FAR = 20_000, 4 * 366 * DAY


@dataclass(frozen=True)
class Built:
    """A future, the names of its present jobs in their order, its claims, and what was assumed."""

    future: Future
    window: str
    split: Split
    jobs: tuple[str, ...]
    claims: tuple[Claim, ...]
    said: tuple[str, ...]


@dataclass(frozen=True)
class Ask:
    """What the forecast is about: awards that are not made yet, a change of the machine, which window, new awards or not."""

    awards: tuple[tuple[Claim, tuple[str, ...]], ...] = ()
    change: Change = AS_IS
    window: str | None = None
    renew: bool = False


def build(system: System, ask: Ask) -> Built:
    """The future of a system as it is now, with what is asked about. Raises BadInput for a window that is over."""
    moment, policy = now(), factory()
    name, window = _window(system, ask, moment)
    found, shared = figures.split(system), windows.shared(policy, system.id, moment)
    where = sites(system, ask.change.nodes)
    jobs, live = present_jobs(system)
    rest = claims(system, moment)
    past = _past(system, moment)
    mixes, about = _mixes(system, past)
    present = tuple(_present(system, job, pool, moment) for job, pool in jobs)
    grants = tuple(_grants(system, rest, present_use(jobs, moment))) + tuple(_of_awards(system, ask))
    renewed = tuple(_renewed(system, past, grants, moment, window.end)) if ask.renew else ()
    delivered, used = _so_far(system, name, window, moment)
    future = Future(
        tuple(pool.id for pool in system.pools),
        Sharing(
            tuple(pool.weight for pool in system.pools),
            where,
            system.sharing.floor_percent if ask.change.floor is None else ask.change.floor,
            system.sharing.dead_band_ppm,
            shared.seconds,
            tuple(_resets(system, shared, window.end)),
            (found.delivered_gpu_s, tuple(pool.used_gpu_s - pool.carry_gpu_s for pool in found.pools)),
            away=_away(system, ask.change, where),
        ),
        moment,
        window,
        present,
        grants + renewed,
        mixes,
        delivered,
        used,
    )
    said = (*about, *_said(rest, live, ask, renewed, past))
    return Built(future, name, found, tuple(job.job for job, _ in jobs), tuple(rest), said)


def _window(system: System, ask: Ask, moment: int) -> tuple[str, Period]:
    """The window whose end is told: of the name; else of the first outage; else this one, or the next if it ends soon."""
    policy = factory()
    if ask.window is not None:
        name, period = windows.window(
            policy, system.id, ask.window, moment + FAR if ask.window[:2].isdigit() else moment
        )
        if period.end <= moment:
            raise BadInput(f"window: {name} is over; a forecast needs one that ends in the future")
        return name, period
    at = min((one.start for one in ask.change.outages), default=moment)
    period = windows.shared(policy, system.id, max(at, moment))
    if period.end - moment < SOON:
        period = windows.shared(policy, system.id, period.end)
    return windows.name_of(period, policy.zone), period


def _resets(system: System, shared: Period, end: int) -> Iterator[int]:
    """When the ledger begins anew before `end`."""
    while shared.end < end:
        yield shared.end
        shared = windows.shared(factory(), system.id, shared.end)


def _so_far(system: System, name: str, window: Period, moment: int) -> tuple[int, tuple[int, ...]]:
    if window.start > moment:
        return 0, tuple(0 for _ in system.pools)
    found = figures.split(system, name)
    return found.delivered_gpu_s, tuple(pool.used_gpu_s for pool in found.pools)


def _away(system: System, change: Change, where: Sequence[tuple[str, int]]) -> tuple[Away, ...]:
    """Maintenance and outages; where a whole site is away, so are the nodes that it would have more."""
    there = dict(where)
    whole = {site: system.gpus(site) for site in there}
    found = (*announced(system), *change.outages)
    return tuple(
        Away(one.site, there[one.site] if one.gpus >= whole[one.site] else min(one.gpus, there[one.site]),
             one.start, one.end, one.announced)
        for one in found
    )  # fmt: skip


# -- jobs of now


def present_jobs(system: System) -> tuple[list[tuple[Job, str]], bool]:
    """The jobs that run or wait, with their pools, running ones first; False where the cluster did not answer."""
    known = dict(Project.objects.filter(system=system.id).values_list("code", "pool"))
    try:
        live = [job for job in backend(system).jobs() if job.state in ("PENDING", "RUNNING") and job.gpus > 0]
    except (ClusterError, Refused, BadInput):
        return [], False
    mine = [(job, known[job.account]) for job in live if job.account in known]
    return sorted(mine, key=lambda pair: (pair[0].state == "PENDING", pair[0].submitted)), True


def _charged(system: System, job: Job) -> int:
    return max(job.gpus, job.nodes * system.gpus_per_node) if system.charge == "node" else job.gpus


def _present(system: System, job: Job, pool: str, moment: int) -> Present:
    waits = job.state == "PENDING"
    elapsed = 0 if waits or job.started is None else max(0, moment - job.started)
    size = _charged(system, job)
    return Present(
        pool,
        size,
        max(1, job.limit),
        min(elapsed, max(0, job.limit - 1)),
        bits(system, (job.site,) if job.site else ()),
        waits,
    )


def bits(system: System, names: Sequence[str]) -> int:
    """Sites as bits, in the order of the file; 0 for all."""
    return sum(1 << place for place, name in enumerate(system.nodes) if name in names)


def present_use(jobs: Sequence[tuple[Job, str]], moment: int) -> dict[str, int]:
    """What the jobs of now may still take of their projects' grants."""
    taken: dict[str, int] = {}
    for job, _ in jobs:
        left = job.limit - (moment - job.started if job.started else 0)
        taken[job.account] = taken.get(job.account, 0) + job.gpus * max(0, left)
    return taken


# -- grants


def _grants(system: System, rest: Sequence[Claim], taken: Mapping[str, int]) -> Iterator[Grant]:
    where = dict(Project.objects.filter(system=system.id, suspended=False).values_list("code", "sites"))
    for claim in rest:
        if claim.project in where:
            left = claim.left_gpu_s - taken.get(claim.project, 0)
            site = bits(system, where[claim.project].split(","))
            yield Grant(claim.project, claim.pool, max(0, left), claim.start, claim.end, site)


def _of_awards(system: System, ask: Ask) -> Iterator[Grant]:
    for claim, where in ask.awards:
        yield Grant(claim.project, claim.pool, claim.left_gpu_s, claim.start, claim.end, bits(system, where))


def _renewed(system: System, past: pl.DataFrame, grants: Sequence[Grant], moment: int, end: int) -> Iterator[Grant]:
    """What is missing, month by month, to what the pool used on average; nothing where there is no past."""
    if past.is_empty():
        return
    span = max(DAY, moment - max(moment - YEAR, int(past["start"].min())))  # type: ignore[arg-type]
    used = dict(past.group_by("pool").agg((pl.col("size") * pl.col("run")).sum()).iter_rows())
    for pool in system.pools:
        for number, begin in enumerate(range(moment, end, MONTH)):
            part = Period(begin, min(begin + MONTH, end))
            there = sum(_within(grant, part, moment) for grant in grants if grant.pool == pool.id)
            missing = used.get(pool.id, 0) * part.seconds // span - there
            if missing > 0:
                yield Grant(f"to come: {pool.id} {number}", pool.id, missing, part.start, part.end)


def _within(grant: Grant, part: Period, moment: int) -> int:
    """What of a grant is used in the span when all of it is used evenly."""
    begin = max(grant.start, moment)
    both = min(part.end, grant.end) - max(part.start, begin)
    return grant.gpu_s * max(0, both) // max(1, grant.end - begin)


# -- the past


def _past(system: System, moment: int) -> pl.DataFrame:
    """Pool, size, run and limit of the jobs that started in the past year and have ended; the newest ones."""
    ended = figures.attributed(system).filter(
        (pl.col("start") >= moment - YEAR) & pl.col("end").is_not_null() & (pl.col("held_s") > 0) & (pl.col("gpus") > 0)
    )
    chosen = ended.filter(pl.col("pool").cast(pl.String).is_in([pool.id for pool in system.pools]))
    return chosen.select(
        "start",
        pl.col("pool").cast(pl.String),
        size=pl.col("gpus") + pl.col("held_gpus"),
        run="held_s",
        limit=pl.max_horizontal(pl.col("limit_s").fill_null(0), "held_s"),
    )


def _mixes(system: System, past: pl.DataFrame) -> tuple[dict[str, Mix], list[str]]:
    """What each pool's jobs are like, and in words where that is taken from."""
    mixes, said = {}, []
    for pool in system.pools:
        own = past.filter(pl.col("pool") == pool.id)
        if own.height >= FEW:
            mixes[pool.id] = _mix(own)
            said.append(f"jobs of {pool.title}: as its {own.height} jobs of the past year")
        elif past.height >= FEW:
            mixes[pool.id] = _mix(past)
            said.append(
                f"jobs of {pool.title}: as all {past.height} jobs of the past year, for it has only {own.height} of its own"
            )
        else:
            mixes[pool.id] = usual(system.gpus(), max(1, system.gpus_per_node) if system.charge == "node" else 1)
            said.append(f"jobs of {pool.title}: made up, for only {past.height} jobs of the past year are known")
    return mixes, said


def _mix(past: pl.DataFrame) -> Mix:
    newest = past.sort("start").tail(MOST_PAST)
    size, run, limit = (newest[name].to_numpy().astype(np.int64) for name in ("size", "run", "limit"))
    return Mix(size, run, limit)


def _said(rest: Sequence[Claim], live: bool, ask: Ask, renewed: Sequence[Grant], past: pl.DataFrame) -> Iterator[str]:
    yield f"{len(rest)} projects use what they have left evenly until they end; every job starts as the deficit rule says"
    if not live:
        yield "jobs that run or wait now are not in it: the cluster did not answer"
    if renewed:
        yield "new awards follow, so that each pool uses in every month what it used on average of the past year"
    elif ask.renew:
        yield (
            "no new awards follow, for there is no past to take them from"
            if past.is_empty()
            else "no new awards are needed"
        )
    else:
        yield "applications that are not named here, and awards to come, are left out"
    yield "no job is pre-empted; nodes that are down today are taken to be back"
