"""The embedded cluster: a directory in which real processes run in GPU slots, for trying out and for one machine.

Everything is in files (`spool`), a cycle is a pure decision (`schedule`), each job has a keeper that outlives us
(`runner`). Only `tick` starts jobs; it holds the cluster's lock, so any number of processes may tick. A start is
claimed on disk first; a claim whose script never began is put back, one whose keeper died is recorded as NODE_FAIL with
its last sign of life, after its processes were swept away: no job runs twice, no record is lost. All accounts are ours.
Not a safe place for strangers' jobs: they run without a jail, as nobody where we are root, else as ourselves.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from schmelz.cluster.backends import runner
from schmelz.cluster.backends.admission import admit, check, rights
from schmelz.cluster.backends.records import as_job, records
from schmelz.cluster.backends.schedule import cycle
from schmelz.cluster.backends.slots import free_slots, room
from schmelz.cluster.backends.spool import End, Entry, Launch, Spool
from schmelz.cluster.model import (
    Account,
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
from schmelz.faults import Refused
from schmelz.policy.system import System
from schmelz.units import DAY

RECENT = 7 * DAY


def _utc_now() -> int:
    return int(time.time())


class LocalCluster:
    """A `Backend` over a directory. Several objects and processes may use the same directory at once."""

    def __init__(self, directory: Path, system: System, clock: Callable[[], int] = _utc_now) -> None:
        self._spool, self._system, self._clock = Spool(directory), system, clock
        self._keepers: list[subprocess.Popen[bytes]] = []

    def observe(self) -> Observed:
        return self._spool.tree().observed(self._system.cluster.name)

    def create(self, accounts: Sequence[Account], members: Sequence[Member], qos: Sequence[Qos] = ()) -> None:
        with self._spool.changing() as tree:
            tree.create(accounts, members, qos, self._system.cluster.root)

    def change(
        self, accounts: Sequence[Account], qos: Sequence[Qos] = (), defaults: Sequence[tuple[str, str]] = ()
    ) -> None:
        with self._spool.changing() as tree:
            tree.change(accounts, qos, defaults)

    def remove(self, members: Sequence[Member]) -> None:
        with self._spool.changing() as tree:
            tree.remove(members)

    def cap(self, caps: Mapping[str, int | None]) -> None:
        """The caps are kept and shown; the cycle follows the deficit rule itself, without them."""
        with self._spool.changing() as tree:
            tree.cap(caps)

    def rooms(self) -> Mapping[str, Room]:
        """All nodes are always up; where whole nodes are charged, only untouched ones are free."""
        running = [e.launch.slots for e in self._spool.entries() if e.launch and not e.end]
        free = free_slots(self._system, running)
        return {site: Room(self._system.gpus(site), room(slots)) for site, slots in free.items()}

    def submit(self, request: JobRequest) -> str:
        check(request, self._system)
        with self._spool.lock():
            tree = self._spool.tree()
            admit(request, self._system, tree.accounts, rights(tree.members))
            named = request.qos or tree.accounts[request.account].default_qos
            return self._spool.add(replace(request, qos=named), self._clock())

    def cancel(self, job: str) -> None:
        with self._spool.lock():
            entry = self._spool.entry(job)
            if entry.end:
                raise Refused(f"job {job} has ended already ({entry.end.state}).", "There is nothing to cancel.")
            if entry.launch:
                self._spool.ask_cancel(job)
            else:
                self._spool.write(job, End("CANCELLED", 0, 0, self._clock()))

    def jobs(self) -> tuple[Job, ...]:
        oldest = self._clock() - RECENT
        return tuple(as_job(entry) for entry in self._spool.entries() if entry.end is None or entry.changed >= oldest)

    def live(self) -> tuple[Job, ...]:
        return tuple(job for job in self.jobs() if job.state in ("PENDING", "RUNNING"))

    def caps(self) -> Mapping[str, int | None]:
        return {one.name: one.gpus for one in self.observe().qos}

    def output(self, job: str) -> str:
        return self._spool.output(job)

    def records(self, since: int, jobs: Sequence[str] = ()) -> bytes:
        entries = [entry for entry in self._spool.entries() if not jobs or entry.job in jobs]
        return records(entries, self._system, since, self._clock())

    def node_events(self, since: int) -> tuple[NodeEvent, ...]:
        """None: nodes of this cluster never fail."""
        return ()

    def reservations(self, since: int) -> tuple[Reservation, ...]:
        """None: this cluster has no reservations."""
        return ()

    def tick(self, now: int, steering: Steering) -> None:
        self._keepers = [keeper for keeper in self._keepers if keeper.poll() is None]
        with self._spool.lock():
            for entry in self._spool.entries():
                if entry.launch and not entry.end:
                    self._settle(entry, entry.launch, now)
            tree = self._spool.tree()
            decided = cycle(self._system, tree.accounts, tree.members, self._spool.entries(), now, steering)
            for job, wait in decided.waits:
                self._spool.write(job, wait)
            for job, launch in decided.launches:
                self._spool.write(job, launch)
                self._start(self._spool.entry(job), launch)

    def _settle(self, entry: Entry, launch: Launch, now: int) -> None:
        """Find out what became of a started job whose end is not known."""
        keeper = self._spool.take(entry.job)
        if keeper is None:
            return
        os.close(keeper)
        if self._spool.entry(entry.job).end:  # it ended between our two looks
            return
        seconds = self._spool.began(entry.job)
        if seconds is not None:
            runner.sweep(self._spool.home(entry.job))
            self._spool.write(entry.job, End("NODE_FAIL", 0, 0, launch.start + seconds))
            return
        self._spool.put_back(entry.job)
        if entry.cancelled:
            self._spool.write(entry.job, End("CANCELLED", 0, 0, now))

    def _start(self, entry: Entry, launch: Launch) -> None:
        """Start the keeper of a claimed job; the lock it inherits says that it lives."""
        lock = self._spool.take(entry.job)
        assert lock is not None, "a job is started only while nobody keeps it"
        home = self._spool.home(entry.job)
        try:
            with (home / "runner.log").open("ab") as log:
                self._keepers.append(
                    subprocess.Popen(
                        [sys.executable, "-I", "-S", str(Path(runner.__file__)), str(home)],
                        cwd=home,
                        pass_fds=(lock,),
                        env=environment(entry, launch, home),
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                        umask=0o077,
                    )
                )
        except OSError as error:
            self._spool.put_back(entry.job)
            raise ClusterError(f"job {entry.job} could not be started ({error.strerror}); it waits on") from error
        finally:
            os.close(lock)


def environment(entry: Entry, launch: Launch, home: Path) -> dict[str, str]:
    """The whole environment of a job; nothing of ours gets in."""
    first = next(iter(launch.slots.values()))[: entry.request.gpus]
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": str(home / "work"),
        runner.COOKIE: str(home),
        "CUDA_VISIBLE_DEVICES": ",".join(map(str, first)),
        "SCHMELZ_JOB_ID": entry.job,
        "SCHMELZ_ACCOUNT": entry.request.account,
        "SCHMELZ_USER": entry.request.user,
        "SCHMELZ_GPUS": str(entry.request.gpus),
        "SCHMELZ_NODES": ",".join(launch.slots),
        "SCHMELZ_SITE": launch.site,
        "SCHMELZ_LIMIT": str(entry.request.limit),
    }
