"""The cluster follows: journal and ledger of each apply, a second operator, going back, an apply that did not end."""

import json
import stat
from hashlib import sha256

import pytest

from portal.award import project as awarded
from schmelz.cluster.model import ClusterError
from schmelz.faults import Refused
from schmelz.operate import applies, approve, follow
from schmelz.operate.cluster import backend
from schmelz.portal.ledger.models import Event
from schmelz.portal.people.actions import add_person
from schmelz.portal.projects.actions import add_member, remove_member, suspend
from schmelz.portal.projects.models import Project
from schmelz.portal.projects.states import ProjectState


@pytest.fixture
def project(cast) -> Project:
    """A decided project that is on the cluster."""
    found = awarded(cast)
    _apply(cast)
    return found


def _apply(cast, allow: int = 0, who=None, **more) -> follow.Applied:
    return follow.apply_plan(who or cast.gilles, cast.system, **{"expected_hash": None, "allow_remove": allow, **more})


def _events(kind: str) -> list[dict]:
    return [json.loads(data) for data in Event.objects.filter(kind=kind).values_list("data", flat=True)]


def _accounts(cast) -> dict:
    return {account.name: account for account in backend(cast.system).observe().accounts}


def test_an_apply_is_in_the_journal_and_in_the_ledger(cast, project) -> None:
    [past] = applies.applies(cast.system)
    assert (past.entry.state, past.entry.who, past.what) == ("done", "gilles", "apply")
    [event] = _events("plan.applied")
    file = applies.journal(cast.system).directory / f"{past.entry.id}.jsonl"
    assert (event["journal"], event["plan"]) == (past.entry.id, past.entry.hash)
    assert event["digest"] == sha256(file.read_bytes()).hexdigest()
    assert [stat.S_IMODE(path.stat().st_mode) for path in (file.parent, file)] == [0o700, 0o600]
    project.refresh_from_db()
    assert project.state == ProjectState.ACTIVE
    assert _apply(cast).journal == "" and len(_events("plan.applied")) == 1


def test_no_names_of_persons_in_the_chain(cast, project) -> None:
    remove_member(cast.factory, project, cast.bruno, actor=cast.anna)
    _apply(cast, 1)
    data = "".join(Event.objects.filter(kind__startswith="plan.").values_list("data", flat=True))
    assert "bruno" not in data and "gilles" not in data


def test_undo_goes_back_and_the_next_plan_shows_the_difference_again(cast, project) -> None:
    with pytest.raises(Refused, match="nothing was applied before"):
        follow.current_plan(cast.system, undo=True)
    suspend(cast.factory, project.code, cast.gilles, because="unpaid")
    _apply(cast, 1)
    assert not _accounts(cast)[project.code].open
    back = follow.current_plan(cast.system, undo=True)
    assert [(c.name, c.fields) for c in back.changes] == [(project.code, (("open", False, True),))]
    _apply(cast, undo=True, expected_hash=back.hash)
    assert _accounts(cast)[project.code].open
    assert [past.what for past in applies.applies(cast.system)] == ["undo", "apply", "apply"]
    assert "was an undo" in applies.notices(cast.system)[0]
    again = follow.current_plan(cast.system)
    assert [(c.name, c.removes) for c in again.changes] == [(project.code, True)]
    _apply(cast, 1)
    assert applies.notices(cast.system) == [] and not _accounts(cast)[project.code].open


def test_many_removals_need_a_second_operator(cast, project) -> None:
    few = cast.system.model_copy(update={"cluster": cast.system.cluster.model_copy(update={"removals_alone": 0})})
    helga = add_person(
        cast.factory, handle="helga", name="Helga", email="h@example.org", roles=(f"{few.operator}:operator",)
    )
    suspend(cast.factory, project.code, cast.gilles, because="unpaid")
    plan = follow.current_plan(few)

    def apply(who) -> follow.Applied:
        return follow.apply_plan(who, few, expected_hash=plan.hash[:16], allow_remove=1)

    with pytest.raises(Refused, match="one operator may do that 0 times"):
        apply(cast.gilles)
    approve.approve(cast.gilles, few, plan.hash)
    with pytest.raises(Refused, match="one operator may do that 0 times"):
        apply(cast.gilles)
    approve.approve(helga, few, plan.hash)
    assert apply(cast.gilles).changes == 1
    assert _events("plan.applied")[-1]["approved"] == [helga.pk]
    undo = follow.current_plan(few, undo=True)
    assert approve.approve(helga, few, undo.hash).hash == undo.hash


def test_only_an_operator_applies(cast, project) -> None:
    for person in (cast.anna, cast.signers[0]):
        with pytest.raises(Refused, match="an operator of the system"):
            _apply(cast, who=person)


def test_a_failed_apply_is_told_and_finished_by_the_next(cast, project, monkeypatch) -> None:
    suspend(cast.factory, project.code, cast.gilles, because="unpaid")
    machine = backend(cast.system)

    def fail(*_: object) -> None:
        raise ClusterError("the database is away")

    monkeypatch.setattr(machine, "change", fail)
    with pytest.raises(ClusterError):
        _apply(cast, 1)
    monkeypatch.undo()
    failed, _ = applies.applies(cast.system)
    assert (failed.entry.state, failed.what) == ("failed", "apply")
    assert [event["journal"] for event in _events("plan.failed")] == [failed.entry.id]
    assert "failed: the next apply finishes it" in applies.notices(cast.system)[0]
    with pytest.raises(Refused, match="moved since"):
        _apply(cast, expected_hash="0" * 64)
    assert len(_events("plan.failed")) == 1, "what was refused before it began is no failure"
    _apply(cast)  # the removal was allowed to the apply that failed
    assert _events("plan.applied")[-1]["finished"] == [failed.entry.id]
    assert applies.notices(cast.system) == []
    assert applies.applies(cast.system)[1].finished_by == applies.applies(cast.system)[0].entry.id


def test_an_interrupted_apply_is_finished_even_when_nothing_is_left_to_do(cast, project) -> None:
    add_member(cast.factory, project, cast.bruno, actor=cast.anna)
    book = applies.journal(cast.system)
    book.begin(follow.current_plan(cast.system), "gilles", 0).close()
    assert "was interrupted" in applies.notices(cast.system)[0]
    done = _apply(cast)
    assert (done.changes, bool(done.journal), applies.notices(cast.system)) == (0, True, [])


def test_running_jobs_are_asked_for_only_when_something_is_taken_away(cast, project, monkeypatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(backend(cast.system), "jobs", lambda: asked.append(1) or ())
    follow.current_plan(cast.system)
    assert asked == []
    suspend(cast.factory, project.code, cast.gilles, because="unpaid")
    assert "0 running jobs touched" in follow.current_plan(cast.system).radius and asked == [1]


def test_an_apply_whose_event_was_lost_is_told_later(cast, monkeypatch) -> None:
    project = awarded(cast)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(follow, "mark_applied", killed)
    with pytest.raises(KeyboardInterrupt):
        _apply(cast)
    monkeypatch.undo()
    assert _events("plan.applied") == [] and applies.tell_missed(cast.system) == 0  # it may be about to tell it itself
    monkeypatch.setattr(applies, "SOON", -1)
    assert [applies.tell_missed(cast.system) for _ in range(2)] == [1, 0]
    [event] = _events("plan.applied")
    project.refresh_from_db()
    assert (event["what"], project.state) == ("unknown", ProjectState.ACTIVE)
