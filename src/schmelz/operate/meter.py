"""Metering: job records into the store, from the cluster or from a file. A second reading changes nothing.

From the cluster only news are read: what ended since the latest end that is known (with the cluster's overlap), and every run
that is still open here, by its number where the answer left it out. Records and the mark of how far they go are committed
together, so a crash between any two steps loses nothing and counts nothing twice. A *runaway* is a run that the records say
is open, and that the cluster's scheduler does not know: it is told, and ended by the cluster's own correction only.
"""

import io
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import polars as pl

from schmelz.cluster.model import Reservation
from schmelz.faults import BadInput
from schmelz.metering import store
from schmelz.metering.formats import Format, parts
from schmelz.metering.reservations import pool_for
from schmelz.metering.runs import KEY
from schmelz.metering.sacct import Fault, Reading as Part, parts as sacct
from schmelz.metering.supply import Kind, Outage
from schmelz.operate.cluster import backend
from schmelz.operate.same_text import Watched, digest_of
from schmelz.policy.schema import System
from schmelz.portal.clock import now
from schmelz.portal.people.models import Person
from schmelz.portal.projects.queries import pools
from schmelz.portal.usage.actions import (
    KEPT_FAULTS,
    Text,
    keep_outages,
    keep_records,
    keep_reservations,
    read_before,
)
from schmelz.portal.usage.models import Reading
from schmelz.portal.usage.queries import open_runs, records_directory, watermark
from schmelz.units import DAY

AT_ONCE = 500
SEEN_AGAIN = 7 * DAY  # reservations that ended lately may still be put right


class _Read:
    """What a source held: runs on their way into the store, the first faults, and counts of everything."""

    def __init__(self) -> None:
        self.batches, self.faults = store.Batches(records_directory()), list[Fault]()
        self.lines = self.bad = self.assumed = 0
        self.ended = 0

    def add(
        self, found: Iterable[Part], keys: list[pl.DataFrame] | None = None, each: Callable[[], None] = lambda: None
    ) -> None:
        for part in found:
            each()
            self.batches.add(part.runs)
            self.faults += part.faults[: KEPT_FAULTS - len(self.faults)]
            self.bad, self.lines = self.bad + len(part.faults), self.lines + part.lines
            self.assumed += part.assumed
            self.ended = max(self.ended, int(part.runs["end"].max() or 0))  # type: ignore[arg-type]
            if keys is not None:
                keys.append(part.runs.select(KEY))


def read_stream(
    source: BinaryIO,
    name: str,
    system: System,
    actor: Person | None = None,
    form: Format = sacct,
    tell: Callable[[str], None] = lambda line: None,
    told: Callable[[int], None] = lambda done: None,
    text: Callable[[], Text | None] = lambda: None,
) -> Reading:
    """Keep the job records of a text; `told` hears how far it was read, in bytes; `text` tells it from others, once read.

    Raises BadInput when it is not of this format; then nothing is kept.
    """
    read = _Read()
    try:
        found = parts(source, form, system=system.id, cluster=system.cluster.name)
        read.add(found, each=lambda: told(source.tell() if source.seekable() else 0))
    except BadInput as error:
        raise BadInput([f"{name}: {fault}" for fault in error.faults]) from None
    if read.assumed:
        tell(f"{name}: {read.assumed} runs without a start are taken to have begun when they were submitted")
    known = None if read.assumed else text()  # what is to be told each time is read each time
    kept = (read.batches, read.faults, read.lines)
    return keep_records(*kept, source=name, system=system.id, actor=actor, bad=read.bad, text=known)


def read_text(source: bytes, name: str, system: System, actor: Person | None = None) -> Reading:
    """The same for `sacct -P` text in memory."""
    return read_stream(io.BytesIO(source), name, system, actor)


def read_file(
    path: Path,
    system: System,
    actor: Person | None = None,
    form: Format = sacct,
    tell: Callable[[str], None] = lambda line: None,
    told: Callable[[int], None] = lambda done: None,
) -> Reading:
    """Keep the job records of a file; one that is known byte for byte is not parsed. Raises BadInput if it cannot be read."""
    try:
        size = path.stat().st_size if path.is_file() else -1
        found = read_before(str(path), system.id, size, lambda: digest_of(path, form, system))
        if found is not None:
            return found
        with path.open("rb", buffering=0) as file:
            seen = Watched(file, form, system)

            def text() -> Text | None:
                return Text(size, seen.digest()) if seen.size == size else None

            return read_stream(io.BufferedReader(seen), str(path), system, actor, form, tell, told, text)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}); give a file of job records, or -") from None


def read_cluster(system: System, since: int | None = None) -> Reading:
    """Keep what is new of the cluster's jobs, running and waiting ones included, and of nodes that were away.

    `since`: ask again for everything from then on, in place of what ended since the last reading.
    """
    known, moment = watermark(system.id), now()
    asked = since if since is not None else known if known <= moment else 0  # a clock that went back is not trusted
    read_supply(system, min(asked, moment - SEEN_AGAIN))
    read = _Read()
    _ask(system, asked, read)
    return keep_records(
        read.batches,
        read.faults,
        read.lines,
        source=f"cluster:{system.cluster.name}",
        system=system.id,
        bad=read.bad,
        ended=max(read.ended, known),
    )


def _ask(system: System, since: int, read: _Read) -> None:
    """The records since then, and those of open runs that were not among them."""
    engine, name, keys = backend(system), system.cluster.name, list[pl.DataFrame]()
    read.add(sacct(io.BytesIO(engine.records(since)), system=system.id, cluster=name), keys)
    lost = open_runs(name).join(pl.concat(keys), on=list(KEY), how="anti") if keys else open_runs(name)
    jobs = lost["job"].unique(maintain_order=True).to_list()
    for at in range(0, len(jobs), AT_ONCE):
        text = engine.records(0, jobs[at : at + AT_ONCE])
        read.add(sacct(io.BytesIO(text), system=system.id, cluster=name))


def read_supply(system: System, since: int) -> int:
    """Keep when nodes were away, and what was reserved; the number of rows that changed."""
    engine, moment = backend(system), now()
    events = engine.node_events(max(0, since))
    changed = keep_outages((Outage(system.id, node, kind, start, end), why) for node, kind, start, end, why in events)
    reserved = list(_reserved(system, engine.reservations(max(0, since)), moment))
    return changed + keep_reservations(system.id, reserved, moment - SEEN_AGAIN)


def _reserved(system: System, reservations: Iterable[Reservation], moment: int) -> Iterator[tuple[Outage, str]]:
    """The reservations that have begun, node by node; those to come may still change or go."""
    projects = pools(system)
    for one in reservations:
        kind: Kind = "maintenance" if one.maintenance else "reserved"
        pool = None if one.maintenance else pool_for(system, one.accounts, one.qos, projects)
        if one.start <= moment and one.end != one.start:
            for node in one.nodes:
                yield Outage(system.id, node, kind, one.start, one.end, pool), one.name


def runaways(system: System) -> pl.DataFrame:
    """Runs that are open as last read, and whose job the scheduler does not know: job, submit, start, account, gpus, state."""
    open_here = open_runs(system.cluster.name)  # first: what begins meanwhile is not here
    known = {job.job for job in backend(system).jobs()}
    return (
        open_here.filter(~pl.col("job").is_in(known))
        .select("job", "submit", "start", "account", "gpus", "state")
        .sort("submit", "job")
    )
