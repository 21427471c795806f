"""Adding persons and organisations, giving functions, writing letters."""

from collections.abc import Collection

from django.core.exceptions import ValidationError
from django.db import transaction

from schmelz.faults import BadInput
from schmelz.policy.schema import Factory
from schmelz.portal.clock import now
from schmelz.portal.ledger.actions import record
from schmelz.portal.people.models import Function, Letter, Organisation, Person


def check_roles(factory: Factory, wanted: Collection[str]) -> None:
    """Raise BadInput for a role that the policy file does not have."""
    unknown = [role for role in wanted if role not in factory.roles]
    if unknown:
        raise BadInput(
            [f"role: {role!r} is not in the policy file; one of: {', '.join(factory.roles)}" for role in unknown]
        )


@transaction.atomic
def add_person(
    factory: Factory,
    *,
    handle: str,
    name: str,
    email: str,
    organisation: Organisation | None = None,
    unix_name: str | None = None,
    roles: Collection[str] = (),
    password: str | None = None,
    demo: bool = False,
    actor: Person | None = None,
) -> Person:
    """A new person with their functions. Raises BadInput for a handle, name or role that cannot be used."""
    check_roles(factory, roles)
    person = Person(
        handle=handle, name=name, email=email, organisation=organisation, unix_name=unix_name or None, demo=demo
    )
    person.set_password(password) if password else person.set_unusable_password()
    try:
        person.full_clean()
    except ValidationError as error:
        raise BadInput([f"{key}: {'; '.join(said)}" for key, said in sorted(error.message_dict.items())]) from None
    person.save()
    Function.objects.bulk_create([Function(person=person, role=role) for role in sorted(set(roles))])
    record("person.added", f"person:{person.pk}", actor, roles=sorted(set(roles)))
    return person


def write_letter(person: Person, subject: str, body: str, about: str) -> Letter:
    """Put a letter in the outbox, inside the caller's transaction."""
    return Letter.objects.create(person=person, subject=subject, body=body, about=about, written=now())
