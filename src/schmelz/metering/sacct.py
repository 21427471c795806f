"""Job records as `sacct -P` text (add `-X -D`, and TZ=UTC or SLURM_TIME_FORMAT=%s) into runs.

The first line names the columns, in any order; columns that are not known here are ignored, job names are never stored.
Times without an offset are UTC; epoch seconds are accepted too. GPUs come from AllocTRES alone: the untyped gres/gpu
where it is given, else the sum of the typed ones. Steps (a dot in the job's number) are left out. Quotes mean nothing.
A line that cannot be used becomes a Fault with its number (the header is line 1) and reason; all others are read.
Repeated keys stay, in the order of the text: `runs.latest` decides. Source of the traps: sacct's manual, peers' bugs.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import polars as pl

from schmelz.metering.runs import RUN_SCHEMA, RecordError, is_open
from schmelz.metering.tres import gpus_of

JOB = ("JobIDRaw", "JobID")
ELAPSED = ("ElapsedRaw", "Elapsed")
LIMIT = ("TimelimitRaw", "Timelimit")
REQUIRED = (JOB, ("Account",), ("Submit",), ("Start",), ELAPSED, ("AllocTRES",), ("State",))
TIMES = ("Submit", "Eligible", "Start", "End")
TEXTS = {"Partition": "partition", "Account": "account", "User": "user", "QOS": "qos"}
UNSET_TIMES = ("", "Unknown", "None", "N/A", "0")
UNLIMITED = ("", "UNLIMITED", "Partition_Limit", "INVALID", "Unknown", "None")
NO_NODES = ("None assigned", "None", "Unknown", "N/A", "(null)")
NO_TIME = -1
YEAR_2200 = 7_258_118_400
SHOWN = 500
PART_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Fault:
    """A line in quarantine: its number in the text, why, and what stood there."""

    line: int
    reason: str
    text: str


@dataclass(frozen=True)
class Reading:
    """What a text held: runs, faults in the order of the lines, and how many lines hold anything below the header."""

    runs: pl.DataFrame
    faults: tuple[Fault, ...]
    lines: int


def read(source: bytes, *, system: str, cluster: str) -> Reading:
    """Read `sacct -P` text. Raises RecordError when the header cannot be used: then nothing is read at all."""
    found = list(parts(io.BytesIO(source), system=system, cluster=cluster))
    runs = pl.concat([pl.DataFrame(schema=RUN_SCHEMA), *(part.runs for part in found)])
    return Reading(runs, tuple(fault for part in found for fault in part.faults), sum(part.lines for part in found))


def parts(source: BinaryIO, *, system: str, cluster: str, size: int = PART_BYTES) -> Iterator[Reading]:
    """The same, part by part in the order of the text, so that a text of any length needs the memory of one part."""
    columns, number = _header(source.readline()), 2
    while block := source.read(size):
        rest = source.readline()
        block = block + rest if rest else block
        yield _part(block, columns, number, system, cluster)
        number += block.count(b"\n")


def _part(source: bytes, columns: Sequence[str], number: int, system: str, cluster: str) -> Reading:
    """Whole lines, the first of which has this number."""
    table, faults = _table(source, columns, number)
    table = _without_headers(table, columns)
    lines = table.height + len(faults)
    steps = table[_first(JOB, columns)].str.contains(".", literal=True)
    values = (table.filter(~steps) if steps.any() else table).select(_values(columns))
    wrong = values.select(_wrong()).to_series()
    if wrong.any():
        faults += _quarantined(values.filter(wrong))
        values = values.filter(~wrong)
    return Reading(_runs(values, system, cluster), tuple(sorted(faults, key=lambda fault: fault.line)), lines)


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
    table = _clean_table(source, columns, number)
    if table is not None:
        return table, []
    lines, numbers, faults = _sieve(source, columns, number)
    table = _clean_table(b"\n".join(lines), columns, 0)
    assert table is not None, "the sieve lets only clean lines through"
    return table.with_columns(pl.Series("line", numbers, pl.Int64)), faults


def _without_headers(table: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Texts may be put one after the other: a header that says the same again is no record."""
    again = pl.all_horizontal(pl.col(name) == name for name in columns)
    return table.filter(~again) if (table[columns[0]] == columns[0]).any() else table


