"""The run frame: one row per run of a job, as its records last described it.

Words: a *run* is one attempt of a job to execute; a requeued job has several, told apart by the time of submission.
*elapsed* is what is charged (suspended time off), *held_s* the time for which the GPUs were held (of a run without an
end: what its record says has elapsed). A run is *open* while its state says that it may still change.
Invariants: times are UTC epoch seconds, null when not yet; one row per KEY after `latest`, in the order of the keys.
Source: the definitions page, "Records".
"""

from collections.abc import Iterable

import polars as pl

from schmelz.faults import BadInput

RUN_SCHEMA: dict[str, pl.DataType] = {
    "system": pl.Categorical(),
    "cluster": pl.Categorical(),
    "job": pl.String(),
    "submit": pl.Int64(),
    "eligible": pl.Int64(),
    "start": pl.Int64(),
    "end": pl.Int64(),
    "elapsed": pl.Int64(),
    "held_s": pl.Int64(),
    "gpus": pl.Int64(),
    "nnodes": pl.Int64(),
    "nodes": pl.Categorical(),
    "partition": pl.Categorical(),
    "account": pl.Categorical(),
    "user": pl.Categorical(),
    "qos": pl.Categorical(),
    "state": pl.Categorical(),
    "limit_s": pl.Int64(),
}
KEY = ("cluster", "job", "submit")
OPEN_STATES = (
    "PENDING",
    "CONFIGURING",
    "RUNNING",
    "SUSPENDED",
    "RESIZING",
    "STOPPED",
    "SIGNALING",
    "COMPLETING",
    "STAGE_OUT",
    "REQUEUE_HOLD",
    "REQUEUE_FED",
    "RESV_DEL_HOLD",
    "SPECIAL_EXIT",
    "EXPEDITING",
)


class RecordError(BadInput):
    """Records as a whole cannot be read (no header, no column, a lost file); nothing was kept."""


def is_open() -> pl.Expr:
    """Whether a run may still change: it waits, runs, or is about to end."""
    return pl.col("state").is_in(OPEN_STATES)


def latest(frames: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """One row per key out of readings in the order of time: the later reading wins, sorted by key.

    A reading of an open run never takes the place of one that ended: an old file that is read again undoes nothing.
    """
    readings = [frame.select(list(RUN_SCHEMA)) for frame in frames if frame.height]
    if not readings:
        return pl.DataFrame(schema=RUN_SCHEMA)
    every = pl.concat(readings, rechunk=True)
    if _ascending(every):
        return every
    every = every.sort(KEY, maintain_order=True)
    same = pl.all_horizontal(pl.col(name) == pl.col(name).shift(-1) for name in KEY)
    if not every.select(same.any()).item():
        return every
    ended_last = every.with_columns(is_open().alias("open")).sort(
        *KEY, "open", descending=[False] * 3 + [True], maintain_order=True
    )
    return ended_last.filter(~same.fill_null(False)).drop("open")


def _ascending(runs: pl.DataFrame) -> bool:
    """Whether the runs are of one cluster and each key comes after the one before: the order of most texts."""
    cluster = runs["cluster"].to_physical()
    (before, after), (sent, then) = (
        (runs[key].slice(0, len(cluster) - 1), runs[key].slice(1)) for key in ("job", "submit")
    )
    return bool((cluster == cluster[0]).all() and ((after > before) | ((after == before) & (then > sent))).all())
