"""A CSV table of jobs into runs, by a mapping from our names to its columns.

Our names: job, submit, start, end, elapsed, gpus, account, user, partition, nodes, state, limit, qos. A name that is not
mapped is looked for under itself. Times are UTC texts or epoch seconds; with a *zero*, numbers are seconds after it.
Assumed, and counted: a run that has a run time but no start began when it was submitted. Without a state, one that has a
run time or an end is over, and any other waits. Each line stands for itself: quoted fields may hold separators and doubled
quotes, never a line break, so that a quote too many costs its own line and no other.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import BinaryIO

import polars as pl

from schmelz.metering.runs import RecordError
from schmelz.metering.sacct import PART_BYTES, SHOWN, Fault, Reading, blocks, clean_table, finished
from schmelz.metering.values import UNSET_TIMES, instant, seconds

NAMES = (
    "job", "submit", "start", "end", "elapsed", "gpus", "account", "user", "partition", "nodes", "state", "limit", "qos",
)  # fmt: skip
SLURMS = MappingProxyType(
    {
        "JobIDRaw": "job",
        "Submit": "submit",
        "Start": "start",
        "End": "end",
        "ElapsedRaw": "elapsed",
        "Elapsed": "elapsed",
        "Account": "account",
        "User": "user",
        "Partition": "partition",
        "NodeList": "nodes",
        "Timelimit": "limit",
        "QOS": "qos",
    }
)
PLAIN = ("JobIDRaw", "Account", "User", "Partition", "NodeList", "Timelimit", "QOS")
SEPARATORS = ",;\t|"


def parts(
    source: BinaryIO,
    *,
    system: str,
    cluster: str,
    columns: Mapping[str, str] = MappingProxyType({}),
    zero: int | None = None,
    size: int = PART_BYTES,
) -> Iterator[Reading]:
    """Read it part by part. Raises RecordError when the header does not have the columns."""
    line = source.readline().removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace").strip("\r\n")
    separator = max(SEPARATORS, key=line.count)
    header = next(csv.reader([line], delimiter=separator), [])
    header = [name if name and name not in header[:i] else f"column {i + 1}" for i, name in enumerate(header)]
    where = _where(header, columns)
    named = {slurms: where.get(ours, ours) for slurms, ours in SLURMS.items()}
    for block, number in blocks(source, 2, size):
        table, bad = _table(block, header, number, separator)
        good, more = _countable(table, where)
        texts = _texts(good, where, zero)
        assumed = int(texts["assumed"].sum())
        bad, lines = [*bad, *more], table.height + len(bad)
        yield finished(texts.drop("assumed"), bad, lines, system, cluster, named=named, assumed=assumed)


def _where(header: Sequence[str], columns: Mapping[str, str]) -> dict[str, str]:
    """Our names -> the columns of this table."""
    there = ", ".join(header)
    for ours, column in columns.items():
        if ours not in NAMES:
            raise RecordError(f"--map {ours}={column}: {ours!r} is not one of {', '.join(NAMES)}")
        if column not in header:
            raise RecordError(f"line 1: has no column {column!r} (for {ours}); its columns are {there}")
    where = {**{name: name for name in NAMES if name in header}, **columns}
    missing = [name for name in ("job", "submit", "gpus", "account") if name not in where]
    if not {"elapsed", "end"} & set(where):
        missing.append("elapsed or end")
    if missing:
        raise RecordError(
            f"line 1: nothing says which column is {', '.join(missing)}; write --map {missing[0].split()[0]}=COLUMN "
            f"(its columns are {there})"
        )
    return where


def _table(block: bytes, header: Sequence[str], number: int, separator: str) -> tuple[pl.DataFrame, list[Fault]]:
    """The fields of each line as text, with its number; lines of another shape as faults."""
    quick = None if b'"' in block else clean_table(block, header, number, separator)
    if quick is not None:
        return quick, []
    rows, faults = list[tuple[object, ...]](), list[Fault]()
    for at, raw in enumerate(block.split(b"\n"), start=number):
        if not raw.strip():
            continue
        fields, reason = _fields(raw.removesuffix(b"\r"), separator, len(header))
        if reason:
            faults.append(Fault(at, reason, raw.decode("utf-8", "replace").replace("\0", "\ufffd")[:SHOWN]))
        else:
            rows.append((at, *fields))
    schema = {"line": pl.Int64(), **dict.fromkeys(header, pl.String())}
    return pl.DataFrame(rows, schema=schema, orient="row"), faults


def _fields(raw: bytes, separator: str, width: int) -> tuple[list[str], str]:
    """The fields of one line, or why it has none."""
    try:
        fields = next(csv.reader([raw.decode()], delimiter=separator, strict=True))
    except UnicodeDecodeError:
        return [], "is not UTF-8 text"
    except csv.Error as error:
        return [], f"its quotes do not match ({error})"
    if "\0" in "".join(fields):
        return [], "holds a NUL; it was damaged on the way"
    return fields, "" if len(fields) == width else f"has {len(fields)} fields where the header has {width}"


def _countable(table: pl.DataFrame, where: Mapping[str, str]) -> tuple[pl.DataFrame, list[Fault]]:
    """The lines whose GPUs are a number, and the others as faults."""
    column = where["gpus"]
    good = pl.col(column).str.contains(r"^[0-9]{1,7}$")
    bad = table.filter(~good).select("line", column, pl.concat_str(pl.exclude("line"), separator=",").alias("text"))
    faults = [
        Fault(line, f"{column}: is no number of GPUs, not {gpus[:60]!r}", text[:SHOWN])
        for line, gpus, text in bad.iter_rows()
    ]
    return table.filter(good), faults


def _texts(table: pl.DataFrame, where: Mapping[str, str], zero: int | None) -> pl.DataFrame:
    """The lines under Slurm's column names, and whether the start is assumed."""
    state = _text(where, "state").str.strip_chars().str.to_uppercase()
    return (
        table.select(
            "line",
            *(_moment(where, name, zero).alias(name) for name in ("submit", "start", "end")),
            _text(where, "elapsed").alias("told"),
            state.alias("word"),
            pl.format("gres/gpu={}", pl.col(where["gpus"])).alias("AllocTRES"),
            *(_text(where, SLURMS[slurms]).alias(slurms) for slurms in PLAIN),
        )
        .with_columns(assumed=_no("start") & _has_run("start" in where))
        .with_columns(Start=pl.when("assumed").then("submit").otherwise("start"))
        .with_columns(length=_length())
        .select(
            "line",
            "assumed",
            "Start",
            "AllocTRES",
            *PLAIN,
            pl.col("submit").alias("Submit"),
            pl.when(_no("end")).then((instant(pl.col("Start")) + pl.col("length")).cast(pl.String)).otherwise("end")
            .fill_null("").alias("End"),
            pl.col("length").cast(pl.String).fill_null(pl.col("told")).alias("ElapsedRaw"),
            pl.when(pl.col("word") != "").then("word").when(_no("told") & _no("end")).then(pl.lit("PENDING"))
            .otherwise(pl.lit("COMPLETED")).alias("State"),
        )
    )  # fmt: skip


