"""Asking the records: the manifest, the outages, the last readings, lines in quarantine."""

from pathlib import Path

import polars as pl
from django.conf import settings

from schmelz.metering import store
from schmelz.metering.supply import Outage
from schmelz.portal.usage.models import NodeOutage, Quarantined, Reading, RecordFile


def records_directory() -> Path:
    return Path(settings.DATA) / "records"


def runs() -> pl.DataFrame:
    """All job records that count."""
    return store.load(records_directory(), manifest())


def manifest() -> dict[str, str]:
    """Month -> file name of the job records that count."""
    return dict(RecordFile.objects.values_list("month", "file"))


def outages(system: str) -> list[Outage]:
    rows = NodeOutage.objects.filter(system=system).values_list("system", "node", "kind", "start", "end")
    return [Outage(*row) for row in rows]  # type: ignore[arg-type]  # kinds are written by keep_outages alone


def last_reading() -> Reading | None:
    return Reading.objects.first()


def quarantined(limit: int = 100) -> list[Quarantined]:
    return list(Quarantined.objects.select_related("reading").order_by("-reading__at", "line")[:limit])
