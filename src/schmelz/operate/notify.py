"""The mail outbox: letters wait in the database until a relay takes them. Without a relay they stay, and can be read."""

import os
import smtplib
from email.message import EmailMessage

from django.conf import settings
from django.db import transaction

from schmelz.faults import BadInput
from schmelz.portal.clock import now
from schmelz.portal.people.models import Letter


def relay() -> tuple[str, int] | None:
    """SCHMELZ_MAIL as host and port; None when letters stay in the outbox."""
    told = os.environ.get("SCHMELZ_MAIL")
    if not told:
        return None
    host, _, port = told.rpartition(":")
    if not host or not port.isdigit():
        raise BadInput(f"SCHMELZ_MAIL: {told!r} is not a relay; write host:port, for example 127.0.0.1:25")
    return host, int(port)


def send_waiting(limit: int = 100) -> int:
    """Hand waiting letters to the relay, oldest first; each is marked as soon as it was taken. How many were sent."""
    where = relay()
    waiting = Letter.objects.filter(sent=None).select_related("person").order_by("written", "id")[:limit]
    if where is None or not waiting:
        return 0
    with smtplib.SMTP(*where, timeout=20) as server:
        for letter in waiting:
            server.send_message(_message(letter))
            with transaction.atomic():
                Letter.objects.filter(pk=letter.pk).update(sent=now())
    return len(waiting)


def _message(letter: Letter) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = settings.DEFAULT_FROM_EMAIL, letter.person.email
    message["Subject"] = letter.subject
    message["Message-ID"] = f"<letter-{letter.pk}@schmelz.invalid>"  # the same letter twice can be told by its id
    message.set_content(letter.body)
    return message
