"""What projects have left of their grants: grant less settled and running use, held GPUs included, never below 0."""

from collections.abc import Mapping

import polars as pl


def left(grants: Mapping[str, int], attributed: pl.DataFrame) -> dict[str, int]:
    """GPU-seconds left per project of `grants`, given the attributed runs so far."""
    charged = (pl.col("gpus") + pl.col("held_gpus")).cast(pl.Int64) * pl.col("elapsed").fill_null(0)
    used = dict(attributed.group_by("project").agg(charged.sum().alias("used")).iter_rows())
    return {project: max(0, grant - used.get(project, 0)) for project, grant in grants.items()}
