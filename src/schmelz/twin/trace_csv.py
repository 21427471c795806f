"""A trace as comma-separated values: the first line names the columns, a mapping says which of them means what.

Meanings: submit, run and size must be there; job, estimate, allocated, tenant and user may be. A column that is not mapped
is found by the names that are in use (USUAL). Times are whole seconds; an empty field, or -1, is unknown.
"""

import csv
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO

import numpy as np

from schmelz.faults import BadInput
from schmelz.twin.records import UNKNOWN, Trace
from schmelz.twin.trace_text import MOST, in_order, job_names, lines, number_of, refuse
from schmelz.twin.workload import Ints, Names

USUAL: dict[str, tuple[str, ...]] = {
    "submit": ("submit", "submit_s", "submit_time", "arrival"),
    "run": ("run", "run_s", "run_time", "runtime", "duration", "elapsed"),
    "size": ("size", "gpus", "num_gpus", "gpu_num", "processors"),
    "allocated": ("allocated", "gpus_allocated"),
    "estimate": ("estimate", "estimate_s", "limit", "limit_s", "walltime"),
    "job": ("job", "job_id", "jobid", "id"),
    "tenant": ("tenant", "vc", "account", "project", "group", "pool"),
    "user": ("user", "user_id"),
}
REQUIRED = ("submit", "run", "size")
NUMBERS = ("submit", "run", "size", "allocated", "estimate")


def mapping(pairs: Sequence[str]) -> dict[str, str]:
    """`size=gpus,tenant=vc` as a mapping. Raises BadInput."""
    found = {}
    for pair in (pair for text in pairs for pair in text.split(",")):
        meaning, equals, column = (part.strip() for part in pair.partition("="))
        if not equals or meaning not in USUAL:
            raise BadInput(f"--map: {pair!r}: write MEANING=COLUMN, with a meaning of {', '.join(USUAL)}")
        found[meaning] = column
    return found


def read(source: BinaryIO, columns: Mapping[str, str]) -> Trace:
    """All its jobs; `columns`: the column of a meaning. Raises BadInput with the number of the line."""
    rows = _rows(source)
    _, header = next(rows, (1, []))
    place = _places(header, columns)
    table, names, numbers = _table(rows, place, len(header))
    faults = [(table["submit"] < 0, "submit: is negative or missing; a trace begins at 0")]
    faults += [(table[name] < UNKNOWN, f"{name}: is negative") for name in NUMBERS if name in table]
    faults += [(table[name] > MOST, f"{name}: is beyond reason") for name in NUMBERS if name in table]
    faults += [(in_order(table["submit"]), "submit: is before the line above; sort the trace by submission")]
    refuse(faults, numbers)
    unknown = np.full(len(numbers), UNKNOWN, np.int64)
    owners = tuple(_names(names[kind]) for kind in ("tenant", "user") if kind in names)
    job = job_names(names["job"]) if "job" in names else np.arange(1, len(numbers) + 1)
    allocated, estimate = table.get("allocated", unknown), table.get("estimate", unknown)
    return Trace(job, table["submit"], table["run"], table["size"], allocated, estimate, owners)


def _rows(source: BinaryIO) -> Iterator[tuple[int, list[str]]]:
    """The fields of every line that holds any, with its number. A field never goes over the end of a line."""
    for number, line in lines(source):
        try:
            row = next(
                csv.reader([line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")], strict=True), []
            )
        except UnicodeDecodeError:
            raise BadInput(f"line {number}: is not UTF-8 text") from None
        except csv.Error as error:
            raise BadInput(f"line {number}: {error}") from None
        if row:
            yield number, row


def _places(header: Sequence[str], columns: Mapping[str, str]) -> dict[str, int]:
    """Where each meaning stands."""
    names = [name.strip() for name in header]
    if missing := [f"{column!r} ({meaning})" for meaning, column in columns.items() if column not in names]:
        raise BadInput(f"line 1: has no column {', '.join(missing)}; it has {', '.join(names)[:200]}")
    lower = [name.lower() for name in names]
    found = {meaning: next((lower.index(one) for one in usual if one in lower), -1) for meaning, usual in USUAL.items()}
    found |= {meaning: names.index(column) for meaning, column in columns.items()}
    if missing := [meaning for meaning in REQUIRED if found[meaning] < 0]:
        raise BadInput(
            f"line 1: no column for {', '.join(missing)}; say it with --map, as in --map {missing[0]}=COLUMN"
        )
    return {meaning: place for meaning, place in found.items() if place >= 0}


def _table(
    rows: Iterator[tuple[int, list[str]]], place: Mapping[str, int], width: int
) -> tuple[dict[str, Ints], dict[str, list[str]], Ints]:
    """The numbers, the names, and the numbers of the lines."""
    values = {name: array("q") for name in NUMBERS if name in place}
    names: dict[str, list[str]] = {name: [] for name in place if name not in values}
    seen: dict[str, str] = {}
    numbers = array("q")
    for number, row in rows:
        if len(row) != width:
            raise BadInput(f"line {number}: has {len(row)} fields where the header has {width}")
        for name, column in values.items():
            text = row[place[name]].strip()
            column.append(min(number_of(text, name, number), MOST + 1) if text else UNKNOWN)
        for name, texts in names.items():
            texts.append(seen.setdefault(row[place[name]], row[place[name]]) if name != "job" else row[place[name]])
        numbers.append(number)
    return {name: np.array(column, np.int64) for name, column in values.items()}, names, np.array(numbers, np.int64)


def _names(texts: Sequence[str]) -> Names:
    numbers: dict[str, int] = {}
    code = np.array([numbers.setdefault(text, len(numbers)) for text in texts], np.int32)
    return Names(code, tuple(numbers))
