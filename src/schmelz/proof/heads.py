"""Closed months and their heads: one number for a month and all before it, which each owner keeps.

A *head* is SHA-256 over the canonical JSON of the month, the digests of its inputs and totals, and the head before; of the
first, GENESIS. Months are closed one after the other; the first may be any. Signatures stand outside of the head: persons
are commitments in them. Nothing here reads or counts anything.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from schmelz.faults import BadInput, Refused
from schmelz.proof.chain import GENESIS, canonical, digest

_MONTH = re.compile(r"(20\d\d|21\d\d)-(0[1-9]|1[0-2])")


@dataclass(frozen=True)
class Countersigned:
    """Who signed a month's head: the role, and the person as a commitment."""

    role: str
    signer: str


@dataclass(frozen=True)
class Closing:
    """A closed month: the SHA-256 of each of its inputs (and the last event before it) and totals, the head before it.

    `head` is what was claimed; `signatures` stand outside of it.
    """

    month: str
    previous: str
    inputs: Mapping[str, str]
    totals: Mapping[str, str]
    head: str
    signatures: tuple[Countersigned, ...] = ()


def check_month(text: str) -> str:
    """The name of a month. Raises BadInput for what is none."""
    if not _MONTH.fullmatch(text):
        raise BadInput(f"month: {text!r} is none; write for example 2026-10")
    return text


def following(month: str) -> str:
    number = int(month[:4]) * 12 + int(month[5:])
    return f"{number // 12}-{number % 12 + 1:02d}"


def check_order(month: str, closings: Sequence[Closing]) -> str:
    """The head before this month's. Raises Refused unless it follows the last closed month; the first may be any."""
    if not closings:
        return GENESIS
    last = closings[-1]
    if any(closing.month == month for closing in closings):
        raise Refused(f"{month} is closed.", "What changed since is booked in the next closing.")
    if month < last.month:
        raise Refused(f"{month} is before {last.month}, which is closed.", f"The next is {following(last.month)}.")
    if month != following(last.month):
        raise Refused(f"{following(last.month)} is not closed.", "Months are closed one after the other.")
    return last.head


def head(month: str, previous: str, inputs: Mapping[str, str], totals: Mapping[str, str]) -> str:
    """The one number that stands for a closed month and all before it."""
    return digest(canonical({"month": month, "inputs": dict(inputs), "totals": dict(totals), "previous": previous}))


def line(closing: Closing) -> str:
    """A closing as a line of closings.jsonl."""
    return canonical(asdict(closing))


def read_line(text: str) -> Closing:
    """The closing of such a line. Raises ValueError, KeyError or TypeError for what is none."""
    said = json.loads(text)
    if not all(isinstance(said[key], str) for key in ("month", "previous", "head")) or not all(
        isinstance(said[key], dict) for key in ("inputs", "totals")
    ):
        raise ValueError("is no closing")
    check_month(said["month"])
    signatures = tuple(Countersigned(str(one["role"]), str(one["signer"])) for one in said["signatures"])
    return Closing(said["month"], said["previous"], said["inputs"], said["totals"], said["head"], signatures)
