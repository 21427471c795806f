"""Runs kept in Parquet files, one per month of submission (UTC), named by their content.

A *manifest* (month -> file name) says which files count; whoever calls commits it. Files are immutable: a changed month
gets a new file, written aside, synced, renamed; the old one stays until `sweep`. So a crash between any two steps loses
nothing. Invariants: merging the same runs twice gives the same manifest and writes nothing; the order and batches in
which records arrive do not matter beyond "the later reading of a key wins".
"""

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import time

import polars as pl

from schmelz.metering.runs import RUN_SCHEMA, RecordError, latest

KEPT_SECONDS = 3600


@dataclass(frozen=True)
class Merge:
    """The new manifest, and how many of the runs were new, changed a known one, or were known as they are."""

    manifest: dict[str, str]
    added: int
    replaced: int
    same: int


def merge(directory: Path, manifest: Mapping[str, str], runs: pl.DataFrame) -> Merge:
    """Put `runs` over what the manifest names. Nothing counts until the caller keeps the new manifest."""
    result, added, replaced = dict(manifest), 0, 0
    news = latest([runs])
    for month, frame in _by_month(news):
        before = load(directory, manifest, [month])
        after = latest([before, frame])
        if not after.equals(before):
            result[month] = _write(directory, month, after)
        more = after.height - before.height
        added += more
        replaced += after.join(before, on=list(RUN_SCHEMA), how="anti", nulls_equal=True).height - more
    return Merge(dict(sorted(result.items())), added, replaced, news.height - added - replaced)


def load(directory: Path, manifest: Mapping[str, str], months: Iterable[str] | None = None) -> pl.DataFrame:
    """The runs of the months asked for (all by default), month by month, each in the order of the keys."""
    wanted = sorted(manifest if months is None else set(months) & set(manifest))
    frames = [_read(directory / manifest[month], month) for month in wanted]
    return pl.concat([pl.DataFrame(schema=RUN_SCHEMA), *frames])


def sweep(directory: Path, manifest: Mapping[str, str]) -> tuple[str, ...]:
    """Remove files that the manifest does not name and that are older than an hour; their names."""
    named, limit = set(manifest.values()), time() - KEPT_SECONDS
    paths = [*directory.glob("runs-*.parquet"), *directory.glob(".runs-*.part")]
    gone = sorted(path for path in paths if path.name not in named and path.stat().st_mtime < limit)
    for path in gone:
        path.unlink(missing_ok=True)
    return tuple(path.name for path in gone)


def _by_month(runs: pl.DataFrame) -> list[tuple[str, pl.DataFrame]]:
    month = pl.from_epoch("submit", time_unit="s").dt.strftime("%Y-%m").alias("month")
    parts = runs.with_columns(month).partition_by("month", as_dict=True, include_key=False)
    return sorted(((str(key[0]), part) for key, part in parts.items()), key=lambda pair: pair[0])


def _read(path: Path, month: str) -> pl.DataFrame:
    try:
        return pl.read_parquet(path).select(pl.col(name).cast(dtype) for name, dtype in RUN_SCHEMA.items())
    except (OSError, pl.exceptions.PolarsError) as error:
        raise RecordError(
            f"{path}: the records of {month} cannot be read ({type(error).__name__}); restore this file from the backup"
        ) from None


def _write(directory: Path, month: str, runs: pl.DataFrame) -> str:
    """Write a month's runs under the name of their content; a file of that name already holds the same."""
    digest = hashlib.sha256(runs.write_csv().encode()).hexdigest()[:12]
    path = directory / f"runs-{month}-{digest}.parquet"
    if not path.exists():
        directory.mkdir(parents=True, exist_ok=True)
        aside = directory / f".{path.stem}-{os.getpid()}.part"
        with aside.open("wb") as file:
            runs.write_parquet(file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
        _sync(directory)
    return path.name


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
