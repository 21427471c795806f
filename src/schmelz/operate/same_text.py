"""Telling a text of job records from any other while it is read, so that a second reading need not parse it.

The digest is of every byte, of the way to read it (format, mapping, system, cluster) and of the code that reads: after an
update of either nothing is taken for read. The bytes are hashed as they come; what is hashed is what was read.
"""

import hashlib
import io
from functools import cache, partial
from pathlib import Path
from typing import Any

import polars as pl

from schmelz import metering
from schmelz.metering.formats import Format
from schmelz.policy.schema import System


class Watched(io.RawIOBase):
    """A file, with the digest of what was read of it."""

    def __init__(self, file: io.FileIO, form: Format, system: System) -> None:
        self._file, self._digest, self.size = file, hashlib.sha256(_way(form, system)), 0

    def readinto(self, room: Any) -> int:
        count = self._file.readinto(room)
        self._digest.update(memoryview(room)[:count])
        self.size += count
        return count

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._file.seekable()

    def tell(self) -> int:
        return self._file.tell()

    def digest(self) -> str:
        return self._digest.hexdigest()


def digest_of(path: Path, form: Format, system: System) -> str:
    """The digest of a whole file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.sha256(_way(form, system))).hexdigest()


def _way(form: Format, system: System) -> bytes:
    """All that decides, beside the bytes, what a text says."""
    function, options = (form.func, form.keywords) if isinstance(form, partial) else (form, {})
    name = getattr(function, "__module__", "")
    said = (name, sorted(options.items()), system.id, system.cluster.name, pl.__version__, _code())
    return repr(said).encode() + b"\0"


@cache
def _code() -> str:
    directory = Path(metering.__file__).parent
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(directory.glob("*.py")))).hexdigest()
