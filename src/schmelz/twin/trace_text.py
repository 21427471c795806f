"""The text of a trace: opened, unpacked where it is gzip, read line by line, and what can be wrong with it in one line.

Every line has a number, the first is 1. Memory is bounded by the longest line that is taken (LINE bytes) and by what the
readers keep of it. Raises BadInput, with the name of the file, for a text that is none, or is cut off.
"""

import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt

from schmelz.faults import BadInput
from schmelz.twin.workload import Bools, Ints

FORMATS = ("swf", "sacct", "csv")
PACKED = b"\x1f\x8b"
LINE = 1 << 16
SHOWN = 40
MOST = 7_258_118_400  # the year 2200: beyond that, a number of seconds is none


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The text of a file, unpacked."""
    try:
        with path.open("rb") as raw:
            packed = raw.peek(2)[:2] == PACKED
            yield (
                cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, gzip.GzipFile(fileobj=raw)), LINE))
                if packed
                else raw
            )
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BadInput(f"{path}: the gzip packing is damaged or cut off ({error})") from None
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror or error})") from None


def lines(source: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """The lines with their numbers. Raises BadInput for one that is too long, or no text."""
    number = 0
    while line := source.readline(LINE):
        number += 1
        if len(line) == LINE:
            raise BadInput(f"line {number}: is longer than {LINE} bytes; this is no trace")
        if b"\0" in line:
            raise BadInput(f"line {number}: holds NUL bytes; this is no text")
        yield number, line


def guessed(path: Path) -> str:
    """The format, from the file's name or its first line. Raises BadInput."""
    for name in path.name.lower().split(".")[:0:-1]:
        if name in FORMATS:
            return name
    with opened(path) as source:
        line = next((line for _, line in lines(source)), b"")
    if line.startswith(b";") or len(line.split()) == 18:
        return "swf"
    if found := next((name for mark, name in ((b"|", "sacct"), (b",", "csv")) if mark in line), None):
        return found
    raise BadInput(f"{path}: is in no format that is known here; say --format swf, sacct or csv")


def number_of(text: bytes | str, what: str, line: int) -> int:
    """A whole number. Raises BadInput."""
    try:
        return int(text)
    except ValueError:
        shown = text.decode("utf-8", "backslashreplace") if isinstance(text, bytes) else text
        raise BadInput(f"line {line}: {what}: {shown[:SHOWN]!a} is no whole number") from None


def refuse(faults: Sequence[tuple[Bools, str]], numbers: Ints) -> None:
    """Raises BadInput for the first line that any of the faults is true of."""
    worst = [(int(np.argmax(wrong)), number) for number, (wrong, _) in enumerate(faults) if wrong.any()]
    if worst:
        place, number = min(worst)
        raise BadInput(f"line {numbers[place]}: {faults[number][1]}")


def in_order(submit: Ints) -> Bools:
    """Where a job was submitted before the one above it."""
    return np.concatenate(([False], submit[1:] < submit[:-1]))


def job_names(names: Sequence[str]) -> npt.NDArray[Any]:
    """The jobs' names: as numbers, where all of them are."""
    try:
        return np.array([int(name) for name in names], np.int64)
    except (ValueError, OverflowError):
        return np.array(names, object)
