"""Job records as `sacct -P` text (add `-X -D`, and TZ=UTC or SLURM_TIME_FORMAT=%s) into runs.

The first line names the columns, in any order; columns that are not known here are ignored, job names are never stored.
Times without an offset are UTC; epoch seconds are accepted too. GPUs come from AllocTRES alone: the untyped gres/gpu
where it is given, else the sum of the typed ones. Steps (a dot in the job's number) are left out. Quotes mean nothing.
A line that cannot be used becomes a Fault with its number (the header is line 1) and reason; all others are read.
Repeated keys stay, in the order of the text: `runs.latest` decides. Source of the traps: sacct's manual, peers' bugs.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import BinaryIO

import polars as pl

from schmelz.metering.ahead import in_order
from schmelz.metering.runs import RUN_SCHEMA, RecordError
from schmelz.metering.values import JOB, REQUIRED, TIMES, faults, first, runs, values, wrong

SHOWN = 500
PACKED = (b"\x1f", b"x", b"(")  # polars unpacks a text that begins like gzip, zlib or zstd; a record is none of these
PART_BYTES = 16 * 2**20  # larger blocks cost more memory and are no faster


@dataclass(frozen=True)
class Fault:
    """A line in quarantine: its number in the text, why, and what stood there."""

    line: int
    reason: str
    text: str


@dataclass(frozen=True)
class Reading:
    """What a text held: runs, faults in the order of the lines, and how many lines hold anything below the header.

    `assumed`: how many runs are taken to have begun when they were submitted, because nothing else is said.
    """

    runs: pl.DataFrame
    faults: tuple[Fault, ...]
    lines: int
    assumed: int = 0


def read(source: bytes, *, system: str, cluster: str) -> Reading:
    """Read `sacct -P` text. Raises RecordError when the header cannot be used: then nothing is read at all."""
    found = list(parts(io.BytesIO(source), system=system, cluster=cluster))
    frame = pl.concat([pl.DataFrame(schema=RUN_SCHEMA), *(part.runs for part in found)])
    return Reading(frame, tuple(fault for part in found for fault in part.faults), sum(part.lines for part in found))


def parts(source: BinaryIO, *, system: str, cluster: str, size: int = PART_BYTES) -> Iterator[Reading]:
    """The same, part by part in the order of the text, so that a text of any length needs the memory of one part."""
    columns = _header(source.readline())

    def part(block: tuple[bytes, int]) -> Reading:
        table, bad = _table(block[0], columns, block[1])
        table = _without_headers(table, columns)
        lines = table.height + len(bad)
        steps = table[first(JOB, columns)].str.contains(".", literal=True)
        return finished(table.filter(~steps) if steps.any() else table, bad, lines, system, cluster)

    yield from in_order(part, blocks(source, 2, size))


def blocks(source: BinaryIO, number: int, size: int = PART_BYTES) -> Iterator[tuple[bytes, int]]:
    """The rest of a text in blocks of whole lines, each with the number of its first line, beginning with `number`."""
    while block := source.read(size):
        rest = source.readline()
        block = block + rest if rest else block
        yield block, number
        number += block.count(b"\n")


def finished(
    table: pl.DataFrame,
    bad: Sequence[Fault],
    lines: int,
    system: str,
    cluster: str,
    *,
    named: Mapping[str, str] = MappingProxyType({}),
    assumed: int = 0,
) -> Reading:
    """The reading of a table of texts under Slurm's column names; what cannot be used joins the `bad` lines.

    `named`: what the source calls these columns, where that is something else.
    """
    read = table.select(values(table.columns))
    useless = read.select(wrong()).to_series()
    if useless.any():
        bad = [*bad, *_quarantined(read.filter(useless), named)]
        read = read.filter(~useless)
    in_order = tuple(sorted(bad, key=lambda fault: fault.line))
    return Reading(runs(read, system, cluster), in_order, lines, assumed)


# -- lines and fields


def _header(line: bytes) -> list[str]:
    names = line.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace").strip().split("|")
    columns = [name if name and name not in names[:i] else f"column {i + 1}" for i, name in enumerate(names)]
    missing = [" or ".join(choice) for choice in REQUIRED if not set(choice) & set(columns)]
    if missing:
        wanted = ", ".join(" or ".join(choice) for choice in REQUIRED)
        raise RecordError(f"line 1: the header lacks {', '.join(missing)}; `sacct -P` text needs the columns {wanted}")
    return columns


def _table(source: bytes, columns: Sequence[str], number: int) -> tuple[pl.DataFrame, list[Fault]]:
    """The fields of every line as text, with the line's number; lines that have no such shape as faults."""
    table = clean_table(source, columns, number)
    if table is not None:
        return table, []
    lines, numbers, faults = _sieve(source, columns, number)
    table = clean_table(b"\n".join(lines), columns, 0)
    assert table is not None, "the sieve lets only clean lines through"
    return table.with_columns(pl.Series("line", numbers, pl.Int64)), faults


