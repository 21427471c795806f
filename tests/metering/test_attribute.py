"""Whose run it was and where."""

from collections.abc import Mapping
from typing import Any

import polars as pl
import pytest
from hypothesis import given, strategies as st

import make
from schmelz.metering.attribute import attribute
from schmelz.policy.schema import Factory

OVERHEAD = {"accounts": ["health", "bench-*"], "cap_percent": 10, "booked_to": "national"}


def found(row: Mapping[str, Any], factory: Factory | None = None, **projects: str) -> list[dict[str, Any]]:
    return attribute(make.runs(row), factory or make.factory(), projects).to_dicts()


def one(column: str, row: Mapping[str, Any], factory: Factory | None = None, **projects: str) -> Any:
    (only,) = found(row, factory, **projects)
    return only[column]


@pytest.mark.parametrize(
    ("account", "pool"),
    [
        ("p200", "national"),
        ("eurohpc", "eurohpc"),
        ("eurohpc-x", "eurohpc"),
        ("national-1", "national"),
        ("nobody", "unassigned"),
        ("", "unassigned"),
        ("bench-1", "overhead"),
        ("health", "overhead"),
    ],
)
def test_the_pool_of_an_account(account: str, pool: str) -> None:
    factory = make.factory(overhead=OVERHEAD)
    assert one("pool", {"account": account}, factory, p200="national") == pool
    assert one("project", {"account": account}, factory) == account


def test_a_project_is_looked_at_first() -> None:
    factory = make.factory(overhead=OVERHEAD)
    assert one("pool", {"account": "bench-1"}, factory, **{"bench-1": "eurohpc"}) == "eurohpc"
    assert one("pool", {"account": "eurohpc-1"}, factory, **{"eurohpc-1": "national"}) == "national"


@pytest.mark.parametrize(
    ("nodes", "partition", "site"),
    [
        ("n01", "x", "north"),
        ("s[01-02]", "gpu-north", "south"),
        ("", "gpu-south", "south"),
        ("zz9", "gpu-south", "south"),
        ("", "x", "unknown"),
        ("zz9", "x", "unknown"),
        ("", "x,gpu-south", "south"),
        ("n[02-01]", "x", "unknown"),
        ("n[01", "gpu-south", "south"),
        ("n[03-04]", "x", "unknown"),
    ],
)
def test_the_site_of_a_run(nodes: str, partition: str, site: str) -> None:
    assert one("site", {"nodes": nodes, "partition": partition}) == site


def test_wildcards_say_where_a_node_stands_but_install_none() -> None:
    factory = make.factory(sites={"north": "n*", "south": "s[01-02],x??"}, charge="node")
    assert [(row["site"], row["held_gpus"]) for row in found({"nodes": "n[1-3],s01,x01", "gpus": 5}, factory)] == [
        ("north", 0),
        ("south", 2),
    ]


def test_a_run_over_two_sites_is_two_rows_whose_gpus_follow_the_nodes() -> None:
    rows = found({"nodes": "s01,n[01-02]", "gpus": 10})
    assert [(row["site"], row["part"], row["gpus"]) for row in rows] == [("north", 0, 7), ("south", 1, 3)]
    assert len({row["job"] for row in rows}) == 1


@pytest.mark.parametrize(
    ("charge", "nodes", "gpus", "held"),
    [
        ("node", "n[01-02]", 5, [3]),
        ("node", "n01", 4, [0]),
        ("node", "n01", 9, [0]),
        ("node", "n01", 0, [4]),
        ("node", "", 1, [0]),
        ("node", "n01,s01", 3, [2, 3]),
        ("node", "n01,zz9", 2, [3, 0]),
        ("gpu", "n[01-02]", 5, [0]),
    ],
)
def test_held_gpus_are_what_others_cannot_use(charge: str, nodes: str, gpus: int, held: list[int]) -> None:
    rows = found({"nodes": nodes, "gpus": gpus, "partition": "x"}, make.factory(charge=charge))
    assert [row["held_gpus"] for row in rows] == held


def test_a_system_that_is_not_ours_is_nobodys() -> None:
    row = found({"system": "other", "account": "eurohpc"})[0]
    assert (row["pool"], row["site"], row["part"], row["held_gpus"]) == ("unassigned", "unknown", 0, 0)


def test_nodes_between_the_ends_of_a_range_are_not_taken_for_granted() -> None:
    factory = make.factory(sites={"north": "n[001,009,003]", "south": "n[002,005]"})
    rows = found({"nodes": "n[001-005]", "gpus": 10, "partition": "x"}, factory)
    assert [(row["site"], row["gpus"]) for row in rows] == [("north", 4), ("south", 4), ("unknown", 2)]


@given(
    st.lists(
        st.builds(
            lambda nodes, gpus: {"nodes": nodes, "gpus": gpus},
            st.sampled_from(("n01", "n[01-02],s01", "s[01-02]", "n02,zz,s02", "")),
            st.integers(0, 20),
        ),
        max_size=8,
    )
)
def test_gpus_of_the_parts_add_up_to_those_of_the_run(rows: list[dict[str, Any]]) -> None:
    runs = make.runs(*rows)
    parts = attribute(runs, make.factory(), {})
    assert parts.group_by("job", maintain_order=True).agg(pl.col("gpus").sum()).equals(runs.select("job", "gpus"))
    assert parts.filter(pl.col("part") == 0)["job"].to_list() == runs["job"].to_list()
