"""From an application to a project: who may do what, in which order, and what is written."""

import pytest

from schmelz.faults import BadInput, Refused
from schmelz.portal.calls import actions
from schmelz.portal.calls.models import Application, Signature
from schmelz.portal.calls.queries import findings, inbox, visible_to
from schmelz.portal.ledger.models import Event
from schmelz.portal.ledger.queries import story
from schmelz.portal.people.models import Letter
from schmelz.portal.projects.models import Membership, Project
from schmelz.proof.chain import broken
from schmelz.rules.eligibility import verdict
from schmelz.units import HOUR


@pytest.fixture
def asked(cast) -> Application:
    return actions.submit(cast.factory, mode_id=cast.mode.id, person=cast.anna, answers=cast.answers())


def _award(cast, application, hours=None) -> Application:
    hours = hours or application.gpu_hours
    actions.propose(cast.factory, application.code, cast.signers[0], gpu_hours=hours, because="fits")
    for signer in cast.signers[1:]:
        application = actions.sign(cast.factory, application.code, signer)
    return application


def test_application_is_kept_with_its_clock(cast, asked) -> None:
    kept = Application.objects.get()
    assert (kept.state, kept.pool, kept.organisation, kept.due > kept.submitted) == (
        "submitted",
        cast.pool.id,
        "Quartz Voice",
        True,
    )
    assert verdict(findings(cast.factory, kept)) == "yes"
    assert [a.code for a in inbox(cast.factory, cast.signers[0])] == [asked.code]
    assert [inbox(cast.factory, p) for p in (cast.anna, cast.franco, cast.gilles, *cast.signers[1:])] == [[]] * (
        2 + len(cast.signers)
    )


def test_award_becomes_a_project(cast, asked) -> None:
    smaller = max(1, cast.mode.size(cast.system).min)
    done = _award(cast, asked, smaller)
    project = Project.objects.get()
    assert (done.state, project.grant_gpu_s, project.pool) == ("awarded", smaller * HOUR, cast.pool.id)
    assert project.code.startswith(cast.factory.factory.project_prefix)
    assert [(m.person.handle, m.leads) for m in Membership.objects.all()] == [("anna", True)]
    assert [s.person.handle for s in Signature.objects.all()] == [s.handle for s in cast.signers]
    assert Letter.objects.filter(person=cast.anna, subject__startswith="Awarded").count() == 1
    assert [e.kind for e in story(f"application:{asked.code}")] == [
        "application.submit",
        "application.propose",
        *["application.countersign"] * (len(cast.signers) - 2),
        "application.award",
    ]


def test_the_chain_holds_and_breaks_when_touched(cast, asked) -> None:
    _award(cast, asked)
    assert broken((e.facts(), e.hash) for e in Event.objects.all()) is None
    Event.objects.filter(kind="application.propose").update(because="bribed")
    changed = Event.objects.get(kind="application.propose")
    assert broken((e.facts(), e.hash) for e in Event.objects.all()) == changed.seq


def test_one_person_never_signs_twice(cast, asked) -> None:
    from schmelz.portal.people.models import Function

    Function.objects.bulk_create([Function(person=cast.signers[0], role=role) for role in cast.pool.signers[1:]])
    actions.propose(cast.factory, asked.code, cast.signers[0], gpu_hours=asked.gpu_hours, because="fits")
    with pytest.raises(Refused, match="second pair of eyes"):
        actions.sign(cast.factory, asked.code, cast.signers[0])
    assert Signature.objects.count() == 1 and not Project.objects.exists()


@pytest.mark.parametrize("who", ["anna", "bruno", "franco", "gilles"])
@pytest.mark.parametrize("act", ["propose", "refuse", "sign"])
def test_others_may_not_decide(cast, asked, who, act) -> None:
    words = {"propose": {"gpu_hours": asked.gpu_hours, "because": "x"}, "refuse": {"because": "x"}, "sign": {}}[act]
    before = Event.objects.count()
    with pytest.raises(Refused):
        getattr(actions, act)(cast.factory, asked.code, getattr(cast, who), **words)
    assert (Application.objects.get().state, Event.objects.count()) == ("submitted", before)


