"""Mandates of steering: asked for, signed by every owner, ended; the moves made under them; and what steering said last.

A mandate is *in force* in [start, expires) once every role of the policy's list has signed it, each by another person.
A renewal begins where the one in force ends, so that a system never has two. A move is written down before it is made
and refused here when the mandate does not cover it, whatever the rule says. Source: docs/decisions/0009-steering.md.
"""

import json
from collections.abc import Callable, Mapping
from typing import Literal

from django.db import transaction

from schmelz.faults import BadInput, Refused
from schmelz.policy.schema import Factory
from schmelz.policy.system import Steering, System
from schmelz.portal.clock import now
from schmelz.portal.clusters.models import Mandate, MandateSignature, Move
from schmelz.portal.clusters.states import TRANSITIONS, MandateState
from schmelz.portal.ledger.actions import record
from schmelz.portal.ledger.models import Event
from schmelz.portal.people import queries as people
from schmelz.portal.people.actions import write_letter
from schmelz.portal.people.models import Person
from schmelz.rules.award import Signature, check_reason, check_signer, next_role
from schmelz.rules.lifecycle import transition
from schmelz.rules.permissions import Permission, Relation, require
from schmelz.units import DAY, HOUR, iso

MOST_MOVES = 3600
Word = Literal["steers", "unsigned", "waits", "expired", "revoked", "stale", "spent", "apart"]
"""How steering stands: it steers, or why not (`apart`: its QOS are not on the cluster)."""

# -- asking


def rule_of(system: System) -> Steering:
    """The policy's table of steering. Raises Refused for a system without."""
    if system.steering is None:
        raise Refused(f"{system.title} is not steered.", "The policy file needs a table [systems.steering] for it.")
    return system.steering


def by_code(code: str) -> Mandate:
    """The mandate with this code. Raises BadInput."""
    mandate = Mandate.objects.filter(code=code).first()
    if mandate is None:
        raise BadInput(f"mandate: {code!r} is not known; a mandate looks like m00001")
    return mandate


def in_force(system: str, at: int) -> Mandate | None:
    """The mandate that allows steering at this moment."""
    return Mandate.objects.filter(system=system, state=MandateState.SIGNED, start__lte=at, expires__gt=at).first()


def why_none(system: str, at: int) -> tuple[Word, str]:
    """Why there is no mandate in force, told of the newest one."""
    last = Mandate.objects.filter(system=system).first()
    if last is None:
        return "unsigned", "there is no mandate"
    if last.state == MandateState.REVOKED:
        return "revoked", f"mandate {last.code} was ended by a person"
    if last.expires <= at:
        return "expired", f"mandate {last.code} expired on {iso(last.expires)}"
    if last.state == MandateState.PROPOSED:
        return "unsigned", f"mandate {last.code} is not signed by all"
    return "waits", f"mandate {last.code} begins on {iso(last.start)}"


def mandates(system: str) -> list[Mandate]:
    """All mandates of a system, the newest first, with who signed them."""
    return list(Mandate.objects.filter(system=system).prefetch_related("signatures__person"))


def signatures(mandate: Mandate) -> tuple[Signature, ...]:
    """Who signed so far, in order."""
    return tuple(Signature(s.person.handle, s.role) for s in mandate.signatures.all())


def turn(system: System, mandate: Mandate) -> str | None:
    """The role whose turn it is; None when the mandate waits for nobody."""
    if mandate.state != MandateState.PROPOSED or mandate.expires <= now():
        return None
    return next_role(rule_of(system), signatures(mandate))


def relations(factory: Factory, person: Person | None, system: System, mandate: Mandate | None = None) -> set[Relation]:
    """What a person is to the steering of a system: to a mandate, or to one that is still to be proposed."""
    rule = rule_of(system)
    found = people.relations(factory, person, system.id, rule.signers)
    role = turn(system, mandate) if mandate else rule.signers[0]
    return found | {Relation.NEXT_SIGNER} if role in people.roles(person) else found