def _no(name: str) -> pl.Expr:
    unset = ("",) if name == "told" else UNSET_TIMES
    return pl.col(name).is_in(unset)


def _has_run(starts_are_told: bool) -> pl.Expr:
    """Whether a run without a start has run all the same: it has a run time, or (without one) an end."""
    least = 1 if starts_are_told else 0
    return pl.when(_no("told")).then(~_no("end")).otherwise((seconds(pl.col("told")) >= least).fill_null(False))


def _length() -> pl.Expr:
    """The run time: as told, else from start to end; 0 for what never began; null where it is no number."""
    between = instant(pl.col("end")) - instant(pl.col("Start"))
    return pl.when(~_no("told")).then(seconds(pl.col("told"))).when(_no("Start")).then(0).otherwise(between)


def _text(where: Mapping[str, str], name: str) -> pl.Expr:
    return pl.col(where[name]).str.strip_chars() if name in where else pl.lit("")


def _moment(where: Mapping[str, str], name: str, zero: int | None) -> pl.Expr:
    """A time as sacct writes it: `T` in the middle, nothing behind; numbers are counted from the zero."""
    text = _text(where, name).str.replace(r"^(\d{4}-\d\d-\d\d) ", "${1}T").str.strip_suffix("Z")
    if zero is None:
        return text
    number = text.cast(pl.Int64, strict=False)
    return pl.when(number.is_not_null()).then((number + zero).cast(pl.String)).otherwise(text)
