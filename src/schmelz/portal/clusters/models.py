"""Decisions about the cluster: who approved which plan, which mandate steering has, what becomes of changes by hand.

A *mandate* allows the steering to move the caps of a system's pools: between `lowest_percent` and `highest_percent` of
the GPUs that are up, at most `moves_per_hour` times in any hour, in [start, expires). It is in force when every role of
the policy's list has signed it. A *move* is one change of the caps, with its reason. A *choice* leaves a field that
somebody changed by hand on the cluster as it is, until a day. Times are UTC epoch seconds.
"""

from django.db import models

from schmelz.portal.clusters.states import MandateState
from schmelz.portal.people.models import Person


class Approval(models.Model):
    """A second operator's word that the removals of the plan with this hash are meant."""

    system = models.CharField(max_length=40)
    plan = models.CharField(max_length=64)
    removals = models.PositiveIntegerField()
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="approvals")
    at = models.BigIntegerField()

    class Meta:
        ordering = ["-at"]
        constraints = [models.UniqueConstraint(fields=["plan", "person"], name="approved_once")]


class Mandate(models.Model):
    """What steering may do on a system, how far, how often and until when."""

    code = models.CharField(max_length=12, unique=True)
    system = models.CharField(max_length=40)
    lowest_percent = models.PositiveSmallIntegerField()
    highest_percent = models.PositiveSmallIntegerField()
    moves_per_hour = models.PositiveIntegerField()
    start = models.BigIntegerField()
    expires = models.BigIntegerField()
    because = models.TextField()
    state = models.CharField(max_length=12, choices=MandateState.choices, default=MandateState.PROPOSED)

    class Meta:
        ordering = ["-code"]

    def __str__(self) -> str:
        return self.code


class MandateSignature(models.Model):
    """One signature under a mandate, in the order of the policy's signers."""

    mandate = models.ForeignKey(Mandate, on_delete=models.CASCADE, related_name="signatures")
    order = models.PositiveSmallIntegerField()
    role = models.CharField(max_length=80)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="mandate_signatures")
    at = models.BigIntegerField()

    class Meta:
        ordering = ["mandate", "order"]
        constraints = [models.UniqueConstraint(fields=["mandate", "order"], name="mandate_signed_once")]


class Move(models.Model):
    """One move of the steering: the caps before and after (QOS -> GPUs or null, as JSON), and why."""

    mandate = models.ForeignKey(Mandate, on_delete=models.PROTECT, related_name="moves")
    at = models.BigIntegerField(db_index=True)
    before = models.JSONField()
    after = models.JSONField()
    because = models.TextField()

    class Meta:
        ordering = ["-at", "-pk"]


class Choice(models.Model):
    """A field that was changed by hand on the cluster and is left as it is until `until`."""

    system = models.CharField(max_length=40)
    kind = models.CharField(max_length=10)
    name = models.CharField(max_length=120)
    field = models.CharField(max_length=40)
    value = models.JSONField(null=True)
    until = models.BigIntegerField()
    because = models.TextField()
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="choices")
    at = models.BigIntegerField()

    class Meta:
        ordering = ["system", "kind", "name", "field"]
        constraints = [models.UniqueConstraint(fields=["system", "kind", "name", "field"], name="chosen_once")]


class Comparison(models.Model):
    """The last look at a system: how many differences of each kind it found, so that nobody has to ask it again.

    `by_hand` is the sorted list of what somebody changed there by hand, as told to people.
    """

    system = models.CharField(max_length=40, primary_key=True)
    at = models.BigIntegerField()
    counts = models.JSONField(default=dict)
    by_hand = models.JSONField(default=list)
