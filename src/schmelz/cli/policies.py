"""`schmelz policies`: the factory's own past under several policies, side by side."""

from pathlib import Path
from typing import Annotated, Any

import typer

from schmelz.cli import ready
from schmelz.cli.access import Json
from schmelz.cli.bar import progress
from schmelz.cli.machine import SystemOption
from schmelz.cli.show import put, put_json, put_table, say
from schmelz.cli.whatif import write_pdf


def register(app: typer.Typer) -> None:
    app.command("policies")(policies)


def policies(
    days: Annotated[int, typer.Option("--days", help="Jobs that were sent in so many days.")] = 90,
    system: SystemOption = None,
    pdf: Annotated[Path | None, typer.Option("--pdf", metavar="FILE", help="Write it as PDF, with charts.")] = None,
    as_json: Json = False,
) -> None:
    """Compare policies on the factory's own past: waits, use and shares of the same jobs under each."""
    ready.portal()
    from schmelz.operate.policies import CHOSEN, side_by_side
    from schmelz.operate.told import figures
    from schmelz.operate.whatif import check
    from schmelz.units import iso
    from schmelz.web.views.policies import document, pdf_of

    chosen = ready.system(system)
    check(ready.person(), chosen)
    with progress(len(CHOSEN), "policies") as told:
        found = side_by_side(chosen, days, told)
    if pdf:
        write_pdf(pdf, pdf_of(found))
    if as_json:
        data: dict[str, Any] = {
            "system": chosen.id,
            "from": iso(found.period.start),
            "to": iso(found.period.end),
            "jobs": found.jobs,
            "policies": [{"policy": name, **figures(one)} for name, one in found.policies.items()],
        }
        put_json(data)
        return
    said = document(found)
    for _, text in said.facts:
        say(text)
    for table in said.tables:
        if table.key not in ("share", "queue"):
            put(f"\n{table.title}")
            put_table([column.title for column in table.columns], table.rows)
