"""Writing facts and claims to a directory, for auditors: plain CSV and JSON, the same facts the same bytes.

The directory is made aside and moved into place, so that a half-written export is never taken for one.
"""

import json
import shutil
import tempfile
from pathlib import Path

from schmelz.faults import BadInput
from schmelz.proof.chain import canonical
from schmelz.proof.closing import TOTALS, pending, use_by_day
from schmelz.proof.facts import (
    CLAIMS,
    CLOSED,
    CLOSINGS,
    FACTS,
    FORMAT,
    INPUTS,
    PENDING,
    Facts,
    file_digest,
    write_inputs,
)
from schmelz.proof.heads import line
from schmelz.proof.recompute import access, splits, use


def export(facts: Facts, directory: Path) -> str:
    """Write the export; the head, to be kept. Raises BadInput when `directory` holds something else already."""
    if directory.exists() and not (directory.is_dir() and (not any(directory.iterdir()) or _ours(directory))):
        raise BadInput(f"{directory}: exists and is no export; give a new or an empty directory")
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=".export-", dir=directory.parent))
        aside.chmod(0o755)
    except OSError as error:
        raise BadInput(
            f"{directory}: cannot be written ({error.strerror}); give a directory that you may write to"
        ) from None
    try:
        _write(facts, aside)
        if directory.exists():
            shutil.rmtree(directory)
        aside.rename(directory)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return file_digest(directory / "manifest.json")


def _ours(directory: Path) -> bool:
    return (directory / "manifest.json").is_file()


def _write(facts: Facts, to: Path) -> None:
    write_inputs(facts, to)
    with (to / "events.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(canonical({**event, "hash": hashed}) + "\n" for event, hashed in facts.events)
    use(facts).write_csv(to / "usage.csv")
    access(facts).write_csv(to / "access.csv")
    (to / "splits.json").write_text(json.dumps(splits(facts), indent=1) + "\n")
    names = [*FACTS, *CLAIMS, *_write_closings(facts, to)]
    manifest = {
        "format": FORMAT,
        "as_of": facts.as_of,
        "files": {name: file_digest(to / name) for name in names},
        "chain": facts.events[-1][1] if facts.events else None,
    }
    (to / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")


def _write_closings(facts: Facts, to: Path) -> list[str]:
    """The closed months as they were frozen, and what is to be booked about them; the names of the files."""
    (to / CLOSINGS).write_text("".join(f"{line(closing)}\n" for closing in facts.closings), "utf-8")
    pending(use_by_day(facts), facts.closings, facts.closed).write_csv(to / PENDING)
    names = [f"{closing.month}/{name}" for closing in facts.closings for name in (*INPUTS, *TOTALS)]
    for name in names:
        (to / CLOSED / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(facts.closed / name, to / CLOSED / name)
    return [CLOSINGS, PENDING, *(f"{CLOSED}/{name}" for name in names)]
