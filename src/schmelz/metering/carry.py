"""The carry: what a pool did not get in the window before, brought into the next one, once.

It is the deficit of the window before, as far as that is positive and counted without a carry of its own: what was
carried once and not used is lost. Only the window that a system shares by has a carry; quarters and months inside it are
checkpoints. Where no job ran in the window before, nothing is carried: there were no records to owe anything by.
`split` cuts it to `carry_percent` of the pool's share. Source: the definitions page, "entitlement".
"""

from collections.abc import Sequence

import polars as pl

from schmelz.metering.segments import touching
from schmelz.metering.split import split
from schmelz.metering.supply import Outage
from schmelz.metering.windows import shared
from schmelz.policy.schema import Factory
from schmelz.units import Period


def carried(
    factory: Factory, system_id: str, attributed: pl.DataFrame, outages: Sequence[Outage], period: Period
) -> dict[str, int]:
    """GPU-seconds per pool for the window `period`; nothing for a period that is no window the system shares by."""
    before = window_before(factory, system_id, period)
    if before is None or not _ran(attributed, system_id, before):
        return {}
    found = split(factory, system_id, attributed, outages, before, before.end)
    return {pool.pool: max(0, pool.deficit_gpu_s) for pool in found.pools}


def window_before(factory: Factory, system_id: str, period: Period) -> Period | None:
    """The window before `period`; None when `period` is not the window that the system shares by."""
    same = shared(factory, system_id, period.start) == period
    return shared(factory, system_id, period.start - 1) if same else None


def _ran(attributed: pl.DataFrame, system_id: str, period: Period) -> bool:
    begun = pl.col("start").is_not_null() & (pl.col("start") < period.end) & (pl.col("gpus") > 0)
    return not touching(attributed, system_id, period).filter(begun).is_empty()
