"""The local cluster's directory: accounts, a counter, and one directory per job. Files only, no database.

`accounts.json` is written as a whole; `jobs/<id>/` holds what is known of a job, each file written once and whole:
`job.json` and `script` (the request), `wait.json` (why it waits), `started.json` (where and since when it runs),
`began`, `output.txt`, `cancel`, `ended.json`, and `lock`, held as long as the job's keeper lives (see `runner`).
Invariants: an acknowledged submission is durable; `started.json` is there before `ended.json`; who writes holds the
cluster's lock (the keeper's own files apart); reading needs no lock.
"""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from schmelz.cluster.backends.runner import put, sync
from schmelz.cluster.backends.slots import Slots
from schmelz.cluster.backends.tree import Tree, tree
from schmelz.cluster.model import ClusterError, JobRequest, JobState


@dataclass(frozen=True)
class Wait:
    """Why a job waits; since when it could run as far as the rules go, None when it may not run now."""

    reason: str
    eligible: int | None


@dataclass(frozen=True)
class Launch:
    """A job's place: its site, its GPU slots by node, the GPUs it is charged for, and when it started."""

    site: str
    slots: Slots
    charged: int
    start: int
    eligible: int


@dataclass(frozen=True)
class End:
    """How and when a job ended: state, exit code, signal."""

    state: JobState
    code: int
    signal: int
    end: int


@dataclass(frozen=True)
class Entry:
    """All that the directory knows of a job; `changed` is when it ended or its end was noted, whichever is later."""

    job: str
    request: JobRequest
    submitted: int
    wait: Wait | None = None
    launch: Launch | None = None
    end: End | None = None
    cancelled: bool = False
    changed: int = 0


class Spool:
    """Reads and writes the directory; knows no rule."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        self._jobs, self._accounts = self.directory / "jobs", self.directory / "accounts.json"
        self._ended: dict[str, Entry] = {}
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.lock():
            if not self._accounts.exists() and not self._jobs.exists():
                self.write_tree(Tree())
            self._jobs.mkdir(mode=0o700, exist_ok=True)

    @contextmanager
    def lock(self, seconds: float = 30) -> Iterator[None]:
        """The cluster's lock: one writer at a time, among all processes and threads."""
        descriptor = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            deadline = time.monotonic() + seconds
            while not _taken(descriptor):
                if time.monotonic() > deadline:
                    raise ClusterError(f"{self.directory}: another process has held the lock for {seconds:.0f} s")
                time.sleep(0.005)
            yield
        finally:
            os.close(descriptor)

    def tree(self) -> Tree:
        """Accounts, members, QOS and default accounts as they stand now."""
        content = _read(self._accounts)
        try:
            return tree(content)
        except (KeyError, TypeError, AttributeError) as error:
            raise ClusterError(f"{self._accounts}: is damaged ({error}); restore the file from a backup") from error

    def write_tree(self, stand: Tree) -> None:
        put(self._accounts, json.dumps(stand.as_dict(), indent=1, sort_keys=True).encode())

    @contextmanager
    def changing(self) -> Iterator[Tree]:
        """The tree to be changed, written as a whole at the end; a fault leaves it as it was."""
        with self.lock():
            stand = self.tree()
            yield stand
            self.write_tree(stand)

    def add(self, request: JobRequest, submitted: int) -> str:
        """A new job, durable when this returns; ids only grow."""
        job = str(self._next())
        aside = self._jobs / f".new-{job}"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(mode=0o700)
        put(aside / "script", request.script.encode())
        facts = {"request": asdict(request) | {"script": ""}, "submitted": submitted}
        put(aside / "job.json", json.dumps(facts).encode())
        aside.rename(self.home(job))
        sync(self._jobs)
        return job

    def _next(self) -> int:
        counter = self.directory / "counter"
        last = int(counter.read_text()) if counter.exists() else 0
        number = max([last, *map(int, self._ids())]) + 1
        put(counter, str(number).encode())
        return number

    def home(self, job: str) -> Path:
        """A job's directory; whether it is there is not checked."""
        if not (job.isascii() and job.isdigit()):
            raise ClusterError(f"job {job!r}: there is no such job; ids are whole numbers")
        return self._jobs / job

    def _ids(self) -> list[str]:
        return [path.name for path in self._jobs.iterdir() if path.name.isdigit()]

    def entries(self) -> tuple[Entry, ...]:
        """Every job, in the order of submission; ended ones are read once."""
        return tuple(self.entry(job) for job in sorted(self._ids(), key=int))

    def entry(self, job: str) -> Entry:
        """One job. Raises ClusterError when it is not there."""
        if job in self._ended:
            return self._ended[job]
        home = self.home(job)
        if not home.is_dir():
            raise ClusterError(f"job {job}: there is no such job")
        entry = _entry(job, home)
        if entry.end:
            self._ended[job] = entry
        return entry

    def write(self, job: str, fact: Wait | Launch | End) -> None:
        """Note a fact about a job; why it waits is worth no disk sync, it can be computed again."""
        name = {Wait: "wait.json", Launch: "started.json", End: "ended.json"}[type(fact)]
        put(self.home(job) / name, json.dumps(asdict(fact)).encode(), durable=not isinstance(fact, Wait))

    def put_back(self, job: str) -> None:
        """Forget a start that never began."""
        (self.home(job) / "started.json").unlink()
        sync(self.home(job))

    def ask_cancel(self, job: str) -> None:
        put(self.home(job) / "cancel", b"")

    def take(self, job: str) -> int | None:
        """The open, locked file that a job's keeper inherits; None when a keeper holds it, so lives."""
        descriptor = os.open(self.home(job) / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if _taken(descriptor):
            return descriptor
        os.close(descriptor)
        return None

    def began(self, job: str) -> int | None:
        """Seconds from a job's start to its keeper's last sign of life; None if the script never began."""
        home = self.home(job)
        try:
            seconds = (home / "began").stat().st_mtime - (home / "started.json").stat().st_mtime
        except FileNotFoundError:
            return None
        return max(0, int(seconds))

    def output(self, job: str, size: int = 65536) -> str:
        """The last `size` bytes that a job printed."""
        self.entry(job)
        path = self.home(job) / "output.txt"
        if not path.exists():
            return ""
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - size))
            return file.read(size).decode(errors="replace")


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _entry(job: str, home: Path) -> Entry:
    """Read a job's files; the end first, because it is written last."""
    end, launch, wait = _optional(home / "ended.json"), _optional(home / "started.json"), _optional(home / "wait.json")
    facts = _read(home / "job.json")
    if launch:
        launch["slots"] = {node: tuple(slots) for node, slots in launch["slots"].items()}
    return Entry(
        job,
        JobRequest(**facts["request"]),
        facts["submitted"],
        wait=Wait(**wait) if wait else None,
        launch=Launch(**launch) if launch else None,
        end=End(**end) if end else None,
        cancelled=(home / "cancel").exists(),
        changed=max(end["end"], int((home / "ended.json").stat().st_mtime)) if end else 0,
    )


def _optional(path: Path) -> dict[str, Any] | None:
    try:
        return _parsed(path)
    except FileNotFoundError:
        return None


def _read(path: Path) -> dict[str, Any]:
    try:
        return _parsed(path)
    except OSError as error:
        raise ClusterError(f"{path}: cannot be read ({error.strerror}); restore the file from a backup") from error


def _parsed(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
    except ValueError as error:
        raise ClusterError(f"{path}: is damaged ({error}); restore the file from a backup") from error
    return content
