"""Who signs next, and which award may be signed: four eyes, in the order of the pool's signers.

A *signature* is a person's, given in a role, on exactly one proposal. The first signer's signature is the proposal.
An award is complete when every role of the pool has signed; two roles are never filled by one person.
Source: [[systems.pools]] signers in the policy file; the design's sixth promise, people decide.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from schmelz.faults import BadInput, Refused
from schmelz.policy.schema import Mode, Pool, System
from schmelz.rules.texts import english


@dataclass(frozen=True)
class Signature:
    """Who signed, and in which role."""

    person: str
    role: str


def next_role(pool: Pool, signatures: Sequence[Signature]) -> str | None:
    """The role whose turn it is; None when all have signed."""
    return pool.signers[len(signatures)] if len(signatures) < len(pool.signers) else None


def check_signer(pool: Pool, signatures: Sequence[Signature], person: str, roles: Collection[str]) -> str:
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
