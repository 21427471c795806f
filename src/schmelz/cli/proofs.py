"""Proof: `schmelz export` and `schmelz verify`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from schmelz.cli import ready
from schmelz.cli.access import Json
from schmelz.cli.show import put, put_json, say
from schmelz.faults import BadInput


def register(app: typer.Typer) -> None:
    app.command("export")(export)
    app.command("verify")(verify)


def export(directory: Annotated[Path, typer.Argument(metavar="DIR")], as_json: Json = False) -> None:
    """Write the facts and the claimed figures; prints the head, for an owner to keep."""
    ready.portal()
    from schmelz.operate.hand_out import gather
    from schmelz.operate.reading import check_export
    from schmelz.proof.export import export as write

    check_export(ready.maybe_person())
    facts = gather()
    head = write(facts, directory)
    say(
        f"{facts.runs.height} runs, {facts.projects.height} projects, {len(facts.events)} events; "
        f"check with: schmelz verify {directory} --head {head}"
    )
    put_json({"head": head, "runs": facts.runs.height, "projects": facts.projects.height}) if as_json else put(head)


def verify(
    directory: Annotated[Path, typer.Argument(metavar="DIR")],
    head: Annotated[
        str | None, typer.Option("--head", metavar="HASH", help="The head that was kept, or the file that it is in.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Recompute every figure of an export from its files alone. Exit code 1: something differs."""
    from schmelz.proof.verify import verify as check

    found = check(directory, None if head is None else _kept(head))
    if as_json:
        put_json({"ok": not found, "findings": list(found)})
    elif found:
        for line in found:
            put(line)
    else:
        put("verified: the files are unchanged, the chain holds, and every figure follows from the facts")
    raise typer.Exit(1 if found else 0)


def _kept(head: str) -> str:
    """The head itself; of a file that `schmelz head --out` wrote, the one in it."""
    path = Path(head)
    if not path.is_file():
        return head.strip().lower()
    try:
        return str(json.loads(path.read_text("utf-8"))["head"])
    except (OSError, ValueError, KeyError, TypeError):
        raise BadInput(f"{head}: is no file of a head; write one with: schmelz head MONTH --out FILE") from None
