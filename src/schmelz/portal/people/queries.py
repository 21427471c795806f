"""Who somebody is: by handle, by Unix user, and which functions they hold."""

from collections.abc import Sequence

from django.db.models import Q

from schmelz.faults import BadInput
from schmelz.policy.schema import Factory, System
from schmelz.portal.people.models import Function, Letter, Person
from schmelz.rules.permissions import PERMISSIONS, Permission, Relation


def by_handle(handle: str) -> Person:
    """The active person with this handle. Raises BadInput, naming near ones."""
    rows = Person.objects.filter(handle=handle, is_active=True).select_related("organisation")
    person = rows.first() if "\0" not in handle else None  # which no database should be asked for
    if person is None:
        known = ", ".join(Person.objects.filter(is_active=True, demo=True).values_list("handle", flat=True)[:12])
        raise BadInput(f"person: {handle!r} is not known" + (f"; for example: {known}" if known else ""))
    return person


def by_unix_name(name: str) -> Person | None:
    return Person.objects.filter(unix_name=name, is_active=True).select_related("organisation").first()


def roles(person: Person | None) -> frozenset[str]:
    """The functions a person holds; none for somebody who is not signed in."""
    if person is None or not person.pk:
        return frozenset()
    return frozenset(Function.objects.filter(person=person).values_list("role", flat=True))


def holders(role: str) -> Sequence[Person]:
    return list(Person.objects.filter(functions__role=role, is_active=True))


def general_relations(person: Person | None, held: frozenset[str], operator: str) -> set[Relation]:
    """What a person is to the factory as a whole. `operator` is the partner that operates the system in question."""
    relations = {Relation.ANYONE}
    if person is None or not person.pk:
        return relations
    relations.add(Relation.SIGNED_IN)
    if f"{operator}:operator" in held:
        relations.add(Relation.OPERATOR)
    functions = {role.partition(":")[2] for role in held}
    if "coordinator" in functions:
        relations.add(Relation.COORDINATOR)
    if "auditor" in functions:
        relations.add(Relation.AUDITOR)
    return relations


def signs_for(factory: Factory, system: System, held: frozenset[str]) -> Q:
    """The rows (with `pool` and `mode`) of a system that somebody with these functions signs for."""
    own = {mode.id: set(mode.signers) for mode in factory.modes if mode.signers}
    pools = [pool.id for pool in system.pools if held & set(pool.signers)]
    return (Q(pool__in=pools) & ~Q(mode__in=list(own))) | Q(
        mode__in=[mode for mode, signers in own.items() if held & signers]
    )


def readable(factory: Factory, person: Person | None, permission: Permission, own: Q) -> Q:
    """The rows (with `system`, `pool` and `mode`) that `permission` lets somebody read: `own` ones, those of systems where
    a function grants it, and those they sign for. The same rule as the permission over `relations`, as one query."""
    if person is None or not person.pk:
        return Q(pk__in=[])
    held, granted = roles(person), PERMISSIONS[permission].granted_to
    for system in factory.systems:
        everything = bool(general_relations(person, held, system.operator) & granted)
        own |= Q(system=system.id) & (Q() if everything else signs_for(factory, system, held))
    return own


def relations(factory: Factory, person: Person | None, system: str, signers: Sequence[str]) -> set[Relation]:
    """What a person is to something of a system that these roles sign for; the caller adds what it alone knows."""
    held = roles(person)
    found = general_relations(person, held, factory.system(system).operator)
    if not held.isdisjoint(signers):
        found.add(Relation.SIGNER)
    return found


def letters(person: Person) -> list[Letter]:
    return list(Letter.objects.filter(person=person))
