"""What was read from the cluster: record files by month, readings and how far they go, quarantined lines, node outages.

Job records themselves lie in Parquet files under the data directory (`records/`); a RecordFile row is the manifest that
makes one of them count. A file is written aside, synced and renamed before its row is committed, so a crash between any
two steps loses nothing and counts nothing twice.
"""

from django.db import models


class RecordFile(models.Model):
    """The file that holds the job records submitted in one month (UTC)."""

    month = models.CharField(max_length=7, primary_key=True)
    file = models.CharField(max_length=80)

    class Meta:
        ordering = ["month"]


class Reading(models.Model):
    """One reading of job records: where from, how many lines, what came of them."""

    at = models.BigIntegerField()
    source = models.CharField(max_length=200)
    system = models.CharField(max_length=40)
    lines = models.PositiveBigIntegerField()
    added = models.PositiveBigIntegerField()
    replaced = models.PositiveBigIntegerField()
    quarantined = models.PositiveBigIntegerField()

    class Meta:
        ordering = ["-at", "-id"]


class TextRead(models.Model):
    """A text that was read whole, by its digest, and the files that held the records of its months right after.

    While these files are the ones that count, a second reading of the same text changes nothing. `reading`: the one under
    which its bad lines lie in quarantine, where it has any.
    """

    source = models.CharField(max_length=200)
    system = models.CharField(max_length=40)
    size = models.PositiveBigIntegerField()
    digest = models.CharField(max_length=64)
    lines = models.PositiveBigIntegerField()
    quarantined = models.PositiveBigIntegerField()
    files = models.JSONField()
    reading = models.ForeignKey(Reading, on_delete=models.CASCADE, null=True)

    class Meta:
        ordering = ["source", "system"]
        constraints = [models.UniqueConstraint(fields=("source", "system"), name="text_once_each")]


class Watermark(models.Model):
    """How far the cluster's own records of a system are known: the latest end among all that were read from it.

    Slurm hands its records to the data base in the order of time, so what comes later ends later, but for an overlap. It is
    committed with the records it speaks of.
    """

    system = models.CharField(max_length=40, primary_key=True)
    ended = models.BigIntegerField()


class Quarantined(models.Model):
    """A line that could not be read: kept as it was, with its number and the reason."""

    reading = models.ForeignKey(Reading, on_delete=models.CASCADE, related_name="faults")
    line = models.PositiveBigIntegerField()
    reason = models.CharField(max_length=300)
    text = models.TextField()

    class Meta:
        ordering = ["reading", "line"]


class NodeOutage(models.Model):
    """A node that was away: down, drained, in maintenance or reserved, from `start` until `end` (empty: still).

    `pool`: for whom it is reserved; `reservation`: the name of the cluster's reservation that says so, which may change it.
    """

    system = models.CharField(max_length=40)
    node = models.CharField(max_length=80)
    kind = models.CharField(max_length=20)
    start = models.BigIntegerField()
    end = models.BigIntegerField(null=True)
    reason = models.CharField(max_length=200, blank=True)
    pool = models.CharField(max_length=40, blank=True)
    reservation = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["system", "node", "start", "kind"]
        constraints = [
            models.UniqueConstraint(fields=["system", "node", "kind", "start", "reservation"], name="outage_once_each")
        ]
