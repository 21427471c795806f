"""Backup: `schmelz backup` and `schmelz restore`. Whoever may read the data directory may do the one, and anybody with an
empty directory the other: what protects a backup is where it lies, so keep it as you keep the secret key that is in it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

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
    forgotten: Annotated[
        Path | None,
        typer.Option("--forgotten", metavar="FILE", help="Who was forgotten since; else what lies beside the backup."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check a backup and bring it back; who was forgotten since is forgotten again.

    Exit code 1: the chain of events does not hold as it was backed up.
    """
    os.environ["SCHMELZ_DATA"] = str(into)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "schmelz.portal.settings")
    from schmelz.operate.backup import unpack
    from schmelz.operate.forgotten import LIST, read_list

    there = forgotten or (beside if (beside := file.parent / LIST).is_file() else None)
    known = read_list(there) if there else None
    said = unpack(file, into)
    faults = _faults(said["events"], said["head"])
    facts = {"into": str(into), "at": said["at"], "files": len(said["files"]), "events": said["events"]}
    facts["forgotten"] = _forget_again(known, there)
    for fault in faults:
        say(fault)
    if as_json:
        put_json({**facts, "head": said["head"], "ok": not faults})
    elif not faults:
        put(
            f"restored {into} as of {said['at']}: {facts['files']} files unchanged, {said['events']} events, the chain holds"
        )
    raise typer.Exit(1 if faults else 0)


def _forget_again(known: Mapping[str, Any] | None, path: Path | None) -> list[int]:
    """The numbers of the persons who were forgotten since the backup, and now are again."""
    from schmelz.operate.forget_again import forget_again, keep_list
    from schmelz.operate.forgotten import LIST

    if known is None or path is None:
        say(
            f"note: no {LIST} lies beside the backup: whoever was forgotten since is known again; see the operating page"
        )
        return []
    found = list(forget_again(known, path))
    keep_list()
    if found:
        say(f"forgotten again: {len(found)}, by the list {path}")
    return found


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
