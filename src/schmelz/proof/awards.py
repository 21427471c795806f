"""Checking projects against the chain: each stands as it was opened and amended, and counted as what its events say.

The event of an award or a take-over names pool, grant, dates and the first row of attributes; later ones change the grant
or add a row of attributes from a day on. A *finding* is a line that names file and place.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import Any

from schmelz.metering.usage import Attributes
from schmelz.proof.facts import Facts

OPENED = ("project.open", "project.adopted")
COLUMNS = (("pool", "pool"), ("gpu_s", "grant_gpu_s"), ("start", "start"), ("end", "end"))


def awards(_: Path, facts: Facts, __: Mapping[str, Any]) -> Iterator[str]:
    """Pool, grant and dates of each project are those of its events in the chain."""
    awarded: dict[str, dict[str, Any]] = {}
    for kind, project, data in _said(facts):
        if kind in OPENED:
            awarded[project] = data
        elif kind == "amendment.sign" and project in awarded:
            awarded[project]["gpu_s"] = data.get("gpu_s")
    for row in facts.projects.iter_rows(named=True):
        said = awarded.pop(row["project"], None)
        if said is None:
            yield f"projects.csv: {row['project']}: the chain knows no such award"
            continue
        for key, column in COLUMNS:
            if said.get(key) != row[column]:
                yield f"projects.csv: {row['project']}: {column} is {row[column]}, awarded was {said.get(key)}"
    yield from (f"projects.csv: {project}: was awarded but is missing" for project in sorted(awarded))


def attributes(_: Path, facts: Facts, __: Mapping[str, Any]) -> Iterator[str]:
    """What each project counted as, row by row; awards from before these stood in the chain cannot be checked."""
    known, stated = _described(facts), _by_project(facts.attributes)
    for project in sorted({*stated, *known}):
        ours, claimed = known.get(project), stated.get(project, [])
        if ours is None:
            continue
        if len(ours) != len(claimed):
            yield f"attributes.csv: {project}: has {len(claimed)} rows, the chain knows {len(ours)}"
        for one, other in zip(ours, claimed, strict=False):
            yield from _differences(one, other)


def _differences(ours: Attributes, claimed: Attributes) -> Iterator[str]:
    said = asdict(claimed)
    for name, value in asdict(ours).items():
        if said[name] != value:
            yield f"attributes.csv: {ours.project} from {ours.since}: {name} is {said[name]}, the chain says {value}"


def _described(facts: Facts) -> dict[str, list[Attributes]]:
    """The rows as the events tell them, in the order of time."""
    found: dict[str, list[Attributes]] = {}
    for kind, project, data in _said(facts):
        if kind in OPENED and isinstance(data.get("attributes"), dict):
            found[project] = [_row(project, data["attributes"])]
        elif kind == "project.attributes" and project in found:
            since = date.fromisoformat(str(data.pop("since")))
            before = next((row for row in reversed(found[project]) if row.since <= since), found[project][0])
            found[project].append(replace(before, since=since, **data))
            found[project].sort(key=lambda row: row.since)
    return found


def _row(project: str, said: Mapping[str, Any]) -> Attributes:
    return Attributes(project, **{**said, "since": date.fromisoformat(str(said["since"]))})


def _by_project(rows: tuple[Attributes, ...]) -> dict[str, list[Attributes]]:
    found: dict[str, list[Attributes]] = {}
    for row in rows:
        found.setdefault(row.project, []).append(row)
    return found


def _said(facts: Facts) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Kind, project and data of the events about projects."""
    for event, _ in facts.events:
        about, _, name = str(event["subject"]).partition(":")
        if about == "project":
            yield str(event["kind"]), name, json.loads(str(event["data"]))
