"""A run of a clock that was never set, or of an old trace: an export holds it, and can be checked."""

from dataclasses import replace
from pathlib import Path

import polars as pl

import make
from proof.months import facts
from schmelz.metering.runs import latest
from schmelz.proof.export import export
from schmelz.proof.recompute import splits, use
from schmelz.proof.verify import verify

FEBRUARY_2000 = 950_000_000


def test_windows_have_names_from_2000_on(tmp_path: Path) -> None:
    now = replace(facts(tmp_path), as_of=FEBRUARY_2000)
    now = replace(now, runs=latest([make.runs({"job": "1", "start": 10, "account": "p1", "nodes": "n01"})]))
    assert use(now).select(pl.col("day").dt.year(), "gpu_s").rows() == [(1970, 240)]
    names = [figures["window"] for figures in splits(now)]
    assert names == ["2000", "2000-01", "2000-02"]
    head = export(now, tmp_path / "proof")
    assert verify(tmp_path / "proof", head) == ()
