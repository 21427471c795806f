"""Bad policy files: every fault is one line with the right line number, the right key and words that help."""

import os
from pathlib import Path

import pytest

from schmelz.policy.load import PolicyError, digest, load, normalised, parse
from schmelz.policy.schema import Factory

REAL = (Path(__file__).parent.parent.parent / "factory.toml").read_text(encoding="utf-8")
TRANSLATIONS = '\nfr = "Aucun"\nde = "Kein"\n'


def faults(text: str) -> tuple[str, ...]:
    with pytest.raises(PolicyError) as refused:
        parse(text, "factory.toml")
    return refused.value.faults


def edited(old: str, new: str) -> tuple[str, int]:
    """The real file with the first `old` replaced, and the line in which `§` (taken out) or else the edit stands."""
    assert old in REAL, f"the real file has no {old!r}"
    before, after = REAL.split(old, 1)
    ahead = new.partition("§")[0] if "§" in new else ""
    return before + new.replace("§", "") + after, (before + ahead).count("\n") + 1


# what stands in the file, what is written instead, the key that is named, the words that are said
BAD = [
    # numbers
    ("weight = 50  ", "weight = -5  ", "systems[0].pools[0].weight", "must be a whole number, 1 or more; this is -5"),
    ("weight = 50  ", "weight = 50.0  ", "systems[0].pools[0].weight", "must be a whole number, 1 or more; this is 50.0"),
    ("weight = 50  ", "weight = nan  ", "systems[0].pools[0].weight", "must be a whole number, 1 or more; this is nan"),
    ("weight = 50  ", "weight = inf  ", "systems[0].pools[0].weight", "must be a whole number, 1 or more; this is inf"),
    ("weight = 50  ", "weight = true  ", "systems[0].pools[0].weight", "must be a whole number, 1 or more; this is true"),
    ("weight = 50  ", 'weight = "50"  ', "systems[0].pools[0].weight", 'must be a whole number, 1 or more; this is "50"'),
    ("gpus_per_node = 4 ", "gpus_per_node = -4 ", "systems[0].gpus_per_node", "must be a whole number, 0 or more; this is -4"),
    ("gpus_per_node = 4 ", "gpus_per_node = 4000000000000 ", "systems[0].gpus_per_node",
     "is too large to be meant; at most 1,000,000,000,000"),
    ("gpus_per_node = 4 ", f"gpus_per_node = 0x{'f' * 5000} ", "systems[0].gpus_per_node",
     "is too large to be meant; at most 1,000,000,000,000"),
    ("floor_percent = 25", "floor_percent = 101", "systems[0].sharing.floor_percent",
     "must be a whole number from 0 to 100; this is 101"),
    ("default = 5_000, max = 5_000", "default = 5_000, max = -1", "modes[0].gpu_hours.max",
     "must be a whole number, 1 or more; this is -1"),
    ("months = [1, 2, 3]", "months = [1,\n§2.5, 3]", "modes[0].months[1]", "must be a whole number, 1 or more; this is 2.5"),
    ("commercial = false", 'commercial = "no"', "categories[0].commercial", 'must be true or false; this is "no"'),
    # shares
    ("weight = 50  ", "weight = 49  ", "systems[0].pools", "the weights add up to 99 (49 + 50); they must add up to 100"),
    ("floor_percent = 25", "floor_percent = 60", "systems[0].sharing.floor_percent",
     "the floor of 60 is above the smallest pool's weight; at most 50"),
    # ids
    ('id = "fast-lane"', 'id = "playground"', "modes[1].id", '"playground" is used twice, first in modes[0]; give each its own'),
    ('id = "bettembourg"', 'id = "bissen"', "sites[1].id", '"bissen" is used twice, first in sites[0]; give each its own'),
    ('id = "national"', 'id = "eurohpc"', "systems[0].pools[1].id",
     '"eurohpc" is used twice, first in systems[0].pools[0]; give each its own'),
    ('id = "impact"', 'id = "excellence"', "modes[2].criteria[1].id",
     '"excellence" is used twice, first in modes[2].criteria[0]; give each its own'),
    ('id = "national"', 'id = "National Pool"', "systems[0].pools[1].id",
     'must be a short name of lower-case letters, digits, "-" and "_" (at most 40); this is "National Pool"'),
    # references
    ('operator = "luxprovide"', 'operator = "luxprovid"', "systems[0].operator",
     '"luxprovid" is not one of the partners; did you mean "luxprovide"?'),
    ('"eurohpc:officer"]    #', '"eurohpc:offizier"]    #', "systems[0].pools[0].signers[1]",
     '"eurohpc:offizier" is not one of the functions of the partners; did you mean "eurohpc:officer"?'),
    ('signers = ["luxprovide:technical", "eurohpc:officer"]', 'signers = ["eurohpc:officer"]', "systems[0].pools[0].signers",
     "needs at least 2; this has 1"),
    ('"luxprovide:technical", "eurohpc:officer"]', '"eurohpc:officer", "eurohpc:officer"]', "systems[0].pools[0].signers[1]",
     "eurohpc:officer stands in the list twice; name it once"),
    ('booked_to = "national"', 'booked_to = "nation"', "systems[0].overhead.booked_to",
     '"nation" is not one of the pools of this system; did you mean "national"?'),
    ('pool = "eurohpc"', 'pool = "europe"', "modes[0].pool", '"europe" is not one of the pools of its systems;'),
    ('systems = ["meluxina-ai"] ', 'systems = ["meluxina-x"] ', "modes[0].systems[0]",
     '"meluxina-x" is not one of the systems; did you mean "meluxina-q"?'),
    ('for = ["startup", "sme"]', 'for = ["startup", "smes"]', "modes[1].for[1]",
     '"smes" is not one of the categories; did you mean "sme"?'),
    ('statements = ["civil-use",', 'statements = ["civil",', "modes[0].statements[0]", '"civil" is not one of the statements;'),
    ('partner = "list"', 'partner = "lists"', "services[9].partner", '"lists" is not one of the partners; did you mean "list"?'),
    ('coordinator = "luxinnovation"', 'coordinator = "nobody"', "factory.coordinator", '"nobody" is not one of the partners;'),
    ('bissen = ["gpu-bissen"]', 'bisen = ["gpu-bissen"]', "systems[0].partitions.bisen",
     '"bisen" is not one of the sites of this system; did you mean "bissen"?'),
    ('bettembourg = "mxt', 'belval = "mxt', "systems[0].nodes.belval", '"belval" is not one of the sites;'),
    ('industry = "market" }', 'industrie = "market" }', "modes[0].price", 'says nothing for "industry"; every category'),
    # who owns what
    ('accounts = ["luxembourg", "lxp-*"', 'accounts = ["ehpc-9", "lxp-*"', "systems[0].pools[1].accounts[0]",
     '"ehpc-9" meets systems[0].pools[0].accounts[1]; an account belongs to one pool'),
    ('account = "luxembourg"', 'account = "eurohpc"', "systems[0].pools[1].account", '"eurohpc" meets systems[0].pools[0].account;'),
    ('bettembourg = "mxt[001-126]"', 'bettembourg = "mxb[126-130]"', "systems[0].nodes.bettembourg",
     "mxb126 stands in systems[0].nodes.bissen as well; a node stands at one site".replace("systems[0].", "")),
    ('bettembourg = ["gpu-bettembourg"]', 'bettembourg = ["gpu-bissen"]', "systems[0].partitions.bettembourg[0]",
     '"gpu-bissen" stands in partitions.bissen too;'),
    ('backend = "none"                        #', 'backend = "slurm" #', "systems[1].cluster.default_time", None),
    # nodes, times, words
    ('"mxt[001-126]"', '"mxt[126-001]"', "systems[0].nodes.bettembourg", "not a range of nodes: '126-001'; write for example 001-126"),
    ('"mxt[001-126]"', '"mxt[001-126"', "systems[0].nodes.bettembourg", "not a node list: 'mxt[001-126'; write for example mxb[001-126]"),
    ('"mxt[001-126]"', '"mxt[1-999999999]"', "systems[0].nodes.bettembourg", "names more than 100,000 nodes;"),
    ('"mxt[001-126]"', '"mxt1,mxt1"', "systems[0].nodes.bettembourg", "a node stands in the list twice; name each once"),
    ('"mxt[001-126]"', '"mxt1,,mxt2"', "systems[0].nodes.bettembourg", "a node list has no empty part;"),
    ('minimum_run = "2h"', 'minimum_run = "2 hours"', "systems[0].sharing.minimum_run",
     'must be a span of time such as "90s", "30m", "2h" or "3d"; this is "2 hours"'),
    ('cycle = "60s"', 'cycle = "0s"', "systems[0].sharing.cycle", 'must be a span of time of at least "1s"; this is "0s"'),
    ('default_time = "1h"', 'default_time = "3d"', "systems[0].cluster.default_time", "must not be longer than max_time"),
    ('answer_in = "2 working days"', 'answer_in = "2 days"', "modes[0].answer_in",
     'must be a promise such as "2 working days"; this is "2 days"'),
    ("read = 2026-11-23 ", 'read = "2026-11-23" ', "modes[0].read",
     'must be a date without quotes, such as 2026-08-31; this is "2026-11-23"'),
    ("2026-02-16T10:00:00+01:00", "2026-02-16T10:00:00", "modes[2].cut_offs[1]", "must be a date and time with its offset from UTC"),
    ("2026-02-16T10:00:00+01:00", "2026-01-16T10:00:00+01:00", "modes[2].cut_offs[1]", "is not later than the cut-off before it;"),
    ("2027-12-25, 2027-12-26", "2027-12-25, 2027-12-25", "factory.holidays[32]", "2027-12-25 stands in the list twice; name it once"),
    ('zone = "Europe/Luxembourg"', 'zone = "Europe/Luxemburg"', "factory.zone",
     '"Europe/Luxemburg" is not a time zone; write for example "Europe/Luxembourg"'),
    ('charge = "node"  ', 'charge = "nodes"  ', "systems[0].charge", 'must be "node" or "gpu"; this is "nodes"'),
    ('country = "ES"', 'country = "Spain"', "network[0].country",
     'must be a country of two capital letters, such as "LU"; this is "Spain"'),
    ('name = "LuxProvide"', 'name = ""', "partners[0].name", "must be one line of text, not empty"),
    ('name = "LuxProvide"', 'name = "Lux\\u0000Provide"', "partners[0].name", "must be one line of text, not empty"),
    ('en = "Start-up", ', "", "categories[0].title", 'is not said in the factory\'s first language; add en = "..."'),
    ('en = "Start-up", ', 'en = "Start-up", xx = "?", ', "categories[0].title.xx", 'must be "en", "fr", "de"'),
    # access modes
    ("min = 1, default = 5_000, max = 5_000", "min = 6_000, default = 7_000, max = 5_000", "modes[0].gpu_hours.max",
     "must be at least the min, 6,000"),
    ("default = 20_000, max = 50_000", "default = 60_000, max = 50_000", "modes[1].gpu_hours.default",
     "must lie between min and max, 1 to 50,000"),
    ("gpu_hours = { min = 1, default = 5_000,", "node_hours = { default = 1 }\ngpu_hours = { min = 1, default = 5_000,", "modes[0]", None),
    ('order = "first-in-first-out"', 'order = "ranked"', "modes[0].order", "a ranked mode needs criteria;"),
    ("threshold = 3 ", "threshold = 6 ", "modes[2].criteria[0].threshold", "nobody could pass: the scale ends at 5"),
    # keys and tables
    ("weight = 50  ", "weigth = 50  ", "systems[0].pools[0].weigth", 'is not a key of this table; did you mean "weight"? (keys: id,'),
    ('for = ["startup", "sme", "industry"]  ', 'audience = ["startup"]  ', "modes[0].audience", "is not a key of this table;"),
    ('state = "open"    ', 'stat = "open"    ', "modes[0].stat", 'did you mean "state"?'),
    ("[retention]", "[retention_of_data]", "retention_of_data", 'did you mean "retention"?'),
    ("months = [1, 2, 3]", "months = 3", "modes[0].months", "must be a list; this is 3"),
    ("months = [1, 2, 3]", "months = []", "modes[0].months", "needs at least 1; this has 0"),
    ('price = { startup = "free", sme = "free", industry = "market" }', 'price = "free"', "modes[0].price",
     'must be a table; this is "free"'),
    ("gpu_hours = { min = 1, default = 5_000, max = 5_000 }", "gpu_hours = 5_000", "modes[0].gpu_hours", "must be a table; this is 5000"),
]
SIDE_EFFECTS = [bad for bad in BAD if bad[3] is None]


