"""The event: one row per move, append only. `hash` covers everything but the link to the person's row."""

from django.conf import settings
from django.db import models


class Event(models.Model):
    """Who did what to which thing, when and why. `seq` has no gaps; `data` is canonical JSON."""

    seq = models.PositiveBigIntegerField(primary_key=True)
    at = models.BigIntegerField()
    kind = models.CharField(max_length=60)
    subject = models.CharField(max_length=80, db_index=True)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    commitment = models.CharField(max_length=64)
    because = models.TextField()
    data = models.TextField()
    hash = models.CharField(max_length=64)

    class Meta:
        ordering = ["seq"]

    def facts(self) -> dict[str, object]:
        """What the hash covers."""
        return {
            "seq": self.seq,
            "at": self.at,
            "kind": self.kind,
            "subject": self.subject,
            "actor": self.commitment,
            "because": self.because,
            "data": self.data,
        }
