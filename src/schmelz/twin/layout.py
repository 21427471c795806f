"""The machine and its rule for the twin, as a small TOML file: sites, partitions, weights, outages, budgets.

Every key may be left out; `docs/twin.md` shows one with all of them. Times are those of the trace, in seconds. Names of
jobs are looked up in all columns of names of the trace, the owner's (budgets) in the first one. A job of a partition runs
at its sites only; of several partitions that its names are in, the first of the file decides; of none: anywhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, ValidationError

from schmelz.faults import BadInput
from schmelz.policy.checks import dotted
from schmelz.policy.fields import Count, Flag, Line, Percent, Positive, PositiveSpan, Span, Table
from schmelz.policy.load import LARGEST_FILE, parse_as
from schmelz.policy.schema import System
from schmelz.policy.words import spoken
from schmelz.twin.records import by_name
from schmelz.twin.sharing import Away, Budgets, Sharing
from schmelz.twin.workload import Bools, Small, Workload
from schmelz.units import DAY

WINDOWS = {"year": 365 * DAY, "quarter": 91 * DAY, "month": 30 * DAY}
MONTH = 30 * DAY


class Outage(Table):
    """GPUs of a site that are away; announced: a maintenance window, kept clear when it takes the whole site."""

    site: Line
    gpus: Positive
    start: Count
    end: Count
    announced: Flag = False


class Budget(Table):
    """GPU-seconds that an owner may use, in all or in each 30 days; `carry-over`: what a month leaves is kept."""

    owner: Line
    gpu_s: Count
    pacing: Literal["whole", "monthly", "carry-over"] = "whole"


class Layout(Table):
    """The keys of the file."""

    sites: dict[str, Positive] = {}
    weights: dict[str, Positive] = {}
    partitions: dict[str, Annotated[tuple[Line, ...], Field(min_length=1)]] = {}
    floor_percent: Percent = 25
    dead_band_ppm: Count = 1000
    window: Literal["year", "quarter", "month"] = "year"
    half_life: PositiveSpan = 7 * DAY
    lend: Flag = True
    minimum_run: Span | None = None
    marked: Literal["over-share"] | tuple[Line, ...] = ()
    outages: tuple[Outage, ...] = ()
    budgets: tuple[Budget, ...] = ()


def load(path: Path) -> Layout:
    """Raises BadInput with every fault, its line and what would be right."""
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST_FILE).decode("utf-8-sig")
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    return parse_as(Layout, text, str(path))


def changed(layout: Layout, given: Mapping[str, Any]) -> Layout:
    """The layout with other values for some keys. Raises BadInput."""
    try:
        return Layout.model_validate({**layout.model_dump(), **given})
    except ValidationError as error:
        raise BadInput([f"{dotted(path)}: {text}" for path, text in spoken(error, Layout)]) from None


def of_system(system: System) -> Layout:
    """The layout of a system of the factory: its sites, its pools' weights, its sharing."""
    rule = system.sharing
    names = dict.fromkeys(name for names in system.partitions.values() for name in names)
    return Layout(
        sites={site: system.gpus(site) for site in system.nodes if system.gpus(site)},
        weights={pool.id: pool.weight for pool in system.pools},
        floor_percent=rule.floor_percent,
        dead_band_ppm=rule.dead_band_ppm,
        window=rule.window,
        partitions={n: tuple(site for site, there in system.partitions.items() if n in there) for n in names},
    )


def applied(layout: Layout, work: Workload, name: str = "") -> tuple[Workload, Sharing]:
    """The workload, with the pools that have a weight but no jobs, and the layout for it.

    Raises BadInput where the one has names that the other has not.
    """
    where = f"{name}: " if name else ""
    if layout.weights:
        work = replace(work, pools=tuple(dict.fromkeys([*work.pools, *layout.weights])))
        if bare := [pool for pool in work.pools if pool not in layout.weights]:
            known = ", ".join(layout.weights)
            raise BadInput(
                f"{where}weights: none for the pool {', '.join(bare)}; say with --pools which jobs are of {known}"
            )
    sites = {*layout.sites} or {"machine"}
    named = {"partitions": [site for names in layout.partitions.values() for site in names]}
    named["outages"] = [one.site for one in layout.outages]
    for key, names in named.items():
        if strange := sorted({*names} - sites):
            raise BadInput(f"{where}{key}: there is no site {', '.join(strange)}; there are {', '.join(sorted(sites))}")
    return work, _sharing(layout, work, where)


def _sharing(layout: Layout, work: Workload, where: str) -> Sharing:
    begins = int(work.submit[0])
    window = WINDOWS[layout.window]
    last = int(work.submit[-1]) + int(work.run.sum()) + window
    return Sharing(
        weights=tuple(layout.weights[pool] for pool in work.pools) if layout.weights else (),
        sites=tuple(layout.sites.items()),
        floor_percent=layout.floor_percent,
        dead_band_ppm=layout.dead_band_ppm,
        window_s=window,
        windows=tuple(range(begins + window, min(last, begins + 100 * window), window)),
        lend=layout.lend,
        minimum_run=layout.minimum_run,
        mark_over=layout.marked == "over-share",
        marked=_marked(layout, work, where),
        half_life=layout.half_life,
        job_sites=_job_sites(layout, work),
        away=tuple(Away(one.site, one.gpus, one.start, one.end, one.announced) for one in layout.outages),
        budgets=_budgets(layout.budgets, work, where),
    )


def _marked(layout: Layout, work: Workload, where: str) -> Bools | None:
    if layout.marked == "over-share" or not layout.marked:
        return None
    found = by_name(work.names, layout.marked, len(work)) < len(layout.marked)
    if not found.any():
        raise BadInput(f"{where}marked: no job has any of the names {', '.join(layout.marked)}")
    return np.asarray(found)


def _job_sites(layout: Layout, work: Workload) -> Small | None:
    """The sites of each job, as bits."""
    if not layout.partitions:
        return None
    numbers = {site: number for number, site in enumerate(layout.sites or ("machine",))}
    every = (1 << len(numbers)) - 1
    bits = [sum(1 << numbers[site] for site in dict.fromkeys(sites)) for sites in layout.partitions.values()]
    return np.array([*bits, every], np.int32)[by_name(work.names, list(layout.partitions), len(work))]


def _budgets(rows: Sequence[Budget], work: Workload, where: str) -> Budgets | None:
    """What each owner may use; owners without a budget may use what they like."""
    if not rows:
        return None
    numbers = {owner: number for number, owner in enumerate(work.owners)}
    if strange := [row.owner for row in rows if row.owner not in numbers]:
        raise BadInput(f"{where}budgets: no job has the owner {', '.join(strange[:8])}")
    begins = int(work.submit[0])
    months = np.arange(begins + MONTH, int(work.submit[-1]) + MONTH, MONTH)
    allowed = np.full(len(work.owners), np.iinfo(np.int64).max // 4)
    steps: list[tuple[int, int, int, bool]] = []
    for row in rows:
        allowed[numbers[row.owner]] = row.gpu_s
        if row.pacing != "whole":
            again, factor = row.pacing == "monthly", 0 if row.pacing == "monthly" else 1
            steps += [
                (int(at), numbers[row.owner], row.gpu_s * (1 + factor * n), again) for n, at in enumerate(months, 1)
            ]
    table = np.array(sorted(steps), np.int64).reshape(-1, 4).T
    return Budgets(allowed, np.zeros_like(allowed), table[0], table[1], table[2], table[3] > 0)