def moves(system: str, most: int) -> list[Move]:
    """The last moves on a system, the newest first."""
    return list(Move.objects.filter(mandate__system=system).select_related("mandate")[:most])


def moves_left(mandate: Mandate, at: int) -> int:
    """How many moves the mandate still allows within this hour; those under an earlier mandate of the system count too."""
    made = Move.objects.filter(mandate__system=mandate.system, at__gt=at - HOUR).count()
    return max(0, mandate.moves_per_hour - made)


# -- moving


def propose(
    factory: Factory,
    system: System,
    person: Person,
    *,
    lowest: int,
    highest: int,
    moves_per_hour: int,
    days: int,
    because: str,
) -> Mandate:
    """The first signer asks for a mandate. Raises BadInput with every number that cannot be, Refused for other people."""
    reason = check_reason(because)
    with transaction.atomic():
        check_signer(rule_of(system), (), person.handle, people.roles(person))
        require(Permission.MANDATE_PROPOSE, relations(factory, person, system), person.name)
        if faults := _faults(system, lowest, highest, moves_per_hour, days):
            raise BadInput(faults)
        present = in_force(system.id, now())
        start = present.expires if present else now()
        mandate = Mandate.objects.create(
            code=_next_code(),
            system=system.id,
            lowest_percent=lowest,
            highest_percent=highest,
            moves_per_hour=moves_per_hour,
            start=start,
            expires=start + days * DAY,
            because=reason,
        )
        _sign(system, mandate, person, rule_of(system).signers[0])
        record("mandate.propose", f"mandate:{mandate.code}", person, reason, system=system.id, lowest=lowest,
               highest=highest, moves_per_hour=moves_per_hour, start=start, expires=mandate.expires)  # fmt: skip
    return mandate


