"""The life of a mandate, as a table."""

from django.db import models

from schmelz.rules.lifecycle import Transition
from schmelz.rules.permissions import Permission


class MandateState(models.TextChoices):
    PROPOSED = "proposed", "proposed, not signed by all"
    SIGNED = "signed", "signed by all"
    REVOKED = "revoked", "ended by a person"


S = MandateState
TRANSITIONS = (
    Transition("countersign", (S.PROPOSED,), S.PROPOSED, Permission.MANDATE_SIGN, "One more owner signed it."),
    Transition("revoke", (S.PROPOSED, S.SIGNED), S.REVOKED, Permission.MANDATE_REVOKE, "Somebody ended it."),
    Transition("sign", (S.PROPOSED,), S.SIGNED, Permission.MANDATE_SIGN, "The last owner signed it: it is in force."),
)
