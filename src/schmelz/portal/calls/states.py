"""The life of an application, as a table."""

from django.db import models

from schmelz.rules.lifecycle import Transition
from schmelz.rules.permissions import Permission


class ApplicationState(models.TextChoices):
    SUBMITTED = "submitted", "waits for a proposal"
    PROPOSED = "proposed", "waits for a signature"
    AWARDED = "awarded", "awarded"
    REFUSED = "refused", "refused"
    WITHDRAWN = "withdrawn", "withdrawn"


S = ApplicationState
WAITING = (S.SUBMITTED, S.PROPOSED)
TRANSITIONS = (
    Transition(
        "propose",
        (S.SUBMITTED,),
        S.PROPOSED,
        Permission.DECISION_PROPOSE,
        "The first signer proposes an amount, with a reason.",
    ),
    Transition(
        "countersign", (S.PROPOSED,), S.PROPOSED, Permission.DECISION_SIGN, "A signer signs; others still have to."
    ),
    Transition(
        "award",
        (S.PROPOSED,),
        S.AWARDED,
        Permission.DECISION_SIGN,
        "The last signer signs: the award becomes a project.",
    ),
    Transition(
        "refuse",
        (S.SUBMITTED, S.PROPOSED),
        S.REFUSED,
        Permission.DECISION_REFUSE,
        "The signer whose turn it is refuses, with a reason.",
    ),
    Transition(
        "withdraw",
        (S.SUBMITTED, S.PROPOSED),
        S.WITHDRAWN,
        Permission.APPLICATION_WITHDRAW,
        "The applicant takes it back.",
    ),
)
