"""The figures of use: usage by pool, project, site and day; the split of a window; a project's balance.

Everything is recomputed from the job records that the manifest names; only the last answer for the same facts is kept
(same record files, same projects, same outages, same second), so that the parts of one page agree with each other.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from functools import lru_cache

import polars as pl

from schmelz.metering import split as splitting, store, sums, usage as using
from schmelz.metering.attribute import attribute, with_pools
from schmelz.metering.carry import carried, window_before
from schmelz.metering.grants import left
from schmelz.metering.split import Split
from schmelz.metering.supply import Outage
from schmelz.metering.usage import Balance, used_by_project
from schmelz.policy.schema import System
from schmelz.portal.clock import now
from schmelz.portal.policy import factory, version
from schmelz.portal.projects.attributes import rows as attributes
from schmelz.portal.projects.models import Project
from schmelz.portal.usage.queries import manifest, outages, records_directory, runs
from schmelz.units import Period, iso

Projects = tuple[tuple[str, str, int], ...]


def _projects() -> Projects:
    return tuple(Project.objects.values_list("code", "pool", "grant_gpu_s"))


def attributed(system: System | None = None) -> pl.DataFrame:
    """All runs with their project, pool and site; of one system, or of all."""
    frame = _attributed(version(), tuple(sorted(manifest().items())), _projects())
    return frame if system is None else frame.filter(pl.col("system") == system.id)


@lru_cache(maxsize=2)
def _attributed(_version: str, _files: tuple[tuple[str, str], ...], projects: Projects) -> pl.DataFrame:
    return attribute(runs(), factory(), {code: pool for code, pool, _ in projects})


def usage(
    by: Sequence[str], first: date | None = None, last: date | None = None, *, held: bool = False
) -> pl.DataFrame:
    """GPU-seconds and started runs by the keys asked for, of the days first..last (both included)."""
    found = _sums(version(), tuple(sorted(manifest().items())), _projects())
    known = () if set(by).isdisjoint(using.ATTRIBUTES) else attributes()
    return using.usage(found, list(by), first, last, attributes=known, held=held)


def commercial_use(system: System, pool: str, first: date, last: date) -> int:
    """What a pool's projects used on the days on which they counted as commercial, held GPUs included."""
    rows = usage(["system", "pool", "commercial"], first, last, held=True)
    mine = rows.filter(
        pl.col("system") == system.id, pl.col("pool") == pool, pl.col("commercial").cast(pl.String) == "yes"
    )
    return int(mine.select(pl.col("gpu_s", "held_gpu_s").sum()).sum_horizontal().item())


@lru_cache(maxsize=2)
def _sums(_version: str, files: tuple[tuple[str, str], ...], projects: Projects) -> pl.DataFrame:
    """The sums of all runs, with the pool and the project that each account was."""
    found = sums.load(records_directory(), dict(files), factory())
    return with_pools(found, factory(), {code: pool for code, pool, _ in projects})


def split(system: System, window: str | None = None, as_of: int | None = None) -> Split:
    """The split of a window so far; of one that is over, as it was at its end. Raises BadInput for what is no window."""
    moment = now() if as_of is None else as_of
    moment = min(moment, splitting.window(factory(), system.id, window, moment)[1].end)
    return _split(
        version(), system.id, window, moment, tuple(sorted(manifest().items())), _projects(), tuple(outages(system.id))
    )


@lru_cache(maxsize=8)
def _split(
    _version: str,
    system: str,
    window: str | None,
    as_of: int,
    files: tuple[tuple[str, str], ...],
    projects: Projects,
    away: tuple[Outage, ...],
) -> Split:
    policy = factory()
    _, period = splitting.window(policy, system, window, as_of)
    frame = _attributed(_version, files, projects).filter(pl.col("system") == system)
    return splitting.split(
        policy,
        system,
        frame,
        away,
        period,
        as_of,
        grants_left=left({code: grant for code, _, grant in projects}, frame, as_of),
        carry=_carry(system, period, files, projects, away),
    )


def _carry(
    system: str, period: Period, files: tuple[tuple[str, str], ...], projects: Projects, away: tuple[Outage, ...]
) -> dict[str, int]:
    """What the window before leaves to this one, from the records of jobs that were sent by its end."""
    before = window_before(factory(), system, period)
    if before is None:
        return {}
    old = tuple(file for file in files if file[0] <= iso(before.end)[:7])
    pools = tuple((code, pool) for code, pool, _ in projects)
    return _carried(version(), system, period, old, pools, tuple(one for one in away if one.start < before.end))


@lru_cache(maxsize=8)
def _carried(
    _version: str,
    system: str,
    period: Period,
    files: tuple[tuple[str, str], ...],
    pools: tuple[tuple[str, str], ...],
    away: tuple[Outage, ...],
) -> dict[str, int]:
    frame = attribute(store.load(records_directory(), dict(files)), factory(), dict(pools))
    return carried(factory(), system, frame, away, period)


def balance(project: Project) -> Balance:
    """Settled, running, committed and left of one project, as of now."""
    frame = attributed().filter(pl.col("project") == project.code)
    return using.balance(project.grant_gpu_s, frame, now())


def used_before(moments: Mapping[str, int]) -> dict[str, int]:
    """What each of these projects had used by its own moment, in GPU-seconds, held GPUs included."""
    cuts = pl.DataFrame({"project": list(moments), "cut": list(moments.values())})
    runs = attributed().with_columns(pl.col("project").cast(pl.String)).join(cuts, on="project")
    return used_by_project(runs, pl.col("cut"))
