"""What each pool used of its own, gave back, borrowed and lent, in every segment.

Words: a pool's *share* of a segment is w x C / W GPUs; *over* is what it uses above, *under* what it leaves below it.
*own* is use up to the share, *returned* the part of over that pays back a positive deficit at the segment's start,
*borrowed* the rest of over; *lent* is the sum of over, in proportion to under. All in GPU-seconds x W: integers.
When records claim more than there is (excess), the pools together are further over than under: over is cut to the sum
of under, in proportion, and the rest counts as own. Source: the definitions page, "over", "own", "lent".
"""

from collections.abc import Mapping, Sequence

import polars as pl

FINE = 1_000_000  # lent is a fraction when several pools lend: kept in millionths of GPU-seconds x W
FLOWS = ("own", "returned", "borrowed", "lent")


def flows(frame: pl.DataFrame, weights: Mapping[str, int], carry: Mapping[str, int]) -> pl.DataFrame:
    """Add `own:<pool>`, `returned:`, `borrowed:` (GPU-seconds x W) and `lent:` (x W x FINE) to segments in order."""
    whole, pools = sum(weights.values()), list(weights)
    balance = balances(weights)
    frame = frame.with_columns(
        *(pl.max_horizontal(0, -balance[pool]).alias(f"over:{pool}") for pool in pools),
        *(pl.max_horizontal(0, balance[pool]).alias(f"under:{pool}") for pool in pools),
        *(_before(balance[pool] * pl.col("dt"), carry.get(pool, 0) * whole).alias(f"deficit:{pool}") for pool in pools),
    )
    frame = frame.with_columns(over=_sum("over", pools), under=_sum("under", pools))
    if frame.select((pl.col("over") > pl.col("under")).any()).item():
        frame = frame.with_columns(_cut(pools)).with_columns(over=pl.min_horizontal("over", "under"))
    frame = frame.with_columns(
        pl.min_horizontal(pl.col(f"over:{pool}") * pl.col("dt"), pl.max_horizontal(0, f"deficit:{pool}")).alias(
            f"returned:{pool}"
        )
        for pool in pools
    )
    several = pl.max_horizontal(f"under:{pool}" for pool in pools) < pl.col("under")
    shared = frame.select((several & (pl.col("over") > 0)).any()).item()
    return frame.with_columns(flow for pool in pools for flow in _parts(pool, whole, shared))


def balances(weights: Mapping[str, int]) -> dict[str, pl.Expr]:
    """Per pool, share less use in every segment, in GPUs x W; times dt, what its deficit grows by."""
    whole = sum(weights.values())
    return {pool: weight * pl.col("capacity") - whole * pl.col(f"use:{pool}") for pool, weight in weights.items()}


def _before(change: pl.Expr, begin: int) -> pl.Expr:
    """The running sum at the start of each segment."""
    return change.cum_sum() - change + begin


def _sum(name: str, pools: Sequence[str]) -> pl.Expr:
    return pl.sum_horizontal(f"{name}:{pool}" for pool in pools)


def _cut(pools: Sequence[str]) -> list[pl.Expr]:
    """Over of each pool, cut so that the sum is at most the sum of under: integers, by rounding the running sum."""

    def upto(number: int) -> pl.Expr:
        if number in (0, len(pools)):  # of nothing and of everything: there is nothing to divide
            return pl.col("under") if number else pl.lit(0, pl.Int64)
        running = pl.sum_horizontal(pl.lit(0, pl.Int64), *(f"over:{pool}" for pool in pools[:number]))
        return running * pl.col("under") // pl.max_horizontal(1, "over")

    too_much = pl.col("over") > pl.col("under")
    return [
        pl.when(too_much).then(upto(number + 1) - upto(number)).otherwise(f"over:{pool}").alias(f"over:{pool}")
        for number, pool in enumerate(pools)
    ]


def _parts(pool: str, whole: int, shared: bool) -> tuple[pl.Expr, pl.Expr, pl.Expr]:
    """`shared`: whether what is lent comes from several pools at a time anywhere; else there is nothing to divide."""
    above = pl.col(f"over:{pool}") * pl.col("dt")
    own = (whole * pl.col(f"use:{pool}") * pl.col("dt") - above).alias(f"own:{pool}")
    borrowed = (above - pl.col(f"returned:{pool}")).alias(f"borrowed:{pool}")
    taken, under = pl.col("over") * pl.col("dt"), pl.col(f"under:{pool}")
    given, all_under = taken * under, pl.max_horizontal(1, "under")
    parted = given // all_under * FINE + given % all_under * FINE // all_under
    lent = parted if shared else pl.when(under > 0).then(taken * FINE).otherwise(0)
    return own, borrowed, lent.alias(f"lent:{pool}")
