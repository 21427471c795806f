"""The Standard Workload Format into runs: eighteen numbers a line, -1 for unknown, header lines behind a semicolon.

Sizes are taken as GPUs (field 5, processors given; where unknown field 8, asked for). Times are seconds after the header's
UnixStartTime, or after a moment that the reader is told. Accounts come from the fields user, group, queue or partition
and are called by the field and the number, `group12`. Lines of partial execution (status 2, 3, 4) repeat what the job's
own line says and are left out; a cancelled job that never ran has no start. Source: the Parallel Workloads Archive.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import chain
from types import MappingProxyType
from typing import BinaryIO

import polars as pl

from schmelz.metering.runs import RecordError
from schmelz.metering.sacct import PART_BYTES, SHOWN, Fault, Reading, blocks, finished

FIELDS = MappingProxyType(
    {
        "job": 1,
        "submit": 2,
        "wait": 3,
        "run": 4,
        "processors": 5,
        "processors asked for": 8,
        "time asked for": 9,
        "status": 11,
        "user": 12,
        "group": 13,
        "queue": 15,
        "partition": 16,
    }
)
ACCOUNTS = ("group", "user", "queue", "partition")
WIDTH = 18
NAMED = {"Submit": "field 2 (submit)", "ElapsedRaw": "field 4 (run)", "Elapsed": "field 4 (run)"}
STATES = {0: "FAILED", 1: "COMPLETED", 5: "CANCELLED"}
PARTIAL = (2, 3, 4)
CANCELLED = 5


def parts(
    source: BinaryIO,
    *,
    system: str,
    cluster: str,
    account: str = "group",
    zero: int | None = None,
    size: int = PART_BYTES,
) -> Iterator[Reading]:
    """Read it part by part. Raises RecordError when it is no such text, or nobody says when its time begins."""
    head, line, number = _head(source)
    zero = _zero(head) if zero is None else zero
    if line and len(line.split()) != WIDTH:
        raise RecordError(f"line {number}: has {len(line.split())} fields; the Standard Workload Format has {WIDTH}")
    for block, first in chain([(line, number)], blocks(source, number + 1, size)):
        yield _part(block, first, system, cluster, account, zero)


def _head(source: BinaryIO) -> tuple[bytes, bytes, int]:
    """The header lines, the first line below them, and its number."""
    head, number = b"", 1
    while (line := source.readline()).startswith(b";") or line.isspace():
        head, number = head + line, number + 1
    return head, line, number


def _zero(head: bytes) -> int:
    found = re.search(rb"^;\s*UnixStartTime:\s*([0-9]{1,10})\s*$", head, re.MULTILINE)
    if found is None:
        raise RecordError("the header has no UnixStartTime; say when time 0 was, as in --time-zero 2012-02-01")
    return int(found[1])


def _part(block: bytes, first: int, system: str, cluster: str, account: str, zero: int) -> Reading:
    texts = pl.DataFrame({"text": block.decode("utf-8", "replace").split("\n")}).with_row_index("line", first)
    texts = texts.filter(pl.col("text").str.contains(r"\S") & ~pl.col("text").str.starts_with(";"))
    texts = texts.with_columns(pl.col("text").str.extract_all(r"\S+").alias("fields"), pl.col("line").cast(pl.Int64))
    read = texts.select("line", "text", pl.col("fields").list.len().alias("width"), *_numbers())
    bad = read.select("line", "text", _reason().alias("reason")).filter(pl.col("reason").is_not_null())
    faults = [Fault(line, reason, text[:SHOWN]) for line, text, reason in bad.iter_rows()]
    good = read.join(bad, on="line", how="anti", maintain_order="left").filter(~pl.col("status").is_in(PARTIAL))
    return finished(good.select(_texts(account, zero)), faults, texts.height, system, cluster, named=NAMED)


def _numbers() -> Iterator[pl.Expr]:
    for name, place in FIELDS.items():
        yield pl.col("fields").list.get(place - 1, null_on_oob=True).cast(pl.Int64, strict=False).alias(name)


def _ran() -> pl.Expr:
    """Whether the job ever began: its run time is known, and it was not cancelled before."""
    return (pl.col("run") > 0) | ((pl.col("run") == 0) & (pl.col("status") != CANCELLED))


def _gpus() -> pl.Expr:
    return pl.when(pl.col("processors") > 0).then(pl.col("processors")).otherwise(pl.col("processors asked for"))


def _reason() -> pl.Expr:
    """Why a line cannot be used; null where it can."""
    width = pl.when(pl.col("width") != WIDTH).then(pl.format(f"has {{}} fields where the format has {WIDTH}", "width"))
    numbers = [
        pl.when(pl.col(name).is_null()).then(pl.lit(f"field {place} ({name}): is no whole number"))
        for name, place in FIELDS.items()
    ]
    unknown: Mapping[str, pl.Expr] = {
        "field 2 (submit): is not known": pl.col("submit") < 0,
        "field 4 (run): is not known": (pl.col("run") < 0) & (pl.col("status") != CANCELLED),
        "fields 5 and 8 (processors): are not known": _ran() & (_gpus() < 0),
    }
    return pl.coalesce(width, *numbers, *(pl.when(wrong).then(pl.lit(reason)) for reason, wrong in unknown.items()))


def _texts(account: str, zero: int) -> Iterator[pl.Expr]:
    """The same as texts under Slurm's column names."""
    submit = pl.col("submit") + zero
    start = submit + pl.max_horizontal(pl.col("wait"), 0)
    run = pl.when(_ran()).then(pl.col("run")).otherwise(0)
    unknown = pl.when(pl.col(account) < 0).then(pl.lit("-unknown")).otherwise(pl.col(account).cast(pl.String))
    yield pl.col("line")
    yield pl.col("job").cast(pl.String).alias("JobIDRaw")
    yield submit.cast(pl.String).alias("Submit")
    yield pl.when(_ran()).then(start.cast(pl.String)).otherwise(pl.lit("")).alias("Start")
    yield (start + run).cast(pl.String).alias("End")
    yield run.cast(pl.String).alias("ElapsedRaw")
    yield pl.format("gres/gpu={}", pl.max_horizontal(_gpus(), 0)).alias("AllocTRES")
    yield pl.col("status").replace_strict(STATES, default="COMPLETED").alias("State")
    yield pl.format("{}{}", pl.lit(account), unknown).alias("Account")
    for name, prefix, slurms in (("user", "user", "User"), ("partition", "partition", "Partition")):
        yield pl.when(pl.col(name) < 0).then(pl.lit("")).otherwise(pl.format(f"{prefix}{{}}", name)).alias(slurms)
    limit = pl.col("time asked for")
    yield pl.when(limit > 0).then(limit.cast(pl.String)).otherwise(pl.lit("")).alias("Timelimit")
