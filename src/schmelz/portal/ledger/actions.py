"""Writing the ledger: `record` appends one event inside the caller's transaction."""

from typing import Protocol

from django.db import connection, transaction

from schmelz.portal.clock import now
from schmelz.portal.ledger.models import Event
from schmelz.portal.ledger.queries import head
from schmelz.proof.chain import canonical, commitment, link


class Actor(Protocol):
    """Somebody who acts: a person with a handle and a salt."""

    pk: int
    handle: str
    salt: str


def record(kind: str, subject: str, actor: Actor | None, because: str = "", **data: object) -> Event:
    """Append an event. Must run inside the transaction that makes the move, so that both or neither are kept."""
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("an event is recorded inside the transaction of its move")
    if connection.vendor == "postgresql":  # one writer at a time; SQLite's IMMEDIATE transactions give the same
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(7311)")
    seq, previous = head()
    event = Event(
        seq=seq + 1,
        at=now(),
        kind=kind,
        subject=subject,
        actor_id=actor.pk if actor else None,
        commitment=commitment(actor.salt, actor.handle) if actor else "",
        because=because,
        data=canonical(data),
    )
    event.hash = link(previous, event.facts())
    event.save(force_insert=True)
    return event
