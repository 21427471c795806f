"""Backup: `schmelz backup` and `schmelz restore`. Whoever may read the data directory may do the one, and anybody with an
empty directory the other: what protects a backup is where it lies, so keep it as you keep the secret key that is in it."""

import os
from pathlib import Path
from typing import Annotated

import typer

from schmelz.cli import ready
from schmelz.cli.access import Json
from schmelz.cli.show import put, put_json, say


def register(app: typer.Typer) -> None:
    app.command("backup")(backup)
    app.command("restore")(restore)


def backup(
    to: Annotated[Path, typer.Argument(metavar="FILE|DIR", help="A new file, or a directory to put one into.")],
    as_json: Json = False,
) -> None:
    """Keep everything in one file, as of one instant; the server may run. Prints the file."""
    ready.portal()
    from dataclasses import asdict

    from schmelz.operate.backup import back_up

    kept = back_up(to)
    say(
        f"{kept.files} files, {kept.bytes} bytes, {kept.events} events; the secret key is inside: mode 0600, keep it so"
    )
    say("left out: jobs of the built-in cluster, which are processes of this machine")
    put_json(asdict(kept)) if as_json else put(kept.file)


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The backup.")],
    into: Annotated[Path, typer.Option("--into", metavar="DIR", help="The data directory to be: empty, or not there.")],
    as_json: Json = False,
) -> None:
    """Check a backup and bring it back. Exit code 1: the chain of events does not hold as it was backed up."""
    os.environ["SCHMELZ_DATA"] = str(into)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "schmelz.portal.settings")
    from schmelz.operate.backup import unpack

    said = unpack(file, into)
    faults = _faults(said["events"], said["head"])
    facts = {"into": str(into), "at": said["at"], "files": len(said["files"]), "events": said["events"]}
    for fault in faults:
        say(fault)
    if as_json:
        put_json({**facts, "head": said["head"], "ok": not faults})
    elif not faults:
        put(
            f"restored {into} as of {said['at']}: {facts['files']} files unchanged, {said['events']} events, the chain holds"
        )
    raise typer.Exit(1 if faults else 0)


def _faults(events: int, head: str) -> list[str]:
    """What is wrong with the chain of events in the restored database."""
    ready.portal()
    from schmelz.portal.ledger.models import Event
    from schmelz.portal.ledger.queries import head as last
    from schmelz.proof.chain import broken

    place = broken((event.facts(), event.hash) for event in Event.objects.iterator())
    found = [f"the chain of events is broken at event {place}, as it was when it was backed up"] if place else []
    if events and last() != (events, head):
        found.append(f"the last event is {last()[0]}, not {events} as when it was backed up")
    return found
