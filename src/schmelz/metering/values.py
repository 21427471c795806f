"""From the texts of a job record to the values of a run, and what can be wrong with them.

Columns are named as in Slurm's accounting. `values` puts each value beside the text that it was read from, `faults` are
the conditions under which a line goes to quarantine, each with its reason; `runs` makes the run frame of what is left.
Unset times are null; a time that is none is NO_TIME. Durations are [D-]HH:MM:SS or whole seconds.
"""

from collections.abc import Callable, Iterator, Sequence

import polars as pl

from schmelz.metering.runs import RUN_SCHEMA, is_open
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


def first(choice: Sequence[str], columns: Sequence[str]) -> str:
    return next(name for name in choice if name in columns)


def values(columns: Sequence[str]) -> Iterator[pl.Expr]:
    """Every value of a run next to the text that it was read from (the text serves the fault's message)."""
    yield pl.col("line")
    yield pl.col(first(JOB, columns)).alias("job")
    for name in TIMES:
        text = pl.col(name) if name in columns else pl.lit("")
        yield text.alias(name)
        yield (instant(text) if name in columns else pl.lit(None, pl.Int64)).alias(name.lower())
    for name, column in TEXTS.items():
        yield (pl.col(name) if name in columns else pl.lit("")).alias(column)
    yield (pl.col("Cluster") if "Cluster" in columns else pl.lit("", pl.Categorical())).alias("cluster")
    yield from _numbers(columns)
    yield distinct(pl.col("State"), _first_word, pl.Categorical()).alias("state")
    nodes, nowhere = pl.col("NodeList").cast(pl.Categorical), pl.lit("", pl.Categorical())
    unknown = nodes.is_in(pl.lit(pl.Series(NO_NODES, dtype=pl.Categorical)).implode())
    yield (pl.when(unknown).then(nowhere).otherwise(nodes) if "NodeList" in columns else nowhere).alias("nodes")


def _numbers(columns: Sequence[str]) -> Iterator[pl.Expr]:
    elapsed = first(ELAPSED, columns)
    yield pl.col(elapsed).alias("Elapsed")
    yield (_integer(pl.col(elapsed)) if elapsed == "ElapsedRaw" else seconds(pl.col(elapsed))).alias("elapsed")
    yield pl.col("AllocTRES")
    yield distinct(_tres(columns), _gpus, pl.Int64()).alias("gpus")
    nnodes = pl.col("NNodes") if "NNodes" in columns else pl.lit("")
    yield nnodes.alias("NNodes")
    yield pl.when(nnodes == "").then(0).otherwise(_integer(nnodes)).alias("nnodes")
    limit = next((name for name in LIMIT if name in columns), None)
    text = pl.col(limit) if limit else pl.lit("")
    yield text.alias("Timelimit")
    yield (_integer(text) * 60 if limit == "TimelimitRaw" else seconds(text)).alias("limit_s")


def _tres(columns: Sequence[str]) -> pl.Expr:
    """What a run was given; for one that has not begun, what it asks for: the queue counts in demand, never in a charge."""
    given = pl.col("AllocTRES")
    if "ReqTRES" not in columns:
        return given
    return pl.when((given == "") & pl.col("Start").is_in(UNSET_TIMES)).then(pl.col("ReqTRES")).otherwise(given)


def _integer(text: pl.Expr) -> pl.Expr:
    return text.cast(pl.Int64, strict=False)


def instant(text: pl.Expr) -> pl.Expr:
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


def seconds(text: pl.Expr) -> pl.Expr:
    """`[D-]HH:MM:SS` or a whole number, in seconds; null for anything else."""
    shaped = text.str.contains(r"^([0-9]{1,6}-)?[0-9][0-9]:[0-5][0-9]:[0-5][0-9]$")
    hours, minutes, secs = (_integer(text.str.slice(at, 2)) for at in (-8, -5, -2))
    days = pl.when(text.str.len_bytes() <= 8).then(0).otherwise(_integer(text.str.head(-9)))
    return pl.when(shaped).then(days * 86400 + hours * 3600 + minutes * 60 + secs).otherwise(_integer(text))


def _first_word(texts: pl.Series) -> pl.Series:
    return texts.str.extract(r"^(\S*)")


def _gpus(texts: pl.Series) -> pl.Series:
    return pl.Series([gpus_of(text) for text in texts.to_list()], dtype=pl.Int64)


def distinct(text: pl.Expr, parse: Callable[[pl.Series], pl.Series], dtype: pl.DataType) -> pl.Expr:
    """`parse` of every text; it is given each distinct one once."""

    def parsed(texts: pl.Series) -> pl.Series:
        coded = texts.cast(
            pl.Categorical(pl.Categories.random())
        )  # of this column alone: none of it outlives the block
        each = coded.drop_nulls().unique()
        places = pl.int_range(len(each), dtype=pl.UInt32, eager=True)
        where = pl.zeros(len(each), pl.UInt32, eager=True).scatter(each.to_physical(), places)  # codes begin at 0
        return parse(each.cast(pl.String)).cast(dtype).gather(where.gather(coded.to_physical()))

    return text.map_batches(parsed, return_dtype=dtype)


def faults() -> Iterator[tuple[pl.Expr, str, str]]:
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


def wrong() -> pl.Expr:
    return pl.any_horizontal(condition.fill_null(False) for condition, _, _ in faults())


def _outside(name: str, most: int) -> pl.Expr:
    """Whether a number is missing, negative or beyond reason."""
    return ~pl.col(name).is_between(0, most).fill_null(False)


def runs(read: pl.DataFrame, system: str, cluster: str) -> pl.DataFrame:
    held = pl.when(pl.col("end").is_null()).then(pl.col("elapsed")).otherwise(pl.col("end") - pl.col("start"))
    # a job that goes before it ever had resources gets the time of its end as its start from Slurm
    never = (pl.col("AllocTRES") == "") & (pl.col("elapsed") == 0)
    kind = pl.Categorical()
    named = pl.when(pl.col("cluster") == "").then(pl.lit(cluster, kind)).otherwise(pl.col("cluster").cast(kind))
    return read.with_columns(
        pl.lit(system, kind).alias("system"),
        named.alias("cluster"),
        pl.when(pl.col("start").is_null() | never).then(0).otherwise(held).alias("held_s"),
        pl.when(never).then(None).otherwise(pl.col("start")).alias("start"),
        pl.when(is_open()).then(None).otherwise(pl.col("end")).alias("end"),
    ).select(pl.col(name).cast(dtype) for name, dtype in RUN_SCHEMA.items())
