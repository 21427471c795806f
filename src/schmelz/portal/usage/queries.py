"""Asking the records: the manifest, the outages, the last readings, lines in quarantine."""

from pathlib import Path

import polars as pl
from django.conf import settings

from schmelz.metering import store
from schmelz.metering.supply import Outage
from schmelz.portal.usage.models import NodeOutage, Quarantined, Reading, RecordFile, Watermark


def records_directory() -> Path:
    return Path(settings.DATA) / "records"


def runs() -> pl.DataFrame:
    """All job records that count."""
    return store.load(records_directory(), manifest())


def manifest() -> dict[str, str]:
    """Month -> file name of the job records that count."""
    return dict(RecordFile.objects.values_list("month", "file"))


def outages(system: str) -> list[Outage]:
    rows = NodeOutage.objects.filter(system=system).values_list("system", "node", "kind", "start", "end", "pool")
    return [
        Outage(where, node, kind, start, end, pool or None)  # type: ignore[arg-type]  # the actions write kinds
        for where, node, kind, start, end, pool in rows
    ]


def open_runs(cluster: str) -> pl.DataFrame:
    """The runs of a cluster that may still change, as they were last read."""
    found = store.open_runs(records_directory(), manifest())
    return found.filter(pl.col("cluster") == cluster)


def watermark(system: str) -> int:
    """The latest end among the records that were read from the cluster itself; 0 when none were."""
    return Watermark.objects.filter(system=system).values_list("ended", flat=True).first() or 0


def last_reading() -> Reading | None:
    return Reading.objects.first()


def quarantined(limit: int = 100) -> list[Quarantined]:
    return list(Quarantined.objects.select_related("reading").order_by("-reading__at", "line")[:limit])


def read_until(system: str, moment: int) -> int | None:
    """Up to when the records of a system are known, `moment` at most; None where nothing was read."""
    newest = Reading.objects.filter(system=system).values_list("at", flat=True).first()
    return None if newest is None else min(newest, moment)
