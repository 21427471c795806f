"""Runs kept in Parquet files, one per month of submission (UTC), named by their content.

A *manifest* (month -> file name) says which files count; whoever calls commits it. Files are immutable: a changed month
gets a new file, written aside, synced, renamed; the old one stays until `sweep`. So a crash between any two steps loses
nothing. Invariants: merging the same runs twice gives the same manifest and writes nothing; the order and batches in
which records arrive do not matter beyond "the later reading of a key wins".
"""

import hashlib
import io
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from time import time

import polars as pl

from schmelz.metering.ahead import AT_ONCE, in_order
from schmelz.metering.runs import KEY, RUN_SCHEMA, RecordError, is_open, latest

KEPT_SECONDS = 3600
KEPT_ROWS = 1_000_000
FORGOTTEN = "~"  # begins the name of a forgotten user; no Unix name does


@dataclass(frozen=True)
class Merge:
    """The new manifest, how many of the runs were new, changed a known one, or were known as they are, and their months."""

    manifest: dict[str, str]
    added: int
    replaced: int
    same: int
    months: tuple[str, ...]


class Batches:
    """Runs on their way into the store, by month of submission: in memory, and beyond KEPT_ROWS in files aside."""

    def __init__(self, directory: Path, *frames: pl.DataFrame) -> None:
        self._directory, self._rows, self._number = directory, 0, 0
        self._kept: dict[str, list[pl.DataFrame | Path]] = {}
        for frame in frames:
            self.add(frame)

    def add(self, runs: pl.DataFrame) -> None:
        """Take more runs; later ones win."""
        for month, frame in _by_month(runs):
            self._kept.setdefault(month, []).append(frame)
        self._rows += runs.height
        if self._rows > KEPT_ROWS:
            self._spill()

    @property
    def many(self) -> bool:
        """Whether some of them had to go into files: then a month is large, and one at a time is enough."""
        return self._number > 0

    def months(self) -> list[str]:
        return sorted(self._kept)

    def take(self, month: str) -> pl.DataFrame:
        """The runs of a month, the latest of each key; they are given away."""
        parts = self._kept.pop(month)
        runs = latest(_read(part, month) if isinstance(part, Path) else part for part in parts)
        for part in parts:
            if isinstance(part, Path):
                part.unlink(missing_ok=True)
        return runs

    def _spill(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        for month, parts in self._kept.items():
            fresh = [part for part in parts if isinstance(part, pl.DataFrame)]
            if fresh:
                self._number += 1
                path = self._directory / f".runs-{month}-{os.getpid()}-{self._number}.part"
                latest(fresh).write_parquet(path, compression="lz4")
                self._kept[month] = [*(part for part in parts if isinstance(part, Path)), path]
        self._rows = 0


def merge(
    directory: Path,
    manifest: Mapping[str, str],
    runs: pl.DataFrame | Batches,
    begun: Callable[[str, pl.DataFrame], object] = lambda file, runs: None,
) -> Merge:
    """Put `runs` over what the manifest names. Nothing counts until the caller keeps the new manifest.

    `begun` is told the file and the runs of a month of which there were none.
    """
    batches = Batches(directory, runs) if isinstance(runs, pl.DataFrame) else runs

    def one(month: str) -> tuple[str, str | None, int, int, int]:
        news, before = batches.take(month), load(directory, manifest, [month])
        every, news = news.height, _still_forgotten(news, before)
        after = before if news.equals(before) else latest([before, news])
        if after.equals(before):
            return month, None, 0, 0, every
        file, added = _write(directory, month, after), after.height - before.height
        if before.is_empty():
            begun(file, after)
        return month, file, added, 0 if added == news.height else _replaced(before, after), every

    months = list(in_order(one, batches.months(), 1 if batches.many else AT_ONCE))
    added, replaced, every = (sum(month[at] for month in months) for at in (2, 3, 4))  # type: ignore[misc]
    result = dict(manifest) | {month: file for month, file, *_ in months if file}
    touched = tuple(month for month, *_ in months)
    return Merge(dict(sorted(result.items())), added, replaced, every - added - replaced, touched)


def rename(directory: Path, manifest: Mapping[str, str], user: str, name: str) -> dict[str, str]:
    """The manifest after a user of the runs got another name; nothing counts until the caller keeps it."""
    result = dict(manifest)
    for month in sorted(manifest):
        before = load(directory, manifest, [month])
        after = before.with_columns(_users(pl.when(pl.col("user") == user).then(pl.lit(name)).otherwise(_text("user"))))
        if not after.equals(before):
            result[month] = _write(directory, month, after)
    return result


def _still_forgotten(news: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
    """The news, where a run's user was forgotten without the name that comes along again."""
    gone = before.filter(_text("user").str.starts_with(FORGOTTEN)).select(*KEY, forgotten="user")
    if gone.is_empty():
        return news
    joined = news.join(gone, on=list(KEY), how="left", maintain_order="left")
    return joined.with_columns(_users(pl.coalesce(_text("forgotten"), _text("user")))).drop("forgotten")


def _text(column: str) -> pl.Expr:
    return pl.col(column).cast(pl.String)


def _users(expression: pl.Expr) -> pl.Expr:
    return expression.cast(RUN_SCHEMA["user"]).alias("user")


def _replaced(before: pl.DataFrame, after: pl.DataFrame) -> int:
    """How many runs of before stand there otherwise now."""
    if before.is_empty():
        return 0
    return after.join(before, on=list(RUN_SCHEMA), how="anti", nulls_equal=True).height - (after.height - before.height)


def load(directory: Path, manifest: Mapping[str, str], months: Iterable[str] | None = None) -> pl.DataFrame:
    """The runs of the months asked for (all by default), month by month, each in the order of the keys."""
    wanted = sorted(manifest if months is None else set(months) & set(manifest))
    frames = [_read(directory / manifest[month], month) for month in wanted]
    return pl.concat([pl.DataFrame(schema=RUN_SCHEMA), *frames])


def open_runs(directory: Path, manifest: Mapping[str, str]) -> pl.DataFrame:
    """The runs that may still change. Files never change, so each is looked through once."""
    return pl.concat(
        [pl.DataFrame(schema=RUN_SCHEMA), *(_open(directory / file, month) for month, file in sorted(manifest.items()))]
    )


@lru_cache(maxsize=256)
def _open(path: Path, month: str) -> pl.DataFrame:
    return _read(path, month).filter(is_open())


def sweep(directory: Path, manifest: Mapping[str, str]) -> tuple[str, ...]:
    """Remove files that the manifest does not name and that are older than an hour; their names."""
    named, limit = set(manifest.values()), time() - KEPT_SECONDS
    paths = [*directory.glob("runs-*.parquet"), *directory.glob(".runs-*.part")]
    gone = sorted(path for path in paths if path.name not in named and path.stat().st_mtime < limit)
    for path in gone:
        path.unlink(missing_ok=True)
    return tuple(path.name for path in gone)


def _by_month(runs: pl.DataFrame) -> list[tuple[str, pl.DataFrame]]:
    day = pl.from_epoch("submit", time_unit="s")
    parts = runs.with_columns((day.dt.year() * 12 + day.dt.month() - 1).alias("month")).partition_by(
        "month", as_dict=True, include_key=False
    )
    return [(f"{key[0] // 12:04}-{key[0] % 12 + 1:02}", part) for key, part in sorted(parts.items())]


def _read(path: Path, month: str) -> pl.DataFrame:
    try:
        return pl.read_parquet(path).select(pl.col(name).cast(dtype) for name, dtype in RUN_SCHEMA.items())
    except (OSError, pl.exceptions.PolarsError) as error:
        raise RecordError(
            f"{path}: the records of {month} cannot be read ({type(error).__name__}); restore this file from the backup"
        ) from None


def _write(directory: Path, month: str, runs: pl.DataFrame) -> str:
    """Write a month's runs under the name of their content; a file of that name already holds the same."""
    content = _parquet(runs)
    path = directory / f"runs-{month}-{hashlib.sha256(content).hexdigest()[:12]}.parquet"
    if not path.exists():
        _put(path, content)
    return path.name


def put(path: Path, frame: pl.DataFrame) -> None:
    """Write a frame so that the file is there whole or not at all, even if the machine stops."""
    _put(path, _parquet(frame))


def _parquet(frame: pl.DataFrame) -> memoryview:
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="lz4", statistics=False)
    return buffer.getbuffer()


def _put(path: Path, content: memoryview) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.stem}-{os.getpid()}.part")
    with aside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    _sync(path.parent)


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
