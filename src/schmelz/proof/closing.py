"""Closing a month: its facts and figures are frozen, and one number, the *head*, stands for all of them.

*Inputs* are the runs that touch the month, outages, projects, what these were, and the policy, as files, and the last
event before. *Totals* follow from them: use per pool, project, site and day; access time by what each project was on that
day; supply per site and day; the pools' day figures of the month's split; and the *corrections* of earlier months that are
booked here. head = SHA-256 over the canonical JSON of the month, the digests of inputs and totals, and the head before.
A frozen file is never edited: whatever the records say today about a closed month beyond what is frozen and booked is
*pending*, so that for each of its days today = frozen + booked + pending.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl

from schmelz.faults import Refused
from schmelz.metering import split as splitting
from schmelz.metering.pieces import pieces
from schmelz.metering.runs import KEY
from schmelz.metering.usage import Attributes
from schmelz.proof.facts import INPUTS, Facts, file_digest, read_file, read_inputs, write_inputs
from schmelz.proof.heads import Closing, check_month, following, head
from schmelz.proof.recompute import ACCESS_KEYS, access, attributed
from schmelz.units import Period, day_start

EVENTS = "events"
USAGE, ACCESS, SUPPLY, POOLS, CORRECTIONS = TOTALS = (
    "usage.csv", "access.csv", "supply.csv", "pools.csv", "corrections.csv"
)  # fmt: skip
USED = ("gpu_s", "held_gpu_s", "runs")
LINES = ("used", "held", "down", "maintenance", "drained", "reserved_idle", "idle", "excess")
SHARES = ("entitlement", "used", "own", "borrowed", "returned", "lent")
WHERE = {name: pl.String() for name in ("system", "pool", "project", "site")}
SCHEMAS: dict[str, dict[str, pl.DataType]] = {
    USAGE: {**WHERE, "day": pl.Date(), **dict.fromkeys(USED, pl.Int64())},
    ACCESS: {**{name: pl.String() for name in ACCESS_KEYS}, **dict.fromkeys(USED, pl.Int64())},
    SUPPLY: {
        "system": pl.String(),
        "site": pl.String(),
        "day": pl.Date(),
        "installed": pl.Int64(),
        **dict.fromkeys(LINES, pl.Int64()),
    },
    POOLS: {
        "system": pl.String(),
        "pool": pl.String(),
        "day": pl.Date(),
        **dict.fromkeys((f"{share}_gpu_s" for share in SHARES), pl.Int64()),
    },
    CORRECTIONS: {"closed_month": pl.String(), **WHERE, "day": pl.Date(), **dict.fromkeys(USED, pl.Int64())},
}

# -- facts and figures of a month


def period(month: str, zone: ZoneInfo) -> Period:
    """The month in the factory's zone."""
    check_month(month)
    first, after = (date.fromisoformat(f"{name}-01") for name in (month, following(month)))
    return Period(day_start(first, zone), day_start(after, zone))


def touches(span: Period) -> pl.Expr:
    """Whether a run began or ran in the span."""
    begun_in, stop = pl.col("start") >= span.start, pl.col("start") + pl.col("elapsed")
    return (pl.col("start") < span.end) & (begun_in | (stop > span.start))


def of_month(facts: Facts, month: str) -> Facts:
    """The facts that a month's figures follow from, in one order; runs that began or ran in it."""
    span = period(month, facts.factory.zone)
    return replace(
        facts,
        projects=facts.projects.sort("project"),
        runs=facts.runs.filter(touches(span)).sort(KEY),
        outages=tuple(o for o in facts.outages if o.start < span.end and (o.end is None or o.end > span.start)),
        events=(),
        as_of=span.end,
        closings=(),
        attributes=tuple(_known(facts.attributes, last_day(month))),
    )


def last_day(month: str) -> date:
    return date.fromisoformat(f"{following(month)}-01") - timedelta(days=1)


def _known(rows: Iterable[Attributes], last: date) -> Iterator[Attributes]:
    """The rows that say something about days up to the last one: what holds later is no fact of the month."""
    projects: set[str] = set()
    for row in rows:
        if row.since <= last or row.project not in projects:
            yield row
        projects.add(row.project)


def totals(frozen: Facts, month: str) -> dict[str, pl.DataFrame]:
    """Use, supply and shares of a month, from its facts alone."""
    zone, frame = frozen.factory.zone, attributed(frozen)
    days = use(pieces(frame, zone)).filter(pl.col("day").dt.strftime("%Y-%m") == month)
    splits = [
        splitting.split(
            frozen.factory,
            system.id,
            frame.filter(pl.col("system") == system.id),
            frozen.outages,
            period(month, zone),
            frozen.as_of,
        )
        for system in frozen.factory.systems
        if system.gpus()
    ]
    by_attribute = access(frozen).filter(pl.col("month") == month)
    return {
        USAGE: days,
        ACCESS: by_attribute,
        SUPPLY: _frame(SUPPLY, _supply(splits)),
        POOLS: _frame(POOLS, _shares(splits)),
    }


