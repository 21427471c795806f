"""Writing one entry of the journal: each line is on the disk before anything else happens.

When a line cannot be written, no other follows and every further command is refused: nothing is done on the cluster
that has no line, and a cut line is always the last. Long answers are cut to 64 KiB, with the SHA-256 of the whole. May be used by
several threads at once, because commands may run side by side.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

from schmelz.cluster.model import ClusterError

LONGEST = 65_536
WORDS = 4_000


class Command(Protocol):
    """What is told of a command: before it runs (`seconds` None), and after, with its answer (`status` None: none)."""

    @property
    def argv(self) -> Sequence[str]: ...
    @property
    def stdin(self) -> str: ...
    @property
    def started(self) -> float: ...
    @property
    def seconds(self) -> float | None: ...
    @property
    def status(self) -> int | None: ...
    @property
    def stdout(self) -> bytes: ...
    @property
    def stderr(self) -> str: ...


class Writing:
    """An entry that is being written."""

    def __init__(self, path: Path, lines: Sequence[Mapping[str, Any]], clock: Callable[[], float]) -> None:
        self.id, self.path, self._clock = path.stem, path, clock
        self._lock, self._broken = Lock(), ""
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        except OSError as error:
            raise self._fault(error) from error
        try:
            for line in lines:
                self._append(line)
            _sync(path.parent)
        except (ClusterError, OSError) as error:
            self.close()
            path.unlink(missing_ok=True)  # nothing was done by it
            raise error if isinstance(error, ClusterError) else self._fault(error) from error

    def command(self, told: Command) -> None:
        """Note a command before it runs, and its answer after. Raises ClusterError when that is not possible."""
        line = {"line": "command", "argv": list(told.argv), "started": told.started}
        if told.seconds is None:
            self._append({**line, "stdin": told.stdin})
            return
        answer = {
            "seconds": told.seconds,
            "status": told.status,
            "out": _cut(told.stdout),
            "said": _cut(told.stderr.encode()),
        }
        self._append({**line, "line": "answer", **answer})

    def end(self, state: str, words: str = "", finished: Sequence[str] = ()) -> None:
        """The last line."""
        at = int(self._clock())
        self._append({"line": "end", "state": state, "words": words[:WORDS], "at": at, "finished": list(finished)})

    def close(self) -> None:
        os.close(self._file)

    def _append(self, line: Mapping[str, Any]) -> None:
        data = json.dumps(line, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            if self._broken:
                raise ClusterError(self._broken)
            try:
                self._write(data)
            except OSError as error:
                fault = self._fault(error)
                self._broken = str(fault)
                raise fault from error

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[os.write(self._file, left) :]
        os.fsync(self._file)

    def _fault(self, error: OSError) -> ClusterError:
        return ClusterError(
            f"{self.path}: the journal cannot be written ({error.strerror}), and without it nothing more is done on "
            "the cluster; make room, then apply again: that finishes it"
        )


def _cut(data: bytes) -> Any:
    """A short text as it is; of a long one the beginning, its size and the SHA-256 of all of it."""
    text = data[:LONGEST].decode("utf-8", "replace")
    return text if len(data) <= LONGEST else {"cut": text, "bytes": len(data), "sha256": sha256(data).hexdigest()}


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
