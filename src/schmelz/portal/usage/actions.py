"""Reading job records into the store, and keeping node outages. Everything here may be repeated; nothing counts twice."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import polars as pl
from django.db import transaction

from schmelz.metering import store, sums
from schmelz.metering.sacct import Fault
from schmelz.metering.supply import Outage
from schmelz.portal.clock import now
from schmelz.portal.ledger.actions import record
from schmelz.portal.people.models import Person
from schmelz.portal.policy import factory
from schmelz.portal.usage.models import NodeOutage, Quarantined, Reading, RecordFile, TextRead, Watermark
from schmelz.portal.usage.queries import manifest, records_directory

KEPT_FAULTS = 1000


@dataclass(frozen=True)
class Text:
    """What tells a text from any other: its size, and the digest of its bytes and of the way to read them."""

    size: int
    digest: str


@transaction.atomic
def keep_records(
    runs: pl.DataFrame | store.Batches,
    faults: Sequence[Fault],
    lines: int,
    *,
    source: str,
    system: str,
    actor: Person | None = None,
    bad: int | None = None,
    ended: int | None = None,
    text: Text | None = None,
) -> Reading:
    """Merge what was read into the store and commit the manifest; an unchanged second reading leaves no trace but its time.

    Bad lines are kept in quarantine with their number and reason (the first thousand; `bad`, the count, is of all).
    `ended`: the latest end among all records of the cluster, where it is the cluster that was asked; `text`: what was read.
    """
    if ended is not None:
        Watermark.objects.update_or_create(system=system, defaults={"ended": ended})
    bad = len(faults) if bad is None else bad
    before = manifest()
    merged = store.merge(records_directory(), before, runs, sums.keeper(records_directory(), factory()))
    reading = Reading(
        at=now(),
        source=source[:200],
        system=system,
        lines=lines,
        added=merged.added,
        replaced=merged.replaced,
        quarantined=bad,
    )
    if merged.manifest == before and (not faults or _seen(reading, faults)):
        _still_so(reading)
    else:
        _keep(reading, source.rpartition("/")[2][:200], merged, before, faults, actor)
    if text is not None:
        files = {month: merged.manifest[month] for month in merged.months}
        told = {"lines": lines, "quarantined": bad, "files": files, "reading_id": reading.pk if bad else None}
        TextRead.objects.update_or_create(
            source=reading.source, system=system, defaults={"size": text.size, "digest": text.digest, **told}
        )
    return reading


def read_before(source: str, system: str, size: int, digest: Callable[[], str]) -> Reading | None:
    """What reading a text would tell that was read before, and that would change nothing; None: it has to be read.

    Nothing changes while the files that hold its months are those which the store had right after it was read.
    """
    known = TextRead.objects.filter(source=source[:200], system=system, size=size).first()
    if known is None or known.digest != digest():
        return None
    with transaction.atomic():
        if not known.files.items() <= manifest().items():
            return None
        reading = Reading(
            pk=known.reading_id,
            at=now(),
            source=known.source,
            system=system,
            lines=known.lines,
            added=0,
            replaced=0,
            quarantined=known.quarantined,
        )
        _still_so(reading)
        return reading


def _keep(
    reading: Reading,
    name: str,
    merged: store.Merge,
    before: dict[str, str],
    faults: Sequence[Fault],
    actor: Person | None,
) -> None:
    """Keep what is new: the files that count, the reading, its bad lines, and what the ledger is told under this name."""
    # a running job grows at every reading: that alone is no news for the ledger, and the last reading's row serves again
    news = bool(merged.added or faults or actor)
    for month in sorted(merged.manifest):
        if before.get(month) != merged.manifest[month]:
            RecordFile.objects.update_or_create(month=month, defaults={"file": merged.manifest[month]})
    if not news:
        last = Reading.objects.filter(source=reading.source).first()
        reading.pk = last.pk if last and not last.quarantined else None
    reading.save()
    Quarantined.objects.bulk_create(
        [
            Quarantined(reading=reading, line=line, reason=reason, text=text)
            for line, reason, text in map(_kept, faults[:KEPT_FAULTS])
        ]
    )
    if news:
        record(
            "records.read",
            f"system:{reading.system}",
            actor,
            source=name,  # a path may name a person, and the chain forgets nothing
            added=merged.added,
            replaced=merged.replaced,
            quarantined=reading.quarantined,
            files={m: merged.manifest[m] for m in sorted(merged.manifest) if before.get(m) != merged.manifest[m]},
        )


def _still_so(reading: Reading) -> None:
    """Nothing new: the last reading of this source is as of now, so that its age tells how fresh the ledger is."""
    last = Reading.objects.filter(source=reading.source, system=reading.system).first()
    if last:
        Reading.objects.filter(pk=last.pk).update(at=reading.at)


def _seen(reading: Reading, faults: Sequence[Fault]) -> bool:
    """Whether the same lines of the same source lie in quarantine already; the reading then speaks of those."""
    same = Reading.objects.filter(
        source=reading.source, system=reading.system, lines=reading.lines, quarantined=reading.quarantined
    ).first()
    if same is None or list(same.faults.values_list("line", "reason", "text")) != list(
        map(_kept, faults[:KEPT_FAULTS])
    ):
        return False
    reading.pk = same.pk
    return True


def _kept(fault: Fault) -> tuple[int, str, str]:
    return fault.line, fault.reason[:300].replace("\0", "�"), fault.text[:2000].replace("\0", "�")


@transaction.atomic
def keep_outages(outages: Iterable[tuple[Outage, str]]) -> int:
    """Keep node outages with their reasons; an outage that is known gets its end. The number of rows that changed."""
    changed = 0
    for outage, reason in outages:
        row, new = NodeOutage.objects.get_or_create(
            system=outage.system,
            node=outage.node,
            kind=outage.kind,
            start=outage.start,
            defaults={"end": outage.end, "reason": reason[:200]},
        )
        if not new and row.end != outage.end and outage.end is not None:
            row.end = outage.end
            row.save(update_fields=["end"])
            new = True
        changed += new
    return changed


@transaction.atomic
def keep_reservations(system: str, found: Iterable[tuple[Outage, str]], since: int) -> int:
    """Keep reservations, with their names, as the cluster tells them now: what it tells otherwise than before is put right.

    Those that were there at `since` or later, and are not told any more, never began. The number of rows that changed.
    """
    told = {(outage.node, outage.kind, outage.start, name[:200]): outage for outage, name in found}
    rows = NodeOutage.objects.filter(system=system).exclude(reservation="").exclude(end__lt=since)
    known = {(row.node, row.kind, row.start, row.reservation): row for row in rows}
    gone = [row.pk for key, row in known.items() if key not in told]
    NodeOutage.objects.filter(pk__in=gone).delete()
    changed = len(gone)
    for key, outage in sorted(told.items()):
        values = {"end": outage.end, "pool": outage.pool or ""}
        row = known.get(key)
        if row is None or (row.end, row.pool) != (outage.end, values["pool"]):
            node, kind, start, name = key
            NodeOutage.objects.update_or_create(
                system=system, node=node, kind=kind, start=start, reservation=name,
                defaults={**values, "reason": f"reservation {name}"[:200]},
            )  # fmt: skip
            changed += 1
    return changed


def sweep() -> None:
    """Remove record files that no manifest names any more."""
    store.sweep(records_directory(), manifest())
