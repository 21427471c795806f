"""What is handed to somebody who checks: facts as plain files, and the figures that were claimed of them.

Facts: factory.json (the policy), projects.csv, runs.csv (users as pseudonyms per project), outages.csv, events.jsonl (the
hash chain). Claims: usage.csv and splits.json. manifest.json names every file with its SHA-256 and the moment `as_of` that
running jobs are counted to; the SHA-256 of the manifest is the *head* that an owner can keep.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from schmelz.metering.supply import Outage
from schmelz.policy.schema import Factory

FORMAT = 1
FACTS = ("factory.json", "projects.csv", "runs.csv", "outages.csv", "events.jsonl")
CLAIMS = ("usage.csv", "splits.json")
PROJECT_COLUMNS = {
    "project": pl.String,
    "system": pl.String,
    "pool": pl.String,
    "grant_gpu_s": pl.Int64,
    "start": pl.Int64,
    "end": pl.Int64,
    "mode": pl.String,
    "category": pl.String,
    "country": pl.String,
    "commercial": pl.Boolean,
}
OUTAGE_COLUMNS = {"system": pl.String, "node": pl.String, "kind": pl.String, "start": pl.Int64, "end": pl.Int64}


@dataclass(frozen=True)
class Facts:
    """Everything that figures are computed from. `events` are (facts of the event, hash) in order."""

    factory: Factory
    projects: pl.DataFrame
    runs: pl.DataFrame
    outages: tuple[Outage, ...]
    events: tuple[tuple[Mapping[str, object], str], ...]
    as_of: int


def outage_frame(outages: Iterable[Outage]) -> pl.DataFrame:
    rows = [(o.system, o.node, o.kind, o.start, o.end) for o in outages]
    return pl.DataFrame(rows, schema=OUTAGE_COLUMNS, orient="row").sort(list(OUTAGE_COLUMNS), nulls_last=True)


def file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
