"""Mandates of steering: who may ask, sign and end them, what they cover, and what is written of every move."""

import pytest

from people import Cast
from schmelz.faults import BadInput, Refused
from schmelz.policy.system import System
from schmelz.portal.clock import at, now
from schmelz.portal.clusters import mandates
from schmelz.portal.clusters.models import Mandate, MandateSignature, Move
from schmelz.portal.ledger.models import Event
from schmelz.portal.people.actions import add_person
from schmelz.portal.people.models import Function, Letter, Person
from schmelz.proof.chain import broken
from schmelz.units import DAY, HOUR

GOOD = {"highest": 90, "moves_per_hour": 2, "days": 7, "because": "The first weeks of shared use."}


@pytest.fixture
def system(portal) -> System:
    return next(s for s in portal.systems if s.steering)


def good(system: System) -> dict:
    return {"lowest": system.sharing.floor_percent, **GOOD}


@pytest.fixture
def owners(portal, system: System) -> list[Person]:
    """One person for each role that signs, in order."""
    return [
        add_person(portal, handle=f"owner{n}", name=f"Owner {n}", email=f"o{n}@example.org", roles=[role], demo=True)
        for n, role in enumerate(system.steering.signers)
    ]


def signed(portal, system: System, owners: list[Person], **changes) -> Mandate:
    mandate = mandates.propose(portal, system, owners[0], **good(system) | changes)
    for owner in owners[1:]:
        mandate = mandates.sign(portal, mandate.code, owner)
    return mandate


def test_it_is_in_force_when_every_owner_has_signed(portal, system, owners) -> None:
    mandate = mandates.propose(portal, system, owners[0], **good(system))
    for owner in owners[1:]:
        assert mandates.in_force(system.id, now()) is None
        assert mandates.why_none(system.id, now()) == ("unsigned", "mandate m00001 is not signed by all")
        assert Letter.objects.filter(person=owner, subject="Your turn: m00001").count() == 1
        mandate = mandates.sign(portal, mandate.code, owner)
    assert mandate.state == "signed" and mandates.in_force(system.id, now()) == mandate
    assert [s.role for s in MandateSignature.objects.all()] == list(system.steering.signers)
    kinds = ["mandate.propose", *["mandate.countersign"] * (len(owners) - 2), "mandate.sign"]
    assert [event.kind for event in Event.objects.filter(subject="mandate:m00001")] == kinds
    assert broken((e.facts(), e.hash) for e in Event.objects.all()) is None
    assert mandates.in_force(system.id, mandate.expires - 1) and not mandates.in_force(system.id, mandate.expires)
    assert not mandates.in_force(system.id, mandate.start - 1)
    assert mandates.why_none(system.id, mandate.expires)[0] == "expired"
    with pytest.raises(Refused, match="it is signed"):
        mandates.sign(portal, mandate.code, owners[-1])


def test_nobody_signs_twice_or_out_of_turn(portal, system, owners) -> None:
    with pytest.raises(Refused, match="it waits for"):
        mandates.propose(portal, system, owners[1], **good(system))
    mandate = mandates.propose(portal, system, owners[0], **good(system))
    Function.objects.create(person=owners[0], role=system.steering.signers[1])
    with pytest.raises(Refused, match="second pair of eyes"):
        mandates.sign(portal, mandate.code, owners[0])
    for stranger in owners[2:]:
        with pytest.raises(Refused, match="it waits for"):
            mandates.sign(portal, mandate.code, stranger)
    assert MandateSignature.objects.count() == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"lowest": 0}, "lowest: 0 cannot be"),
        ({"lowest": 99}, "lowest: 99 cannot be"),
        ({"highest": 101}, "highest: 101 cannot be"),
        ({"highest": 1}, "highest: 1 cannot be"),
        ({"moves_per_hour": 0}, "moves_per_hour: 0 cannot be; write 1 to 3600"),
        ({"moves_per_hour": 3601}, "moves_per_hour: 3601 cannot be"),
        ({"days": 0}, "days: 0 cannot be"),
        ({"days": 10_000}, "days: 10000 cannot be"),
        ({"because": " "}, "because: is empty"),
    ],
)
def test_numbers_that_cannot_be(portal, system, owners, changes, said) -> None:
    with pytest.raises(BadInput, match=said):
        mandates.propose(portal, system, owners[0], **good(system) | changes)
    assert not Mandate.objects.exists() and not Event.objects.filter(kind="mandate.propose").exists()


