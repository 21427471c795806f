"""The life of a project, as a table."""

from django.db import models

from schmelz.rules.lifecycle import Transition
from schmelz.rules.permissions import Permission


class ProjectState(models.TextChoices):
    AWARDED = "awarded", "awarded, not yet on the cluster"
    ACTIVE = "active", "on the cluster"
    ENDED = "ended", "ended"


S = ProjectState
TRANSITIONS = (
    Transition("activate", (S.AWARDED,), S.ACTIVE, Permission.PLAN_APPLY, "A plan with its account was applied."),
    Transition("end", (S.AWARDED, S.ACTIVE), S.ENDED, Permission.PLAN_APPLY, "Its last day has passed."),
)
