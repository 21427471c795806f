"""A trace in the Standard Workload Format: eighteen numbers a line, -1 for unknown, header lines behind a semicolon.

Read are the fields 1 job, 2 submit, 4 run, 5 processors given, 8 processors asked for, 9 time asked for, 11 status, 13
group, 12 user, 15 queue, 16 partition. Names are made of the field and the number: `group12`, `queue1`. Lines of partial
execution (status 2, 3, 4) say again what the job's own line says, and are left out. Processors count as GPUs.
Source: the Parallel Workloads Archive.
"""

from array import array
from typing import BinaryIO

import numpy as np

from schmelz.faults import BadInput
from schmelz.twin.records import Trace
from schmelz.twin.trace_text import MOST, in_order, lines, number_of, refuse
from schmelz.twin.workload import Ints, Names

WIDTH = 18
FIELDS = {
    "job": 1, "submit": 2, "run": 4, "processors given": 5, "processors asked for": 8, "time asked for": 9,
    "status": 11, "group": 13, "user": 12, "queue": 15, "partition": 16,
}  # fmt: skip
MAY_BE_UNKNOWN = ("run", "processors given", "processors asked for", "time asked for")
NAMES = ("group", "user", "queue", "partition")
PARTIAL = (2, 3, 4)


def read(source: BinaryIO) -> Trace:
    """All its jobs. Raises BadInput with the number of the line."""
    table, numbers = _table(source)
    column = dict(zip(FIELDS, table.T, strict=True))
    faults = [(column["submit"] < 0, "field 2 (submit): is negative; a trace begins at 0")]
    faults += [
        (column[name] < -1, f"field {FIELDS[name]} ({name}): is below -1, which stands for unknown")
        for name in MAY_BE_UNKNOWN
    ]
    faults += [
        (column[name] > MOST, f"field {FIELDS[name]} ({name}): is beyond reason")
        for name in ("submit", *MAY_BE_UNKNOWN)
    ]
    faults += [(in_order(column["submit"]), "field 2 (submit): is before the line above; sort the trace by submission")]
    refuse(faults, numbers)
    kept = ~np.isin(column["status"], PARTIAL)
    job, submit, run, given, asked, time = (column[name][kept].copy() for name in list(FIELDS)[:6])
    notes = (f"lines of partial execution left out: {int((~kept).sum())}",) if not kept.all() else ()
    return Trace(job, submit, run, asked, given, time, tuple(_names(name, column[name][kept]) for name in NAMES), notes)


def _table(source: BinaryIO) -> tuple[Ints, Ints]:
    """The fields of every job, and the numbers of their lines."""
    rows, numbers, places = array("q"), array("q"), [place - 1 for place in FIELDS.values()]
    for number, line in lines(source):
        fields = line.split()
        if not fields or fields[0].startswith(b";"):
            continue
        if len(fields) != WIDTH:
            raise BadInput(f"line {number}: has {len(fields)} fields; the Standard Workload Format has {WIDTH}")
        try:
            rows.extend([int(fields[place]) for place in places])
        except (ValueError, OverflowError):
            _refuse(fields, number)
        numbers.append(number)
    table = np.frombuffer(rows, np.int64) if rows else np.zeros(0, np.int64)
    return table.reshape(-1, len(FIELDS)), np.array(numbers, np.int64)


def _refuse(fields: list[bytes], number: int) -> None:
    """Say which field is no number; raises BadInput."""
    for name, place in FIELDS.items():
        if abs(number_of(fields[place - 1], f"field {place} ({name})", number)) > MOST:
            raise BadInput(f"line {number}: field {place} ({name}): is beyond reason")


def _names(kind: str, column: Ints) -> Names:
    values, code = np.unique(column, return_inverse=True)
    return Names(
        code.astype(np.int32), tuple(f"{kind}{value}" if value >= 0 else f"{kind}-unknown" for value in values)
    )
