"""Every rule of eligibility says yes, no or unknown, and why."""

from typing import Any

import pytest

from rules import modes
from schmelz.rules.eligibility import Answers, Finding, assess, doors, verdict

GOOD: dict[str, Any] = {
    "category": "startup",
    "country": "FI",
    "gpu_hours": 50,
    "months": 3,
    "founded": 2023,
    "statements": frozenset({"civil"}),
    "inference_percent": 10,
}
STRICT = modes.mode(
    regions=["north"],
    statements=["civil"],
    limits={"inference_percent": 10, "founded_within_years": 5, "first_award_only": True},
)


def findings(policy: dict[str, Any] | None = None, **answers: Any) -> dict[str, Finding]:
    factory = modes.factory(policy or STRICT)
    found = assess(factory, factory.modes[0], factory.systems[0], Answers(**GOOD | answers), 2026)
    assert all(finding.because for finding in found)
    assert all(bool(finding.remedy) == (finding.verdict != "yes") for finding in found)
    return {finding.rule: finding for finding in found}


def test_all_rules_in_the_order_in_which_people_ask_them() -> None:
    found = findings()
    assert list(found) == [
        "open",
        "audience",
        "country",
        "size",
        "duration",
        "civil",
        "inference",
        "founded",
        "first award",
    ]
    assert verdict(list(found.values())) == "yes"


@pytest.mark.parametrize(
    ("rule", "answer", "said"),
    [
        ("audience", {"category": None}, "unknown"),
        ("audience", {"category": "sme"}, "no"),
        ("audience", {"category": "unheard-of"}, "no"),
        ("country", {"country": None}, "unknown"),
        ("country", {"country": "CA"}, "no"),
        ("country", {"country": "SE"}, "yes"),
        ("size", {"gpu_hours": None}, "unknown"),
        ("size", {"gpu_hours": 9}, "no"),
        ("size", {"gpu_hours": 10}, "yes"),
        ("size", {"gpu_hours": 100}, "yes"),
        ("size", {"gpu_hours": 101}, "no"),
        ("duration", {"months": None}, "unknown"),
        ("duration", {"months": 2}, "no"),
        ("civil", {"statements": frozenset()}, "no"),
        ("inference", {"inference_percent": None}, "unknown"),
        ("inference", {"inference_percent": 11}, "no"),
        ("founded", {"founded": None}, "unknown"),
        ("founded", {"founded": 2021}, "yes"),
        ("founded", {"founded": 2020}, "no"),
        ("first award", {"earlier_awards": 1}, "no"),
    ],
)
def test_one_answer_changes_one_finding(rule: str, answer: dict[str, Any], said: str) -> None:
    usual, found = findings(), findings(**answer)
    assert found[rule].verdict == said
    assert {name for name in found if found[name] != usual[name]} <= {rule}
    assert verdict(list(found.values())) == said


def test_because_quotes_english_where_the_file_has_it_and_else_its_first_language() -> None:
    assert findings(category="sme")["audience"].because == "It is for: Alku; you are: Small company."
    assert findings()["civil"].because == "You declared: Siviili"
    assert findings(country="CA")["country"].because == "CA does not belong to Pohjola."


@pytest.mark.parametrize("state", ["paused", "closed"])
def test_a_mode_that_is_not_open_is_no_way_in(state: str) -> None:
    found = findings(STRICT | {"state": state})
    assert found["open"] == Finding(
        "open", "no", f"The access mode is {state}.", "Ask the coordinator when it opens again."
    )


def test_node_hours_are_compared_in_gpu_hours_and_without_a_limit_there_is_no_upper_bound() -> None:
    by_node = modes.mode(gpu_hours=None, node_hours={"min": 10, "default": 20})
    assert findings(by_node, gpu_hours=39)["size"].verdict == "no"
    assert findings(by_node, gpu_hours=40)["size"].because == "40 GPU-hours are within at least 40."
    assert findings(by_node, gpu_hours=10**9)["size"].verdict == "yes"


def test_rules_that_a_mode_does_not_have_are_not_asked() -> None:
    assert list(findings(modes.mode())) == ["open", "audience", "size", "duration"]


def test_the_worst_finding_decides() -> None:
    yes, no, unknown = (Finding("rule", said, "because") for said in ("yes", "no", "unknown"))
    assert verdict([]) == verdict([yes, yes]) == "yes"
    assert verdict([yes, unknown]) == "unknown"
    assert verdict([unknown, no, yes]) == "no"


def test_doors_come_best_first_and_open_before_paused_before_closed() -> None:
    factory = modes.factory(
        modes.mode(id="closed", state="closed"),
        modes.mode(id="other", **{"for": ["sme"]}),
        modes.mode(id="paused", state="paused"),
        modes.mode(id="ask", limits={"inference_percent": 5}),
        modes.mode(id="first"),
        modes.mode(id="second"),
    )
    found = doors(factory, Answers(category="startup", gpu_hours=50, months=1), 2026)
    assert [(fit.mode.id, fit.verdict) for fit in found] == [
        ("first", "yes"),
        ("second", "yes"),
        ("ask", "unknown"),
        ("other", "no"),
        ("paused", "no"),
        ("closed", "no"),
    ]
