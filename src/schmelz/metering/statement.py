"""A statement: facts, tables and signature lines, one structure for page, PDF, CSV, JSON and the terminal.

A *table* has columns of a kind (text, gpu = GPU-seconds, count, day, moment, ppm); the last row may be the *sum* of those
above. CSV and JSON always hold the exact GPU-seconds. For reading, a table is said in GPU-hours (GPU-seconds where all
of it is small, or where it is *exact*), rounded by largest remainder, so that what is printed adds up to the printed sum.
Invariant: nothing depends on the moment of making; the same statement gives the same bytes in every format.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal
from zoneinfo import ZoneInfo

from schmelz.units import HOUR, PPM, iso

Kind = Literal["text", "gpu", "count", "day", "moment", "ppm"]
Value = str | int | date | None
THIN, SMALL = "\u202f", 100 * HOUR


@dataclass(frozen=True)
class Column:
    """One column; the key of a gpu column ends in `_gpu_s`."""

    key: str
    title: str
    kind: Kind = "text"


@dataclass(frozen=True)
class Table:
    """Rows under columns; `sums`: the last row is the sum of the rows above it."""

    key: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    note: str = ""
    sums: bool = False
    exact: bool = False


@dataclass(frozen=True)
class SignatureLine:
    """Who signs: a function in words, and name and moment once it is signed."""

    title: str
    name: str = ""
    at: int | None = None


@dataclass(frozen=True)
class Statement:
    """A whole statement; `name` is that of its files, `as_of` the moment up to which everything is counted."""

    kind: str
    name: str
    title: str
    as_of: int
    facts: tuple[tuple[str, str], ...]
    tables: tuple[Table, ...]
    signatures: tuple[SignatureLine, ...] = ()


@dataclass(frozen=True)
class Said:
    """A table in words: its unit (empty: no GPU-time in it), titles, which columns are numbers, rows of texts."""

    key: str
    title: str
    note: str
    unit: str
    titles: tuple[str, ...]
    numbers: tuple[bool, ...]
    rows: tuple[tuple[str, ...], ...]
    sums: bool

    @property
    def heads(self) -> list[tuple[str, bool]]:
        """The titles, each with whether numbers stand under it."""
        return list(zip(self.titles, self.numbers, strict=True))

    @property
    def lines(self) -> list[list[tuple[str, bool]]]:
        """The rows, each text with whether it is a number."""
        return [list(zip(row, self.numbers, strict=True)) for row in self.rows]


def total(rows: Sequence[tuple[Value, ...]], columns: Sequence[Column], words: str = "all") -> tuple[Value, ...]:
    """The sum row of a table: gpu and count columns added up, `words` first, the rest empty."""
    sums: list[Value] = [
        sum(v for row in rows if isinstance(v := row[i], int)) if column.kind in ("gpu", "count") else None
        for i, column in enumerate(columns)
    ]
    return (words, *sums[1:])


# -- for machines


def as_dict(statement: Statement) -> dict[str, object]:
    """Plain data for JSON."""
    return {
        "statement": statement.kind,
        "title": statement.title,
        "as_of": iso(statement.as_of),
        "facts": dict(statement.facts),
        "tables": {table.key: _records(table) for table in statement.tables},
        "notes": {table.key: table.note for table in statement.tables if table.note},
        "signatures": [
            {"title": s.title, "name": s.name, "at": None if s.at is None else iso(s.at)} for s in statement.signatures
        ],
    }


def _records(table: Table) -> list[dict[str, object]]:
    """The rows by their columns' keys; a table in GPU-hours has these too, under `..._gpu_h`."""
    hours = {i: _hours(table, i) for i, column in enumerate(table.columns) if _in_hours(table) and column.kind == "gpu"}
    records: list[dict[str, object]] = []
    for number, row in enumerate(table.rows):
        record: dict[str, object] = {}
        for i, (column, value) in enumerate(zip(table.columns, row, strict=True)):
            record[column.key] = _plain(value, column.kind)
            if i in hours:
                record[column.key.removesuffix("_s") + "_h"] = hours[i][number]
        records.append(record)
    return records


def _plain(value: Value, kind: Kind) -> object:
    if kind == "moment" and isinstance(value, int):
        return iso(value)
    return value.isoformat() if isinstance(value, date) else value


