"""Checking an export with nothing but its files: hashes, the chain of events, and every figure computed anew.

Each *finding* is one line: which file, what differs. No finding means: the files are as the manifest says, the chain holds,
projects are as they were awarded, no run stands there twice, the claimed figures follow from the facts, and closed months
are as they were closed (`closings`).
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from schmelz.faults import BadInput
from schmelz.metering.runs import KEY
from schmelz.proof import closings
from schmelz.proof.chain import broken
from schmelz.proof.differences import SHOWN, in_json, in_rows
from schmelz.proof.facts import CLAIMS, CLOSED, CLOSINGS, FACTS, FORMAT, PENDING, Facts, file_digest, read_inputs
from schmelz.proof.recompute import KEYS, splits, use


def verify(directory: Path, head: str | None = None) -> tuple[str, ...]:
    """Every difference found, at most twenty per file; empty when all is well. Raises BadInput where nothing can be read.

    `head`: the one that somebody kept, of this export or of a closed month.
    """
    manifest = _manifest(directory)
    found = [*_head(directory, head), *_files(directory, manifest)]
    if any(not (directory / name).is_file() for name in (*FACTS, *CLAIMS)):
        return tuple(found)
    try:
        facts = _facts(directory, manifest)
    except Exception as error:  # whatever somebody wrote into these files: it is a finding
        return (*found, f"the facts cannot be read: {_said(error)}")
    for check in (_chain, _awards, _runs, _usage, _splits, *closings.CHECKS):
        try:
            found += _first(check(directory, facts, manifest))
        except Exception as error:
            found.append(f"{check.__name__.removeprefix('_')}: cannot be checked: {_said(error)}")
    return tuple(found)


def _said(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _manifest(directory: Path) -> dict[str, Any]:
    path = directory / "manifest.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{path}: cannot be read ({error}); give the directory of an export") from None
    if (
        not isinstance(manifest, dict)
        or manifest.get("format") != FORMAT
        or not isinstance(manifest.get("as_of"), int)
        or not isinstance(manifest.get("files"), dict)
    ):
        raise BadInput(f"{path}: is no manifest of format {FORMAT}; give the directory of an export")
    return manifest


def _head(directory: Path, head: str | None) -> Iterator[str]:
    actual = file_digest(directory / "manifest.json")
    months = {closing.head for closing in closings.readable(directory)}
    if head is not None and head != actual and head not in months:
        other = f" nor that of one of its {len(months)} closed months" if months else ""
        yield f"manifest.json: its head is {actual}, not the one that was kept ({head}){other}"


def _files(directory: Path, manifest: Mapping[str, Any]) -> Iterator[str]:
    """Everything that is in the directory is what the manifest names."""
    names = {*FACTS, *CLAIMS, *manifest["files"], *_there(directory)}
    for name in sorted(names, key=lambda name: (name not in FACTS, name not in CLAIMS, name)):
        known = manifest["files"].get(name)
        try:
            actual = file_digest(_inside(directory, name))
        except (OSError, ValueError) as error:
            missing = isinstance(error, FileNotFoundError)
            yield f"{name}: {'is missing' if missing else getattr(error, 'strerror', None) or error}"
            continue
        if known is None:
            yield f"{name}: is not named by the manifest"
        elif actual != known:
            yield f"{name}: was changed after the export (its SHA-256 is not the manifest's)"


def _inside(directory: Path, name: str) -> Path:
    """The file of that name. Raises ValueError for one that lies elsewhere."""
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise ValueError("lies outside of the export")
    return directory / name


def _there(directory: Path) -> Iterable[str]:
    """The files that an export writes beside the plain facts and claims."""
    every = [*directory.glob(f"{CLOSED}/*/*"), directory / CLOSINGS, directory / PENDING]
    return (str(path.relative_to(directory)) for path in every if path.is_file())


def _facts(directory: Path, manifest: Mapping[str, Any]) -> Facts:
    facts = read_inputs(directory, manifest["as_of"])
    with (directory / "events.jsonl").open(encoding="utf-8") as file:
        events = [json.loads(line) for line in file]
    return replace(facts, events=tuple((event, event.pop("hash")) for event in events))


def _chain(_: Path, facts: Facts, manifest: Mapping[str, Any]) -> Iterator[str]:
    position = broken(facts.events)
    if position is not None:
        yield f"events.jsonl: line {position}: the chain is broken here"
    if (facts.events[-1][1] if facts.events else None) != manifest.get("chain"):
        yield "events.jsonl: does not end with the event that the manifest names"


def _awards(_: Path, facts: Facts, __: Mapping[str, Any]) -> Iterator[str]:
    """Each project stands as it was opened and amended: pool, grant and dates are those of its events in the chain."""
    awarded: dict[str, dict[str, Any]] = {}
    for event, _hash in facts.events:
        project = str(event["subject"]).partition(":")[2]
        if event["kind"] in ("project.open", "project.adopted"):
            awarded[project] = json.loads(str(event["data"]))
        elif event["kind"] == "amendment.sign" and project in awarded:
            awarded[project]["gpu_s"] = json.loads(str(event["data"])).get("gpu_s")
    for row in facts.projects.iter_rows(named=True):
        said = awarded.pop(row["project"], None)
        if said is None:
            yield f"projects.csv: {row['project']}: the chain knows no such award"
            continue
        for key, column in (("pool", "pool"), ("gpu_s", "grant_gpu_s"), ("start", "start"), ("end", "end")):
            if said.get(key) != row[column]:
                yield f"projects.csv: {row['project']}: {column} is {row[column]}, awarded was {said.get(key)}"
    yield from (f"projects.csv: {project}: was awarded but is missing" for project in sorted(awarded))


def _runs(_: Path, facts: Facts, __: Mapping[str, Any]) -> Iterator[str]:
    twice = facts.runs.group_by(KEY).len().filter(pl.col("len") > 1).sort(KEY)
    yield from (f"runs.csv: job {row['job']} stands there {row['len']} times" for row in twice.iter_rows(named=True))


def _usage(directory: Path, facts: Facts, _: Mapping[str, Any]) -> Iterator[str]:
    ours = use(facts)
    yield from in_rows("usage.csv", KEYS, pl.read_csv(directory / "usage.csv", schema=ours.schema), ours)


def _splits(directory: Path, facts: Facts, _: Mapping[str, Any]) -> Iterator[str]:
    claimed = json.loads((directory / "splits.json").read_text(encoding="utf-8"))
    yield from in_json("splits.json", claimed, json.loads(json.dumps(splits(facts))))


def _first(lines: Iterator[str]) -> list[str]:
    found = list(lines)
    return found[:SHOWN] + ([f"... and {len(found) - SHOWN} more"] if len(found) > SHOWN else [])
