"""Forgetting a person, everywhere the portal knows them: who may, when it has to wait, in which order.

It waits while something hangs on the person: a project that they lead, an application of theirs that waits, a signature
under something that is not decided. What stays, and where the name stays: see `LEFT`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db import transaction

from schmelz.faults import BadInput, Refused
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
    "reasons that people wrote, if they name the person: they are part of the chain",
    "the journals of applies, whose digests are in the chain, and the cluster's own accounting: Unix names",
    "backups and exports made before",
)


@dataclass(frozen=True)
class Forgotten:
    """What was done: the neutral handle, the months of job records that were written anew, the projects left."""

    handle: str
    months: tuple[str, ...]
    projects: tuple[str, ...]


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
    projects = _leave_projects(person, actor)
    unix_name = person.unix_name
    record("person.forgotten", f"person:{person.pk}", actor, reason)
    erase(person)
    if unix_name:
        Choice.objects.filter(kind="member", name__endswith=f"/{unix_name}").delete()
    return Forgotten(person.handle, tuple(forget_user(unix_name)) if unix_name else (), projects)


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


def _leave_projects(person: Person, actor: Person) -> tuple[str, ...]:
    """The person is no member of anything any more; of what they led, they stay the nameless leader."""
    found = Membership.objects.filter(person=person, leads=False).select_related("project")
    codes = tuple(membership.project.code for membership in found)
    found.delete()
    for code in codes:
        record("project.member-removed", f"project:{code}", actor, member=person.pk)
    return codes
