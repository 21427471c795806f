"""Which reading of a run counts."""

import polars as pl
from hypothesis import given, strategies as st

import make
from schmelz.metering.runs import KEY, RUN_SCHEMA, latest


def test_no_readings_are_an_empty_frame() -> None:
    assert latest([]).schema == RUN_SCHEMA
    assert latest([make.runs(), make.runs()]).height == 0


def test_the_later_reading_of_a_run_wins() -> None:
    early, late = (make.runs({"job": "7", "submit": 5, "state": "RUNNING", "elapsed": s}) for s in (10, 20))
    assert latest([early, late])["elapsed"].to_list() == [20]
    assert latest([late, early])["elapsed"].to_list() == [10]
    assert latest([pl.concat([early, late])])["elapsed"].to_list() == [20]


def test_an_old_reading_of_a_running_job_does_not_undo_its_end() -> None:
    done = make.runs({"job": "7", "submit": 5, "elapsed": 30})
    for state in ("PENDING", "RUNNING", "SUSPENDED"):
        assert latest([done, make.runs({"job": "7", "submit": 5, "elapsed": 20, "state": state})]).equals(done)


def test_runs_of_one_job_with_other_submissions_or_clusters_are_other_runs() -> None:
    found = latest(
        [make.runs({"job": "7", "submit": 5}, {"job": "7", "submit": 9}, {"job": "7", "submit": 5, "cluster": "b"})]
    )
    assert found.select(KEY).rows() == [("anvil-c", "7", 5), ("anvil-c", "7", 9), ("b", "7", 5)]


READINGS = st.lists(
    st.builds(
        lambda job, submit, elapsed, state: {"job": job, "submit": submit, "elapsed": elapsed, "state": state},
        st.sampled_from("12"),
        st.integers(0, 1),
        st.integers(0, 9),
        st.sampled_from(("RUNNING", "COMPLETED")),
    ),
    max_size=8,
)


@given(READINGS, st.integers(0, 8))
def test_batches_do_not_matter(rows: list[dict[str, object]], cut: int) -> None:
    whole = latest([make.runs(*rows)])
    assert latest([latest([make.runs(*rows[:cut])]), make.runs(*rows[cut:])]).equals(whole)
    assert latest([whole]).equals(whole)