@pytest.mark.parametrize(("old", "new", "key", "words"), [bad for bad in BAD if bad[3]])
def test_fault_names_line_key_and_remedy(old: str, new: str, key: str, words: str) -> None:
    text, line = edited(old, new)
    found = faults(text)
    start = f"factory.toml:{line}: {key}: "
    if key == "systems[0].pools":  # the list of pools begins at its first table
        start = f"factory.toml:{line_number(text, '[[systems.pools]]')}: {key}: "
    elif key == "categories[0].title":
        start = f"factory.toml:{line_number(text, 'title = {')}: {key}: "
    assert [fault for fault in found if fault.startswith(start) and words in fault], "\n".join(found)
    assert not any("\n" in fault for fault in found)


def line_number(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


def test_size_is_said_once() -> None:
    text, _ = edited("gpu_hours = { min = 1, default = 5_000,", "node_hours = { default = 1 }\ngpu_hours = { min = 1, default = 5_000,")
    line = line_number(text, '[[modes]]')
    assert faults(text) == (f"factory.toml:{line}: modes[0]: says the size twice or not at all; give either gpu_hours or node_hours",)
    without = REAL.replace("gpu_hours = { min = 1, default = 5_000, max = 5_000 }", "", 1)
    assert faults(without) == (f"factory.toml:{line}: modes[0]: says the size twice or not at all; give either gpu_hours or node_hours",)


def test_missing_key_is_reported_at_its_table() -> None:
    text = REAL.replace('operator = "luxprovide"', "", 1)
    assert faults(text) == (f"factory.toml:{line_number(text, '[[systems]]')}: systems[0].operator: is missing; this table needs it",)


def test_two_clusters_of_one_name() -> None:
    text = REAL.replace('backend = "none"', 'backend = "slurm"').replace('name = "meluxina-q"', 'name = "meluxina"')
    line = line_number(text, "[systems.cluster]\nbackend = \"slurm\"\nname = \"meluxina\"") + 2
    assert faults(text) == (
        f'factory.toml:{line}: systems[2].cluster.name: "meluxina" is the cluster of systems[1] too; give each its own',)


def test_node_hours_on_a_system_without_gpus() -> None:
    text, line = edited('systems = ["meluxina-ai", "meluxina"]   # published', 'systems = ["meluxina-q"]')
    found = faults(text)
    assert [fault.split(": ", 1)[1] for fault in found] == [
        "modes[12].node_hours: a system of this mode has no GPUs in its nodes; leave that system out"]


def test_maintenance_of_foreign_nodes_and_backwards() -> None:
    window = ('[[systems.maintenance]]\nstart = 2027-03-09T18:00:00+01:00\nend = 2027-03-09T08:00:00+01:00\n'
              'nodes = "mxb[126-127]"\nreason = "Cooling"\n\n')
    text, line = edited("[systems.overhead]", window + "[systems.overhead]")
    assert faults(text) == (
        f"factory.toml:{line + 2}: systems[0].maintenance[0].end: must be later than the start, 2027-03-09T18:00:00+01:00",
        f"factory.toml:{line + 3}: systems[0].maintenance[0].nodes: mxb127 is no node of this system; "
        "its nodes: mxb[001-126], mxt[001-126]",
    )


def test_all_faults_at_once_in_the_order_of_the_lines() -> None:
    text = REAL
    for old, new in (('country = "ES"', 'country = "es"'), ('operator = "luxprovide"', 'operator = "x"'),
                     ("weight = 50  ", "weight = 51  "), ('partner = "list"', 'partner = "y"'), ("ledger = 120", "ledger = 0")):
        text = text.replace(old, new, 1)
    found = faults(text)
    assert [fault.split(": ")[1] for fault in found] == [
        "network[0].country", "systems[0].operator", "systems[0].pools", "services[9].partner", "retention.ledger"]
    lines = [int(fault.split(":")[1]) for fault in found]
    assert lines == sorted(lines)


@pytest.mark.parametrize(("text", "expected"), [
    ("[factory\n", "factory.toml:1: is not TOML here (column 9): Expected ']' at the end of a table declaration"),
    ("a = 1\na = 2\n", "factory.toml:2: is not TOML here (column 6): a key or table stands here twice; keep one of them"),
    ("a = 1\nb = \n", "factory.toml:2: is not TOML here (column 5): no value that can be read; texts stand in quotes, lists in [ ]"),
    ("a = 'x", "factory.toml:1: is not TOML here: Expected \"'\""),
    ("a = " + "[" * 5000, "factory.toml: is not TOML that can be read: nested too deeply; a policy has few levels"),
])
def test_syntax_fault_is_one_line(text: str, expected: str) -> None:
    assert faults(text) == (expected,)


def test_empty_file_names_every_table_that_is_missing() -> None:
    keys = ["categories", "factory", "partners", "retention", "sites", "systems"]
    assert faults("") == tuple(f"factory.toml:1: {key}: is missing; this table needs it" for key in keys)


@pytest.mark.parametrize("text", ["systems = 3", "systems = [[1]]", "modes = [3]", "factory = []", "systems = [{ nodes = 3, pools = 4 }]",
                                  "modes = [{ for = 1, systems = { a = 1 }, price = [] }]", 'systems = [{ nodes = { a = "x[" } }]',
                                  "systems = [{ pools = [{ weight = 1e400 }], sharing = 3, cluster = [] }]"])
def test_misshapen_tables_are_faults_not_crashes(text: str) -> None:
    assert all(fault.startswith("factory.toml:1: ") for fault in faults(text))


def load_faults(path: Path) -> tuple[str, ...]:
    with pytest.raises(PolicyError) as refused:
        load(path)
    return refused.value.faults


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    absent, latin, large, nul = (tmp_path / name for name in ("absent.toml", "latin.toml", "large.toml", "nul\0.toml"))
    latin.write_bytes("a = 1\nname = 'Linköping'\n".encode("latin-1"))
    large.write_bytes(b"#" * 1_000_001)
    assert load_faults(absent) == (f"{absent}: there is no such file; name one with --factory FILE or SCHMELZ_FACTORY",)
    assert load_faults(tmp_path) == (f"{tmp_path}: is a directory; name the file in it",)
    assert load_faults(latin) == (f"{latin}:2: is not UTF-8; save the file in UTF-8",)
    assert load_faults(large) == (f"{large}: is larger than 1,000,000 bytes; this is no policy file",)
    assert load_faults(nul) == (f"{nul}: cannot be read: embedded null byte; check the path and its permissions",)
    assert load_faults(Path(os.devnull))[0].startswith(f"{os.devnull}:1: categories: is missing")


def test_file_with_byte_order_mark_and_windows_line_ends(tmp_path: Path, factory_file: Path) -> None:
    copy = tmp_path / "copy.toml"
    copy.write_bytes(b"\xef\xbb\xbf" + factory_file.read_bytes().replace(b"\n", b"\r\n"))
    assert load(copy) == load(factory_file)


def test_normalised_round_trips(factory_file: Path) -> None:
    import json

    factory = load(factory_file)
    again = Factory.model_validate_json(json.dumps(normalised(factory)))
    assert again == factory
    assert normalised(again) == normalised(factory)
    assert digest(again) == digest(factory)
    assert normalised(factory)["modes"][0]["for"] == list(factory.modes[0].audience)


def test_digest_follows_the_policy_and_not_its_spelling() -> None:
    factory = parse(REAL, "a")
    respelt = REAL.replace('minimum_run = "2h"', 'minimum_run = "120m"').replace("# ", "#  ")
    changed = REAL.replace("carry_percent = 5", "carry_percent = 4")
    assert digest(parse(respelt, "b")) == digest(factory)
    assert digest(parse(changed, "c")) != digest(factory)
