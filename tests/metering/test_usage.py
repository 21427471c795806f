"""Sums of pieces, and what a project has left."""

from datetime import date
from zoneinfo import ZoneInfo

import polars as pl
import pytest

import make
from schmelz.metering.attribute import attribute
from schmelz.metering.pieces import pieces
from schmelz.metering.usage import Balance, balance, usage, used_by_project
from schmelz.units import day_start

UTC = ZoneInfo("UTC")
DAY = day_start(date(2026, 5, 1), UTC)


def attributed(*rows: dict[str, object], charge: str = "gpu") -> pl.DataFrame:
    return attribute(make.runs(*rows), make.factory(charge=charge), {})


PIECES = pieces(
    attributed(
        {"start": DAY + 86390, "elapsed": 20, "gpus": 1},
        {"start": DAY, "elapsed": 5, "gpus": 2, "account": "national-1"},
        {"start": DAY + 86400, "elapsed": 7, "gpus": 8, "account": "nobody", "nodes": "n01,s01"},
        charge="node",
    ),
    UTC,
    2**40,
)


def test_by_the_keys_asked_for_in_their_order() -> None:
    assert usage(PIECES, ["day", "pool"]).rows() == [
        (date(2026, 5, 1), "eurohpc", 10, 1),
        (date(2026, 5, 1), "national", 10, 1),
        (date(2026, 5, 2), "eurohpc", 10, 0),
        (date(2026, 5, 2), "unassigned", 56, 1),
    ]
    assert usage(PIECES, ["site", "project"]).columns == ["site", "project", "gpu_s", "runs"]
    assert usage(PIECES, ["site"]).rows() == [("north", 58, 3), ("south", 28, 0)]
    assert usage(PIECES, []).rows() == [(86, 3)]


def test_first_and_last_day_are_both_in() -> None:
    assert usage(PIECES, ["day"], date(2026, 5, 2), date(2026, 5, 2)).rows() == [(date(2026, 5, 2), 66, 1)]
    assert usage(PIECES, ["day"], last=date(2026, 5, 1))["gpu_s"].to_list() == [20]
    assert usage(PIECES, ["day"], first=date(2026, 5, 3)).height == 0


def test_a_key_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"usage can be counted by pool, project, site, day, .*; not by 'user'"):
        usage(PIECES, ["user"])


def test_a_balance() -> None:
    runs = attributed(
        {"start": DAY, "elapsed": 10, "gpus": 4},
        {"start": DAY, "elapsed": 30, "gpus": 2, "limit_s": 100, "state": "RUNNING"},
        {"start": DAY, "elapsed": 30, "gpus": 1, "limit_s": 20, "state": "RUNNING"},
        {"start": None, "elapsed": 0, "gpus": 8, "limit_s": 50, "state": "PENDING"},
        {"start": None, "elapsed": 0, "gpus": 8, "limit_s": None, "state": "PENDING"},
        {"start": None, "elapsed": 0, "gpus": 8, "limit_s": 50, "state": "CANCELLED"},
    )
    assert balance(1000, runs, DAY + 40, carry_in=7) == Balance(
        settled=40, running=90, committed=140 + 400, left=1007 - 40 - 90 - 540, as_of=DAY + 40
    )


def test_a_balance_may_be_negative_and_of_nothing_is_the_grant() -> None:
    assert balance(10, attributed({"elapsed": 10, "gpus": 4}), 100).left == -30
    assert balance(10, attributed(), 100) == Balance(0, 0, 0, 10, 100)


def test_whole_nodes_are_charged_where_the_policy_says_so() -> None:
    runs = attributed(
        {"start": 0, "elapsed": 10, "gpus": 1, "nodes": "n01"},
        {"start": 0, "elapsed": 10, "gpus": 1, "nodes": "n02", "state": "RUNNING", "limit_s": 30},
        charge="node",
    )
    assert balance(0, runs, 100) == Balance(settled=40, running=40, committed=20, left=-100, as_of=100)
    assert used_by_project(runs, 100) == {"eurohpc-1": 80}


def test_use_by_project_stops_at_now_and_leaves_out_what_has_not_begun() -> None:
    runs = attributed(
        {"start": 100, "elapsed": 50, "gpus": 2}, {"start": 200, "account": "p1"}, {"start": None, "account": "p1"}
    )
    assert used_by_project(runs, 120) == {"eurohpc-1": 40, "p1": 0}
    assert balance(0, runs.filter(pl.col("project") == "p1"), 120).settled == 0
