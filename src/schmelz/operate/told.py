"""A what-if told: as plain data, and as a statement (tables for the page, the terminal, the PDF and CSV).

In the tables things as they are stand beside the change; a range is written median (lowest to highest of the draws).
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from schmelz.metering.promises import Promise
from schmelz.metering.statement import Column, Statement, Table, Value
from schmelz.operate.changes import day_of
from schmelz.operate.ranges import MACHINE_ROWS, MOMENTS, POOL_ROWS, range_said
from schmelz.operate.whatif import Side, WhatIf
from schmelz.portal.policy import factory
from schmelz.twin.foreseen import Forecast, Range
from schmelz.units import HOUR, hours, iso, local_date


def as_dict(found: WhatIf) -> dict[str, Any]:
    """Everything as plain data for JSON; moments as ISO times."""
    return {
        "system": found.system.id,
        "window": found.window,
        "from": iso(found.period.start),
        "to": iso(found.period.end),
        "as_of": iso(found.as_of),
        "seeds": found.seeds,
        "awards": [
            {
                "application": award.application.code,
                "pool": award.application.pool,
                "gpu_hours": award.gpu_hours,
                "months": award.application.months,
                "state": award.application.state,
            }
            for award in found.awards
        ],
        "changes": list(found.changes),
        "assumed": list(found.assumed),
        "warnings": list(found.warnings),
        "today": _side(found.today),
        "then": _side(found.then),
    }


def _side(side: Side) -> dict[str, Any]:
    """One side as plain data."""
    found = figures(side.forecast)
    for pool, one in zip(found["pools"], side.promises, strict=True):
        pool["promised"] = one.as_dict()
    return found


def figures(seen: Forecast) -> dict[str, Any]:
    """All figures of a forecast as plain data."""
    return {
        "pools": [{"pool": pool, **_figures(ranges)} for pool, ranges in seen.pools.items()],
        "machine": _figures(seen.machine),
        "sizes": [{"gpus": least, **_figures(figures)} for least, figures in seen.classes.items()],
        "moments": [iso(moment) for moment in seen.moments],
        "share_ppm": {pool: [one.as_dict() for one in line] for pool, line in seen.share.items()},
        "waiting_jobs": {pool: [one.as_dict() for one in line] for pool, line in seen.queue.items()},
    }


def _figures(ranges: Any) -> dict[str, Any]:
    return {name: _data(name, one) for name, one in ranges.items()}


def _data(name: str, one: Range) -> dict[str, Any]:
    found: dict[str, Any] = one.as_dict()
    if name in MOMENTS:
        found |= {key: iso(found[key]) for key in ("median", "low", "high") if found[key] is not None}
    return found


# -- words


def promised(one: Promise, zone: ZoneInfo) -> str:
    """Over-commitment in a sentence."""
    if one.by is None:
        return "nothing"
    by = day_of(one.by, zone).partition(",")[0]
    part = f"{hours(one.due_gpu_s)} GPU-hours due by {by}, the share gives {hours(one.share_gpu_s)}"
    return f"over-committed by {hours(one.over_gpu_s)} GPU-hours: {part}" if one.over_gpu_s else f"covered: {part}"


# -- as a statement


def statement(found: WhatIf) -> Statement:
    """The what-if as a document."""
    zone = factory().zone
    asked = [
        f"{one.application.code}: {hours(one.gpu_hours * HOUR)} GPU-hours of {found.system.pool(one.application.pool).title}, "
        f"for {one.application.months} months"
        for one in found.awards
    ]
    facts = (
        ("machine", found.system.title),
        ("window", f"{found.window}, until {local_date(found.period.end - 1, zone)}"),
        *(("awarded", text) for text in asked),
        *(("changed", text) for text in found.changes),
        ("draws", str(found.seeds)),
        *(("assumed", text) for text in found.assumed),
        *(("note", text) for text in found.warnings),
    )
    tables = (*_pools(found, zone), _machine(found, zone), _sizes(found, zone), *_series(found, zone))
    moment = datetime.fromtimestamp(found.as_of, zone)
    return Statement(
        "what-if", f"what-if-{found.system.id}-{moment:%Y%m%d-%H%M}", "What if", found.as_of, facts, tables
    )


SIDES = (Column("what", "what"), Column("today", "as things are"), Column("then", "with the change"))


def _pools(found: WhatIf, zone: ZoneInfo) -> Iterator[Table]:
    for pool, before, after in zip(found.system.pools, found.today.promises, found.then.promises, strict=True):
        sides = [side.forecast.pools[pool.id] for side in (found.today, found.then)]
        rows: list[tuple[Value, ...]] = [
            (words, *(range_said(name, side[name], found.seeds, zone) for side in sides)) for name, words in POOL_ROWS
        ]
        rows.append(("promised", promised(before, zone), promised(after, zone)))
        yield Table(f"pool-{pool.id}", pool.title, SIDES, tuple(rows))


def _machine(found: WhatIf, zone: ZoneInfo) -> Table:
    sides = [side.forecast.machine for side in (found.today, found.then)]
    rows = tuple(
        (words, *(range_said(name, side[name], found.seeds, zone) for side in sides)) for name, words in MACHINE_ROWS
    )
    note = "Idle while jobs wait: no waiting job fitted, or it would have delayed another. What the rule could start, it started."
    return Table("machine", "The machine", SIDES, rows, note)


def _sizes(found: WhatIf, zone: ZoneInfo) -> Table:
    every = sorted({*found.today.forecast.classes, *found.then.forecast.classes})
    columns = (Column("gpus", "GPUs from"), *SIDES[1:])
    rows = tuple(
        (
            str(least),
            *(
                range_said("wait_mean_s", side.forecast.classes[least]["wait_mean_s"], found.seeds, zone)
                if least in side.forecast.classes
                else "no jobs"
                for side in (found.today, found.then)
            ),
        )
        for least in every
    )
    return Table("sizes", "Mean waits by size of jobs", columns, rows)


def _series(found: WhatIf, zone: ZoneInfo) -> Iterator[Table]:
    """The numbers behind the lines: each pool's part of the use so far, and its jobs that wait, step by step."""
    titles = [pool.title for pool in found.system.pools]
    heads = [
        Column(f"{side.key}_{n}", f"{title}, {side.title}") for side in SIDES[1:] for n, title in enumerate(titles)
    ]
    for key, words, name in (("share", "Part of the use so far", "share_ppm"), ("queue", "Jobs that wait", "jobs")):
        rows: list[tuple[Value, ...]] = []
        for place, moment in enumerate(found.then.forecast.moments):
            cells = [
                range_said(name, getattr(side.forecast, key)[pool.id][place], found.seeds, zone)
                for side in (found.today, found.then)
                for pool in found.system.pools
            ]
            rows.append((local_date(moment - 1, zone), *cells))
        yield Table(key, words, (Column("day", "by the end of", "day"), *heads), tuple(rows))
