"""From a split to the picture of it: the lanes of a system, one column per day, and the keys of the legend.

`other` is use that no pool pays (overhead within its cap, accounts of nobody); what is left after own, borrowed, away
and idle. The same split is asked for at most every few seconds, so that the parts of a page and two visitors agree.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.safestring import SafeString, mark_safe

from schmelz.metering.split import DaySplit, Split
from schmelz.policy.schema import System
from schmelz.portal.clock import now
from schmelz.portal.projects import figures
from schmelz.web.charts.gauge import gauge
from schmelz.web.charts.split_band import Column, Lane, split_band, swatch
from schmelz.web.words import percent, points

AGREE_SECONDS = 5


@dataclass(frozen=True)
class Key:
    """One entry of the legend."""

    picture: SafeString
    words: str


@dataclass(frozen=True)
class Share:
    """A pool's part of the use, against its agreed share."""

    lane: Lane
    used: str
    agreed: str
    points: str


def picture(svg: str) -> SafeString:
    """A chart for a template. Every value in it was escaped when it was drawn."""
    return mark_safe(svg)  # noqa: S308


def split_of(system: System, window: str | None = None) -> Split:
    """The split of a window as of the last few seconds."""
    moment = now()
    return figures.split(system, window, moment - moment % AGREE_SECONDS)


def lanes(system: System) -> tuple[Lane, ...]:
    return tuple(Lane(pool.id, pool.title, pool.tint, pool.weight) for pool in system.pools)


def column(day: DaySplit) -> Column:
    """One day as the band draws it."""
    supply = day.supply
    away = supply.down + supply.maintenance + supply.drained
    over = tuple(pool.borrowed_gpu_s + pool.returned_gpu_s for pool in day.pools)
    own = tuple(pool.own_gpu_s for pool in day.pools)
    other = max(0, day.installed_gpu_s - away - sum(own) - sum(over) - supply.idle)
    return Column(
        f"{day.day:%a} {day.day.day} {day.day:%b %Y}",
        day.installed_gpu_s,
        own,
        over,
        tuple(pool.lent_gpu_s for pool in day.pools),
        other,
        away,
    )


def band(system: System, days: Sequence[DaySplit]) -> SafeString:
    """The split band as SVG."""
    return picture(split_band(lanes(system), [column(day) for day in days], f"The split of {system.title}, day by day"))


def legend(system: System) -> list[Key]:
    """What the patterns of the band mean."""
    found = [(f"{lane.title}: own use", "own", lane.tint) for lane in lanes(system)]
    found += [(f"{lane.title}: borrowed or paid back", "lent", lane.tint) for lane in lanes(system)]
    found += [
        ("idle", "idle", ""),
        ("overhead, or nobody's", "other", "slag"),
        ("down or in maintenance", "away", "slag"),
    ]
    return [Key(picture(swatch(kind, tint, "key")), words) for words, kind, tint in found]


def shares(system: System, found: Split) -> list[Share]:
    """How the use was shared, in per cent and in points."""
    total, weights = sum(pool.used_gpu_s for pool in found.pools), system.weight_sum
    return [
        Share(
            lane,
            percent(pool.used_gpu_s, total),
            f"{lane.weight * 100 / weights:g}\u202f%",
            points(pool.used_gpu_s, total, lane.weight, weights),
        )
        for lane, pool in zip(lanes(system), found.pools, strict=True)
    ]


def gauge_of(system: System, found: Split) -> SafeString:
    return picture(gauge(lanes(system), [pool.used_gpu_s for pool in found.pools]))
