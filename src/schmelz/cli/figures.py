"""Figures: `schmelz meter`, `schmelz usage`, `schmelz split`, `schmelz balance`."""

import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from schmelz.cli import ready
from schmelz.cli.access import Json
from schmelz.cli.bar import progress
from schmelz.cli.machine import SystemOption
from schmelz.cli.show import put_csv, put_json, put_json_rows, put_table, say
from schmelz.faults import BadInput
from schmelz.units import day_start, hours

ATTRIBUTES = ("country", "mode", "category", "field", "sme", "commercial", "organisation")
KEYS = ("pool", "project", "site", "day", "system", *ATTRIBUTES, "month", "quarter", "year")

OF_POOL = (
    "entitlement",
    "carry",
    "used",
    "own",
    "borrowed",
    "returned",
    "lent",
    "demand",
    "shortfall",
    "late",
    "deficit",
)
FAULTS_SHOWN = 20
WAITED = ("floor_breaches", "floor_breach_longest_s", "reclaims", "reclaim_p50_s", "reclaim_p95_s", "worst_week_ppm")


def register(app: typer.Typer) -> None:
    app.command("meter")(meter)
    app.command("usage")(usage)
    app.command("split")(split)
    app.command("balance")(balance)


def meter(
    source: Annotated[
        str | None, typer.Option("--from", metavar="FILE|-", help="Job records, plain or gzip; else the cluster.")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="sacct (`sacct -P` text, times in UTC), swf or csv.")] = "sacct",
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="NAME=COLUMN,...",
            help="csv: which column is job, submit, start, end, elapsed (seconds), gpus, account, user, partition, nodes, "
            "state, limit, qos. Needed: job, submit, gpus, account and elapsed or end; names that are the same go without.",
        ),
    ] = None,
    account: Annotated[
        str,
        typer.Option(
            "--account", metavar="FIELD", help="swf: accounts are the group (default), user, queue or partition."
        ),
    ] = "",
    zero: Annotated[
        str, typer.Option("--time-zero", metavar="TIME", help="swf, csv: when second 0 was (swf: else UnixStartTime).")
    ] = "",
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="DATE", help="The cluster: ask again for everything from this day on."),
    ] = None,
    system: SystemOption = None,
    as_json: Json = False,
) -> None:
    """Read job records. A second reading changes nothing. Exit code 3: some lines are in quarantine, the rest was read.

    Sizes in swf are taken as GPUs. A csv run with a run time and no start is taken to have begun when it was submitted.
    """
    first = as_day("since", since)
    if first and source is not None:
        raise BadInput("--since: is for the cluster; it means nothing beside --from")
    ready.portal()
    from schmelz.metering.formats import format_of
    from schmelz.operate import meter as metering
    from schmelz.portal.people.queries import general_relations, roles
    from schmelz.portal.policy import factory
    from schmelz.rules.permissions import Permission, require

    way = format_of(form, columns or (), account, zero)
    which, person = ready.system(system), ready.maybe_person()
    if person is not None:
        require(Permission.RECORDS_READ, general_relations(person, roles(person), which.operator), person.name)
    if source == "-":
        reading = metering.read_stream(sys.stdin.buffer, "standard input", which, person, way, say)
    elif source is not None:
        with progress(_size(Path(source)), f"reading {Path(source).name}") as told:
            reading = metering.read_file(Path(source), which, person, way, say, told)
    else:
        reading = metering.read_cluster(which, day_start(first, factory().zone) if first else None)
    said = {
        "source": reading.source,
        "lines": reading.lines,
        "added": reading.added,
        "replaced": reading.replaced,
        "quarantined": reading.quarantined,
    }
    faults = list(reading.faults.values("line", "reason")) if reading.pk and reading.quarantined else []
    for fault in faults[:FAULTS_SHOWN]:
        say(f"{reading.source}: line {fault['line']}: {fault['reason']}")
    if len(faults) > FAULTS_SHOWN:
        say(f"{reading.source}: and {len(faults) - FAULTS_SHOWN} more lines; --json names every one")
    put_json({**said, "faults": faults}) if as_json else put_table(tuple(said), [tuple(said.values())])
    raise typer.Exit(3 if reading.quarantined else 0)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 1


