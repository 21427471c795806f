"""Statements add up as printed; use is counted under what a project was; small groups cannot be found in public."""

import csv
import io
from datetime import date
from zoneinfo import ZoneInfo

import polars as pl
from hypothesis import given, strategies as st

import make
from schmelz.metering.as_of import as_it_was
from schmelz.metering.attribute import attribute
from schmelz.metering.breakdown import NONE, OTHER, Unit, breakdowns, is_small
from schmelz.metering.pieces import pieces
from schmelz.metering.statement import (
    Column,
    SignatureLine,
    Statement,
    Table,
    as_csv,
    as_dict,
    nearest,
    rounded_parts,
    said,
    total,
)
from schmelz.metering.usage import Attributes, balance, usage
from schmelz.units import DAY, HOUR, day_start

UTC = ZoneInfo("UTC")
ZONE = ZoneInfo("Europe/Luxembourg")
FIRST = day_start(date(2026, 5, 1), UTC)
COLUMNS = (Column("country", "country"), Column("used_gpu_s", "used", "gpu"), Column("left_gpu_s", "left", "gpu"))
amounts = st.lists(st.integers(-(10**9), 10**12), max_size=12)


def statement(*values: tuple[int, int], exact: bool = False) -> Statement:
    rows = [(f"=c{n}", *pair) for n, pair in enumerate(values)]
    table = Table("by", "By country", COLUMNS, (*rows, total(rows, COLUMNS)), "A note.", sums=True, exact=exact)
    return Statement(
        "test", "test", "A title", FIRST, (("who", "#panic()"),), (table,), (SignatureLine("Host", "Ada", FIRST),)
    )


# -- rounding


@given(amounts)
def test_parts_in_hours_add_up_and_are_off_by_less_than_one(parts: list[int]) -> None:
    hours = rounded_parts(parts)
    assert sum(hours) == nearest(sum(parts))
    assert all(abs(hour * HOUR - part) < HOUR for hour, part in zip(hours, parts, strict=True))


def test_what_is_printed_adds_up_as_printed() -> None:
    table = said(statement((200 * HOUR + 1799, 1), (200 * HOUR + 1799, 1), (200 * HOUR + 1, -5)), ZONE)[0]
    assert table.unit == "GPU-hours"
    assert [row[1] for row in table.rows] == ["201", "200", "200", "601"]


def test_small_and_exact_tables_are_in_seconds() -> None:
    assert said(statement((99 * HOUR, 0)), ZONE)[0].unit == "GPU-seconds"
    exact = said(statement((1000 * HOUR, -7), exact=True), ZONE)[0]
    assert (exact.unit, exact.rows[0][1:]) == ("GPU-seconds", ("3\u202f600\u202f000", "\u22127"))


def test_json_has_both_units_and_csv_every_value() -> None:
    given_one = statement((200 * HOUR + 1799, 1), (HOUR, 2))
    rows = as_dict(given_one)["tables"]["by"]  # type: ignore[index]
    assert rows[0] == {"country": "=c0", "used_gpu_s": 721799, "used_gpu_h": 200, "left_gpu_s": 1, "left_gpu_h": 0}
    lines = list(csv.DictReader(io.StringIO(as_csv(given_one))))
    used = [int(line["value"]) for line in lines if line["column"] == "used_gpu_s"]
    assert used[-1] == sum(used[:-1]) == 725399
    assert {line["of"] for line in lines if line["table"] == "by"} == {"'=c0", "'=c1", "all"}
    assert lines[-1] == {
        "table": "signatures",
        "row": "1",
        "of": "Host",
        "column": "Ada",
        "value": "2026-05-01T00:00:00Z",
    }


# -- attributes


def used(*rows: dict[str, object]) -> pl.DataFrame:
    return pieces(attribute(make.runs(*rows), make.factory(), {"p1": "eurohpc"}), UTC)


def p1(since: date, country: str, **more: object) -> Attributes:
    return Attributes(
        "p1",
        since,
        country,
        **{"mode": "m", "category": "sme", "field": "", "sme": True, "commercial": False, "organisation": "O", **more},
    )  # type: ignore[arg-type]


USED = used(
    {"account": "p1", "start": FIRST - DAY, "elapsed": 3 * DAY, "gpus": 1},
    {"account": "nobody", "start": FIRST, "elapsed": 10, "gpus": 1},
)


def test_use_has_the_attributes_of_its_day() -> None:
    rows = [p1(date(2026, 5, 1), "LU"), p1(date(2026, 5, 2), "FR", sme=False)]
    found = usage(USED, ["country", "sme"], attributes=rows)
    assert found.rows() == [("", "", 10, 1), ("FR", "no", DAY, 0), ("LU", "yes", 2 * DAY, 1)]