def as_csv(statement: Statement) -> str:
    """One line per value: table, row, what the row is about, column, value; exact, in the units of the columns' names."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("table", "row", "of", "column", "value"))
    writer.writerow(("facts", 0, "", "as_of", iso(statement.as_of)))
    writer.writerows(("facts", 0, "", _harmless(key), _harmless(value)) for key, value in statement.facts)
    for table in statement.tables:
        for number, record in enumerate(_records(table), start=1):
            first = next(iter(record.values()))
            writer.writerows(
                (table.key, number, _harmless(first), key, _harmless(value)) for key, value in record.items()
            )
    for number, line in enumerate(statement.signatures, start=1):
        when = "" if line.at is None else iso(line.at)
        writer.writerow(("signatures", number, _harmless(line.title), _harmless(line.name), when))
    return text.getvalue()


def _harmless(value: object) -> object:
    """A spreadsheet must not take somebody's text for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


# -- for people


def said(statement: Statement, zone: ZoneInfo) -> tuple[Said, ...]:
    """The tables in words: thin spaces in numbers, days and moments of the factory's zone."""
    return tuple(_said(table, zone) for table in statement.tables)


def _said(table: Table, zone: ZoneInfo) -> Said:
    columns = [_texts(table, i, zone) for i in range(len(table.columns))]
    has_gpu = any(column.kind == "gpu" for column in table.columns)
    return Said(
        table.key,
        table.title,
        table.note,
        ("GPU-hours" if _in_hours(table) else "GPU-seconds") if has_gpu else "",
        tuple(column.title for column in table.columns),
        tuple(column.kind in ("gpu", "count", "ppm") for column in table.columns),
        tuple(zip(*columns, strict=True)),
        table.sums,
    )


def _texts(table: Table, index: int, zone: ZoneInfo) -> list[str]:
    column = table.columns[index]
    if column.kind == "gpu" and _in_hours(table):
        return ["" if value is None else number(value) for value in _hours(table, index)]
    return [_text(row[index], column.kind, zone) for row in table.rows]


def _text(value: Value, kind: Kind, zone: ZoneInfo) -> str:
    if value is None:
        return ""
    if isinstance(value, int) and kind == "moment":
        return moment(value, zone)
    if isinstance(value, int) and kind == "ppm":
        return f"{value / (PPM // 100):.1f}{THIN}%"
    return number(value) if isinstance(value, int) else str(value)


def number(value: int) -> str:
    """A whole number with thin spaces and a true minus."""
    return f"{value:,}".replace(",", THIN).replace("-", "\u2212")


def moment(instant: int, zone: ZoneInfo) -> str:
    """A moment in the factory's zone, with its distance from UTC: 2026-10-31 23:59 +01:00."""
    local = datetime.fromtimestamp(instant, zone)
    offset = local.replace(tzinfo=UTC) - local.astimezone(UTC)
    minutes = round(offset.total_seconds() / 60)
    return f"{local:%Y-%m-%d %H:%M} {'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def _in_hours(table: Table) -> bool:
    return not table.exact and any(abs(value) >= SMALL for value in _gpu_values(table))


def _gpu_values(table: Table) -> Iterator[int]:
    for i, column in enumerate(table.columns):
        if column.kind == "gpu":
            yield from (value for row in table.rows if isinstance(value := row[i], int))


def _hours(table: Table, index: int) -> list[int | None]:
    """A column in GPU-hours: the parts of a sum rounded so that they add up to it, anything else each for itself."""
    values = [value if isinstance(value := row[index], int) else None for row in table.rows]
    parts = [value or 0 for value in values[:-1]]
    if table.sums and values[-1] is not None and sum(parts) == values[-1]:
        rounded = [*rounded_parts(parts), nearest(values[-1])]
        return [None if value is None else hour for value, hour in zip(values, rounded, strict=True)]
    return [None if value is None else nearest(value) for value in values]


def nearest(gpu_seconds: int) -> int:
    """Whole GPU-hours, half up."""
    return (gpu_seconds + HOUR // 2) // HOUR


def rounded_parts(parts: Sequence[int]) -> list[int]:
    """Whole GPU-hours that add up to the rounded sum: each rounded down, the rest to the largest remainders."""
    hours = [part // HOUR for part in parts]
    first = sorted(range(len(parts)), key=lambda i: (-(parts[i] % HOUR), i))
    for index in first[: nearest(sum(parts)) - sum(hours)]:
        hours[index] += 1
    return hours
