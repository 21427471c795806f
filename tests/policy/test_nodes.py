"""Node lists: what Slurm writes is read, what makes no sense is refused."""

import pytest
from hypothesis import given, strategies as st

from schmelz.policy.nodes import checked_node_list, expand_nodes, node_matches, split_node_list, wildcards

PREFIXES = st.text(alphabet="abcxyz", min_size=1, max_size=4)
RANGES = st.tuples(PREFIXES, st.integers(0, 999), st.integers(0, 40), st.integers(1, 4))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("mxb[001-003,7]", ("mxb001", "mxb002", "mxb003", "mxb7")),
        ("a[8-11],b", ("a8", "a9", "a10", "a11", "b")),
        ("a[08-10]-ib", ("a08-ib", "a09-ib", "a10-ib")),
        ("dc1*,n1", ("n1",)),
        ("", ()),
    ],
)
def test_expansion(text: str, names: tuple[str, ...]) -> None:
    assert expand_nodes(text) == names


@pytest.mark.parametrize(
    "text",
    [
        "a[",
        "a]",
        "a[]",
        "a[3-1]",
        "a[1-]",
        "a[x]",
        "a[1-2]b[3-4]",
        "a b",
        "a[1-2",
        "-a",
        "a[1,]",
        "a/b",
        "a[\u0663]",
        "a[1\n]",
        "a[0-100000]",
        "a[1-99999],b[1-2]",
    ],
)
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a node list|not a range|more than 100,000"):
        expand_nodes(text)


@pytest.mark.parametrize("text", ["a,,b", ",", "a,", "a,a", "a[1-3],a2", "a*[1-2]", "a,b c*"])
def test_a_policy_refuses_more(text: str) -> None:
    with pytest.raises(ValueError, match=r"no empty part|twice|not a wildcard|not a node list"):
        checked_node_list(text)


@given(RANGES)
def test_a_range_names_each_of_its_numbers_once(parts: tuple[str, int, int, int]) -> None:
    prefix, first, more, width = parts
    names = expand_nodes(f"{prefix}[{first:0{width}d}-{first + more}]")
    assert [int(name.removeprefix(prefix)) for name in names] == list(range(first, first + more + 1))
    assert len({*names}) == more + 1
    assert all(len(name) >= len(prefix) + width for name in names)


@given(st.lists(RANGES, min_size=1, max_size=4), PREFIXES, st.integers(0, 2000))
def test_a_node_matches_exactly_when_the_list_names_it(
    ranges: list[tuple[str, int, int, int]], prefix: str, number: int
) -> None:
    text = ",".join(f"{p}[{first:0{width}d}-{first + more}]" for p, first, more, width in ranges)
    assert split_node_list(text) == tuple(text.split(","))
    assert all(node_matches(name, text) for name in expand_nodes(text))
    assert node_matches(f"{prefix}{number}", text) == (f"{prefix}{number}" in expand_nodes(text))


@given(PREFIXES, st.text(alphabet="abc0123456789", max_size=6))
def test_a_wildcard_matches_every_node_that_begins_so_and_counts_none(prefix: str, rest: str) -> None:
    text = f"zz[1-2],{prefix}*"
    assert node_matches(prefix + rest, text)
    assert not node_matches("q" + prefix + rest, text)
    assert expand_nodes(text) == ("zz1", "zz2")
    assert wildcards(text) == (f"{prefix}*",)