def test_an_attribute_that_changes_changes_no_history_and_no_sum() -> None:
    before, change = [p1(date(2026, 5, 1), "LU")], p1(date(2026, 5, 2), "FR")
    one, two = (usage(USED, ["day", "country"], attributes=rows) for rows in (before, [*before, change]))
    first = pl.col("day") < date(2026, 5, 2)
    assert one.filter(first).rows() == two.filter(first).rows()
    assert one["gpu_s"].sum() == two["gpu_s"].sum() == usage(USED, [])["gpu_s"].item()


def test_the_last_row_of_a_day_counts() -> None:
    rows = [p1(date(2026, 4, 1), "LU"), p1(date(2026, 4, 2), "FR"), p1(date(2026, 4, 2), "DE")]
    assert usage(USED, ["country"], attributes=rows).rows() == [("", 10, 1), ("DE", 3 * DAY, 1)]


def test_months_quarters_years() -> None:
    found = usage(USED, ["year", "quarter", "month"])
    assert found.rows() == [("2026", "2026-Q2", "2026-04", DAY, 1), ("2026", "2026-Q2", "2026-05", 2 * DAY + 10, 1)]


# -- as it was


def test_a_balance_of_the_past_does_not_know_the_future() -> None:
    rows = (
        {"start": 0, "elapsed": 100, "gpus": 1, "limit_s": 1000},
        {"submit": 20, "eligible": 20, "start": 80, "elapsed": 10, "gpus": 2, "limit_s": 30},
        {"submit": 60, "start": 60, "elapsed": 5, "gpus": 4},
        {"start": 0, "elapsed": 40, "gpus": 8},
    )
    later = attribute(make.runs(*rows), make.factory(), {})
    then = balance(10**6, as_it_was(later, 50), 50)
    assert (then.settled, then.running, then.committed) == (320, 50, 950 + 60)


# -- small groups


def unit(project: int, organisation: int, *values: str, ours: bool = True) -> Unit:
    return Unit(f"p{project}", ours, f"o{organisation}", values, 1, 10**project % 9973, 0)


def test_small_groups_stand_together_and_nothing_is_lost() -> None:
    units = [
        unit(n, n, country) for n, country in enumerate(("LU", "LU", "LU", "FR", "DE", "DE", "BE", "BE", "BE", "BE"))
    ]
    units.append(unit(10, 10, "", ours=False))
    assert [len(g) for g in breakdowns(units, ["country"])["country"].values()] == [4, 2, 1, 3, 1]
    public = breakdowns(units, ["country"], public=True)["country"]
    assert {value: len(group) for value, group in public.items()} == {"BE": 4, "LU": 3, OTHER: 3, NONE: 1}


def test_one_small_group_takes_another_with_it() -> None:
    units = [unit(n, n, "LU" if n < 4 else "BE" if n < 9 else "FR") for n in range(10)]
    public = breakdowns(units, ["country"], public=True)["country"]
    assert {value: len(group) for value, group in public.items()} == {"BE": 5, OTHER: 5}


def test_many_projects_of_two_organisations_are_small() -> None:
    assert is_small([unit(n, n % 2, "LU") for n in range(9)]) and not is_small([unit(n, n % 3, "LU") for n in range(9)])


def test_a_group_that_another_breakdown_would_tell_is_hidden() -> None:
    """SMEs less category sme would leave one start-up."""
    kinds = ["sme"] * 4 + ["startup"] + ["academia"] * 3 + ["public"] * 3
    units = [unit(n, n, kind, "yes" if kind in ("sme", "startup") else "no") for n, kind in enumerate(kinds)]
    public = breakdowns(units, ["category", "sme"], public=True)
    groups = [group for one in public.values() for group in one.values()]
    told = [big - small for big in groups for small in groups if small < big]
    assert not any(is_small(left) for left in told), public


cells = st.tuples(st.integers(0, 12), st.integers(0, 6), st.sampled_from("abcd"), st.sampled_from("xyz"))


@given(st.lists(cells, max_size=24))
def test_no_named_group_is_small_and_every_breakdown_holds_all(found: list[tuple[int, int, str, str]]) -> None:
    units = list({unit(*cell) for cell in found})
    for groups in breakdowns(units, ["one", "two"], public=True).values():
        assert sorted(u.gpu_s for group in groups.values() for u in group) == sorted(u.gpu_s for u in units)
        assert not any(is_small(group) for value, group in groups.items() if value != OTHER)
        assert not (OTHER in groups and is_small(groups[OTHER]) and len(groups) > 1)