def _clean_table(source: bytes, columns: Sequence[str], number: int) -> pl.DataFrame | None:
    """The table of a text in which every line has all fields; None when a single line is not clean."""
    schema = dict.fromkeys(columns, pl.String())
    if not source.strip(b"\n"):
        return pl.DataFrame(schema={"line": pl.Int64(), **schema})
    if b"\0" in source or b"\r" in source:
        return None
    try:
        table = pl.read_csv(
            source,
            separator="|",
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
    if (table[columns[-1]] == "").any() and source.count(b"|") != table.height * (len(columns) - 1):
        return None
    return table.with_columns(pl.col("line").cast(pl.Int64))


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


# -- values


def _first(choice: Sequence[str], columns: Sequence[str]) -> str:
    return next(name for name in choice if name in columns)


def _values(columns: Sequence[str]) -> Iterator[pl.Expr]:
    """Every value of a run next to the text that it was read from (the text serves the fault's message)."""
    yield pl.col("line")
    yield pl.col(_first(JOB, columns)).alias("job")
    for name in TIMES:
        text = pl.col(name) if name in columns else pl.lit("")
        yield text.alias(name)
        yield (_time(text) if name in columns else pl.lit(None, pl.Int64)).alias(name.lower())
    for name, column in TEXTS.items():
        yield (pl.col(name) if name in columns else pl.lit("")).alias(column)
    yield (pl.col("Cluster") if "Cluster" in columns else pl.lit("")).alias("cluster")
    yield from _numbers(columns)
    yield pl.col("State").map_batches(_first_word, return_dtype=pl.String()).alias("state")
    nodes = pl.col("NodeList") if "NodeList" in columns else pl.lit("")
    yield pl.when(nodes.is_in(NO_NODES)).then(pl.lit("")).otherwise(nodes).alias("nodes")


def _numbers(columns: Sequence[str]) -> Iterator[pl.Expr]:
    elapsed = _first(ELAPSED, columns)
    yield pl.col(elapsed).alias("Elapsed")
    yield (_integer(pl.col(elapsed)) if elapsed == "ElapsedRaw" else _duration(pl.col(elapsed))).alias("elapsed")
    yield pl.col("AllocTRES")
    yield _each(_tres(columns), gpus_of, pl.Int64()).alias("gpus")
    nnodes = pl.col("NNodes") if "NNodes" in columns else pl.lit("")
    yield nnodes.alias("NNodes")
    yield pl.when(nnodes == "").then(0).otherwise(_integer(nnodes)).alias("nnodes")
    limit = next((name for name in LIMIT if name in columns), None)
    text = pl.col(limit) if limit else pl.lit("")
    yield text.alias("Timelimit")
    yield (_integer(text) * 60 if limit == "TimelimitRaw" else _duration(text)).alias("limit_s")


def _tres(columns: Sequence[str]) -> pl.Expr:
    """What a run was given; for one that has not begun, what it asks for: the queue counts in demand, never in a charge."""
    given = pl.col("AllocTRES")
    if "ReqTRES" not in columns:
        return given
    return pl.when((given == "") & pl.col("Start").is_in(UNSET_TIMES)).then(pl.col("ReqTRES")).otherwise(given)


def _integer(text: pl.Expr) -> pl.Expr:
    return text.cast(pl.Int64, strict=False)


def _time(text: pl.Expr) -> pl.Expr:
    """UTC epoch seconds; null when not yet, NO_TIME when it is no time."""
    return text.map_batches(_times, return_dtype=pl.Int64())


def _times(texts: pl.Series) -> pl.Series:
    stamps = texts.str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit="ms", strict=False, cache=False).dt.epoch("s")
    others = stamps.is_null()
    if others.any():
        rest = texts.filter(others)
        numbers = rest.cast(pl.Int64, strict=False).fill_null(NO_TIME)
        unset = rest.is_in(UNSET_TIMES)
        stamps = stamps.scatter(others.arg_true(), numbers.set(unset, None))
    return stamps


