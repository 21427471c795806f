"""The store: merging is idempotent, touches only the months it must, and never leaves half a file."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import make
from schmelz.metering.runs import RecordError, latest
from schmelz.metering.store import Merge, load, merge, open_runs, sweep

MARCH, APRIL = 1_772_366_400, 1_775_044_800


def files(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_runs_come_back_by_month_of_submission(tmp_path: Path) -> None:
    runs = make.runs({"submit": APRIL}, {"submit": MARCH})
    found = merge(tmp_path, {}, runs)
    assert (sorted(found.manifest), found.added, found.replaced, found.same) == (["2026-03", "2026-04"], 2, 0, 0)
    assert files(tmp_path) == sorted(found.manifest.values())
    assert load(tmp_path, found.manifest)["submit"].to_list() == [MARCH, APRIL]
    assert load(tmp_path, found.manifest, ["2026-04", "2026-05"])["submit"].to_list() == [APRIL]
    assert load(tmp_path, {}).height == 0


def test_a_second_reading_changes_and_writes_nothing(tmp_path: Path) -> None:
    runs = make.runs({"submit": MARCH}, {"submit": APRIL})
    first = merge(tmp_path, {}, runs)
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert merge(tmp_path, first.manifest, runs) == Merge(first.manifest, 0, 0, 2, ("2026-03", "2026-04"))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == stamps


def test_only_the_months_that_change_are_written(tmp_path: Path) -> None:
    first = merge(
        tmp_path, {}, make.runs({"job": "1", "submit": MARCH}, {"job": "2", "submit": APRIL, "state": "RUNNING"})
    )
    news = make.runs({"job": "1", "submit": MARCH}, {"job": "2", "submit": APRIL}, {"job": "3", "submit": APRIL})
    second = merge(tmp_path, first.manifest, news)
    assert (second.added, second.replaced, second.same) == (1, 1, 1)
    assert second.manifest["2026-03"] == first.manifest["2026-03"]
    assert second.manifest["2026-04"] != first.manifest["2026-04"]
    assert len(files(tmp_path)) == 3, "the old file stays for who still reads by the old manifest"
    assert load(tmp_path, first.manifest).height == 2


def test_sweeping_keeps_what_is_named_or_young(tmp_path: Path) -> None:
    first = merge(tmp_path, {}, make.runs({"job": "1", "submit": MARCH}))
    second = merge(tmp_path, first.manifest, make.runs({"job": "2", "submit": MARCH}))
    part = tmp_path / ".runs-2026-03-0-1.part"
    part.touch()
    assert sweep(tmp_path, second.manifest) == ()
    for path in tmp_path.iterdir():
        os.utime(path, (0, 0))
    assert sweep(tmp_path, second.manifest) == tuple(sorted([part.name, first.manifest["2026-03"]]))
    assert files(tmp_path) == [second.manifest["2026-03"]]


def test_a_lost_or_damaged_file_is_named(tmp_path: Path) -> None:
    found = merge(tmp_path, {}, make.runs({"submit": MARCH}))
    path = tmp_path / found.manifest["2026-03"]
    path.write_bytes(b"PAR1 no")
    with pytest.raises(RecordError, match=rf"{path.name}: the records of 2026-03 cannot be read"):
        load(tmp_path, found.manifest)
    path.unlink()
    with pytest.raises(RecordError, match="restore this file"):
        merge(tmp_path, found.manifest, make.runs({"submit": MARCH}))


ROWS = st.lists(
    st.builds(
        lambda job, month, elapsed: {"job": job, "submit": month, "elapsed": elapsed},
        st.sampled_from("123"),
        st.sampled_from((MARCH, APRIL)),
        st.integers(0, 3),
    ),
    max_size=6,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ROWS, st.integers(0, 6))
def test_batches_give_the_same_files(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, object]], cut: int
) -> None:
    one, other = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("other")
    whole = merge(one, {}, make.runs(*rows))
    parts = merge(other, merge(other, {}, make.runs(*rows[:cut])).manifest, make.runs(*rows[cut:]))
    assert parts.manifest == whole.manifest
    assert load(other, parts.manifest).sort("job", "submit").equals(latest([make.runs(*rows)]).sort("job", "submit"))


def test_open_runs_are_those_that_may_still_change(tmp_path: Path) -> None:
    runs = make.runs(
        {"job": "1", "submit": MARCH, "state": "RUNNING"}, {"job": "2", "submit": APRIL, "state": "PENDING"}
    )
    first = merge(tmp_path, {}, runs)
    assert open_runs(tmp_path, first.manifest)["job"].to_list() == ["1", "2"]
    second = merge(tmp_path, first.manifest, make.runs({"job": "1", "submit": MARCH}, {"job": "3", "submit": MARCH}))
    assert open_runs(tmp_path, second.manifest)["job"].to_list() == ["2"]
    assert open_runs(tmp_path, {}).is_empty()