def as_day(name: str, text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadInput(f"--{name}: {text!r} is not a date; write for example 2026-11-23") from None


def usage(
    by: Annotated[
        str, typer.Option("--by", help=f"Any of {','.join(KEYS)}, in the order wanted.")
    ] = "pool,project,site,day",
    first: Annotated[str | None, typer.Option("--from", metavar="DATE", help="First day.")] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="DATE", help="Last day, included.")] = None,
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """GPU-seconds and runs started, by pool, project, site and day, and by what projects were on that day."""
    keys = [key.strip() for key in by.split(",")]
    unknown = [key for key in keys if key not in KEYS]
    if unknown or len(set(keys)) != len(keys):
        raise BadInput(f"--by: {by!r} is not usable; write some of {','.join(KEYS)}, each once")
    start, end = as_day("from", first), as_day("to", last)
    if start and end and end < start:
        raise BadInput(f"--to: {end} lies before --from {start}; the last day comes after the first")
    ready.portal()
    from schmelz.operate.reading import usage_rows

    frame = usage_rows(ready.maybe_person(), keys, start, end)
    if as_json:
        put_json_rows(frame)
    elif as_csv:
        put_csv(frame.columns, frame.iter_rows(named=True))
    else:
        put_table(frame.columns, frame.rows())


def split(
    system: SystemOption = None,
    window: Annotated[
        str | None, typer.Option("--window", help="2026, 2026-Q3, 2026-10, year, quarter or month.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Did each side get its half: supply, entitlement, use, borrowed and lent of a window so far."""
    ready.portal()
    from schmelz.portal.projects.outlook import ledger

    figures = ledger(ready.system(system), window)
    if as_json:
        put_json(figures)
        return
    say(f"{figures['system']}, window {figures['window']}; GPU-seconds")
    put_table(
        ("supply", "GPU-seconds"),
        [
            ("installed", figures["installed_gpu_s"]),
            *figures["supply"].items(),
            ("delivered", figures["delivered_gpu_s"]),
            ("avoidable idle", figures["avoidable_idle_gpu_s"]),
        ],
    )
    columns = (*(f"{name}_gpu_s" for name in OF_POOL), *WAITED)
    put_table(
        ("of pool", *(p["pool"] for p in figures["pools"])),
        [
            ("weight", *(p["weight"] for p in figures["pools"])),
            *((c.removesuffix("_gpu_s"), *(p[c] for p in figures["pools"])) for c in columns),
        ],
    )
    for line in _ahead(figures):
        say(line)


def _ahead(figures: dict[str, Any]) -> Iterator[str]:
    """The lines under the table: share error, alarms of the gauges and of the feasibility."""
    error = figures["share_error_ppm"]
    yield (
        "share error: not defined while a pool asks for less than its share"
        if error is None
        else f"share error: {error} ppm"
    )
    for gauge in figures["gauges"]:
        ceiling = f"of {hours(gauge['ceiling_gpu_s'])} GPU-hours; alarm: {gauge['alarm']}"
        yield f"commercial use of {gauge['pool']} in {gauge['year']}: {hours(gauge['gauge_gpu_s'])} {ceiling}"
    for pool in figures["feasibility"]:
        lost_from = pool["unreachable_from"]
        until = f"out of reach from {lost_from} if it uses nothing" if lost_from else "safe"
        until = "out of reach" if pool["alarm"] == "lost" else until
        yield f"share of {pool['pool']}: {until}; call for {pool['call_for_gpu_hours']} GPU-hours; alarm: {pool['alarm']}"


def balance(project: Annotated[str, typer.Argument(help="The project.")], as_json: Json = False) -> None:
    """What a project has settled, running, committed and left, in GPU-seconds."""
    ready.portal()
    from schmelz.operate.reading import balance_of

    figures = balance_of(ready.person(), project)
    put_json(figures) if as_json else put_table(("what", "value"), list(figures.items()))
