"""Drift: changes by hand are found, put right one by one, left until a day, or made a decision by those who may."""

import json
from dataclasses import replace

import pytest

from portal.award import project as awarded
from schmelz.cluster.model import Member
from schmelz.faults import BadInput, Refused
from schmelz.operate import applies, decide, drift, follow
from schmelz.operate.cluster import backend
from schmelz.portal.clock import at, now
from schmelz.portal.clusters.models import Comparison, Mandate, Move
from schmelz.portal.ledger.models import Event
from schmelz.portal.projects.models import Amendment, Membership, Project
from schmelz.units import DAY


@pytest.fixture
def project(cast) -> Project:
    found = awarded(cast)
    _apply(cast)
    return found


def _apply(cast, allow: int = 0) -> None:
    follow.apply_plan(cast.gilles, cast.system, expected_hash=None, allow_remove=allow)


def _account(cast, code: str):
    return next(account for account in backend(cast.system).observe().accounts if account.name == code)


def _by_hand(cast, code: str, **values: object) -> None:
    """Somebody at the cluster's own command line."""
    backend(cast.system).change([replace(_account(cast, code), **values)])


def _places(cast) -> list[tuple[str, str, str, str]]:
    return [(row.part, row.kind, row.name, row.field) for row in drift.find(cast.system).rows]


def test_nothing_by_hand_nothing_found(cast, project) -> None:
    assert (_places(cast), set(drift.find(cast.system).counts.values())) == ([], {0})


def test_repair_puts_exactly_one_thing_right(cast, project) -> None:
    code = project.code
    _by_hand(cast, code, gpu_minutes=7, shares=9)
    backend(cast.system).create([], [Member("mallory", code)])
    backend(cast.system).remove([Member("bruno", code)])
    found = _places(cast)
    assert found == [
        ("by_hand", "account", code, "shares"),
        ("by_hand", "account", code, "gpu_minutes"),
        ("missing", "member", f"{code}/bruno", ""),
        ("extra", "member", f"{code}/mallory", ""),
    ]
    with pytest.raises(Refused, match="--allow-remove 1"):
        drift.repair(cast.gilles, cast.system, ("member", f"{code}/mallory", ""), allow_remove=0)
    for done, (_, kind, name, field) in enumerate(found, 1):
        drift.repair(cast.gilles, cast.system, (kind, name, field), allow_remove=kind == "member")
        assert _places(cast) == found[done:]
    assert follow.current_plan(cast.system).changes == ()
    assert [past.what for past in applies.applies(cast.system)] == ["repair"] * 4 + ["apply"]


def test_a_repair_brings_no_decision_along(cast, project) -> None:
    code = project.code
    project.suspended = True
    project.save()
    _by_hand(cast, code, gpu_minutes=7)
    assert _places(cast) == [("by_hand", "account", code, "gpu_minutes"), ("pending", "account", code, "open")]
    drift.repair(cast.gilles, cast.system, ("account", code, "gpu_minutes"), allow_remove=0)
    assert _account(cast, code).open and _account(cast, code).gpu_minutes == project.grant_gpu_s // 60
    assert _places(cast) == [("pending", "account", code, "open")]
    with pytest.raises(Refused, match="not possible to repair"):
        drift.repair(cast.gilles, cast.system, ("account", code, "open"), allow_remove=1)


def test_a_repair_undone_brings_the_change_by_hand_not_back(cast, project) -> None:
    """What an undo goes back to is what was applied before, never what somebody did by hand."""
    _by_hand(cast, project.code, shares=9)
    drift.repair(cast.gilles, cast.system, ("account", project.code, "shares"), allow_remove=0)
    assert follow.current_plan(cast.system, undo=True).changes == ()


def test_what_is_left_stays_until_its_day_and_while_it_has_this_value(cast, project) -> None:
    code, moment = project.code, now()
    _by_hand(cast, code, gpu_minutes=7)
    place = ("account", code, "gpu_minutes")
    drift.leave(cast.gilles, cast.system, place, until=moment + 10 * DAY, because="until the audit")
    plan = follow.current_plan(cast.system)
    assert plan.changes == () and "until the audit" in plan.warnings[0]
    assert (_places(cast), drift.find(cast.system).counts["left"]) == ([], 1)
    _apply(cast)
    assert _account(cast, code).gpu_minutes == 7
    _by_hand(cast, code, gpu_minutes=8)
    assert _places(cast) == [("by_hand", *place)]
    _by_hand(cast, code, gpu_minutes=7)
    with at(moment + 10 * DAY):
        assert ("by_hand", *place) in _places(cast)
    drift.repair(cast.gilles, cast.system, place, allow_remove=0)
    assert drift.find(cast.system).left == ()


