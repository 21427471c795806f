"""Sums that are kept beside the runs: however they came to be, they are the sums of the runs."""

import tempfile
from pathlib import Path

import polars as pl
from hypothesis import given, settings, strategies as st

import make
from schmelz.metering import store, sums
from schmelz.units import DAY

FACTORY = make.factory()
NEW_YEAR = 1_767_225_600
ROWS = st.fixed_dictionaries(
    {
        "job": st.integers(1, 12).map(str),
        "submit": st.sampled_from([NEW_YEAR, NEW_YEAR + 40 * DAY]),
        "start": st.integers(0, 3 * DAY).map(lambda at: NEW_YEAR + at),
        "elapsed": st.integers(0, 2 * DAY),
        "gpus": st.integers(0, 8),
        "account": st.sampled_from(["eurohpc-1", "national-1", "else"]),
        "nodes": st.sampled_from(["n01", "s[01-02]", "n01,s01", ""]),
    }
)


@settings(max_examples=settings.default.max_examples // 3)  # each writes files and waits for the disk
@given(st.lists(st.lists(ROWS, min_size=1, max_size=6), min_size=1, max_size=4))
def test_kept_sums_are_those_of_the_runs(batches: list[list[dict[str, object]]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        place, manifest = Path(name), dict[str, str]()
        for batch in batches:
            runs = make.runs(*batch)
            manifest = store.merge(place, manifest, runs, sums.keeper(place, FACTORY)).manifest
            kept = sums.load(place, manifest, FACTORY)
            fresh = pl.concat([sums.sums(store.load(place, manifest, [month]), FACTORY) for month in sorted(manifest)])
            assert kept.equals(fresh)


def test_sums_are_there_when_the_runs_are(tmp_path: Path) -> None:
    runs = make.runs({"start": NEW_YEAR, "nodes": "n01"})
    manifest = store.merge(tmp_path, {}, runs, sums.keeper(tmp_path, FACTORY)).manifest
    (kept,) = (tmp_path / "sums").iterdir()
    assert kept.name.startswith(Path(manifest["2026-01"]).stem)
    kept.write_bytes(b"damaged")
    assert sums.load(tmp_path, manifest, FACTORY)["gpu_s"].to_list() == [240], "what is damaged is made again"
