"""What is handed to somebody who checks: facts as plain files, and the figures that were claimed of them.

Facts: factory.json (the policy), projects.csv, attributes.csv (what each project counted as, from which day), runs.csv
(users as pseudonyms per project), outages.csv, events.jsonl (the hash chain). Claims: usage.csv, access.csv, splits.json;
closings.jsonl, the frozen files of each closed month and corrections.csv, what is not yet booked. manifest.json names every
file with its SHA-256 and the moment `as_of` that running jobs are counted to; the SHA-256 of the manifest is the *head* of
the export, which an owner can keep.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import TypeVar

import polars as pl

from schmelz.faults import BadInput
from schmelz.metering.runs import RUN_SCHEMA
from schmelz.metering.supply import Outage
from schmelz.metering.usage import ATTRIBUTES, Attributes
from schmelz.policy.load import normalised
from schmelz.policy.schema import Factory
from schmelz.proof.heads import Closing

FORMAT = 2
INPUTS = ("factory.json", "projects.csv", "attributes.csv", "runs.csv", "outages.csv")
FACTS = (*INPUTS, "events.jsonl")
CLAIMS = ("usage.csv", "access.csv", "splits.json")
CLOSINGS, PENDING, CLOSED = "closings.jsonl", "corrections.csv", "closed"
PROJECT_COLUMNS = {
    "project": pl.String,
    "system": pl.String,
    "pool": pl.String,
    "grant_gpu_s": pl.Int64,
    "start": pl.Int64,
    "end": pl.Int64,
}
ATTRIBUTE_COLUMNS = {"project": pl.String, "since": pl.Date} | {
    name: pl.Boolean if name in ("sme", "commercial") else pl.String for name in ATTRIBUTES
}
OUTAGE_COLUMNS = {
    "system": pl.String,
    "node": pl.String,
    "kind": pl.String,
    "start": pl.Int64,
    "end": pl.Int64,
    "pool": pl.String,
}
Event = tuple[Mapping[str, object], str]
Read = TypeVar("Read")


@dataclass(frozen=True)
class Facts:
    """Everything that figures are computed from. `events` are (facts of the event, hash) in order.

    `closed` is the directory with the frozen files of the closed months, one directory each.
    """

    factory: Factory
    projects: pl.DataFrame
    runs: pl.DataFrame
    outages: tuple[Outage, ...]
    events: tuple[Event, ...]
    as_of: int
    closings: tuple[Closing, ...] = ()
    closed: Path = Path(CLOSED)
    attributes: tuple[Attributes, ...] = ()


def write_inputs(facts: Facts, to: Path) -> None:
    """The files that figures follow from."""
    policy = json.dumps(normalised(facts.factory), indent=1, ensure_ascii=False)
    (to / "factory.json").write_text(policy + "\n", "utf-8")
    facts.projects.write_csv(to / "projects.csv")
    attribute_frame(facts.attributes).write_csv(to / "attributes.csv")
    facts.runs.write_csv(to / "runs.csv")
    outage_frame(facts.outages).write_csv(to / "outages.csv")


def read_inputs(directory: Path, as_of: int) -> Facts:
    """The facts in these files, without events. Raises BadInput, which names the file, for whatever is wrong with one."""
    return Facts(
        factory=read_file(directory / "factory.json", lambda path: Factory.model_validate_json(path.read_bytes())),
        projects=read_file(directory / "projects.csv", lambda path: pl.read_csv(path, schema=PROJECT_COLUMNS)),
        runs=read_file(directory / "runs.csv", _runs),
        outages=read_file(directory / "outages.csv", _outages),
        events=(),
        as_of=as_of,
        attributes=read_file(directory / "attributes.csv", _attributes),
    )


def read_file(path: Path, read: Callable[[Path], Read]) -> Read:
    """What is read of the file. Raises BadInput with its name: somebody may have written anything into it."""
    try:
        return read(path)
    except Exception as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInput(f"{path.name}: cannot be read: {said}") from None


def _runs(path: Path) -> pl.DataFrame:
    runs = pl.read_csv(path, schema=RUN_SCHEMA)
    return runs.with_columns(pl.col(pl.String, pl.Categorical).fill_null(""))


def attribute_frame(rows: Iterable[Attributes]) -> pl.DataFrame:
    return pl.DataFrame([astuple(row) for row in rows], schema=ATTRIBUTE_COLUMNS, orient="row")


def _attributes(path: Path) -> tuple[Attributes, ...]:
    rows = pl.read_csv(path, schema=ATTRIBUTE_COLUMNS).with_columns(pl.col(pl.String).fill_null(""))
    return tuple(Attributes(*row) for row in rows.iter_rows())


def outage_frame(outages: Iterable[Outage]) -> pl.DataFrame:
    rows = [(o.system, o.node, o.kind, o.start, o.end, o.pool) for o in outages]
    return pl.DataFrame(rows, schema=OUTAGE_COLUMNS, orient="row").sort(list(OUTAGE_COLUMNS), nulls_last=True)


def _outages(path: Path) -> tuple[Outage, ...]:
    """Exports from before pools stood with reservations have five columns."""
    with path.open(encoding="utf-8") as file:
        names = file.readline().rstrip("\n").split(",")
    rows = pl.read_csv(path, schema={name: OUTAGE_COLUMNS[name] for name in names})
    return tuple(Outage(**row) for row in rows.iter_rows(named=True))


def file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
