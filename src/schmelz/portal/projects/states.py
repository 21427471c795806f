"""The life of a project, as a table."""

from django.db import models

from schmelz.rules.lifecycle import Transition
from schmelz.rules.permissions import Permission


class ProjectState(models.TextChoices):
    AWARDED = "awarded", "awarded, not yet on the cluster"
    ACTIVE = "active", "on the cluster"
    ENDED = "ended", "ended"


class AmendmentState(models.TextChoices):
    PROPOSED = "proposed", "proposed"
    SIGNED = "signed", "signed"
    REFUSED = "refused", "refused"


S = ProjectState
TRANSITIONS = (
    Transition("activate", (S.AWARDED,), S.ACTIVE, Permission.PLAN_APPLY, "A plan with its account was applied."),
    Transition("end", (S.AWARDED, S.ACTIVE), S.ENDED, Permission.PLAN_APPLY, "Its last day has passed."),
)

A = AmendmentState
AMENDMENTS = (
    Transition("countersign", (A.PROPOSED,), A.PROPOSED, Permission.GRANT_SIGN, "One more signer signed it."),
    Transition("refuse", (A.PROPOSED,), A.REFUSED, Permission.GRANT_SIGN, "The signer whose turn it was refused."),
    Transition("sign", (A.PROPOSED,), A.SIGNED, Permission.GRANT_SIGN, "The last signer signed it; the grant changed."),
)