def _duration(text: pl.Expr) -> pl.Expr:
    """`[D-]HH:MM:SS` in seconds; null for anything else."""
    shaped = text.str.contains(r"^([0-9]{1,6}-)?[0-9][0-9]:[0-5][0-9]:[0-5][0-9]$")
    hours, minutes, seconds = (_integer(text.str.slice(at, 2)) for at in (-8, -5, -2))
    days = pl.when(text.str.len_bytes() <= 8).then(0).otherwise(_integer(text.str.head(-9)))
    return pl.when(shaped).then(days * 86400 + hours * 3600 + minutes * 60 + seconds)


def _first_word(texts: pl.Series) -> pl.Series:
    longer = texts.str.contains(" ", literal=True)
    return texts.scatter(longer.arg_true(), texts.filter(longer).str.extract(r"^(\S*)")) if longer.any() else texts


def _each(text: pl.Expr, parse: Callable[[str], int | None], dtype: pl.DataType) -> pl.Expr:
    """`parse` of every text, called once for each distinct one."""

    def parsed(texts: pl.Series) -> pl.Series:
        distinct = texts.unique().to_list()
        return texts.replace_strict(distinct, [parse(one) for one in distinct], default=None, return_dtype=dtype)

    return text.map_batches(parsed, return_dtype=dtype)


def _faults() -> Iterator[tuple[pl.Expr, str, str]]:
    """Condition, reason and the column that is shown, for all that can be wrong with a line; the first counts."""
    number = "is no whole number of seconds or [D-]HH:MM:SS, 0 or more"
    time = "is no time; write 2026-03-01T12:00:00 (UTC) or epoch seconds"
    yield pl.col("job") == "", "has no job number", "job"
    for name in TIMES:
        yield ~pl.col(name.lower()).is_between(0, YEAR_2200), f"{name}: {time}", name
    yield pl.col("submit").is_null(), "Submit: a record needs a time of submission", "Submit"
    yield _outside("elapsed", YEAR_2200), f"Elapsed: {number}", "Elapsed"
    unlimited = pl.col("Timelimit").is_in(UNLIMITED)
    yield _outside("limit_s", YEAR_2200) & ~unlimited, f"Timelimit: {number} (TimelimitRaw: minutes)", "Timelimit"
    yield _outside("gpus", 10**6), "AllocTRES: the count of gres/gpu is no number", "AllocTRES"
    yield _outside("nnodes", 10**6), "NNodes: is no number", "NNodes"
    yield pl.col("end") < pl.col("start"), "End: is before Start", "End"


def _wrong() -> pl.Expr:
    return pl.any_horizontal(condition.fill_null(False) for condition, _, _ in _faults())


def _outside(name: str, most: int) -> pl.Expr:
    """Whether a number is missing, negative or beyond reason."""
    return ~pl.col(name).is_between(0, most).fill_null(False)


def _quarantined(values: pl.DataFrame) -> list[Fault]:
    told = ("job", "account", "state", *TIMES, "Elapsed", "AllocTRES", "nodes")
    reason = pl.coalesce(
        pl.when(condition).then(pl.format("{}, not '{}'", pl.lit(reason), pl.col(shown).str.head(60)))
        for condition, reason, shown in _faults()
    )
    rows = values.select("line", reason.alias("reason"), pl.concat_str(told, separator="|").alias("text"))
    return [Fault(line, why, text[:SHOWN]) for line, why, text in rows.iter_rows()]


def _runs(values: pl.DataFrame, system: str, cluster: str) -> pl.DataFrame:
    held = pl.when(pl.col("end").is_null()).then(pl.col("elapsed")).otherwise(pl.col("end") - pl.col("start"))
    named = pl.when(pl.col("cluster") == "").then(pl.lit(cluster)).otherwise(pl.col("cluster"))
    return values.with_columns(
        pl.lit(system).alias("system"),
        named.alias("cluster"),
        pl.when(pl.col("start").is_null()).then(0).otherwise(held).alias("held_s"),
        pl.when(is_open()).then(None).otherwise(pl.col("end")).alias("end"),
    ).select(pl.col(name).cast(dtype) for name, dtype in RUN_SCHEMA.items())
