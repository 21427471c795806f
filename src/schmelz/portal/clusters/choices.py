"""Choices about drift: leave a field that was changed by hand as it is until a day, and what the last look found.

A *choice* is in force until its day; the plan then leaves the field alone and says until when. Choosing anew replaces
it, `settle` ends it. A *comparison* is the last look at a system; the ledger hears of it only when the set of changes
by hand is another one. Each move: permission, guard, write, event, in one transaction.
"""

from collections.abc import Mapping, Sequence

from django.db import transaction

from schmelz.faults import BadInput
from schmelz.policy.schema import System
from schmelz.portal.clock import now
from schmelz.portal.clusters.models import Choice, Comparison
from schmelz.portal.ledger.actions import record
from schmelz.portal.people.models import Person
from schmelz.portal.people.queries import general_relations, roles
from schmelz.rules.permissions import Permission, require
from schmelz.units import DAY, iso

LONGEST = 366 * DAY
Place = tuple[str, str, str]
"""Where a difference is: the kind of thing (account, member, qos, user), its name, the field."""


def may_choose(person: Person, system: System) -> None:
    """Raise Refused unless the person may choose what becomes of a change by hand."""
    require(Permission.DRIFT_CHOOSE, general_relations(person, roles(person), system.operator), person.name)


def in_force(system: System) -> list[Choice]:
    """The choices that hold now, in order."""
    return list(Choice.objects.filter(system=system.id, until__gt=now()).select_related("person"))


@transaction.atomic
def leave(person: Person, system: System, place: Place, value: object, *, until: int, because: str) -> Choice:
    """Leave a field as somebody set it by hand, until a day. Raises Refused or BadInput."""
    may_choose(person, system)
    _check(until, because)
    kind, name, field = place
    choice, _ = Choice.objects.update_or_create(
        system=system.id,
        kind=kind,
        name=name,
        field=field,
        defaults={"value": value, "until": until, "because": because.strip(), "person": person, "at": now()},
    )
    record("drift.left", f"system:{system.id}", person, because.strip(), about=about(place), field=field, until=until)
    return choice


def _check(until: int, because: str) -> None:
    faults = []
    if not now() < until <= now() + LONGEST:
        faults.append(f"until: must be later than now and at most a year away ({iso(now() + LONGEST)[:10]})")
    if not because.strip():
        faults.append("because: is empty; say in a sentence why the change by hand stays")
    if len(because) > 1000:
        faults.append("because: is longer than 1000 characters; say it in a sentence")
    if faults:
        raise BadInput(faults)


@transaction.atomic
def settle(person: Person, system: System, place: Place) -> bool:
    """End a choice, because the field is put right or decided anew. Whether there was one."""
    may_choose(person, system)
    kind, name, field = place
    gone, _ = Choice.objects.filter(system=system.id, kind=kind, name=name, field=field).delete()
    if gone:
        record("drift.settled", f"system:{system.id}", person, about=about(place), field=field)
    return bool(gone)


def about(place: Place) -> str:
    """A place without the names of persons, which the chain could never forget: a member is told as of its account."""
    kind, name, _ = place
    if kind == "member":
        return f"member of {name.partition('/')[0]}"
    return f"{kind} {name}" if kind in ("account", "qos") else kind


@transaction.atomic
def keep_comparison(
    system: System, counts: Mapping[str, int], by_hand: Sequence[str], places: Sequence[Place] = ()
) -> bool:
    """Keep what the last look found. Whether the changes by hand are others than before, which is then an event."""
    before = Comparison.objects.select_for_update().filter(system=system.id).first()
    news = (before.by_hand if before else []) != list(by_hand)
    facts = {"at": now(), "counts": dict(counts), "by_hand": list(by_hand)}
    Comparison.objects.update_or_create(system=system.id, defaults=facts)
    if news:
        told = sorted({f"{about(place)} {place[2]}".strip() for place in places})
        record("drift.seen", f"system:{system.id}", None, by_hand=told, counts=dict(counts))
    return news


def comparison(system: System) -> Comparison | None:
    """The last look at the system, if there was one."""
    return Comparison.objects.filter(system=system.id).first()
