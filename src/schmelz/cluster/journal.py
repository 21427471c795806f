"""What every apply did: a file per apply with a line for each command, on the disk before the command is run.

A directory per system. Only one apply runs at a time (`lock`). An *entry* is one file of JSON lines: a header (who, which
plan, what it may remove), the state (desired and observed), the commands and their answers, and the end. An entry
without an end is *running* while somebody holds the lock, else *interrupted*; with *failed* ones it is *unfinished*
until a later entry is done. Ids begin with a counter, so a clock that jumps changes no order. A line that was cut in the
middle of a write is no line. Invariant: nothing is done on the cluster that has no line on the disk.
"""

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from schmelz.cluster import rows
from schmelz.cluster.desired import Desired
from schmelz.cluster.model import ClusterError
from schmelz.cluster.plan import Plan
from schmelz.cluster.writing import Writing
from schmelz.faults import BadInput, Refused
from schmelz.units import iso

PATIENCE = 0.5
TAIL = 65_536
FORGOTTEN = "~"  # begins the word that stands for somebody who was forgotten: nobody goes back to having them
State = Literal["running", "interrupted", "failed", "done"]


@dataclass(frozen=True)
class Entry:
    """One apply: when, by whom, of which plan, how many changes, its removals by name, and what became of it.

    `finished`: the ids of unfinished entries whose work it completed. `words`: how it failed.
    """

    id: str
    at: int
    who: str
    hash: str
    changes: int
    removals: tuple[str, ...]
    state: State
    finished: tuple[str, ...] = ()
    words: str = ""


