"""The formats that job records come in: `sacct`, `swf` and `csv`, each plain or packed with gzip.

A *format* reads a text part by part into runs and faults; how it is to be read (mapping, accounts, zero) is part of it.
Packed text is known by its first bytes, not by its name. Raises RecordError, and keeps nothing, for a text that is no text
or ends in the middle of its packing.
"""

import gzip
import io
import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import BinaryIO, Protocol, cast

from schmelz.faults import BadInput
from schmelz.metering import mapped, sacct, swf
from schmelz.metering.runs import RecordError

FORMATS = ("sacct", "swf", "csv")
PACKED = b"\x1f\x8b"
LOOK = 4096


class Format(Protocol):
    """How a text becomes runs, part by part."""

    def __call__(self, source: BinaryIO, *, system: str, cluster: str) -> Iterator[sacct.Reading]: ...


def format_of(name: str, columns: Sequence[str] = (), account: str = "", zero: str = "") -> Format:
    """The format of that name, with its options as they are written. Raises BadInput."""
    if name not in FORMATS:
        raise BadInput(f"--format: {name!r} is none of {', '.join(FORMATS)}")
    foreign = {
        "--map": columns and name != "csv",
        "--account": account and name != "swf",
        "--time-zero": zero and name == "sacct",
    }
    if strange := [option for option, is_so in foreign.items() if is_so]:
        raise BadInput(f"{strange[0]}: means nothing for --format {name}")
    if name == "swf":
        return partial(swf.parts, account=_account(account or swf.ACCOUNTS[0]), zero=_zero(zero))
    if name == "csv":
        return partial(mapped.parts, columns=_columns(columns), zero=_zero(zero))
    return sacct.parts


def opened(source: BinaryIO) -> BinaryIO:
    """The same text, unpacked where it is packed. Raises RecordError when it is no text at all."""
    whole = source if hasattr(source, "peek") else io.BufferedReader(cast(io.RawIOBase, source))
    if whole.peek(2)[:2] == PACKED:
        whole = io.BufferedReader(cast(io.RawIOBase, gzip.GzipFile(fileobj=whole)), LOOK * 16)
    first = whole.peek(LOOK)[:LOOK].partition(b"\n")[0]
    if b"\0" in first:
        raise RecordError("line 1: holds NUL bytes; this is no text of job records")
    return whole


def parts(source: BinaryIO, form: Format, *, system: str, cluster: str) -> Iterator[sacct.Reading]:
    """What the text holds, part by part."""
    try:
        yield from form(opened(source), system=system, cluster=cluster)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise RecordError(f"the gzip packing is damaged or cut off ({error}); nothing was kept") from None


def _account(field: str) -> str:
    if field not in swf.ACCOUNTS:
        raise BadInput(f"--account: {field!r} is none of {', '.join(swf.ACCOUNTS)}")
    return field


def _columns(pairs: Sequence[str]) -> Mapping[str, str]:
    found = dict(pair.split("=", 1) for text in pairs for pair in text.split(",") if "=" in pair)
    if wrong := [pair for text in pairs for pair in text.split(",") if "=" not in pair]:
        raise BadInput(f"--map: {wrong[0]!r} is no NAME=COLUMN")
    return {name.strip(): column.strip() for name, column in found.items()}


def _zero(text: str) -> int | None:
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadInput(f"--time-zero: {text!r} is no time; write 2017-09-04T00:00:00 (UTC) or epoch seconds") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
