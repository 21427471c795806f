"""What if: `schmelz whatif --award APPLICATION...`, `--outage`, `--nodes`, `--floor`: the forecast beside today's.

Several may be combined. Ranges are the lowest and the highest of the draws. Standard output holds the tables, standard
error what was assumed.
"""

from pathlib import Path
from typing import Annotated

import typer

from schmelz.cli import ready
from schmelz.cli.access import Json
from schmelz.cli.bar import progress
from schmelz.cli.machine import SystemOption
from schmelz.cli.show import put, put_json, put_table, say
from schmelz.faults import BadInput

SHOWN = ("share", "queue")  # series: for pages and files, too long for a terminal


def register(app: typer.Typer) -> None:
    app.command("whatif")(whatif)


def whatif(
    more: Annotated[list[str] | None, typer.Argument(metavar="[APPLICATION...]", help="More applications.")] = None,
    award: Annotated[
        list[str] | None,
        typer.Option("--award", metavar="APPLICATION...", help="Award these; CODE=GPU-HOURS for another amount."),
    ] = None,
    outage: Annotated[
        list[str] | None, typer.Option("--outage", metavar="SITE[/NODES]:FROM..TO", help="Nodes are away meanwhile.")
    ] = None,
    nodes: Annotated[int | None, typer.Option("--nodes", help="So many nodes in all.")] = None,
    floor: Annotated[int | None, typer.Option("--floor", help="Another floor, in per cent.")] = None,
    window: Annotated[str | None, typer.Option("--window", help="The window that is told; default: this one.")] = None,
    renew: Annotated[
        bool | None,
        typer.Option(
            "--renew/--no-renew", help="New awards follow as in the past year; default: with another machine."
        ),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", help="How many draws.")] = 20,
    system: SystemOption = None,
    pdf: Annotated[Path | None, typer.Option("--pdf", metavar="FILE", help="Write it as PDF, with charts.")] = None,
    as_json: Json = False,
) -> None:
    """Forecast what awards, an outage, other nodes or another floor do to waits and to the split."""
    wanted = [code for text in [*(award or ()), *(more or ())] for code in text.split(",") if code.strip()]
    if not (wanted or outage or nodes is not None or floor is not None):
        raise BadInput("whatif: name what would change: --award, --outage, --nodes or --floor")
    ready.portal()
    from schmelz.operate import whatif as asking
    from schmelz.operate.changes import change
    from schmelz.operate.told import as_dict, statement
    from schmelz.portal.clock import now

    person, policy = ready.person(), ready.factory()
    asking.check_seeds(seeds)
    granted = asking.awards(person, wanted)
    chosen = ready.system(system or (granted[0].application.system if granted else None))
    if granted and granted[0].application.system != chosen.id:
        raise BadInput(f"--system: {granted[0].application.code} is an application for {granted[0].application.system}")
    asking.check(person, chosen)
    changed = change(chosen, policy.zone, now(), outage or (), nodes, floor)
    with progress(2 * seeds, "draws") as told:
        found = asking.whatif(chosen, granted, changed, seeds=seeds, window=window, renew=renew, told_of=told)
    if pdf:
        from schmelz.web.foreseen import as_pdf

        write_pdf(pdf, as_pdf(found))
    if as_json:
        put_json(as_dict(found))
        return
    document = statement(found)
    for name, value in document.facts:
        say(f"{name}: {value}")
    for table in document.tables:
        if table.key not in SHOWN:
            put(f"\n{table.title}")
            put_table([column.title for column in table.columns], table.rows)


def write_pdf(path: Path, data: bytes) -> None:
    """Raises BadInput where it cannot be written."""
    try:
        path.write_bytes(data)
    except OSError as error:
        raise BadInput(f"--pdf {path}: cannot be written ({error.strerror})") from None
