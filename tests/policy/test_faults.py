"""Bad policies: each fault is one line with the right line number, the right key, and words that help.

The cases stand in faults.txt; those that need more than one edit stand here.
"""

from pathlib import Path

import pytest

from schmelz.policy.load import PolicyError, parse

REAL = (Path(__file__).parent.parent.parent / "factory.toml").read_text(encoding="utf-8")
CASES = [
    tuple(row[2:] for row in block.split("\n")[:3])
    for block in (Path(__file__).parent / "faults.txt").read_text(encoding="utf-8").split("\n\n")[1:]
]
A_SIZE = "gpu_hours = { min = 1, default = 5_000, max = 5_000 }"


def faults(text: str) -> tuple[str, ...]:
    with pytest.raises(PolicyError) as refused:
        parse(text, "factory.toml")
    return refused.value.faults


def edited(old: str, new: str) -> tuple[str, int]:
    """The real file with its first `old` replaced, and the line in which the edit ends."""
    assert old in REAL, f"the real file has no {old!r}"
    before, after = REAL.split(old, 1)
    return before + new + after, (before + new).count("\n") + 1


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


@pytest.mark.parametrize(("old", "new", "expected"), CASES, ids=lambda text: text[:50])
def test_fault_names_line_key_and_remedy(old: str, new: str, expected: str) -> None:
    text, line = edited(old, new.replace("|", "\n"))
    key, _, words = expected.partition(": ")
    if key == "systems[0].pools":  # about all pools together: the list begins at its first table
        line = line_of(text, "[[systems.pools]]")
    found = faults(text)
    assert [one for one in found if one.startswith(f"factory.toml:{line}: {key}: ") and words in one], "\n".join(found)
    assert not any("\n" in one for one in found)


def test_a_number_too_long_to_be_written_out() -> None:
    text, line = edited("gpus_per_node = 4", f"gpus_per_node = 0x{'f' * 5000}")
    said = "is too large to be meant; at most 1,000,000,000,000"
    assert faults(text) == (f"factory.toml:{line}: systems[0].gpus_per_node: {said}",)


@pytest.mark.parametrize("instead", [f"node_hours = {{ default = 1 }}\n{A_SIZE}", ""])
def test_size_is_said_once(instead: str) -> None:
    text, _ = edited(A_SIZE, instead)
    said = "says the size twice or not at all; give either gpu_hours or node_hours"
    assert faults(text) == (f"factory.toml:{line_of(text, '[[modes]]')}: modes[0]: {said}",)


def test_missing_key_is_reported_at_its_table() -> None:
    text, _ = edited('operator = "luxprovide"', "")
    line = line_of(text, "[[systems]]")
    assert faults(text) == (f"factory.toml:{line}: systems[0].operator: is missing; this table needs it",)


def test_two_clusters_of_one_name() -> None:
    text = REAL.replace('backend = "none"', 'backend = "slurm"').replace('name = "meluxina-q"', 'name = "meluxina"')
    line = line_of(text, '[systems.cluster]\nbackend = "slurm"\nname = "meluxina"') + 2
    said = '"meluxina" is the cluster of systems[1] too; give each its own'
    assert faults(text) == (f"factory.toml:{line}: systems[2].cluster.name: {said}",)


def test_node_hours_on_a_system_without_gpus() -> None:
    text, line = edited('systems = ["meluxina-ai", "meluxina"]   #', 'systems = ["meluxina-q"]   #')
    said = "a system of this mode has no GPUs in its nodes; leave that system out"
    assert faults(text) == (f"factory.toml:{line + 3}: modes[12].node_hours: {said}",)


def test_maintenance_backwards_and_of_foreign_nodes() -> None:
    window = (
        "[[systems.maintenance]]\nstart = 2027-03-09T18:00:00+01:00\nend = 2027-03-09T08:00:00+01:00\n"
        'nodes = "mxb[126-127]"\nreason = "Cooling"\n\n'
    )
    text, line = edited("[systems.overhead]", window + "[systems.overhead]")
    where = "systems[0].maintenance[0]"
    assert faults(text) == (
        f"factory.toml:{line - 4}: {where}.end: must be later than the start, 2027-03-09T18:00:00+01:00",
        f"factory.toml:{line - 3}: {where}.nodes: mxb127 is no node of this system; "
        "its nodes: mxb[001-126], mxt[001-126]",
    )


def test_all_faults_at_once_in_the_order_of_the_lines() -> None:
    text = REAL
    for old, new in (
        ('country = "ES"', 'country = "es"'),
        ('operator = "luxprovide"', 'operator = "x"'),
        ("weight = 50  ", "weight = 51  "),
        ('partner = "list"', 'partner = "y"'),
        ("ledger = 120", "ledger = 0"),
    ):
        text = text.replace(old, new, 1)
    found = faults(text)
    assert [fault.split(": ")[1] for fault in found] == [
        "network[0].country",
        "systems[0].operator",
        "systems[0].pools",
        "services[9].partner",
        "retention.ledger",
    ]
    lines = [int(fault.split(":")[1]) for fault in found]
    assert lines == sorted(lines)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[factory\n", ":1: is not TOML here (column 9): Expected ']' at the end of a table declaration"),
        ("a = 1\na = 2\n", ":2: is not TOML here (column 6): a key or table stands here twice; keep one of them"),
        ("a = \n", ":1: is not TOML here (column 5): no value that can be read; texts stand in quotes, lists in [ ]"),
        ("a = 'x", ':1: is not TOML here: Expected "\'"'),
        ("a = " + "[" * 5000, ": is not TOML that can be read: nested too deeply; a policy has few levels"),
    ],
)
def test_syntax_fault_is_one_line(text: str, expected: str) -> None:
    assert faults(text) == (f"factory.toml{expected}",)


def test_empty_file_names_every_table_that_is_missing() -> None:
    keys = ["categories", "factory", "partners", "retention", "sites", "systems"]
    assert faults("") == tuple(f"factory.toml:1: {key}: is missing; this table needs it" for key in keys)


def test_a_list_is_not_short_because_its_rows_are_faulty() -> None:
    assert not [fault for fault in faults("[[systems]]\n[[sites]]\n") if "at least" in fault]


@pytest.mark.parametrize(
    "text",
    [
        "systems = 3",
        "systems = [[1]]",
        "modes = [3]",
        "factory = []",
        "systems = [{ nodes = 3, pools = 4 }]",
        "modes = [{ for = 1, systems = { a = 1 }, price = [] }]",
        'systems = [{ nodes = { a = "x[" } }]',
        "systems = [{ pools = [{ weight = 1e400 }], sharing = 3, cluster = [] }]",
        'systems = [{ id = "a", nodes = { "[" = "x", "a.b" = "x" }, partitions = { "" = [1] } }]',
    ],
)
def test_misshapen_tables_are_faults_not_crashes(text: str) -> None:
    assert all(fault.startswith("factory.toml:1: ") for fault in faults(text))
