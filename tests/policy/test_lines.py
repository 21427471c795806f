"""The scanner that knows in which line a key stands, against the standard reader as the judge of what there is."""

import tomllib
from pathlib import Path

from hypothesis import given, strategies as st

from schmelz.policy.lines import key_lines, line_of

KEYS = st.sampled_from(["a", "b-c", '"d.e"', "'#'"])
TEXT = '''\
# a comment with [brackets] = 1
top = "a # b" # c
"quoted key".'x y' = 1
list = [ # [
  "]", 'b',
  { deep = [1,
     2], "k.v" = { z = """
one " ] }
""" } },
]
[one.two]
date = 1979-05-27 07:32:00
a.b.c = \'\'\'x
''y\'\'\'\'
[[rows]]
id = 1
[rows.inner]
k = -1.5e3
[[rows]]
[[rows.sub]]
id = 2
[[rows.sub]]
id = 3
[rows.sub.table]
last = true
'''


def paths(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [*([path] if path else []), *(found for key, one in inside for found in paths(one, (*path, key)))]


def test_every_kind_of_key_has_its_line() -> None:
    lines = key_lines(TEXT)
    assert {path: lines[path] for path in paths(tomllib.loads(TEXT)) if path in lines} == {
        ("top",): 2,
        ("quoted key",): 3,
        ("quoted key", "x y"): 3,
        ("list",): 4,
        ("list", 0): 5,
        ("list", 1): 5,
        ("list", 2): 6,
        ("list", 2, "deep"): 6,
        ("list", 2, "deep", 0): 6,
        ("list", 2, "deep", 1): 7,
        ("list", 2, "k.v"): 7,
        ("list", 2, "k.v", "z"): 7,
        ("one", "two"): 11,
        ("one", "two", "date"): 12,
        ("one", "two", "a"): 13,
        ("one", "two", "a", "b"): 13,
        ("one", "two", "a", "b", "c"): 13,
        ("rows",): 15,
        ("rows", 0): 15,
        ("rows", 0, "id"): 16,
        ("rows", 0, "inner"): 17,
        ("rows", 0, "inner", "k"): 18,
        ("rows", 1): 19,
        ("rows", 1, "sub"): 20,
        ("rows", 1, "sub", 0): 20,
        ("rows", 1, "sub", 0, "id"): 21,
        ("rows", 1, "sub", 1): 22,
        ("rows", 1, "sub", 1, "id"): 23,
        ("rows", 1, "sub", 1, "table"): 24,
        ("rows", 1, "sub", 1, "table", "last"): 25,
    }


def test_unknown_path_falls_back_to_the_table_around_it() -> None:
    lines = key_lines(TEXT)
    asked = [("rows", 1, "sub", 0, "nope"), ("rows", 0), ("nope", 3), ()]
    assert [line_of(path, lines) for path in asked] == [20, 15, 1, 1]


def test_every_key_of_a_real_file_is_found_in_its_line(factory_file: Path) -> None:
    text = factory_file.read_text(encoding="utf-8")
    lines, rows = key_lines(text), text.split("\n")
    wanted = paths(tomllib.loads(text))
    assert [path for path in wanted if path not in lines] == []
    assert [path for path in wanted if isinstance(path[-1], str) and path[-1] not in rows[lines[path] - 1]] == []


VALUES = st.recursive(
    st.sampled_from(["1", "-1.5e3", "true", "1979-05-27 07:32:00", "'[#'", '"\\"]"', '"""a\n]"""', "'''\n}''''"]),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda values: "[ # [\n" + ",\n".join(values) + "\n]")
        | st.dictionaries(KEYS, inner, max_size=3).map(
            lambda pairs: "{" + ", ".join(f"{key} = {value}" for key, value in pairs.items()) + "}"
        )
    ),
    max_leaves=8,
)


@given(st.dictionaries(KEYS, VALUES, max_size=4), st.lists(st.dictionaries(KEYS, VALUES, max_size=2), max_size=3))
def test_every_key_that_the_standard_reader_finds_has_a_line(top: dict[str, str], rows: list[dict[str, str]]) -> None:
    tables = ["".join(f"{key} = {value} # ]\n" for key, value in table.items()) for table in (top, *rows)]
    text = "[[rows.of]]\n".join(tables)
    lines = key_lines(text)
    implied = {("rows",)} if rows else set()
    assert set(paths(tomllib.loads(text))) == {*lines, *implied}
    assert all(1 <= line <= text.count("\n") for line in lines.values())
