"""Writing the ledger: `record` appends one event inside the caller's transaction; months are closed and countersigned.

Whoever closes or signs checks first that it may be done (`operate.closing`); here the rows and their events are written.
"""

import secrets
from collections.abc import Sequence
from typing import Protocol

from django.db import connection, transaction

from schmelz.portal.clock import now
from schmelz.portal.ledger.models import Closing, Countersignature, Event
from schmelz.portal.ledger.queries import head
from schmelz.proof.chain import canonical, commitment, link
from schmelz.proof.heads import Closing as Closed


class Actor(Protocol):
    """Somebody who acts: a person with a handle and a salt."""

    pk: int
    handle: str
    salt: str


def record(kind: str, subject: str, actor: Actor | None, because: str = "", **data: object) -> Event:
    """Append an event. Must run inside the transaction that makes the move, so that both or neither are kept."""
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("an event is recorded inside the transaction of its move")
    hold()
    seq, previous = head()
    event = Event(
        seq=seq + 1,
        at=now(),
        kind=kind,
        subject=subject,
        actor_id=actor.pk if actor else None,
        commitment=commitment(actor.salt, actor.handle) if actor else "",
        because=because,
        salt=(salt := secrets.token_hex(16) if because else ""),
        sealed=commitment(salt, because) if because else "",
        data=canonical(data),
    )
    event.hash = link(previous, event.facts())
    event.save(force_insert=True)
    return event


def hold() -> None:
    """Keep all other writers out of the ledger until the transaction ends."""
    if connection.vendor == "postgresql":  # SQLite's IMMEDIATE transactions do it by themselves
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(7311)")


def keep_closing(closed: Closed, signers: Sequence[str], actor: Actor) -> Closing:
    """Write a closed month down, inside the caller's transaction."""
    row = Closing.objects.create(
        month=closed.month,
        previous=closed.previous,
        inputs=dict(closed.inputs),
        totals=dict(closed.totals),
        head=closed.head,
        signers=list(signers),
        at=now(),
    )
    record("month.close", f"month:{closed.month}", actor, head=closed.head, previous=closed.previous)
    return row


def keep_countersignature(closing: Closing, role: str, actor: Actor) -> Countersignature:
    """Write down that somebody holds a month's head, inside the caller's transaction."""
    event = record("month.countersign", f"month:{closing.month}", actor, head=closing.head, role=role)
    return closing.signatures.create(role=role, person_id=actor.pk, commitment=event.commitment, at=event.at)
