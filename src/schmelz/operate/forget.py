"""Forgetting a person, everywhere the portal knows them: who may, when it has to wait, in which order.

It waits while something hangs on the person: a project that they lead, an application of theirs that waits, a signature
under something that is not decided. What stays, and where the name stays: see `LEFT`.
"""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from django.db import transaction

from schmelz.faults import BadInput, Refused
from schmelz.metering.store import FORGOTTEN
from schmelz.operate.applies import rewrite
from schmelz.operate.redact import names_of, redact, unsealed
from schmelz.policy.schema import Factory
from schmelz.portal.calls.models import Application, Signature
from schmelz.portal.calls.states import WAITING
from schmelz.portal.clock import now
from schmelz.portal.clusters.models import Choice, MandateSignature
from schmelz.portal.clusters.states import MandateState
from schmelz.portal.ledger.actions import record
from schmelz.portal.people.forget import erase
from schmelz.portal.people.models import Person
from schmelz.portal.people.queries import general_relations, roles
from schmelz.portal.projects.models import AmendmentSignature, Membership
from schmelz.portal.projects.states import AmendmentState
from schmelz.portal.usage.forget import forget_user
from schmelz.rules.award import check_reason
from schmelz.rules.permissions import Permission, require

LEFT = (
    "the cluster's own accounting: the Unix name",
    "exports made before; backups made before, until they are thrown away (a restore forgets again)",
)


@dataclass(frozen=True)
class Forgotten:
    """What was done: the neutral handle, the months of job records that were written anew, the projects left, how many
    texts and journals lost the name, and the older events whose reasons still have it."""

    handle: str
    months: tuple[str, ...]
    projects: tuple[str, ...]
    texts: int
    journals: int
    events: tuple[int, ...]


@transaction.atomic
def forget(factory: Factory, person: Person, actor: Person, because: str) -> Forgotten:
    """Forget a person for good. Raises Refused while something hangs on them, BadInput for a reason that names them."""
    reason = check_reason(because)
    person = Person.objects.select_for_update().get(pk=person.pk)
    held = roles(actor)
    related = {r for system in factory.systems for r in general_relations(actor, held, system.operator)}
    require(Permission.PERSON_FORGET, related, actor.name)
    if person.pk == actor.pk:
        raise Refused("nobody forgets themselves.", "Another operator or the coordinator does it.")
    _check_unnamed(person, reason)
    if open_ends := list(_open_ends(person)):
        raise Refused(f"{person.name} cannot be forgotten yet: {'; '.join(open_ends)}.", "End these first.")
    return erase_everywhere(person, actor, reason)


def erase_everywhere(person: Person, actor: Person | None, reason: str) -> Forgotten:
    """Take away all that names the person, inside the caller's transaction: rows, typed texts, journals, job records."""
    projects, names, unix_name = _leave_projects(person, actor), names_of(person), person.unix_name
    old = tuple(unsealed(names))
    stranger = f"{FORGOTTEN}{secrets.token_hex(6)}"
    journals = rewrite(lambda text: names.out_of(names.words_out_of(text, stranger)))
    record("person.forgotten", f"person:{person.pk}", actor, reason, journals=journals)
    erase(person)
    texts = redact(names)
    if unix_name:
        Choice.objects.filter(kind="member", name__endswith=f"/{unix_name}").delete()
    months = tuple(forget_user(unix_name, stranger)) if unix_name else ()
    return Forgotten(person.handle, months, projects, texts, len(journals), old)


def _check_unnamed(person: Person, reason: str) -> None:
    """The reason becomes part of the chain, which forgets nothing."""
    words = reason.lower()
    if any(name and name.lower() in words for name in (person.name, person.email, person.handle, person.unix_name)):
        raise BadInput("because: names the person; it stays for ever, so give the reason without the name")


def _open_ends(person: Person) -> Iterator[str]:
    leads = Membership.objects.filter(person=person, leads=True, project__end__gt=now())
    yield from (f"leads {code}" for code in leads.values_list("project__code", flat=True))
    asks = Application.objects.filter(applicant=person, state__in=WAITING)
    yield from (f"waits for an answer to {code}" for code in asks.values_list("code", flat=True))
    awards = Signature.objects.filter(person=person, application__state__in=WAITING)
    yield from (f"signed {code}, which is not decided" for code in awards.values_list("application__code", flat=True))
    amounts = AmendmentSignature.objects.filter(person=person, amendment__state=AmendmentState.PROPOSED)
    projects = amounts.values_list("amendment__project__code", flat=True)
    yield from (f"signed another amount for {code}, which is not decided" for code in projects)
    mandates = MandateSignature.objects.filter(person=person, mandate__state=MandateState.PROPOSED)
    codes = mandates.values_list("mandate__code", flat=True)
    yield from (f"signed mandate {code}, which is not in force" for code in codes)


def _leave_projects(person: Person, actor: Person | None) -> tuple[str, ...]:
    """The person is no member of anything any more; of what they led, they stay the nameless leader."""
    found = Membership.objects.filter(person=person, leads=False).select_related("project")
    codes = tuple(membership.project.code for membership in found)
    found.delete()
    for code in codes:
        record("project.member-removed", f"project:{code}", actor, member=person.pk)
    return codes
