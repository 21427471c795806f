"""The event: one row per move, append only. `hash` covers everything but the link to the person's row.

A *closing* is a month that was closed: what stands behind its *head* lies in files (docs/decisions/0010-closing.md). A
*countersignature* is an owner's word that they hold this head. Neither is ever changed. Persons stand in them as in
events: by a commitment, which stays, and by a link, which goes when the person does.
"""

from django.conf import settings
from django.db import models


class Event(models.Model):
    """Who did what to which thing, when and why. `seq` has no gaps; `data` is canonical JSON.

    `sealed` is the commitment to the reason, made with `salt`; without the salt it tells nothing. Older events have none.
    """

    seq = models.PositiveBigIntegerField(primary_key=True)
    at = models.BigIntegerField()
    kind = models.CharField(max_length=60)
    subject = models.CharField(max_length=80, db_index=True)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    commitment = models.CharField(max_length=64)
    because = models.TextField()
    salt = models.CharField(max_length=64, blank=True, default="")
    sealed = models.CharField(max_length=64, blank=True, default="")
    data = models.TextField()
    hash = models.CharField(max_length=64)

    class Meta:
        ordering = ["seq"]

    def facts(self) -> dict[str, object]:
        """What the hash covers: of the reason a salted commitment, so that a name in it can be taken out."""
        return {
            "seq": self.seq,
            "at": self.at,
            "kind": self.kind,
            "subject": self.subject,
            "actor": self.commitment,
            "because": self.sealed or self.because,
            "data": self.data,
        }


class Closing(models.Model):
    """A closed month: SHA-256 of each input and of each total, the head before, the head, and who is to countersign."""

    month = models.CharField(max_length=7, primary_key=True)
    previous = models.CharField(max_length=64)
    inputs = models.JSONField()
    totals = models.JSONField()
    head = models.CharField(max_length=64, unique=True)
    signers = models.JSONField()
    at = models.BigIntegerField()

    class Meta:
        ordering = ["month"]

    def __str__(self) -> str:
        return self.month


class Countersignature(models.Model):
    """One role's signature under the head of a month, each another person's."""

    closing = models.ForeignKey(Closing, on_delete=models.PROTECT, related_name="signatures")
    role = models.CharField(max_length=81)
    person = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    commitment = models.CharField(max_length=64)
    at = models.BigIntegerField()

    class Meta:
        ordering = ["closing", "at", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["closing", "role"], name="role_countersigns_once"),
            models.UniqueConstraint(fields=["closing", "commitment"], name="person_countersigns_once"),
        ]