@pytest.mark.parametrize(("days", "because", "said"), [(0, "x", "until"), (367, "x", "a year"), (5, " ", "because")])
def test_choices_that_cannot_be(cast, project, days, because, said) -> None:
    _by_hand(cast, project.code, shares=9)
    with pytest.raises(BadInput, match=said):
        drift.leave(
            cast.gilles, cast.system, ("account", project.code, "shares"), until=now() + days * DAY, because=because
        )
    with pytest.raises(BadInput, match="no difference of this moment"):
        drift.leave(cast.gilles, cast.system, ("account", "nothing", "shares"), until=now() + DAY, because="x")
    with pytest.raises(Refused, match="policy file"):
        decide.decide(cast.gilles, cast.system, ("account", project.code, "shares"), because="x")
    with pytest.raises(Refused, match="an operator of the system"):
        drift.leave(cast.anna, cast.system, ("account", project.code, "shares"), until=now() + DAY, because="x")


def test_an_amount_by_hand_is_proposed_by_the_first_signer_alone(cast, project) -> None:
    hours = project.grant_gpu_s // 3600 - 1
    place = ("account", project.code, "gpu_minutes")
    _by_hand(cast, project.code, gpu_minutes=hours * 60 + 59)
    with pytest.raises(Refused, match=f"proposed by {cast.pool.signers[0]} .Signer 0.") as refused:
        decide.decide(cast.gilles, cast.system, place, because="x")
    assert f"amend {project.code} --gpu-hours {hours}" in str(refused.value.remedy)
    decide.decide(cast.signers[0], cast.system, place, because="agreed by phone")
    assert Amendment.objects.get().grant_gpu_s == hours * 3600
    assert ("by_hand", *place) in _places(cast), "a proposal decides nothing yet"


def test_closed_by_hand_becomes_a_suspension(cast, project) -> None:
    _by_hand(cast, project.code, open=False)
    decide.decide(cast.gilles, cast.system, ("account", project.code, "open"), because="incident 7")
    assert Project.objects.get().suspended and _places(cast) == []


def test_members_by_hand_are_the_business_of_the_principal_investigator(cast, project) -> None:
    code = project.code
    cast.franco.unix_name = "franco"
    cast.franco.save()
    backend(cast.system).create([], [Member("franco", code), Member("mallory", code)])
    backend(cast.system).remove([Member("bruno", code)])
    with pytest.raises(Refused, match="principal investigator, Anna"):
        decide.decide(cast.gilles, cast.system, ("member", f"{code}/franco", ""), because="x")
    with pytest.raises(Refused, match="mallory is nobody here"):
        decide.decide(cast.anna, cast.system, ("member", f"{code}/mallory", ""), because="x")
    decide.decide(cast.anna, cast.system, ("member", f"{code}/franco", ""), because="x")
    decide.decide(cast.anna, cast.system, ("member", f"{code}/bruno", ""), because="x")
    members = set(Membership.objects.values_list("person__handle", flat=True))
    assert (members, _places(cast)) == ({"anna", "franco"}, [("extra", "member", f"{code}/mallory", "")])


def test_the_duty_keeps_counts_and_tells_the_ledger_only_news(cast, project) -> None:
    backend(cast.system).create([], [Member("mallory", project.code)])
    for _ in range(2):
        drift.look(cast.system)
    kept = Comparison.objects.get()
    assert (kept.counts["extra"], kept.counts["by_hand"], len(kept.by_hand)) == (1, 0, 1)
    [event] = Event.objects.filter(kind="drift.seen")
    assert json.loads(event.data)["by_hand"] == [f"member of {project.code}"]
    backend(cast.system).remove([Member("mallory", project.code)])
    drift.look(cast.system)
    assert Event.objects.filter(kind="drift.seen").count() == 2


def test_caps_that_steering_left_behind_are_nobodys_hand(cast, project) -> None:
    name = next(qos.name for qos in backend(cast.system).observe().qos if qos.gpus is not None)
    backend(cast.system).cap({name: 5})
    assert _places(cast) == [("by_hand", "qos", name, "gpus")]
    past = {"system": cast.system.id, "lowest_percent": 40, "highest_percent": 60, "moves_per_hour": 9, "because": "x"}
    mandate = Mandate.objects.create(code="m00001", start=0, expires=9, state="signed", **past)
    Move.objects.create(mandate=mandate, at=5, before={name: 9}, after={name: 5}, because="x")
    [row] = drift.find(cast.system).rows
    assert (row.part, row.because) == ("pending", drift.UNSTEERED)
