"""Checking an export with nothing but its files: hashes, the chain of events, and every figure computed anew.

Each *finding* is one line: which file, what differs. No finding means: the files are as the manifest says, the chain holds,
projects are and count as their events say, no run stands there twice, the claimed figures follow from the facts, and
closed months are as they were closed (`closings`).
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
from schmelz.proof.awards import attributes, awards
from schmelz.proof.chain import broken
from schmelz.proof.differences import SHOWN, in_json, in_rows
from schmelz.proof.facts import CLAIMS, FACTS, FORMAT, Event, Facts, file_digest, read_file, read_inputs
from schmelz.proof.recompute import ACCESS_KEYS, KEYS, access, splits, use

MANIFEST = "manifest.json"


def verify(directory: Path, head: str | None = None) -> tuple[str, ...]:
    """Every difference found, at most twenty per file; empty when all is well. Raises BadInput where there is no export.

    `head`: the one that somebody kept, of this export or of a closed month.
    """
    manifest = _manifest(directory)
    if isinstance(manifest, str):
        return (manifest,)
    found = [*_head(directory, head), *_files(directory, manifest)]
    if any(not (directory / name).is_file() for name in (*FACTS, *CLAIMS)):
        return tuple(found)
    try:
        facts = _facts(directory, manifest)
    except Exception as error:  # whatever somebody wrote into these files: it is a finding
        return (*found, f"{_said(error)}; without it nothing can be computed")
    for check in (_chain, awards, attributes, _runs, _usage, _access, _splits, *closings.CHECKS):
        try:
            found += _first(check(directory, facts, manifest))
        except BadInput as error:  # it names the file
            found.append(_said(error))
        except Exception as error:
            found.append(f"{check.__name__.removeprefix('_')}: cannot be checked: {_said(error)}")
    return tuple(found)


def _said(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _manifest(directory: Path) -> dict[str, Any] | str:
    """The manifest, or what is wrong with it. Raises BadInput where nothing of an export is."""
    path = directory / MANIFEST
    if not any((directory / name).exists() for name in (*FACTS, MANIFEST)):
        raise BadInput(f"{directory}: holds no export (there is no {MANIFEST}); give the directory of one")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        return f"{MANIFEST}: cannot be read ({getattr(error, 'strerror', None) or error})"
    if (
        not isinstance(manifest, dict)
        or manifest.get("format") != FORMAT
        or not isinstance(manifest.get("as_of"), int)
        or not isinstance(manifest.get("files"), dict)
    ):
        return f"{MANIFEST}: is no manifest of format {FORMAT}"
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
    """All that lies in the directory, beside the manifest itself."""
    every = (path for path in directory.rglob("*") if path.is_symlink() or not path.is_dir())
    return (name for path in every if (name := str(path.relative_to(directory))) != MANIFEST)


def _facts(directory: Path, manifest: Mapping[str, Any]) -> Facts:
    events = read_file(directory / "events.jsonl", _events)
    return replace(read_inputs(directory, manifest["as_of"]), events=events)


def _events(path: Path) -> tuple[Event, ...]:
    with path.open(encoding="utf-8") as file:
        events = [json.loads(line) for line in file]
    return tuple((event, event.pop("hash")) for event in events)


def _chain(_: Path, facts: Facts, manifest: Mapping[str, Any]) -> Iterator[str]:
    position = broken(facts.events)
    if position is not None:
        yield f"events.jsonl: line {position}: the chain is broken here"
    if (facts.events[-1][1] if facts.events else None) != manifest.get("chain"):
        yield "events.jsonl: does not end with the event that the manifest names"


def _runs(_: Path, facts: Facts, __: Mapping[str, Any]) -> Iterator[str]:
    twice = facts.runs.group_by(KEY).len().filter(pl.col("len") > 1).sort(KEY)
    yield from (f"runs.csv: job {row['job']} stands there {row['len']} times" for row in twice.iter_rows(named=True))


def _usage(directory: Path, facts: Facts, _: Mapping[str, Any]) -> Iterator[str]:
    ours = use(facts)
    claimed = read_file(directory / "usage.csv", lambda path: pl.read_csv(path, schema=ours.schema))
    yield from in_rows("usage.csv", KEYS, claimed, ours)


def _access(directory: Path, facts: Facts, _: Mapping[str, Any]) -> Iterator[str]:
    ours = access(facts)
    claimed = read_file(directory / "access.csv", lambda path: pl.read_csv(path, schema=ours.schema))
    yield from in_rows("access.csv", ACCESS_KEYS, claimed, ours)


def _splits(directory: Path, facts: Facts, _: Mapping[str, Any]) -> Iterator[str]:
    claimed = read_file(directory / "splits.json", lambda path: json.loads(path.read_text(encoding="utf-8")))
    yield from in_json("splits.json", claimed, json.loads(json.dumps(splits(facts))))


def _first(lines: Iterator[str]) -> list[str]:
    found = list(lines)
    return found[:SHOWN] + ([f"... and {len(found) - SHOWN} more"] if len(found) > SHOWN else [])
