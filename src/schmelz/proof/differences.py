"""How claimed and recomputed figures differ, one line each: the file, the row or key, both values."""

from collections.abc import Iterator, Sequence

import polars as pl

SHOWN = 20
"""How many lines one check gives at most."""


def in_rows(where: str, keys: Sequence[str], claimed: pl.DataFrame, ours: pl.DataFrame) -> Iterator[str]:
    """Rows that stand there twice, are missing, are too many, have other figures, or stand in another order."""
    names = list(keys)
    texts = [pl.col(name).cast(pl.String).fill_null("") for name in names]
    claimed, ours = claimed.with_columns(texts), ours.with_columns(texts)
    for key in claimed.filter(claimed.select(names).is_duplicated()).select(names).unique().sort(names).iter_rows():
        yield f"{where}: {' '.join(key)}: stands there more than once"
    both = ours.join(claimed, on=names, how="full", coalesce=True, suffix="_claimed").sort(names)
    for row in both.iter_rows(named=True):
        for figure in (name for name in ours.columns if name not in names):
            if row[figure] != row[f"{figure}_claimed"]:
                place = " ".join(row[name] for name in names)
                yield f"{where}: {place}: {figure} is claimed as {row[f'{figure}_claimed']}, recomputed {row[figure]}"
    if not claimed.select(names).equals(ours.select(names)) and claimed.sort(names).equals(ours.sort(names)):
        yield f"{where}: the rows are right but stand in another order"


def in_json(where: str, claimed: object, ours: object) -> Iterator[str]:
    """Values that differ, each with the way to it."""
    if isinstance(claimed, dict) and isinstance(ours, dict):
        for key in sorted({*claimed, *ours}):
            yield from in_json(f"{where}: {key}", claimed.get(key), ours.get(key))
    elif isinstance(claimed, list) and isinstance(ours, list) and len(claimed) == len(ours):
        for index, (one, other) in enumerate(zip(claimed, ours, strict=True)):
            yield from in_json(f"{where}[{index}]", one, other)
    elif claimed != ours:
        yield f"{where}: is claimed as {claimed}, recomputed {ours}"