def test_a_renewal_begins_where_the_present_one_ends(portal, system, owners) -> None:
    first = signed(portal, system, owners)
    second = signed(portal, system, owners)
    assert (second.start, second.expires) == (first.expires, first.expires + 7 * DAY)
    assert mandates.in_force(system.id, first.expires) == second
    third = mandates.propose(portal, system, owners[0], **good(system))
    assert third.start == first.expires
    for owner in owners[1:]:
        with pytest.raises(Refused, match="covers this time"):
            mandates.sign(portal, third.code, owner)


def test_one_that_expired_is_not_signed(portal, system, owners) -> None:
    mandate = mandates.propose(portal, system, owners[0], **good(system))
    with at(mandate.expires), pytest.raises(Refused, match="expired"):
        mandates.sign(portal, mandate.code, owners[1])


def test_an_operator_or_an_owner_ends_it(cast: Cast, system, owners) -> None:
    factory = cast.factory
    mandate = signed(factory, system, owners)
    for person in (cast.anna, cast.franco):
        with pytest.raises(Refused, match="may not"):
            mandates.revoke(factory, mandate.code, person, because="no")
    mandates.revoke(factory, mandate.code, cast.gilles, because="The cooling is being mended.")
    assert mandates.in_force(system.id, now()) is None
    assert mandates.why_none(system.id, now()) == ("revoked", "mandate m00001 was ended by a person")
    again = signed(factory, system, owners)
    mandates.revoke(factory, again.code, owners[-1], because="Enough.")
    assert Event.objects.filter(kind="mandate.revoke").count() == 2


def test_no_move_without_a_mandate_beyond_it_or_too_often(portal, system, owners) -> None:
    caps, better = {"a-own": 8}, {"a-own": 12}
    with pytest.raises(Refused, match="no mandate"):
        mandates.keep_move(system, caps, better, 16, "x")
    mandate = signed(portal, system, owners)
    for cap in (0, 16):
        with pytest.raises(Refused, match=f"does not allow {cap} GPUs"):
            mandates.keep_move(system, caps, {"a-own": cap}, 16, "x")
    start = now()
    for number in range(2):
        with at(start + number):
            mandates.keep_move(system, caps, better, 16, "a leads")
    with at(start + HOUR - 1), pytest.raises(Refused, match="2 moves an hour"):
        mandates.keep_move(system, caps, better, 16, "x")
    with at(start + HOUR):
        assert mandates.moves_left(mandate, now()) == 1
        mandates.keep_move(system, better, caps, 16, "even again")
    last = mandates.moves(system.id, 1)[0]
    assert (last.before, last.after, last.because) == (better, caps, "even again")
    assert (
        Event.objects.filter(kind="steering.move", subject=f"system:{system.id}").count() == Move.objects.count() == 3
    )


def test_what_steering_says_is_kept_once(portal, system) -> None:
    assert not mandates.keep_word(system, "unsigned", "there is no mandate"), "that is how it begins: no news"
    assert mandates.keep_word(system, "steers", "a leads")
    assert not mandates.keep_word(system, "steers", "b leads")
    assert mandates.keep_word(system, "stale", "old records")
    assert not mandates.keep_word(system, "stale", "older records")
    assert mandates.last_word(system.id)[:2] == ("stale", "old records")
    assert [e.kind for e in Event.objects.filter(kind__startswith="steering")] == [
        "steering.steers",
        "steering.stopped",
    ]
