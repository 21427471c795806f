"""Another amount for a running project: proposed, signed in order, refused, and what the pacing makes of it."""

from datetime import date

import polars as pl
import pytest

from portal import award
from schmelz.faults import BadInput, Refused
from schmelz.metering.usage import Balance
from schmelz.operate.follow import wanted
from schmelz.portal.clock import at
from schmelz.portal.ledger.queries import story
from schmelz.portal.people.models import Function, Letter
from schmelz.portal.projects import amend, paces
from schmelz.portal.projects.models import Amendment, Membership, Project
from schmelz.portal.projects.queries import by_code
from schmelz.rules.pacing import limit, months
from schmelz.units import HOUR, add_months, day_start


@pytest.fixture
def project(cast) -> Project:
    return award.project(cast)


def hours(project: Project) -> int:
    return by_code(project.code).grant_gpu_s // HOUR


def propose(cast, project, gpu_hours: int) -> Amendment:
    return amend.propose(cast.factory, project.code, cast.signers[0], gpu_hours=gpu_hours, because="A node is lent.")


def test_the_last_signature_changes_the_grant(cast, project) -> None:
    before = hours(project)
    propose(cast, project, before - 40)
    for signer in cast.signers[1:]:
        assert hours(project) == before
        done = amend.sign(cast.factory, project.code, signer)
    assert (done.state, hours(project), done.decided is not None) == ("signed", before - 40, True)
    assert [(s.role, s.person) for s in done.signatures.all()] == list(
        zip(cast.pool.signers, cast.signers, strict=True)
    )
    told = [e.kind for e in story(f"project:{project.code}")][2:]
    assert told == ["amendment.propose", *["amendment.countersign"] * (len(cast.signers) - 2), "amendment.sign"]
    assert wanted(cast.system).accounts[-1].gpu_minutes == (before - 40) * 60
    last = cast.signers[-1].handle
    assert (
        f"changed from {before} to {before - 40} GPU-hours, signed last by {last} on"
        in (wanted(cast.system).stories[project.code])
    )
    letter = Letter.objects.get(person=cast.anna, subject__startswith="Another amount")
    assert f"has {before - 40} GPU-hours now; it had {before}" in letter.body and "A node is lent." in letter.body
    assert Letter.objects.filter(person=cast.signers[1], subject=f"Your turn: {project.code}").count() == 1


def test_a_refusal_leaves_everything_and_reaches_the_investigator(cast, project) -> None:
    before = hours(project)
    propose(cast, project, before - 1)
    with pytest.raises(BadInput, match="because"):
        amend.refuse(cast.factory, project.code, cast.signers[1], because="")
    amend.refuse(cast.factory, project.code, cast.signers[1], because="Not now.")
    assert (Amendment.objects.get().state, hours(project)) == ("refused", before)
    assert "Not now." in Letter.objects.get(person=cast.anna, subject__startswith="Unchanged").body
    with pytest.raises(Refused, match="no amendment"):
        amend.sign(cast.factory, project.code, cast.signers[1])
    propose(cast, project, before - 2)


def test_turns_are_kept(cast, project) -> None:
    before = hours(project)
    for person in (cast.anna, cast.franco, cast.gilles, *cast.signers[1:]):
        with pytest.raises(Refused):
            amend.propose(cast.factory, project.code, person, gpu_hours=before - 1, because="x")
    propose(cast, project, before - 1)
    with pytest.raises(Refused, match="waits for signatures already"):
        propose(cast, project, before - 2)
    Function.objects.create(person=cast.signers[0], role=cast.pool.signers[1])
    for person in (cast.gilles, cast.signers[0], *cast.signers[2:]):
        with pytest.raises(Refused):
            amend.sign(cast.factory, project.code, person)
    assert (Amendment.objects.get().signatures.count(), hours(project)) == (1, before)


@pytest.mark.parametrize("turn", [0, 1])
def test_nobody_decides_about_a_project_of_their_own(cast, project, turn) -> None:
    Membership.objects.create(project=project, person=cast.signers[turn], since=0)
    with pytest.raises(Refused, match="of their own"):
        propose(cast, project, hours(project) - 1)
        amend.sign(cast.factory, project.code, cast.signers[1])
    assert Amendment.objects.count() == turn


