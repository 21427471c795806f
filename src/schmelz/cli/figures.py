"""Figures: `schmelz meter`, `schmelz usage`, `schmelz split`, `schmelz balance`."""

import sys
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from schmelz.cli import ready
from schmelz.cli.access import Json
from schmelz.cli.machine import SystemOption
from schmelz.cli.show import put_csv, put_json, put_json_rows, put_table, say
from schmelz.faults import BadInput

KEYS = ("pool", "project", "site", "day")


def register(app: typer.Typer) -> None:
    app.command("meter")(meter)
    app.command("usage")(usage)
    app.command("split")(split)
    app.command("balance")(balance)


def meter(
    source: Annotated[
        str | None, typer.Option("--from", metavar="FILE|-", help="`sacct -P` text, times in UTC; else the cluster.")
    ] = None,
    system: SystemOption = None,
    as_json: Json = False,
) -> None:
    """Read job records. A second reading changes nothing. Exit code 3: some lines are in quarantine, the rest was read."""
    ready.portal()
    from schmelz.operate import meter as metering
    from schmelz.portal.people.queries import general_relations, roles
    from schmelz.rules.permissions import Permission, require

    which, person = ready.system(system), ready.maybe_person()
    if person is not None:
        require(Permission.RECORDS_READ, general_relations(person, roles(person), which.operator), person.name)
    if source == "-":
        reading = metering.read_stream(sys.stdin.buffer, "standard input", which, person)
    elif source is not None:
        reading = metering.read_file(Path(source), which, person)
    else:
        reading = metering.read_cluster(which)
    said = {
        "source": reading.source,
        "lines": reading.lines,
        "added": reading.added,
        "replaced": reading.replaced,
        "quarantined": reading.quarantined,
    }
    for fault in reading.faults.all()[:20] if reading.pk and reading.quarantined else ():
        say(f"{reading.source}: line {fault.line}: {fault.reason}")
    put_json(said) if as_json else put_table(tuple(said), [tuple(said.values())])
    raise typer.Exit(3 if reading.quarantined else 0)


def _day(name: str, text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadInput(f"--{name}: {text!r} is not a date; write for example 2026-11-23") from None


def usage(
    by: Annotated[
        str, typer.Option("--by", help="Any of pool,project,site,day, in the order wanted.")
    ] = "pool,project,site,day",
    first: Annotated[str | None, typer.Option("--from", metavar="DATE", help="First day.")] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="DATE", help="Last day, included.")] = None,
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """GPU-seconds and runs started, by pool, project, site and day of the factory's zone."""
    keys = [key.strip() for key in by.split(",")]
    unknown = [key for key in keys if key not in KEYS]
    if unknown or len(set(keys)) != len(keys):
        raise BadInput(f"--by: {by!r} is not usable; write some of {','.join(KEYS)}, each once")
    start, end = _day("from", first), _day("to", last)
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
    from schmelz.portal.projects.figures import split as work_out

    figures = work_out(ready.system(system), window).as_dict()
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
        ],
    )
    columns = ("entitlement", "used", "own", "borrowed", "returned", "lent", "demand", "shortfall", "deficit")
    put_table(
        ("of pool", *(p["pool"] for p in figures["pools"])),
        [
            ("weight", *(p["weight"] for p in figures["pools"])),
            *((c, *(p[f"{c}_gpu_s"] for p in figures["pools"])) for c in columns),
        ],
    )
    error = figures["share_error_ppm"]
    say(
        "share error: not defined while a pool asks for less than its share"
        if error is None
        else f"share error: {error} ppm"
    )


def balance(project: Annotated[str, typer.Argument(help="The project.")], as_json: Json = False) -> None:
    """What a project has settled, running, committed and left, in GPU-seconds."""
    ready.portal()
    from schmelz.operate.reading import balance_of

    figures = balance_of(ready.person(), project)
    put_json(figures) if as_json else put_table(("what", "value"), list(figures.items()))
