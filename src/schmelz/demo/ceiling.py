"""The ceiling of commercial use, kept by the people of a demo year whatever the size of the machine.

An award counts in whole in every calendar year that its project touches, which is more than the portal's gauge counts, and
a tenth of the ceiling is left for nodes that were away. What does not fit is awarded smaller, or refused where the rest is
below the mode's smallest size; on a large machine hardly anything is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from schmelz.demo.model import Scene
from schmelz.policy.schema import Pool
from schmelz.units import HOUR, Period, day_start, local_date

if TYPE_CHECKING:
    from schmelz.demo.applications import Draft


def within_ceiling(scene: Scene, pool: Pool, drafts: Sequence["Draft"]) -> list["Draft"]:
    """The drafts of a pool, its commercial awards cut to what the ceiling leaves them, in the order of the decisions."""
    kept = list(drafts)
    if pool.commercial_ceiling_percent is None:
        return kept
    room: dict[int, int] = {}
    awards = [n for n, one in enumerate(kept) if one.outcome == "awarded" and one.organisation.commercial]
    for number in sorted(awards, key=lambda n: kept[n].decided or 0):
        draft = kept[number]
        years = list(_years(scene, draft.project))
        for year in years:
            room.setdefault(year, _ceiling(scene, pool, year))
        left = max(0, min(room[year] for year in years))
        hours = draft.gpu_hours if draft.gpu_hours <= left else round_off(left)
        if hours < max(1, draft.mode.size(scene.system).min):
            kept[number] = replace(draft, outcome="refused")
            continue
        kept[number] = replace(draft, gpu_hours=hours)
        room |= {year: room[year] - hours for year in years}
    return kept


def round_off(amount: int) -> int:
    """Two leading digits, as people ask for it; never more than the amount."""
    unit = int(10 ** max(0, len(str(amount)) - 2))
    return amount // unit * unit


def _years(scene: Scene, project: Period) -> Iterator[int]:
    zone = scene.factory.zone
    yield from range(local_date(project.start, zone).year, local_date(project.end - 1, zone).year + 1)


def _ceiling(scene: Scene, pool: Pool, year: int) -> int:
    """Nine tenths of it, in GPU-hours."""
    system, zone = scene.system, scene.factory.zone
    first, last = (
        day_start(local_date(scene.period.end, zone).replace(year=y, month=1, day=1), zone) for y in (year, year + 1)
    )
    share = system.gpus() * (last - first) // HOUR * pool.weight // system.weight_sum
    return share * (pool.commercial_ceiling_percent or 0) * 9 // 1000
