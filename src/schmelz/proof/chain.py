"""The hash chain of events: each link holds the one before it, so that nothing can be changed, dropped or reordered unseen.

A link's hash is SHA-256 over the canonical JSON (sorted keys, no spaces, UTF-8) of the event and the previous hash. Persons
stand in the chain only as *commitments*, SHA-256 over a salt and their handle: deleting the salt forgets the person and
leaves the chain valid. A chain that its keeper alone holds proves arithmetic, not truth: heads must be kept by the owners.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping

GENESIS = "0" * 64


def canonical(value: object) -> str:
    """JSON with sorted keys and no spaces: the same value gives the same bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def link(previous: str, event: Mapping[str, object]) -> str:
    """The hash of `event` when it follows `previous`."""
    return digest(canonical({"event": dict(event), "previous": previous}))


def commitment(salt: str, handle: str) -> str:
    """A person's stand-in inside the chain."""
    return digest(f"{salt}:{handle}")


def broken(events: Iterable[tuple[Mapping[str, object], str]]) -> int | None:
    """The position (from 1) of the first event whose hash does not follow from its content and the one before; or None."""
    previous = GENESIS
    for position, (event, claimed) in enumerate(events, start=1):
        if link(previous, event) != claimed:
            return position
        previous = claimed
    return None
