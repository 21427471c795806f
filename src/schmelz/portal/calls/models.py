"""Applications and the signatures under their decisions.

An application keeps what was asked, by whom, for which version of the access mode, and the organisation as it was then.
The proposal's amount stands in `award_gpu_hours` from the first signature on.
"""

from django.db import models

from schmelz.portal.calls.states import ApplicationState
from schmelz.portal.people.models import Person


class Application(models.Model):
    """A request for GPU-hours in one access mode on one system."""

    code = models.CharField(max_length=20, unique=True)
    mode = models.CharField(max_length=40)
    mode_version = models.PositiveIntegerField()
    policy = models.CharField(max_length=64)
    system = models.CharField(max_length=40)
    pool = models.CharField(max_length=40)
    applicant = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="applications")
    title = models.CharField(max_length=200)
    summary = models.TextField()
    organisation = models.CharField(max_length=200)
    category = models.CharField(max_length=40)
    country = models.CharField(max_length=2)
    gpu_hours = models.PositiveBigIntegerField()
    months = models.PositiveIntegerField()
    answers = models.JSONField()
    state = models.CharField(max_length=12, choices=ApplicationState.choices, default=ApplicationState.SUBMITTED)
    submitted = models.BigIntegerField()
    due = models.BigIntegerField()
    decided = models.BigIntegerField(null=True)
    award_gpu_hours = models.PositiveBigIntegerField(null=True)

    class Meta:
        ordering = ["submitted", "id"]

    def __str__(self) -> str:
        return self.code


class Signature(models.Model):
    """A person's signature under a proposal, in a role; the first one is the proposal itself."""

    application = models.ForeignKey(Application, on_delete=models.CASCADE, related_name="signatures")
    order = models.PositiveIntegerField()
    role = models.CharField(max_length=81)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="signatures")
    at = models.BigIntegerField()
    because = models.TextField()

    class Meta:
        ordering = ["application", "order"]
        constraints = [
            models.UniqueConstraint(fields=["application", "order"], name="signature_in_order"),
            models.UniqueConstraint(fields=["application", "person"], name="four_eyes"),
        ]
