"""Where node lists lie: looked up all at once or name by name, the answer is one."""

from collections import Counter

import polars as pl
from hypothesis import given, strategies as st

import make
from schmelz.metering.attribute import attribute
from schmelz.metering.places import UNKNOWN, Places

FACTORY = make.factory(sites={"north": "n[01-12],a[1-3],cpu-n*", "south": "s[01-12],n[13-15],cpu-s*"}, charge="node")
NUMBERS = st.integers(0, 16)
PIECES = st.one_of(
    st.builds("{:02d}".format, NUMBERS),
    st.builds("{:02d}-{:02d}".format, NUMBERS, NUMBERS),
    st.sampled_from(["1-3", "01-3", "0", "00000000000000000001-99999999999999999999", "9999999999"]),
)
HEADS = st.sampled_from(["n", "s", "a", "x", "cpu-n", "cpu-s", "cpu-", "cpu", ""])
BRACKETS = st.builds(
    lambda head, pieces, tail: f"{head}[{','.join(pieces)}]{tail}",
    HEADS, st.lists(PIECES, min_size=1, max_size=3), st.sampled_from(["", "", "x", "-1"]),
)  # fmt: skip
NAMES = st.builds("{}{:02d}".format, HEADS, NUMBERS) | st.sampled_from(["", "n01,s01", "n[01", "cpu-n1", "None", "n 1"])
LISTS = st.lists(BRACKETS | NAMES, min_size=1, max_size=12)


@given(LISTS, LISTS)
def test_all_at_once_is_name_by_name(first: list[str], second: list[str]) -> None:
    places = Places(FACTORY.systems[0])
    for lists in (first, second):  # the second time some are known
        sites, installed = places.usual(pl.Series("nodes", lists, pl.Categorical))
        for text, site, count in zip(lists, sites, installed, strict=True):
            if site is not None:
                ((place, nodes, known),) = places._name_by_name(text, "no-such-partition")
                here = [name for name in places.names(text) if name in places.site_of_node]
                assert (place, known) == (site, count or 0) and nodes >= len(here)


def test_the_usual_lists_are_usual() -> None:
    """What stands in nearly every record is never looked at name by name."""
    lists = ["n01", "n[01-04]", "n[01-02,05,07-09]", "s[03-12]", "cpu-n7", "cpu-n[01-64]", "n[13-14]"]
    sites, installed = Places(FACTORY.systems[0]).usual(pl.Series("nodes", lists, pl.Categorical))
    assert sites.to_list() == ["north", "north", "north", "south", "north", "north", "south"]
    assert installed.to_list() == [1, 4, 6, 10, 0, 0, 2]


def test_runs_of_several_systems_keep_their_order() -> None:
    rows = [{"nodes": "n01"}, {"nodes": "x", "system": "elsewhere"}, {"nodes": "n01,s01"}, {"nodes": "s[01-02]"}]
    found = attribute(make.runs(*rows), FACTORY, {}).select("job", "site", "part", "gpus", "held_gpus")
    assert found.rows() == [
        ("1", "north", 0, 4, 0),
        ("2", UNKNOWN, 0, 4, 0),
        ("3", "north", 0, 2, 2),
        ("3", "south", 1, 2, 2),
        ("4", "south", 0, 4, 4),
    ]
    assert Counter(found["job"])["3"] == 2
