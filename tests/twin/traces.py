"""Real logs for tests, from beside the repository or SCHMELZ_TRACES; they are never part of it."""

import os
import warnings
from functools import cache
from pathlib import Path

import pytest

from schmelz.cli.traces import trace
from schmelz.twin.records import Rules, workload
from schmelz.twin.workload import Workload

TRACES = Path(os.environ.get("SCHMELZ_TRACES") or Path(__file__).parents[2].parent / "shared/traces")
GPUS = {
    "kth-sp2-sc15.swf.gz": 100,
    "kth-sp2-1996-2.swf.gz": 100,
    "cea-curie-sample.swf.gz": 93_312,
    "philly-early.csv.gz": 2048,
}


def path_of(name: str) -> Path:
    """The log; without it the test is skipped, and says so in the summary of warnings."""
    path = TRACES / name
    if not path.exists():
        warnings.warn(f"NOT TESTED on the real log {name}: it is not in {TRACES}; set SCHMELZ_TRACES", stacklevel=2)
        pytest.skip(f"{path} is not there; set SCHMELZ_TRACES")
    return path


@cache
def _read(path: Path, gpus: int) -> Workload:
    return workload(trace(path, None), Rules(gpus))


def real(name: str, jobs: int | None = None) -> Workload:
    """The jobs of a log on its own machine, or the first ones of them."""
    work = _read(path_of(name), GPUS[name])
    return work if jobs is None else work.chosen(slice(jobs))
