"""Suspending, going on, leaving: who may, what is written, and what the cluster is asked for afterwards."""

from collections.abc import Iterator

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from portal import award
from schmelz.faults import BadInput, Refused
from schmelz.operate.follow import current_plan, wanted
from schmelz.portal.clock import at, now
from schmelz.portal.ledger.queries import story
from schmelz.portal.people.models import Letter, Person
from schmelz.portal.projects.actions import add_member, remove_member, resume, suspend
from schmelz.portal.projects.models import Membership, Project
from schmelz.units import DAY

MONDAY = 1_790_000_000  # 21 September 2026


@pytest.fixture
def project(cast) -> Iterator[Project]:
    with at(MONDAY):
        yield award.project(cast)


def account(cast, project):
    return next(a for a in wanted(cast.system).accounts if a.name == project.code)


def test_suspended_and_going_on_again(cast, project) -> None:
    with at(MONDAY + DAY):
        suspend(cast.factory, project.code, cast.gilles, because=" The contract \n is missing. ")
        found = wanted(cast.system)
        assert [a.open for a in found.accounts if a.name == project.code] == [False]
        assert {m.user for m in found.members} == {"anna", "bruno"}
        last = cast.signers[-1].handle
        assert found.stories[project.code] == (
            f"award of {project.application}, signed last by {last} on 2026-09-21; "
            "suspended by gilles on 2026-09-22: The contract is missing."
        )
        with pytest.raises(Refused, match="suspended already"):
            suspend(cast.factory, project.code, cast.gilles, because="again")
        resume(cast.factory, project.code, cast.gilles, because="It came.")
        assert account(cast, project).open
        assert wanted(cast.system).stories[project.code].endswith("; went on again, by gilles on 2026-09-22: It came.")
    with pytest.raises(Refused, match="not suspended"):
        resume(cast.factory, project.code, cast.gilles, because="again")
    told = [e.kind for e in story(f"project:{project.code}")]
    assert told == ["project.open", "project.member", "project.suspend", "project.resume"]
    letters = Letter.objects.filter(person=cast.anna, about=f"project:{project.code}").order_by("pk")
    assert [letter.subject.split(":")[0] for letter in letters] == ["Suspended", "Goes on"]
    assert "The contract \n is missing." in letters[0].body


@pytest.mark.parametrize("who", ["anna", "bruno", "franco"])
@pytest.mark.parametrize("act", [suspend, resume])
def test_others_may_not(cast, project, who, act) -> None:
    with pytest.raises(Refused, match="may not"):
        act(cast.factory, project.code, getattr(cast, who), because="x")
    assert not Project.objects.get().suspended


def test_a_reason_and_a_project_are_needed(cast, project) -> None:
    with pytest.raises(BadInput, match="because: is empty"):
        suspend(cast.factory, project.code, cast.gilles, because=" ")
    with pytest.raises(BadInput, match="is not known"):
        suspend(cast.factory, "p299999", cast.gilles, because="x")
    with at(project.end), pytest.raises(Refused, match="ended on"):
        suspend(cast.factory, project.code, cast.gilles, because="x")


def test_a_member_leaves_and_the_plan_says_by_whom(cast, project) -> None:
    with pytest.raises(Refused):
        remove_member(cast.factory, project, cast.bruno, actor=cast.gilles)
    with pytest.raises(Refused, match="answers for the project"):
        remove_member(cast.factory, project, cast.anna, actor=cast.anna)
    assert wanted(cast.system).stories[f"{project.code}/bruno"] == "member since 2026-09-21, added by anna"
    remove_member(cast.factory, project, cast.bruno, actor=cast.anna)
    found = wanted(cast.system)
    assert [m.user for m in found.members] == ["anna"]
    assert found.stories[f"{project.code}/bruno"] == "removed by anna on 2026-09-21"
    assert found.stories[f"{project.code}/anna"] == "principal investigator since 2026-09-21, by the award"
    with pytest.raises(Refused, match="no member"):
        remove_member(cast.factory, project, cast.bruno, actor=cast.anna)


def test_who_is_not_active_any_more_loses_access(cast, project) -> None:
    Person.objects.filter(handle="bruno").update(is_active=False)
    found = wanted(cast.system)
    assert [m.user for m in found.members] == ["anna"]
    assert found.stories[f"{project.code}/bruno"] == "bruno is not active any more"


def test_the_principal_investigator_coordinates(cast, project) -> None:
    assert cast.system.cluster.pi_coordinates
    assert account(cast, project).coordinators == ("anna",)


def _many(cast, model: Project, first: int, last: int) -> None:
    for number in range(first, last):
        model.pk, model.code, model.application = None, f"{model.code[:2]}8{number:04d}", f"b{number}"
        model.pacing = ("monthly", "carry-over", "")[number % 3]
        model.save()
        Membership.objects.create(project=model, person=cast.anna, leads=True, since=now())
        add_member(cast.factory, model, cast.bruno, actor=cast.anna)


def test_a_plan_asks_the_same_questions_for_10_and_for_200_projects(cast, project) -> None:
    asked = []
    for first, last in ((0, 10), (10, 200)):
        _many(cast, project, first, last)
        current_plan(cast.system)
        with CaptureQueriesContext(connection) as questions:
            plan = current_plan(cast.system)
        assert sum(change.kind == "account" for change in plan.changes) > last
        asked.append(len(questions))
    assert asked[0] == asked[1] <= 20, asked
