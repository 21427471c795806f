"""The figures that follow from the facts: use by pool, project, site and day, and the split of every window that has use.

The same functions as in daily work, given the facts alone; whoever has the files and this package gets the same numbers.
"""

from collections.abc import Iterator
from datetime import date

import polars as pl

from schmelz.metering import split as splitting
from schmelz.metering.attribute import attribute
from schmelz.metering.carry import carried
from schmelz.metering.grants import left
from schmelz.metering.pieces import pieces
from schmelz.metering.usage import described, usage
from schmelz.policy.schema import System
from schmelz.proof.facts import Facts
from schmelz.units import local_date

KEYS = ("pool", "project", "site", "day")
ACCESS_KEYS = ("month", "system", "pool", "country", "mode", "category", "field", "sme", "commercial")
FIRST_YEAR = date(2000, 1, 1)  # no window is older


def attributed(facts: Facts) -> pl.DataFrame:
    """The runs with their project, pool and site."""
    return attribute(facts.runs, facts.factory, dict(facts.projects.select("project", "pool").iter_rows()))


def use(facts: Facts) -> pl.DataFrame:
    """GPU-seconds and runs started per pool, project, site and day."""
    return usage(pieces(attributed(facts), facts.factory.zone), list(KEYS), None, None)


def access(facts: Facts) -> pl.DataFrame:
    """Access time per month, system and pool by what each project was on the day of the use; empty for what is none."""
    days = described(pieces(attributed(facts), facts.factory.zone), facts.attributes)
    days = days.with_columns(pl.col("day").dt.strftime("%Y-%m").alias("month"), pl.col("started").alias("runs"))
    days = days.with_columns(pl.col(ACCESS_KEYS).cast(pl.String))
    return days.group_by(ACCESS_KEYS).agg(pl.col("gpu_s", "held_gpu_s", "runs").sum()).sort(ACCESS_KEYS)


def splits(facts: Facts) -> list[dict[str, object]]:
    """The split of every year and month, per system, from the first run to `as_of`."""
    frame = attributed(facts)
    grants = dict(facts.projects.select("project", "grant_gpu_s").iter_rows())
    return [
        figures
        for system in facts.factory.systems
        if system.gpus()
        for figures in _of_system(facts, system, frame.filter(pl.col("system") == system.id), grants)
    ]


def _of_system(
    facts: Facts, system: System, frame: pl.DataFrame, grants: dict[str, int]
) -> Iterator[dict[str, object]]:
    reach = left(grants, frame, facts.as_of)
    for name in _windows(facts, frame):
        _, period = splitting.window(facts.factory, system.id, name, facts.as_of)
        yield splitting.split(
            facts.factory,
            system.id,
            frame,
            facts.outages,
            period,
            facts.as_of,
            grants_left=reach,
            carry=carried(facts.factory, system.id, frame, facts.outages, period),
        ).as_dict()


def _windows(facts: Facts, frame: pl.DataFrame) -> list[str]:
    zone = facts.factory.zone
    last = local_date(facts.as_of, zone)
    start = frame["start"].min()
    first = local_date(start, zone) if isinstance(start, int) and start <= facts.as_of else last
    first = max(first, FIRST_YEAR)
    months = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    return [*(str(year) for year in range(first.year, last.year + 1)), *(f"{m // 12}-{m % 12 + 1:02d}" for m in months)]
