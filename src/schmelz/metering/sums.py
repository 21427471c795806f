"""Sums of pieces per day, system, account and site: what every figure of use is added up from.

They follow from a month's runs and from the rules that place and charge a run (nodes, partitions, GPUs per node, charge,
time zone), and are kept beside the runs under a name made of both: a file that is there is right, one that is missing or
damaged is made again, a change of policy makes others. Months are read one by one, so memory does not grow with the
years. Whose account it was is asked later, because projects come and go. Integers, in GPU-seconds.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl

from schmelz.metering import store
from schmelz.metering.attribute import with_places
from schmelz.metering.pieces import pieces
from schmelz.metering.places import Places, places
from schmelz.metering.usage import grouped
from schmelz.policy.schema import Factory

FORMAT = 1
SUM_SCHEMA: dict[str, pl.DataType] = {
    "day": pl.Date(),
    "system": pl.Categorical(),
    "account": pl.Categorical(),
    "site": pl.Categorical(),
    "gpu_s": pl.Int64(),
    "held_gpu_s": pl.Int64(),
    "started": pl.Int64(),
}
KEYS = ("day", "system", "account", "site")
FIGURES = ("gpu_s", "held_gpu_s", "started")
NEEDED = ("system", "account", "nodes", "partition", "start", "elapsed", "gpus")


def sums(runs: pl.DataFrame, factory: Factory, index: Mapping[str, Places] | None = None) -> pl.DataFrame:
    """The sums of these runs, in the order of the keys."""
    begun = runs.lazy().filter(pl.col("start").is_not_null()).select(NEEDED).collect()
    return added(pieces(with_places(begun, factory, index), factory.zone))


def added(frame: pl.DataFrame) -> pl.DataFrame:
    """Rows with the same keys as one row, sorted."""
    return grouped(frame, KEYS, [pl.col(FIGURES).sum()]).select(list(SUM_SCHEMA))


def load(directory: Path, manifest: Mapping[str, str], factory: Factory) -> pl.DataFrame:
    """The sums of all runs that the manifest names; a day appears once for each month in which its jobs were sent."""
    keep, frames = keeper(directory, factory), [pl.DataFrame(schema=SUM_SCHEMA)]
    rules = _rules(factory)
    for month, file in sorted(manifest.items()):
        found = _kept(_path(directory, file, rules))
        frames.append(keep(file, store.load(directory, manifest, [month])) if found is None else found)
    return pl.concat(frames)


def keeper(directory: Path, factory: Factory) -> Callable[[str, pl.DataFrame], pl.DataFrame]:
    """Who makes and keeps the sums of a file and the runs in it."""
    rules, index = _rules(factory), places(factory)

    def keep(file: str, runs: pl.DataFrame) -> pl.DataFrame:
        found = sums(runs, factory, index)
        store.put(_path(directory, file, rules), found)
        return found

    return keep


def _path(directory: Path, file: str, rules: str) -> Path:
    return directory / "sums" / f"{Path(file).stem}-{rules}.parquet"


def _kept(path: Path) -> pl.DataFrame | None:
    try:
        return pl.read_parquet(path).select(pl.col(name).cast(dtype) for name, dtype in SUM_SCHEMA.items())
    except (OSError, pl.exceptions.PolarsError):
        return None


def sweep(directory: Path, manifest: Mapping[str, str], factory: Factory) -> None:
    """Remove sums that are of other runs or of other rules; they can be made again."""
    rules = _rules(factory)
    named = {_path(directory, file, rules).name for file in manifest.values()}
    for path in (directory / "sums").glob("*"):
        if path.name not in named:
            path.unlink(missing_ok=True)


def _rules(factory: Factory) -> str:
    """A short name of everything, beside the runs, that the sums depend on."""
    places = [[s.id, s.gpus_per_node, s.charge, s.nodes, s.partitions] for s in factory.systems]
    return hashlib.sha256(json.dumps([FORMAT, factory.factory.zone, places]).encode()).hexdigest()[:12]