def test_amounts_that_cannot_be(cast, project, monkeypatch) -> None:
    before, most = hours(project), cast.mode.size(cast.system).max
    for amount in (0, -1, before, *([most + 1] if most else [])):
        with pytest.raises(BadInput, match="gpu_hours"):
            propose(cast, project, amount)
    propose(cast, project, before - 2)
    used = Balance(settled=(before - 2) * HOUR, running=1, committed=0, left=0, as_of=0)
    monkeypatch.setattr(amend, "balance", lambda _: used)
    for signer in cast.signers[1:-1]:
        amend.sign(cast.factory, project.code, signer)
    with pytest.raises(BadInput, match=f"less than was used already; write {before - 1} or more"):
        amend.sign(cast.factory, project.code, cast.signers[-1])
    assert hours(project) == before


def test_an_ended_project_is_not_amended(cast, project) -> None:
    with at(project.end), pytest.raises(Refused, match="ended on"):
        propose(cast, project, 1)


@pytest.fixture(params=["2026-11-10", "2026-11-27"])
def paced(request, cast, project, monkeypatch) -> Project:
    """The project as if its access mode cut it in months, three of them, with 50 GPU-hours used in the first.

    It begins early or late in a month: late, the first month has a smaller part of the grant, the later ones more.
    """
    project.start = day_start(date.fromisoformat(request.param), cast.factory.zone)
    project.pacing, project.end = "monthly", add_months(project.start, 3, cast.factory.zone)
    project.save()
    first = months(project.grant_gpu_s, project.start, project.end, cast.factory.zone)[0]
    run = {"project": project.code, "system": project.system, "gpus": 50, "held_gpus": 0, "start": first.end - HOUR}
    frame = pl.DataFrame([run | {"elapsed": 4 * HOUR}])
    monkeypatch.setattr("schmelz.portal.projects.figures.attributed", lambda: frame)
    return project


def test_a_paced_project_gets_what_was_used_and_this_month(cast, paced) -> None:
    """Of the run of 200 GPU-hours over the turn of the month a quarter belongs to the first month."""
    facts = (paced.grant_gpu_s, paced.start, paced.end)
    found = months(*facts, cast.factory.zone)
    with at(found[0].end - HOUR):
        assert wanted(cast.system).accounts[-1].gpu_minutes == found[0].gpu_seconds // 60
    with at(found[1].start + DAY_AND_A_BIT):
        budget = wanted(cast.system).accounts[-1].gpu_minutes
        assert budget == (50 * HOUR + found[1].gpu_seconds) // 60
        assert budget == limit("monthly", *facts, found[1].start, 50 * HOUR, cast.factory.zone) // 60
        assert "; monthly pacing allows" in wanted(cast.system).stories[paced.code]
        used = Balance(settled=200 * HOUR, running=0, committed=0, left=0, as_of=found[1].start + DAY_AND_A_BIT)
        month = paces.month_so_far(cast.system, paced, used)
    assert month == paces.MonthSoFar(
        "monthly",
        budget=found[1].gpu_seconds,
        used=150 * HOUR,
        left=max(0, found[1].gpu_seconds - 150 * HOUR),
        anew=found[2].start,
        reachable=min(
            paced.grant_gpu_s - 200 * HOUR,
            max(0, found[1].gpu_seconds - 150 * HOUR) + sum(m.gpu_seconds for m in found[2:]),
        ),
    )


DAY_AND_A_BIT = 100_000


def test_pacing_and_sites_are_copied_at_the_award(cast) -> None:
    machine = cast.system
    mode = cast.mode.model_copy(update={"pacing": "carry-over", "sites": (*machine.nodes, "elsewhere")})
    modes = tuple(mode if m.id == mode.id else m for m in cast.factory.modes)
    project = award.project(
        cast.__class__(**vars(cast) | {"factory": cast.factory.model_copy(update={"modes": modes})})
    )
    assert (project.pacing, project.sites) == ("carry-over", ",".join(machine.nodes))
    assert {m.partition for m in wanted(machine).members} == {p for site in machine.partitions.values() for p in site}
