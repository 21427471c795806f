"""What was applied before: the journal's entries with what the ledger says of them, and telling the ledger.

Every apply that touched the cluster is an event, failed ones too, with its entry in the journal and the entry's SHA-256.
Where a process was killed between an apply and its event, the duty `tell_missed` catches up: the journal loses nothing.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from django.conf import settings
from django.db import transaction

from schmelz.cluster.journal import Entry, Journal, digest
from schmelz.policy.schema import System
from schmelz.portal.clock import now
from schmelz.portal.ledger.actions import record
from schmelz.portal.ledger.models import Event
from schmelz.portal.people.models import Person
from schmelz.portal.projects.actions import mark_applied
from schmelz.units import iso

What = Literal["apply", "undo", "repair", "unknown"]
EVENTS = {"done": "plan.applied", "failed": "plan.failed"}
SOON = 60


def journal(system: System) -> Journal:
    """What every apply did on this system."""
    return Journal(Path(settings.DATA) / "cluster" / system.id / "journal", now)


def note(
    person: Person | None,
    system: System,
    what: What,
    entry: Entry,
    sha: str,
    seconds: Sequence[str] = (),
    finished: Sequence[str] = (),
) -> None:
    """One event for an entry that ended. Persons by number: a name in the chain could never be forgotten."""
    approved = sorted(Person.objects.filter(handle__in=seconds).values_list("pk", flat=True))
    counts = {"changes": entry.changes, "removals": len(entry.removals), "approved": approved}
    facts: dict[str, Any] = {"plan": entry.hash, "journal": entry.id, "digest": sha, "what": what}
    facts |= counts | {"finished": list(finished)}
    record(EVENTS[entry.state], f"system:{system.id}", person, **facts)


def note_failure(person: Person, system: System, what: What, before: Entry | None) -> None:
    """Tell of an apply that began and failed; one that was refused before it began leaves nothing."""
    book = journal(system)
    entry = next(iter(book.entries()), None)
    if entry is None or entry.state != "failed" or (before is not None and entry.id == before.id):
        return
    with transaction.atomic():
        note(person, system, what, entry, digest(_file(book, entry)))


def tell_missed(system: System) -> int:
    """Tell of applies that ended and have no event, because the process was killed just then. How many."""
    told, book = dict(_told(system)), journal(system)
    missed = [entry for entry in book.entries() if entry.state in EVENTS and entry.id not in told]
    missed = [entry for entry in missed if time.time() - _file(book, entry).stat().st_mtime > SOON]
    for entry in reversed(missed):
        person = Person.objects.filter(handle=entry.who).first()
        with transaction.atomic():
            if entry.state == "done":
                opened = [account.name for account in book.desired(entry.id).accounts if account.open]
                mark_applied(opened, person, entry.hash)
            note(person, system, "unknown", entry, digest(_file(book, entry)), (), entry.finished)
    return len(missed)


def rewrite(change: Callable[[str], str]) -> dict[str, list[str]]:
    """Change what stands in the journals, text by text; each changed entry with its digest before and after.

    Raises Refused while something is applied. The new digests are for the chain, which has the old ones.
    """
    changed: dict[str, list[str]] = {}
    for path in sorted(Path(settings.DATA).glob("cluster/*/journal/*.jsonl")):
        lines = path.read_text("utf-8").splitlines(keepends=True)
        new = "".join(_rewritten(line, change) for line in lines)
        if new != "".join(lines):
            with Journal(path.parent, now).lock():
                before, aside = digest(path), path.with_name(f".{path.name}")
                aside.write_text(new, "utf-8")
                aside.replace(path)
            changed[f"{path.parts[-3]}/{path.stem}"] = [before, digest(path)]
    return changed


def _rewritten(line: str, change: Callable[[str], str]) -> str:
    """A line of JSON with all its texts changed, as it was where nothing changes; one that was cut off is no JSON."""
    try:
        said = json.loads(line)
    except ValueError:
        return change(line)
    new = _walked(said, change)
    return line if new == said else json.dumps(new) + "\n"


def _walked(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(key): _walked(inside, change) for key, inside in value.items()}
    return [_walked(inside, change) for inside in value] if isinstance(value, list) else value


def _file(book: Journal, entry: Entry) -> Path:
    return book.directory / f"{entry.id}.jsonl"


@dataclass(frozen=True)
class Past:
    """An apply of the past: its entry in the journal, and what it was (apply, undo, repair; empty: nobody noted it)."""

    entry: Entry
    what: str
    finished_by: str = ""

    def as_dict(self) -> dict[str, Any]:
        one = self.entry
        return {
            "id": one.id,
            "at": iso(one.at),
            "who": one.who,
            "hash": one.hash,
            "changes": one.changes,
            "removals": list(one.removals),
            "state": one.state,
            "what": self.what,
            "finished_by": self.finished_by,
            "words": one.words,
        }


def applies(system: System) -> tuple[Past, ...]:
    """Every apply, the newest first."""
    told = dict(_told(system))
    entries = journal(system).entries()
    finished = {old: entry.id for entry in entries for old in entry.finished}
    return tuple(Past(entry, told.get(entry.id, ""), finished.get(entry.id, "")) for entry in entries)


def _told(system: System) -> Iterator[tuple[str, str]]:
    """From the ledger: the journal's entry, and what it was."""
    rows = Event.objects.filter(kind__in=("plan.applied", "plan.failed"), subject=f"system:{system.id}")
    for data in rows.values_list("data", flat=True):
        facts = json.loads(data)
        if "journal" in facts:
            yield facts["journal"], facts["what"]


def notices(system: System, past: tuple[Past, ...] | None = None) -> list[str]:
    """What a person should know before reading the plan: an apply that did not end, an undo that holds."""
    past = applies(system) if past is None else past
    said = []
    for one in past:
        if one.entry.state == "done":
            break
        said.append(_unfinished(one.entry))
    if past and past[0].what == "undo" and past[0].entry.state == "done":
        said.append(
            f"the last apply ({past[0].entry.id}) was an undo: the cluster is as before it, the decisions are not; "
            "this plan shows the difference"
        )
    return said


def _unfinished(entry: Entry) -> str:
    if entry.state == "running":
        return f"{entry.who} is applying {entry.id} at this moment: wait until it has ended"
    ended = {"interrupted": "was interrupted", "failed": "failed"}[entry.state]
    return f"apply {entry.id} by {entry.who} {ended}: the next apply finishes it"