def _faults(system: System, lowest: int, highest: int, moves_per_hour: int, days: int) -> list[str]:
    """The range holds the floor and every pool's share: whoever may steer can always give each its own."""
    floor, longest = system.sharing.floor_percent, rule_of(system).longest_days
    least = min(pool.weight * 100 // system.weight_sum for pool in system.pools)
    most = max(-(-pool.weight * 100 // system.weight_sum) for pool in system.pools)
    bounds = (
        ("lowest", lowest, floor, least, "the floor to the smallest share"),
        ("highest", highest, most, 100, "the largest share to all"),
        ("moves_per_hour", moves_per_hour, 1, MOST_MOVES, "in any hour"),
        ("days", days, 1, longest, "the policy's longest"),
    )
    return [f"{key}: {value} cannot be; write {low} to {high} ({why})"
            for key, value, low, high, why in bounds if not low <= value <= high]  # fmt: skip


def _next_code() -> str:
    last = Mandate.objects.values_list("code", flat=True).first()
    return f"m{int(last[1:]) + 1 if last else 1:05d}"


def _sign(system: System, mandate: Mandate, person: Person, role: str) -> None:
    """Write the signature, and tell whoever is next."""
    order = mandate.signatures.count()
    MandateSignature.objects.create(mandate=mandate, order=order, role=role, person=person, at=now())
    body = (
        f"Mandate {mandate.code} for steering {system.title} waits for you: caps between {mandate.lowest_percent} and "
        f"{mandate.highest_percent} % of the GPUs, at most {mandate.moves_per_hour} moves an hour, until "
        f"{iso(mandate.expires)}.\nThe reason: {mandate.because}\n\nSign it on the page Steering.\n"
    )
    for following in rule_of(system).signers[order + 1 : order + 2]:
        for holder in people.holders(following):
            write_letter(holder, f"Your turn: {mandate.code}", body, f"mandate:{mandate.code}")


def _move(
    factory: Factory, code: str, name: str, person: Person, because: str, write: Callable[[Mandate, System], None]
) -> Mandate:
    """The one way a mandate changes state."""
    with transaction.atomic():
        by_code(code)
        mandate = Mandate.objects.select_for_update().get(code=code)
        system = factory.system(mandate.system)
        row = transition(TRANSITIONS, name, mandate.state)
        if row.permission is Permission.MANDATE_SIGN:
            _check_time(mandate)
            check_signer(rule_of(system), signatures(mandate), person.handle, people.roles(person))
        require(row.permission, relations(factory, person, system, mandate), person.name)
        write(mandate, system)
        mandate.state = row.finish
        mandate.save(update_fields=["state"])
        record(f"mandate.{name}", f"mandate:{code}", person, because, system=mandate.system)
    return mandate


def _check_time(mandate: Mandate) -> None:
    """One mandate at a time, and none that is over before it begins."""
    if mandate.expires <= now():
        raise Refused(f"mandate {mandate.code} expired on {iso(mandate.expires)}.", "Propose another one.")
    others = Mandate.objects.filter(
        system=mandate.system, state=MandateState.SIGNED, start__lt=mandate.expires, expires__gt=mandate.start
    )
    if other := others.first():
        raise Refused(f"mandate {other.code} covers this time until {iso(other.expires)}.", "End that one first.")


def sign(factory: Factory, code: str, person: Person) -> Mandate:
    """The next owner signs; with the last signature the mandate is in force."""
    mandate = by_code(code)
    signers = rule_of(factory.system(mandate.system)).signers
    signed = mandate.signatures.count()

    def write(mandate: Mandate, system: System) -> None:
        if mandate.signatures.count() != signed:
            raise Refused("somebody else signed at the same moment.", "Look at it again.")
        _sign(system, mandate, person, signers[signed])

    return _move(factory, code, "sign" if signed == len(signers) - 1 else "countersign", person, "", write)


def revoke(factory: Factory, code: str, person: Person, *, because: str) -> Mandate:
    """An operator or an owner ends it at once. The caps stay as they are; the next plan brings the shares back."""
    return _move(factory, code, "revoke", person, check_reason(because), lambda mandate, system: None)


# -- steering


@transaction.atomic
def keep_move(
    system: System, before: Mapping[str, int | None], after: Mapping[str, int], up: int, because: str
) -> Move:
    """Write a move of caps down, before it is made. Raises Refused when no mandate covers it now."""
    mandate = Mandate.objects.select_for_update().filter(system=system.id, state=MandateState.SIGNED,
                                                         start__lte=now(), expires__gt=now()).first()  # fmt: skip
    if mandate is None:
        raise Refused("no mandate of steering is in force.", "The owners sign one.")
    if not moves_left(mandate, now()):
        raise Refused(f"mandate {mandate.code} allows {mandate.moves_per_hour} moves an hour.", "Wait.")
    if outside := [name for name, cap in after.items() if not covers(mandate, cap, up)]:
        raise Refused(
            f"mandate {mandate.code} does not allow {after[outside[0]]} GPUs for {outside[0]}.", "Stay inside."
        )
    move = Move.objects.create(mandate=mandate, at=now(), before=dict(before), after=dict(after), because=because)
    record("steering.move", f"system:{system.id}", None, because, mandate=mandate.code, before=dict(before),
           after=dict(after))  # fmt: skip
    return move


def covers(mandate: Mandate, cap: int, up: int) -> bool:
    """Whether a cap lies in the mandate's range of the GPUs that are up; a part of a GPU does not count."""
    return up * mandate.lowest_percent // 100 <= cap <= -(-up * mandate.highest_percent // 100)


@transaction.atomic
def keep_word(system: System, word: Word, because: str) -> bool:
    """Note in the ledger that steering stopped, or goes on, and why: once, when it changes. Whether it did."""
    last = last_word(system.id)
    if word == (last[0] if last else "unsigned"):
        return False
    record(f"steering.{'steers' if word == 'steers' else 'stopped'}", f"system:{system.id}", None, because, word=word)
    return True


def last_word(system: str) -> tuple[str, str, int] | None:
    """What steering said last: the word, the reason, when."""
    said = Event.objects.filter(subject=f"system:{system}", kind__in=("steering.steers", "steering.stopped")).last()
    return (json.loads(said.data)["word"], said.because, said.at) if said else None
