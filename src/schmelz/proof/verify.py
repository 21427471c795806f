"""Checking an export with nothing but its files: hashes, the chain of events, and every figure computed anew.

Each *finding* is one line: which file, what differs. No finding means: the files are as the manifest says, the chain holds,
projects are as they were awarded, no run stands there twice, and the claimed figures follow from the facts.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from schmelz.faults import BadInput
from schmelz.metering.runs import KEY, RUN_SCHEMA
from schmelz.metering.supply import Outage
from schmelz.policy.schema import Factory
from schmelz.proof.chain import broken
from schmelz.proof.facts import CLAIMS, FACTS, FORMAT, OUTAGE_COLUMNS, PROJECT_COLUMNS, Facts, file_digest
from schmelz.proof.recompute import KEYS, splits, use

SHOWN = 20


def verify(directory: Path, head: str | None = None) -> tuple[str, ...]:
    """Every difference found, at most twenty per file; empty when all is well. Raises BadInput where nothing can be read."""
    manifest = _manifest(directory)
    found = [*_head(directory, head), *_files(directory, manifest)]
    if any(not (directory / name).is_file() for name in (*FACTS, *CLAIMS)):
        return tuple(found)
    try:
        facts = _facts(directory, manifest)
    except Exception as error:  # whatever somebody wrote into these files: it is a finding
        return (*found, f"the facts cannot be read: {_said(error)}")
    for check in (_chain, _awards, _runs, _usage, _splits):
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
    if head is not None and head != actual:
        yield f"manifest.json: its head is {actual}, not the one that was kept ({head})"


def _files(directory: Path, manifest: Mapping[str, Any]) -> Iterator[str]:
    for name in (*FACTS, *CLAIMS):
        path = directory / name
        try:
            actual = file_digest(path)
        except OSError as error:
            yield f"{name}: {'is missing' if isinstance(error, FileNotFoundError) else error.strerror}"
            continue
        if actual != manifest["files"].get(name):
            yield f"{name}: was changed after the export (its SHA-256 is not the manifest's)"


def _facts(directory: Path, manifest: Mapping[str, Any]) -> Facts:
    outages = pl.read_csv(directory / "outages.csv", schema=OUTAGE_COLUMNS)
    with (directory / "events.jsonl").open(encoding="utf-8") as file:
        events = [json.loads(line) for line in file]
    return Facts(
        factory=Factory.model_validate_json((directory / "factory.json").read_bytes()),
        projects=pl.read_csv(directory / "projects.csv", schema=PROJECT_COLUMNS),
        runs=pl.read_csv(directory / "runs.csv", schema=RUN_SCHEMA).with_columns(pl.col(pl.String, pl.Categorical).fill_null("")),
        outages=tuple(Outage(*row) for row in outages.iter_rows()),
        events=tuple((event, event.pop("hash")) for event in events),
        as_of=manifest["as_of"],
    )


def _chain(_: Path, facts: Facts, manifest: Mapping[str, Any]) -> Iterator[str]:
    position = broken(facts.events)
    if position is not None:
        yield f"events.jsonl: line {position}: the chain is broken here"
    if (facts.events[-1][1] if facts.events else None) != manifest.get("chain"):
        yield "events.jsonl: does not end with the event that the manifest names"


def _awards(_: Path, facts: Facts, __: Mapping[str, Any]) -> Iterator[str]:
    """Each project stands as it was opened: pool, grant and dates are those of its event in the chain."""
    awarded = {
        str(event["subject"]).partition(":")[2]: json.loads(str(event["data"]))
        for event, _ in facts.events
        if event["kind"] in ("project.open", "project.adopted")
    }
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
    claimed = pl.read_csv(directory / "usage.csv", schema=ours.schema)
    for key in claimed.filter(claimed.select(KEYS).is_duplicated()).select(KEYS).unique().sort(KEYS).iter_rows():
        yield f"usage.csv: {' '.join(map(str, key))}: stands there more than once"
    both = ours.join(claimed, on=KEYS, how="full", coalesce=True, suffix="_claimed").sort(KEYS)
    for row in both.iter_rows(named=True):
        for key in ("gpu_s", "runs"):
            if row[key] != row[f"{key}_claimed"]:
                where = " ".join(str(row[k]) for k in KEYS)
                yield f"usage.csv: {where}: {key} is claimed as {row[f'{key}_claimed']}, recomputed {row[key]}"


def _splits(directory: Path, facts: Facts, _: Mapping[str, Any]) -> Iterator[str]:
    claimed = json.loads((directory / "splits.json").read_text(encoding="utf-8"))
    yield from _differences("splits.json", claimed, json.loads(json.dumps(splits(facts))))


def _differences(where: str, claimed: object, ours: object) -> Iterator[str]:
    if isinstance(claimed, dict) and isinstance(ours, dict):
        for key in sorted({*claimed, *ours}):
            yield from _differences(f"{where}: {key}", claimed.get(key), ours.get(key))
    elif isinstance(claimed, list) and isinstance(ours, list) and len(claimed) == len(ours):
        for index, (one, other) in enumerate(zip(claimed, ours, strict=True)):
            yield from _differences(f"{where}[{index}]", one, other)
    elif claimed != ours:
        yield f"{where}: is claimed as {claimed}, recomputed {ours}"


def _first(lines: Iterator[str]) -> list[str]:
    found = list(lines)
    return found[:SHOWN] + ([f"... and {len(found) - SHOWN} more"] if len(found) > SHOWN else [])