class Journal:
    """The entries of one system. Reading needs no lock."""

    def __init__(self, directory: Path, clock: Callable[[], float] = time.time) -> None:
        self.directory, self._clock = directory, clock

    @contextmanager
    def lock(self, who: str = "") -> Iterator[None]:
        """One apply at a time. Raises Refused while another one runs, ClusterError where nothing can be written."""
        descriptor = self._open_lock(os.O_RDWR | os.O_CREAT)
        try:
            if not _taken(descriptor, fcntl.LOCK_EX):
                raise Refused(self._who_holds(), "Wait until that has ended, then read the new plan.")
            with suppress(OSError):  # only a courtesy to the next one
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, json.dumps({"who": who, "pid": os.getpid(), "at": self._now()}).encode(), 0)
            yield
        finally:
            os.close(descriptor)

    def begin(self, plan: Plan, who: str, allow_remove: int) -> Writing:
        """A new entry, on the disk when this returns; the lock is held."""
        number = int(max([name[:6] for name in self._names()], default="0")) + 1
        at = self._now()
        name = f"{number:06d}-{iso(at).replace('-', '').replace(':', '')}"
        header = {
            "line": "header",
            "id": name,
            "at": at,
            "who": who,
            "plan": plan.hash,
            "cluster": plan.cluster,
            "changes": len(plan.changes),
            "removals": plan.removed,
            "allow_remove": allow_remove,
        }
        state = {"line": "state", "desired": rows.whole(plan.desired), "observed": rows.whole(plan.sides.seen)}
        return Writing(self.directory / f"{name}.jsonl", [header, state], self._clock)

    def entries(self) -> tuple[Entry, ...]:
        """Every apply, the newest first."""
        return tuple(self._newest_first())

    def unfinished(self) -> tuple[Entry, ...]:
        """The entries since the last one that was done, newest first."""
        found = []
        for entry in self._newest_first():
            if entry.state == "done":
                break
            found.append(entry)
        return tuple(found)

    def last(self) -> Desired | None:
        """What the cluster was last made to be; None if nothing was ever applied."""
        done = next((entry for entry in self._newest_first() if entry.state == "done"), None)
        return self.desired(done.id) if done else None

    def desired(self, entry: str) -> Desired:
        """The desired state of an entry. Raises BadInput, or ClusterError when it is not whole."""
        state = next((line for line in self.lines(entry) if line.get("line") == "state"), None)
        try:
            found = rows.desired((state or {})["desired"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ClusterError(
                f"{self._path(entry)}: the desired state is not whole; nothing was done by it"
            ) from error
        return replace(found, members=tuple(m for m in found.members if not m.user.startswith(FORGOTTEN)))

    def lines(self, entry: str) -> Iterator[dict[str, Any]]:
        """All lines of an entry, a cut last one left out. Raises BadInput, or ClusterError for a damaged file."""
        path = self._path(entry)
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.endswith(b"\n"):
                    yield _parsed(line, f"{path}, line {number}")

    def _newest_first(self) -> Iterator[Entry]:
        is_held, names = self._is_held(), self._names()
        for name in reversed(names):
            if found := _entry(self.directory / f"{name}.jsonl", is_held and name == names[-1]):
                yield found

    def _names(self) -> list[str]:
        if not self.directory.is_dir():
            return []
        return sorted(path.stem for path in self.directory.glob("*.jsonl") if path.name[:6].isdigit())

    def _path(self, entry: str) -> Path:
        if entry not in self._names():
            raise BadInput(f"entry: {entry!r} is not in the journal")
        return self.directory / f"{entry}.jsonl"

    def _now(self) -> int:
        return int(self._clock())

    def _open_lock(self, flags: int) -> int:
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            return os.open(self.directory / "lock", flags, 0o600)
        except OSError as error:
            raise ClusterError(
                f"{self.directory}: the journal cannot be written ({error.strerror}); nothing was done on the cluster"
            ) from error

    def _is_held(self) -> bool:
        """Whether somebody applies now."""
        try:
            descriptor = os.open(self.directory / "lock", os.O_RDONLY)
        except OSError:
            return False
        try:
            return not _taken(descriptor, fcntl.LOCK_SH, patience=0)
        finally:
            os.close(descriptor)

    def _who_holds(self) -> str:
        try:
            holder = json.loads((self.directory / "lock").read_bytes())
            return f"{holder['who'] or 'somebody'} has been applying a plan since {iso(holder['at'])} (process {holder['pid']})."
        except (OSError, ValueError, KeyError, TypeError):
            return "another plan is being applied."


def digest(path: Path) -> str:
    """The SHA-256 of a closed entry's file."""
    return sha256(path.read_bytes()).hexdigest()


def before(journal: Journal, entry: str | None = None) -> Desired:
    """What the cluster was last made to be before an entry (None: the newest). Raises Refused when there is no such."""
    past = journal.entries()
    if entry is not None and entry not in [one.id for one in past]:
        raise BadInput(f"entry: {entry!r} is not in the journal")
    start = 0 if entry is None else [one.id for one in past].index(entry)
    if earlier := next((one for one in past[start + 1 :] if one.state == "done"), None):
        return journal.desired(earlier.id)
    raise Refused("nothing was applied before that.", "There is no earlier state to go back to.")


def _taken(descriptor: int, how: int, patience: float = PATIENCE) -> bool:
    """Take the lock; a reader that looks whether it is held has it for an instant, so try for a moment."""
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.01)
        else:
            return True


def _entry(path: Path, is_running: bool) -> Entry | None:
    """What the first and the last line say; None for a header that was never whole: nothing was done by it."""
    with path.open("rb") as file:
        first = file.readline()
        end = _last_line(file)
    if not first.endswith(b"\n"):
        return None
    head, tail = _parsed(first, f"{path}, line 1"), _end(end)
    return Entry(
        head["id"],
        head["at"],
        head["who"],
        head["plan"],
        head["changes"],
        tuple(head["removals"]),
        tail.get("state", "running" if is_running else "interrupted"),
        tuple(tail.get("finished", ())),
        tail.get("words", ""),
    )


def _last_line(file: Any) -> bytes:
    """The last whole line, if it is a short one: the end of an entry is."""
    file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
    lines: list[bytes] = file.read().split(b"\n")
    return lines[-2] if len(lines) > 2 else b""


def _end(line: bytes) -> dict[str, Any]:
    with suppress(ValueError):
        found = json.loads(line)
        if isinstance(found, dict) and found.get("line") == "end":
            return found
    return {}


def _parsed(line: bytes, where: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise ClusterError(f"{where}: is damaged ({error}); restore the journal from a backup") from error
    if not isinstance(found, dict):
        raise ClusterError(f"{where}: is damaged; restore the journal from a backup")
    return found
