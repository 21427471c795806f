"""Ranks, the dead band, the floor."""

from hypothesis import given, strategies as st

from schmelz.rules.shares import dead_band, ranks, under_floor

DEFICITS = st.dictionaries(st.sampled_from("abcd"), st.integers(-100, 100))


def test_the_larger_deficit_has_the_lower_rank() -> None:
    assert ranks({"a": -5, "b": 5, "c": 0}, 0) == {"b": 0, "c": 1, "a": 2}


def test_deficits_within_the_band_of_the_leader_share_its_rank() -> None:
    assert ranks({"a": 10, "b": 6, "c": 5, "d": 2}, 4) == {"a": 0, "b": 0, "c": 1, "d": 1}
    assert ranks({"a": 3, "b": 3}, 0) == {"a": 0, "b": 0}
    assert ranks({}, 7) == {}


@given(DEFICITS, st.integers(0, 50))
def test_a_rank_never_stands_against_the_deficits(deficits: dict[str, int], band: int) -> None:
    result = ranks(deficits, band)
    assert set(result) == set(deficits)
    for one in deficits:
        for other in deficits:
            if result[one] < result[other]:
                assert deficits[one] > deficits[other]
            if result[one] == result[other]:
                assert abs(deficits[one] - deficits[other]) <= band


def test_the_dead_band_is_parts_per_million_of_the_window() -> None:
    assert dead_band(1_000_000_000, 1_000) == 1_000_000
    assert dead_band(999, 1_000) == 0


def test_the_floor_is_a_part_of_what_is_up_and_exactly_the_floor_is_enough() -> None:
    assert under_floor(24, 100, 25)
    assert not under_floor(25, 100, 25)
    assert not under_floor(0, 0, 25)
    assert not under_floor(0, 100, 0)