def use(rows: pl.DataFrame) -> pl.DataFrame:
    """Attributed rows (of pieces or of kept sums) added up per system, pool, project, site and day."""
    return _added(rows.rename({"started": "runs"}).with_columns(pl.col(list(WHERE)).cast(pl.String)), USAGE)


def use_by_day(facts: Facts) -> pl.DataFrame:
    """The same from all facts."""
    return use(pieces(attributed(facts), facts.factory.zone))


def _supply(splits: Iterable[splitting.Split]) -> Iterator[tuple[object, ...]]:
    for one in splits:
        for day in one.days:
            for site in day.sites:
                lines = (getattr(site.supply, line) for line in LINES)
                yield one.system, site.site, day.day, site.installed_gpu_s, *lines


def _shares(splits: Iterable[splitting.Split]) -> Iterator[tuple[object, ...]]:
    for one in splits:
        for day in one.days:
            for pool in day.pools:
                yield one.system, pool.pool, day.day, *(getattr(pool, f"{share}_gpu_s") for share in SHARES)


def _frame(name: str, rows: Iterable[tuple[object, ...]]) -> pl.DataFrame:
    frame = pl.DataFrame(list(rows), schema=SCHEMAS[name], orient="row")
    return frame.sort(keys(name))


def keys(name: str) -> list[str]:
    """The columns that name a row of a file of totals."""
    return [column for column, kind in SCHEMAS[name].items() if kind != pl.Int64()]


def _added(rows: pl.DataFrame, name: str) -> pl.DataFrame:
    by = keys(name)
    return rows.group_by(by).agg(pl.col(USED).sum()).select(list(SCHEMAS[name])).sort(by)


def check_excess(supply: pl.DataFrame) -> None:
    """Raise Refused where records claim more GPUs than there are."""
    over = supply.filter(pl.col("excess") > 0)
    if over.height:
        said = [f"{r['system']} {r['site']} {r['day']}: {r['excess']} GPU-seconds" for r in over.iter_rows(named=True)]
        more = f" and {len(said) - 5} more days" if len(said) > 5 else ""
        raise Refused(
            f"records claim more GPUs than are installed: {'; '.join(said[:5])}{more}.",
            "Correct the records or the nodes in the policy file, then close.",
        )


# -- corrections


def pending(today: pl.DataFrame, closings: Sequence[Closing], closed: Path) -> pl.DataFrame:
    """What `today`'s use says about closed months beyond what is frozen and booked; rows of nothing are left out."""
    now = today.with_columns(closed_month=pl.col("day").dt.strftime("%Y-%m"))
    now = now.filter(pl.col("closed_month").is_in([closing.month for closing in closings]))
    both = pl.concat([now.select(list(SCHEMAS[CORRECTIONS])), _counted(closings, closed).with_columns(-pl.col(USED))])
    return _added(both, CORRECTIONS).filter(pl.any_horizontal(pl.col(USED) != 0))


def _counted(closings: Iterable[Closing], closed: Path) -> pl.DataFrame:
    """What closed months count: their frozen use, and the corrections that were booked."""
    frames = [pl.DataFrame(schema=SCHEMAS[CORRECTIONS])]
    for closing in closings:
        usage = read_totals(closed / closing.month, USAGE).with_columns(closed_month=pl.lit(closing.month))
        frames += [usage.select(list(SCHEMAS[CORRECTIONS])), read_totals(closed / closing.month, CORRECTIONS)]
    return pl.concat(frames)


def read_totals(directory: Path, name: str) -> pl.DataFrame:
    frame = read_file(directory / name, lambda path: pl.read_csv(path, schema=SCHEMAS[name]))
    return frame.with_columns(pl.col(pl.String).fill_null(""))


def read_frozen(directory: Path, month: str) -> Facts:
    """The frozen facts of a month."""
    found = read_inputs(directory, 0)
    return replace(found, as_of=period(month, found.factory.zone).end)


# -- files


def freeze(frozen: Facts, month: str, booked: pl.DataFrame, previous: str, chain: str, to: Path) -> Closing:
    """Write the files of a month to an empty directory, synced; the closing with its head. Raises Refused for excess."""
    figures = {**totals(frozen, month), CORRECTIONS: booked}
    check_excess(figures[SUPPLY])
    write_inputs(frozen, to)
    for name, frame in figures.items():
        frame.write_csv(to / name)
    inputs, sums = ({name: file_digest(to / name) for name in names} for names in (INPUTS, TOTALS))
    inputs[EVENTS] = chain
    for path in (*to.iterdir(), to):
        _sync(path)
    return Closing(month, previous, inputs, sums, head(month, previous, inputs, sums))


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def changed(closing: Closing, directory: Path) -> Iterator[str]:
    """The frozen files that are not as they were closed."""
    for name, known in {**closing.inputs, **closing.totals}.items():
        if name != EVENTS:
            path = directory / name
            if not path.is_file():
                yield f"{name}: is missing"
            elif file_digest(path) != known:
                yield f"{name}: is not what was closed (its SHA-256 is another)"
