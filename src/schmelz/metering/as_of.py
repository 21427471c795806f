"""Runs as they were at an earlier moment, out of what the records say about them now.

What was submitted later is not there; what began later waits; what ended later runs, charged up to that moment. So a
statement about a month that is over stays the same whenever it is made, as long as the records stay the same.
"""

import polars as pl

from schmelz.metering.runs import is_open
from schmelz.metering.usage import charged_seconds


def as_it_was(runs: pl.DataFrame, as_of: int) -> pl.DataFrame:
    """The runs (with or without their places) at `as_of`."""
    began = (pl.col("start") <= as_of).fill_null(False)
    over = ~is_open() & (pl.col("end") <= as_of).fill_null(True)
    state = pl.when(over).then(pl.col("state").cast(pl.String)).when(began).then(pl.lit("RUNNING"))
    return runs.filter(pl.col("submit") <= as_of).with_columns(
        state.otherwise(pl.lit("PENDING")).cast(pl.Categorical).alias("state"),
        pl.when(began).then("start").alias("start"),
        pl.when(over).then("end").alias("end"),
        pl.when(began).then(charged_seconds(as_of)).otherwise(0).alias("elapsed"),
    )
