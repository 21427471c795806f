"""The portal's clock: UTC epoch seconds. SCHMELZ_NOW (an ISO time) stands in for it in demonstrations and tests."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

from schmelz.faults import BadInput

_PRETENDED: ContextVar[int | None] = ContextVar("pretended", default=None)


def now() -> int:
    """The present second. Raises BadInput when SCHMELZ_NOW is no ISO time."""
    instant = _PRETENDED.get()
    if instant is not None:
        return instant
    pretended = os.environ.get("SCHMELZ_NOW")
    if not pretended:
        return int(time.time())
    try:
        moment = datetime.fromisoformat(pretended)
    except ValueError:
        raise BadInput(f"SCHMELZ_NOW: {pretended!r} is not a time; write for example 2026-11-23T09:00:00Z") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


@contextmanager
def at(instant: int) -> Iterator[None]:
    """Everything inside happens at `instant`: how demonstration data get a past."""
    token = _PRETENDED.set(instant)
    try:
        yield
    finally:
        _PRETENDED.reset(token)
