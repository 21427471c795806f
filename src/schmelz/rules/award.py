"""Who signs next, and which award may be signed: four eyes, in the order of the pool's signers.

A *signature* is a person's, given in a role, on exactly one proposal. The first signer's signature is the proposal.
An award is complete when every role of the pool has signed; two roles are never filled by one person.
Source: [[systems.pools]] signers in the policy file; the design's sixth promise, people decide.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from schmelz.faults import BadInput, Refused
from schmelz.policy.schema import Mode, System
from schmelz.rules.texts import english
from schmelz.units import HOUR


@dataclass(frozen=True)
class Signature:
    """Who signed, and in which role."""

    person: str
    role: str


class Signed(Protocol):
    """What needs signatures: a pool's awards, a system's mandates."""

    @property
    def signers(self) -> Sequence[str]: ...


def next_role(pool: Signed, signatures: Sequence[Signature]) -> str | None:
    """The role whose turn it is; None when all have signed."""
    return pool.signers[len(signatures)] if len(signatures) < len(pool.signers) else None


def check_signer(pool: Signed, signatures: Sequence[Signature], person: str, roles: Collection[str]) -> str:
    """The role in which `person` signs next. Raises Refused when it is not their turn or they have signed already."""
    role = next_role(pool, signatures)
    if role is None:
        raise Refused("everybody has signed already.", "Nothing is left to do.")
    if any(signature.person == person for signature in signatures):
        raise Refused(f"{person} has signed already; a second pair of eyes is needed.", f"It waits for {role}.")
    if role not in roles:
        raise Refused(f"it waits for {role}, and {person} does not hold this role.", f"Somebody of {role} must sign.")
    return role


def check_amount(mode: Mode, system: System, gpu_hours: int) -> None:
    """An award lies within the mode's bounds; it may differ from the request. Raises BadInput."""
    size = mode.size(system)
    if gpu_hours < max(1, size.min) or (size.max is not None and gpu_hours > size.max):
        bounds = f"at least {max(1, size.min)}" if size.max is None else f"{max(1, size.min)} to {size.max}"
        raise BadInput(f"gpu_hours: {gpu_hours} is outside {english(mode.title)}; award {bounds} GPU-hours")


def check_amendment(mode: Mode | None, system: System, gpu_hours: int, before: int, used_gpu_s: int) -> None:
    """Another amount for a project: not above the mode's bound, not below what is used already. Raises BadInput."""
    most = mode.size(system).max if mode else None
    if gpu_hours == before:
        raise BadInput(f"gpu_hours: {gpu_hours} is what the project has already")
    if gpu_hours < 1 or (most is not None and gpu_hours > max(most, before)):
        bounds = f"1 to {most}" if most else "1 or more"
        raise BadInput(f"gpu_hours: {gpu_hours} is outside the access mode; write {bounds} GPU-hours")
    if gpu_hours * HOUR < used_gpu_s:
        least = -(-used_gpu_s // HOUR)
        raise BadInput(f"gpu_hours: {gpu_hours} is less than was used already; write {least} or more, or suspend it")


def check_reason(text: str) -> str:
    """A decision says why, in at most 2,000 characters. Raises BadInput."""
    reason = text.strip()
    if any(sign < " " and sign not in "\t\n\r" for sign in reason):
        raise BadInput("because: holds control characters; write plain text")
    if not reason:
        raise BadInput("because: is empty; say in a sentence why")
    if len(reason) > 2000:
        raise BadInput(f"because: has {len(reason)} characters; say it in at most 2000")
    return reason
