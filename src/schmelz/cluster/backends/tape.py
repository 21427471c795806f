"""Replay: a directory with a cluster's recorded answers, read as a cluster that cannot be changed.

`observe.json` holds accounts, members, QOS and foreign names, `jobs.json` the jobs, `rooms.json` the GPUs of each site,
`records.txt` the `sacct -P` text, `output/<id>.txt` what a job printed. `record` writes such a directory from any
cluster. Every way to change it raises ClusterError; a missing file is an error too, never an empty cluster.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from schmelz.cluster import rows
from schmelz.cluster.backends.runner import put
from schmelz.cluster.model import (
    Account,
    Backend,
    ClusterError,
    Job,
    JobRequest,
    Member,
    NodeEvent,
    Observed,
    Qos,
    Reservation,
    Room,
    Steering,
)


class TapeCluster:
    """A `Backend` that answers from a recording."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def observe(self) -> Observed:
        try:
            return rows.observed(self._json("observe.json"))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ClusterError(f"{self._directory / 'observe.json'}: not as recorded ({error})") from error

    def jobs(self) -> tuple[Job, ...]:
        try:
            return tuple(Job(**row) for row in self._json("jobs.json"))
        except TypeError as error:
            raise ClusterError(f"{self._directory / 'jobs.json'}: not as recorded ({error})") from error

    def live(self) -> tuple[Job, ...]:
        return tuple(job for job in self.jobs() if job.state in ("PENDING", "RUNNING"))

    def caps(self) -> Mapping[str, int | None]:
        return {one.name: one.gpus for one in self.observe().qos}

    def output(self, job: str) -> str:
        if job not in {one.job for one in self.jobs()}:
            raise ClusterError(f"job {job!r}: there is no such job on the tape")
        path = self._directory / "output" / f"{job}.txt"
        return path.read_text(errors="replace") if path.exists() else ""

    def records(self, since: int, jobs: Sequence[str] = ()) -> bytes:
        """The whole recording: reading a record again changes nothing."""
        return self._read("records.txt")

    def node_events(self, since: int) -> tuple[NodeEvent, ...]:
        """None were recorded."""
        return ()

    def reservations(self, since: int) -> tuple[Reservation, ...]:
        """None were recorded."""
        return ()

    def tick(self, now: int, steering: Steering) -> None:
        """Nothing happens on a tape."""

    def rooms(self) -> Mapping[str, Room]:
        try:
            return {site: Room(**row) for site, row in self._json("rooms.json").items()}
        except (TypeError, AttributeError) as error:
            raise ClusterError(f"{self._directory / 'rooms.json'}: not as recorded ({error})") from error

    def create(self, accounts: Sequence[Account], members: Sequence[Member], qos: Sequence[Qos] = ()) -> None:
        _refuse()

    def change(
        self, accounts: Sequence[Account], qos: Sequence[Qos] = (), defaults: Sequence[tuple[str, str]] = ()
    ) -> None:
        _refuse()

    def cap(self, caps: Mapping[str, int | None]) -> None:
        _refuse()

    def remove(self, members: Sequence[Member]) -> None:
        _refuse()

    def submit(self, request: JobRequest) -> str:
        _refuse()

    def cancel(self, job: str) -> None:
        _refuse()

    def _json(self, name: str) -> Any:
        try:
            return json.loads(self._read(name))
        except ValueError as error:
            raise ClusterError(f"{self._directory / name}: not JSON ({error})") from error

    def _read(self, name: str) -> bytes:
        try:
            return (self._directory / name).read_bytes()
        except OSError as error:
            raise ClusterError(f"{self._directory / name}: the tape has no such answer ({error.strerror})") from error


def record(cluster: Backend, directory: Path) -> None:
    """Write what `cluster` answers now as a tape."""
    (directory / "output").mkdir(parents=True, exist_ok=True)
    jobs = cluster.jobs()
    put(directory / "observe.json", json.dumps(rows.whole(cluster.observe()), indent=1).encode())
    put(directory / "rooms.json", json.dumps({site: vars(one) for site, one in cluster.rooms().items()}).encode())
    put(directory / "jobs.json", json.dumps([asdict(job) for job in jobs], indent=1).encode())
    put(directory / "records.txt", cluster.records(0))
    for job in jobs:
        put(directory / "output" / f"{job.job}.txt", cluster.output(job.job).encode())


def _refuse() -> NoReturn:
    raise ClusterError("a tape cannot be changed")
