"""Runs cut at the midnights of a named zone."""

from datetime import date
from zoneinfo import ZoneInfo

import polars as pl
from hypothesis import given, strategies as st

import make
from schmelz.metering.attribute import attribute
from schmelz.metering.pieces import pieces
from schmelz.units import day_period, day_start, local_date

LUXEMBOURG = ZoneInfo("Europe/Luxembourg")
LATE = 2**40
SPRING = day_start(date(2026, 3, 28), LUXEMBOURG)


def cut(*rows: dict[str, object], as_of: int = LATE, charge: str = "gpu") -> pl.DataFrame:
    return pieces(attribute(make.runs(*rows), make.factory(charge=charge), {}), LUXEMBOURG, as_of)


def test_nothing_that_began_gives_an_empty_frame() -> None:
    schema = cut({"start": 0}).schema
    assert cut().schema == schema and cut().is_empty()
    assert cut({"start": None, "state": "PENDING"}).schema == schema
    assert cut({"start": 100}, as_of=99).height == 0


def test_a_run_inside_a_day_is_one_piece() -> None:
    assert cut({"start": SPRING, "elapsed": 60, "gpus": 3}).to_dicts() == [
        {
            "day": date(2026, 3, 28),
            "pool": "eurohpc",
            "project": "eurohpc-1",
            "account": "eurohpc-1",
            "site": "north",
            "system": "anvil",
            "gpu_s": 180,
            "held_gpu_s": 0,
            "started": 1,
            "time_s": 60,
        }
    ]


def test_days_of_23_and_25_hours() -> None:
    spring = cut({"start": SPRING, "elapsed": 72 * 3600, "gpus": 1})
    assert spring.select("day", "time_s", "started").rows() == [
        (date(2026, 3, 28), 86400, 1),
        (date(2026, 3, 29), 82800, 0),
        (date(2026, 3, 30), 86400, 0),
        (date(2026, 3, 31), 3600, 0),
    ]
    autumn = cut({"start": day_start(date(2026, 10, 25), LUXEMBOURG), "elapsed": 25 * 3600, "gpus": 1})
    assert autumn.select("day", "time_s").rows() == [(date(2026, 10, 25), 90000)]


def test_a_run_that_ends_at_midnight_has_no_piece_on_the_next_day() -> None:
    assert cut({"start": SPRING + 100, "elapsed": 86300})["day"].to_list() == [date(2026, 3, 28)]
    assert cut({"start": SPRING + 100, "elapsed": 86301})["day"].to_list() == [date(2026, 3, 28), date(2026, 3, 29)]


def test_a_run_that_never_got_further_still_started() -> None:
    assert cut({"start": SPRING, "elapsed": 0}).select("gpu_s", "started", "time_s").rows() == [(0, 1, 0)]


def test_time_is_elapsed_not_end_less_start_and_stops_at_now() -> None:
    assert cut({"start": SPRING, "elapsed": 50, "end": SPRING + 90})["time_s"].to_list() == [50]
    assert cut({"start": SPRING, "elapsed": 50}, as_of=SPRING + 20)["time_s"].to_list() == [20]


def test_a_run_over_two_sites_starts_once() -> None:
    found = cut({"start": SPRING, "elapsed": 10, "gpus": 6, "nodes": "n01,s01"}, charge="node")
    assert found.select("site", "gpu_s", "held_gpu_s", "started").rows() == [("north", 30, 10, 1), ("south", 30, 10, 0)]


@given(st.lists(st.tuples(st.integers(SPRING - 10**6, SPRING + 10**6), st.integers(0, 10**6)), max_size=5))
def test_pieces_add_up_and_lie_in_their_day(runs: list[tuple[int, int]]) -> None:
    found = cut(
        *({"start": start, "elapsed": elapsed, "account": f"p{number}"} for number, (start, elapsed) in enumerate(runs))
    )
    for number, (start, elapsed) in enumerate(runs):
        mine = found.filter(pl.col("project") == f"p{number}")
        assert mine["time_s"].sum() == elapsed
        assert mine["started"].to_list() == [1] + [0] * (mine.height - 1)
        assert mine["day"][0] == local_date(start, LUXEMBOURG)
        for day, seconds in mine.select("day", "time_s").iter_rows():
            whole = day_period(day, LUXEMBOURG)
            assert seconds == max(0, min(whole.end, start + elapsed) - max(whole.start, start))
