"""Whoever a factory needs is in the story, and four eyes are always possible."""

from collections import Counter
from pathlib import Path

from schmelz.demo.people import FOUNDER, organisations, people
from schmelz.policy.load import load
from schmelz.rules.eligibility import Answers, doors


def test_every_role_is_held_once_and_no_two_signers_of_a_pool_are_one_person(factory_file: Path) -> None:
    factory = load(factory_file)
    holders = {role: person.handle for person in people(factory) for role in person.roles}
    assert Counter(role for person in people(factory) for role in person.roles) == Counter(factory.roles)
    for system in factory.systems:
        for pool in system.pools:
            assert len({holders[role] for role in pool.signers}) == len(pool.signers)


def test_handles_and_unix_names_are_unique(factory_file: Path) -> None:
    everybody = people(load(factory_file))
    assert len({person.handle for person in everybody}) == len(everybody)
    first = ["anna", "bruno", "chiara", "dario", "eva", "franco", "gilles"]
    assert [person.handle for person in everybody[:7]] == first
    assert [person.unix_name for person in everybody if person.unix_name] == ["anna", "bruno", "franco", "gilles"]


def test_the_story_in_luxembourg() -> None:
    factory = load(Path(__file__).parents[2] / "factory.toml")
    roles = {person.handle: person.roles for person in people(factory)}
    assert roles["eva"] == ("eurohpc:officer",)
    assert roles["dario"] == ("luxinnovation:coordinator",)
    assert roles["gilles"] == ("luxprovide:operator", "luxprovide:technical")
    assert roles["anna"] == roles["bruno"] == roles["franco"] == ()
    assert roles["hugo"] == ("economy:officer",)


def test_anna_finds_an_open_door(factory_file: Path) -> None:
    factory = load(factory_file)
    home = next(one for one in organisations(factory, 2026) if one.name == FOUNDER)
    declared = frozenset(statement.id for statement in factory.statements)
    best = doors(factory, Answers(home.category, home.country, founded=home.founded, statements=declared), 2026)[0]
    assert {finding.rule for finding in best.findings if finding.verdict != "yes"} == {"size", "duration"}
    assert (best.verdict, best.mode.order) == ("unknown", "first-in-first-out")


def test_the_organisations_of_the_story_are_of_known_categories(factory_file: Path) -> None:
    factory = load(factory_file)
    for one in organisations(factory, 2026):
        assert factory.category(one.category).commercial == one.commercial
