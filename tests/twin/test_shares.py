"""Windows and the undecayed ledger of the simulation."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

import make
from schmelz.twin.shares import Shares, window

ZONE = ZoneInfo("Europe/Luxembourg")


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZONE).timestamp())


@pytest.mark.parametrize(
    ("kind", "start", "end"),
    [
        ("year", "2026-01-01", "2027-01-01"),
        ("quarter", "2026-10-01", "2027-01-01"),
        ("month", "2026-12-01", "2027-01-01"),
    ],
)
def test_the_window_of_an_instant(kind: str, start: str, end: str) -> None:
    for instant in (at(f"{start}T00:00"), at("2026-12-31T23:59")):
        found = window(instant, kind, ZONE)
        assert (found.start, found.end) == (at(start), at(end))


def test_deficits_are_exact_and_sum_to_what_idles() -> None:
    machine = make.factory(pools={"a": 50, "b": 35, "c": 15}, sharing={"floor_percent": 15}).systems[0]
    shares = Shares(machine, 0, ZONE)
    shares.advance(10, 16, {"a": 3, "b": 12, "c": 0})
    assert shares.deficits() == {"a": 50 * 160 - 100 * 30, "b": 35 * 160 - 100 * 120, "c": 15 * 160}
    assert sum(shares.deficits().values()) == 100 * (160 - 150)


def test_a_new_window_begins_with_nothing() -> None:
    new_year = at("2027-01-01T00:00")
    shares = Shares(make.factory().systems[0], new_year - 100, ZONE)
    shares.advance(new_year - 10, 16, {"eurohpc": 16, "national": 0})
    assert shares.deficits()["eurohpc"] < 0
    shares.advance(new_year + 10, 16, {"eurohpc": 0, "national": 16})
    assert shares.window.start == new_year
    assert shares.deficits() == {"eurohpc": 50 * 160, "national": 50 * 160 - 100 * 160}