def _without_headers(table: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Texts may be put one after the other: a header that says the same again is no record."""
    again = pl.all_horizontal(pl.col(name) == name for name in columns)
    return table.filter(~again) if (table[columns[0]] == columns[0]).any() else table


def clean_table(source: bytes, columns: Sequence[str], number: int, separator: str = "|") -> pl.DataFrame | None:
    """The table of a text in which every line has all fields; None when a single line is not clean."""
    schema = dict.fromkeys(columns, pl.String())
    if source[:1] in (b"", b"\n") and not source.strip(b"\n"):
        return pl.DataFrame(schema={"line": pl.Int64(), **schema})
    if b"\0" in source or b"\r" in source:
        return None
    ahead = int(source.startswith(PACKED))  # lines put before it, and taken away again
    source = separator.encode() * (len(columns) - 1) + b"\n" + source if ahead else source
    try:
        table = pl.read_csv(
            source,
            separator=separator,
            quote_char=None,
            has_header=False,
            schema=schema,
            row_index_name="line",
            row_index_offset=number,
            empty_string_is_null=False,
            extra_columns="raise",
        )
    except (pl.exceptions.ComputeError, pl.exceptions.SchemaError):
        return None
    # no line has more fields than columns, and one with fewer ends in an empty field: then the separators are counted
    if (table[columns[-1]] == "").any() and source.count(separator.encode()) != table.height * (len(columns) - 1):
        return None
    lines = pl.col("line").cast(pl.Int64) - ahead
    return table.slice(ahead).with_columns(lines).rechunk()  # once here, instead of in every later step


def _sieve(source: bytes, columns: Sequence[str], first: int) -> tuple[list[bytes], list[int], list[Fault]]:
    """Line by line: the clean ones with their numbers, and the faults. Surplus separators belong to a last JobName."""
    separators, name_is_last = len(columns) - 1, columns[-1] == "JobName"
    lines, numbers, faults = [], [], []
    for number, raw in enumerate(source.split(b"\n"), start=first):
        line = raw.removesuffix(b"\r")
        if not line:
            continue
        if name_is_last and line.count(b"|") > separators:
            line = b"|".join(line.split(b"|", separators)[:separators]) + b"|"
        if reason := _flaw(line, separators):
            faults.append(Fault(number, reason, _without_name(raw, columns)))
        else:
            lines.append(line)
            numbers.append(number)
    return lines, numbers, faults


def _without_name(raw: bytes, columns: Sequence[str]) -> str:
    """A damaged line as text: up to the job's name, wherever that ends."""
    text = raw.decode("utf-8", "replace").replace("\0", "\ufffd")
    if "JobName" in columns:
        text = "|".join([*text.split("|")[: columns.index("JobName")], "..."])
    return text[:SHOWN]


def _flaw(line: bytes, separators: int) -> str | None:
    if b"\0" in line or b"\r" in line:
        return "holds a NUL or a carriage return; it was damaged on the way"
    if line.count(b"|") != separators:
        fields = f"has {line.count(b'|') + 1} fields where the header has {separators + 1}"
        return f"{fields} (a JobName with '|' does no harm in the last column)"
    try:
        line.decode()
    except UnicodeDecodeError:
        return "is not UTF-8 text"
    return None


def _quarantined(rejected: pl.DataFrame, named: Mapping[str, str]) -> list[Fault]:
    told = ("job", "account", "state", *TIMES, "Elapsed", "AllocTRES", "nodes")
    reason = pl.coalesce(
        pl.when(condition).then(pl.format("{}, not '{}'", pl.lit(reason), pl.col(shown).str.head(60)))
        for condition, reason, shown in faults()
    )
    rows = rejected.select("line", reason.alias("reason"), pl.concat_str(told, separator="|").alias("text"))
    return [Fault(line, _renamed(why, named), text[:SHOWN]) for line, why, text in rows.iter_rows()]


def _renamed(reason: str, named: Mapping[str, str]) -> str:
    """The same reason, with the column called as its source calls it."""
    column, colon, rest = reason.partition(":")
    return f"{named.get(column, column)}{colon}{rest}"
