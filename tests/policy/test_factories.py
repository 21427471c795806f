"""The two policy files: what any factory must have, what the real one says, and that each key of it is explained."""

import re
from datetime import date, timedelta
from pathlib import Path
from time import perf_counter

import pytest

from schmelz.policy.explain import describe
from schmelz.policy.lines import key_lines
from schmelz.policy.load import load
from schmelz.policy.schema import Factory
from schmelz.policy.words import keys_of, tables

ROOT = Path(__file__).parent.parent.parent
REAL = ROOT / "factory.toml"
TEXT = REAL.read_text(encoding="utf-8")
ROWS = TEXT.split("\n")


@pytest.fixture(scope="module")
def real() -> Factory:
    return load(REAL)


def test_shares_add_up_and_nodes_are_counted(factory_file: Path) -> None:
    for system in load(factory_file).systems:
        assert system.weight_sum == 100
        assert system.gpus() == sum(system.gpus(site) for site in system.nodes)


def test_two_pools_have_an_open_first_come_mode_and_two_signers(factory_file: Path) -> None:
    factory = load(factory_file)
    system = next(s for s in factory.systems if s.cluster.backend == "local")
    for pool in system.pools[:2]:
        open_modes = [
            m.id
            for m in factory.modes
            if m.pool == pool.id and system.id in m.systems and m.state == "open" and m.order == "first-in-first-out"
        ]
        assert open_modes
        assert len(set(pool.signers)) >= 2
    assert f"{system.operator}:operator" in factory.roles


def test_sizes_in_gpu_hours(factory_file: Path) -> None:
    factory = load(factory_file)
    for mode in factory.modes:
        for system in map(factory.system, mode.systems):
            size, per_node = mode.size(system), system.gpus_per_node
            said, factor = (mode.gpu_hours, 1) if mode.gpu_hours else (mode.node_hours, per_node)
            assert said
            assert (size.min, size.default) == (said.min * factor, said.default * factor)
            assert size.max == (said.max and said.max * factor)


def test_description_is_the_same_every_time_and_names_every_owner(factory_file: Path) -> None:
    factory = load(factory_file)
    text = describe(factory)
    assert text == describe(load(factory_file))
    for system in factory.systems:
        assert all(f"{pool.title} ({pool.id}) owns {pool.weight} of 100 parts" in text for pool in system.pools)
    assert all(f"({mode.id}), {mode.state}: " in text for mode in factory.modes)
    assert max(map(len, text.split("\n"))) < 300


def test_loading_is_quick() -> None:
    times = []
    for _ in range(3):
        start = perf_counter()
        load(REAL)
        times.append(perf_counter() - start)
    assert min(times) < 0.2  # some 15 ms on an idle machine; room for a busy one


def test_the_machines_of_luxembourg(real: Factory) -> None:
    assert [(s.id, s.gpus(), [(p.id, p.weight, p.account) for p in s.pools]) for s in real.systems] == [
        ("meluxina-ai", 1008, [("eurohpc", 50, "eurohpc"), ("national", 50, "luxembourg")]),
        ("meluxina", 800, [("eurohpc", 35, "eurohpc"), ("national", 65, "luxembourg")]),
        ("meluxina-q", 0, [("eurohpc", 50, "eurohpc"), ("national", 50, "luxembourg")]),
    ]
    machine = real.system("meluxina-ai")
    assert {site: len(names) for site, names in machine.node_names.items()} == {"bissen": 126, "bettembourg": 126}
    assert (machine.charge, machine.cluster.backend, machine.cluster.name) == ("node", "local", "local")


def test_holidays_of_luxembourg(real: Factory) -> None:
    easter = {2025: date(2025, 4, 20), 2026: date(2026, 4, 5), 2027: date(2027, 3, 28)}
    fixed = ((1, 1), (5, 1), (5, 9), (6, 23), (8, 15), (11, 1), (12, 25), (12, 26))
    expected = {date(year, *day) for year in easter for day in fixed}
    expected |= {sunday + timedelta(days=after) for sunday in easter.values() for after in (1, 39, 50)}
    assert sorted(real.factory.holidays) == sorted(expected)


def test_cut_offs_are_on_local_time(real: Factory) -> None:
    """Each offset is the one that the factory's zone has on that day: summer time is not forgotten."""
    for mode in real.modes:
        assert [c for c in mode.cut_offs if c.astimezone(real.zone).utcoffset() != c.utcoffset()] == []
    assert len(real.mode("large-scale").cut_offs) == 22


def test_texts_are_there_in_every_language(real: Factory) -> None:
    languages = set(real.factory.languages)
    texts = [text for mode in real.modes for text in (mode.title, mode.summary)]
    texts += [statement.text for statement in real.statements]
    texts += [row.title for kind in (real.categories, real.regions, real.services) for row in kind]
    assert [text for text in texts if set(text) != languages] == []


def _kind(path: tuple[str | int, ...]) -> tuple[str, ...]:
    return tuple(step for step in path if isinstance(step, str))


def test_every_key_of_the_schema_stands_in_the_file_with_a_comment() -> None:
    first: dict[tuple[str, ...], int] = {}
    for path, line in key_lines(TEXT).items():
        first.setdefault(_kind(path), line)
    for path, table in tables():
        for key in keys_of(table):
            assert _explained((*_kind(path), key), first), f"{'.'.join(_kind(path))}: {key} has no comment"


def _explained(kind: tuple[str, ...], first: dict[tuple[str, ...], int]) -> bool:
    """A comment beside the key where it first stands, or in the last line before it; or the key stands in a comment."""
    if kind not in first:
        header = re.escape(".".join(kind))
        return re.search(rf"^# {kind[-1]} = .* # |^# \[\[?{header}\]\]?", TEXT, re.MULTILINE) is not None
    row, above = ROWS[first[kind] - 1], [line for line in ROWS[: first[kind] - 1] if line.strip()]
    return "#" in re.sub(r'"[^"]*"', "", row) or above[-1].startswith("#")
