"""What projects have left of their grants: grant less settled and running use, held GPUs included, never below 0."""

from collections.abc import Mapping

import polars as pl

from schmelz.metering.usage import charged_seconds


def left(grants: Mapping[str, int], attributed: pl.DataFrame, as_of: int) -> dict[str, int]:
    """GPU-seconds left per project of `grants`, given the attributed runs so far."""
    charged = (pl.col("gpus") + pl.col("held_gpus")) * charged_seconds(as_of)
    used = dict(attributed.group_by("project").agg(charged.sum()).iter_rows())
    return {project: max(0, grant - used.get(project, 0)) for project, grant in grants.items()}
