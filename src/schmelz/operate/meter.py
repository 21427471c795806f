"""Metering: job records into the store, from the cluster or from a file. A second reading changes nothing."""

import io
from pathlib import Path
from typing import BinaryIO

from schmelz.faults import BadInput
from schmelz.metering import store
from schmelz.metering.sacct import Fault, parts
from schmelz.metering.supply import Outage
from schmelz.operate.cluster import backend
from schmelz.policy.schema import System
from schmelz.portal.people.models import Person
from schmelz.portal.usage.actions import keep_outages, keep_records
from schmelz.portal.usage.models import Reading
from schmelz.portal.usage.queries import records_directory


def read_stream(source: BinaryIO, name: str, system: System, actor: Person | None = None) -> Reading:
    """Keep job records given as `sacct -P` text. Raises BadInput when the header is missing or not usable."""
    batches, faults, lines = store.Batches(records_directory()), list[Fault](), 0
    try:
        for part in parts(source, system=system.id, cluster=system.cluster.name):
            batches.add(part.runs)
            faults += part.faults
            lines += part.lines
    except BadInput as error:
        raise BadInput([f"{name}: {fault}" for fault in error.faults]) from None
    return keep_records(batches, faults, lines, source=name, system=system.id, actor=actor)


def read_text(source: bytes, name: str, system: System, actor: Person | None = None) -> Reading:
    """The same for a text in memory."""
    return read_stream(io.BytesIO(source), name, system, actor)


def read_file(path: Path, system: System, actor: Person | None = None) -> Reading:
    """Keep the job records of a file. Raises BadInput when it cannot be read."""
    try:
        with path.open("rb") as source:
            return read_stream(source, str(path), system, actor)
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}); give a file of `sacct -P` text, or -") from None


def read_cluster(system: System) -> Reading:
    """Keep what the cluster knows of its jobs, running and waiting ones included, and of nodes that were away."""
    keep_outages(
        (Outage(system.id, node, kind, start, end), reason)
        for node, kind, start, end, reason in backend(system).node_events(0)
    )
    return read_text(backend(system).records(0), f"cluster:{system.cluster.name}", system)
