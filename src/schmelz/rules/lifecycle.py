"""States as tables: which move is possible from where, who may make it, and what it means in one sentence.

Each app of the portal writes its own TRANSITIONS; one function there moves an object (lock, permission, guard, write,
ledger event). Diagrams in docs/ are made from the same tables.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from schmelz.faults import Refused
from schmelz.rules.permissions import Permission


@dataclass(frozen=True)
class Transition:
    """One move: its name, the states it starts from, the state it ends in, and the permission it needs."""

    name: str
    starts: tuple[str, ...]
    finish: str
    permission: Permission
    sentence: str


def transition(table: Sequence[Transition], name: str, state: str) -> Transition:
    """The move `name` out of `state`. Raises Refused, saying what is possible from here instead."""
    for row in table:
        if row.name == name and state in row.starts:
            return row
    possible = ", ".join(row.name for row in table if state in row.starts) or "nothing"
    raise Refused(f"it is {state}, so it cannot be moved by {name!r}.", f"Possible now: {possible}.")


def diagram(table: Sequence[Transition]) -> str:
    """The table as a Mermaid state diagram, for the documentation."""
    rows = [f"    {start} --> {row.finish}: {row.name}" for row in table for start in row.starts]
    return "\n".join(["stateDiagram-v2", *rows])