def test_nobody_decides_about_their_own(cast) -> None:
    from schmelz.portal.people.models import Function

    own = actions.submit(cast.factory, mode_id=cast.mode.id, person=cast.anna, answers=cast.answers())
    Function.objects.create(person=cast.anna, role=cast.pool.signers[0])
    with pytest.raises(Refused, match="of their own"):
        actions.propose(cast.factory, own.code, cast.anna, gpu_hours=own.gpu_hours, because="mine")


def test_the_second_signer_cannot_go_first(cast, asked) -> None:
    with pytest.raises(Refused, match="waits for"):
        actions.propose(cast.factory, asked.code, cast.signers[1], gpu_hours=asked.gpu_hours, because="x")


def test_refusal_reaches_the_applicant(cast, asked) -> None:
    actions.refuse(cast.factory, asked.code, cast.signers[0], because="No AI in it.")
    assert "No AI in it." in Letter.objects.get(subject__startswith="Refused").body
    with pytest.raises(Refused, match="it is refused"):
        actions.propose(cast.factory, asked.code, cast.signers[0], gpu_hours=1, because="x")


def test_withdrawal_is_the_applicants(cast, asked) -> None:
    with pytest.raises(Refused):
        actions.withdraw(cast.factory, asked.code, cast.signers[0])
    assert actions.withdraw(cast.factory, asked.code, cast.anna).state == "withdrawn"


def test_who_sees_an_application(cast, asked) -> None:
    seen = {
        p.handle: list(visible_to(cast.factory, p).values_list("code", flat=True))
        for p in (cast.anna, cast.bruno, cast.franco, cast.gilles, *cast.signers)
    }
    assert [h for h, codes in seen.items() if codes] == ["anna", "gilles", *(s.handle for s in cast.signers)]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"gpu_hours": -5}, "gpu_hours"),
        ({"gpu_hours": 1.5}, "gpu_hours"),
        ({"gpu_hours": "many"}, "gpu_hours"),
        ({"gpu_hours": True}, "gpu_hours"),
        ({"gpu_hours": 10**30}, "gpu_hours"),
        ({"months": 0}, "months"),
        ({"title": ""}, "title"),
        ({"title": "a\nb\x00c"}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"summary": "short"}, "summary"),
        ({"category": "wizard"}, "category: 'wizard' is not known"),
        ({"country": "Luxembourg"}, "country"),
        ({"system": "hal9000"}, "system: 'hal9000'"),
        ({"statements": ["peace"]}, "statements: 'peace'"),
        ({"surprise": 1}, "surprise: is not a question"),
        ({"founded": "long ago"}, "founded"),
    ],
)
def test_bad_answers_are_refused_in_words(cast, changes, said) -> None:
    with pytest.raises(BadInput) as error:
        actions.submit(cast.factory, mode_id=cast.mode.id, person=cast.anna, answers=cast.answers(**changes))
    assert any(line.startswith(said) for line in error.value.faults), error.value.faults
    assert not Application.objects.exists() and not Letter.objects.exists()


@pytest.mark.parametrize("answers", [None, [], "x", 3])
def test_answers_must_be_a_table(cast, answers) -> None:
    with pytest.raises(BadInput, match="must be a table"):
        actions.submit(cast.factory, mode_id=cast.mode.id, person=cast.anna, answers=answers)


def test_a_closed_mode_takes_nothing(cast) -> None:
    closed = next((m for m in cast.factory.modes if m.state != "open"), None)
    if closed is None:
        pytest.skip("this factory has no closed mode")
    with pytest.raises(Refused, match=f"is {closed.state}"):
        actions.submit(cast.factory, mode_id=closed.id, person=cast.anna, answers=cast.answers())


@pytest.mark.parametrize("amount", [0, -1, 10**12])
def test_an_award_lies_within_the_mode(cast, asked, amount) -> None:
    if amount > 0 and cast.mode.size(cast.system).max is None:
        pytest.skip("this mode has no upper bound")
    with pytest.raises(BadInput, match="outside"):
        actions.propose(cast.factory, asked.code, cast.signers[0], gpu_hours=amount, because="x")
    assert Application.objects.get().state == "submitted"


@pytest.mark.parametrize("reason", ["", "   ", "x" * 2001])
def test_a_decision_has_a_reason(cast, asked, reason) -> None:
    with pytest.raises(BadInput, match="because"):
        actions.propose(cast.factory, asked.code, cast.signers[0], gpu_hours=asked.gpu_hours, because=reason)
