"""Closing the difference: make a fresh plan, check it against the one a person read, do it, read back, compare.

Guards stand before the first command: one apply at a time, the plan must be the one that was read (its hash), what it
takes away must stay within what a person allowed (the *brake*), and many removals need the approval of a second person.
Every step has its line in the journal first. Applying twice equals applying once; killed half-way, the next apply
finishes: it begins by looking at the cluster again, and the removals that were allowed to the unfinished one are allowed
to it. Nothing is believed that was not read back; no job is ever cancelled.
"""

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

from schmelz.cluster.desired import Desired
from schmelz.cluster.diff import Keep, Kind, member_name
from schmelz.cluster.journal import Entry, Journal, digest
from schmelz.cluster.model import Account, Backend, ClusterError, Observed, Qos
from schmelz.cluster.owned import normal
from schmelz.cluster.plan import Plan, make
from schmelz.cluster.writing import Writing
from schmelz.faults import BadInput, Refused

SHORTEST_HASH = 12


@dataclass(frozen=True)
class Applied:
    """How many changes were made, the hash of the plan that asked for them, the journal's entry and its SHA-256."""

    changes: int
    hash: str
    journal: str = ""
    digest: str = ""


Approved = Collection[str] | Callable[[str], Collection[str]]


@runtime_checkable
class Recording(Protocol):
    """A backend that tells of every command: before it runs, and when it has answered."""

    def recorded(self, tell: Callable[[Any], None]) -> AbstractContextManager[None]: ...


@runtime_checkable
class Rereading(Protocol):
    """A backend that can look again at some kinds of objects alone, where only those were changed since its last look."""

    def observe_again(self, kinds: Collection[Kind]) -> Observed: ...


def apply(
    backend: Backend,
    desired: Desired,
    *,
    expected_hash: str | None = None,
    allow_remove: int = 0,
    journal: Journal | None = None,
    who: str = "",
    alone: int | None = None,
    approved: Approved = frozenset(),
    keep: Keep | None = None,
) -> Applied:
    """Make the cluster as desired. Raises Refused (nothing was touched) or ClusterError (apply again).

    `alone`: how many removals one person may apply (None: any number); more need somebody else in `approved`: those who
    approved this very plan, or who they are for its hash. `keep`: fields that are left as they are.
    """
    with journal.lock(who) if journal else nullcontext():
        unfinished = journal.unfinished() if journal else ()
        plan = make(desired, backend.observe(), keep=keep)
        _guard(plan, expected_hash)
        seconds = approved(plan.hash) if callable(approved) else approved
        _brake(plan, unfinished, allow_remove, alone, approved=set(seconds) - {who})
        if not plan.changes and not unfinished:
            return Applied(0, plan.hash)
        if journal is None:
            _carry_out(backend, plan, keep)
            return Applied(len(plan.changes), plan.hash)
        return _journalled(backend, plan, keep, journal.begin(plan, who, allow_remove), unfinished)


def _guard(plan: Plan, expected_hash: str | None) -> None:
    if expected_hash is None:
        return
    if len(expected_hash) < SHORTEST_HASH or not plan.hash.startswith(expected_hash):
        raise Refused(
            f"the cluster or the decisions moved since plan {expected_hash[:12]} was made; "
            f"the plan is {plan.hash[:12]} now.",
            "Read the new plan and apply that one.",
        )


def _brake(
    plan: Plan, unfinished: Sequence[Entry], allow_remove: int, alone: int | None, *, approved: Collection[str]
) -> None:
    allowed = {name for entry in unfinished for name in entry.removals}
    number = sum(name not in allowed for name in plan.removed)
    if number > allow_remove:
        raise Refused(
            f"the plan closes accounts or takes access away {_times(number)} ({plan.radius}); "
            f"allowed are {allow_remove}.",
            f"If that is meant, allow it with --allow-remove {number}.",
        )
    if alone is not None and number > alone and not approved:
        raise Refused(
            f"the plan closes accounts or takes access away {_times(number)}; one operator may do that {_times(alone)}.",
            f"A second operator must approve this plan: schmelz approve {plan.hash}",
        )


def _times(number: int) -> str:
    return f"{number} time" if number == 1 else f"{number} times"


def _journalled(
    backend: Backend, plan: Plan, keep: Keep | None, entry: Writing, unfinished: Sequence[Entry]
) -> Applied:
    """Whatever ends this but an answer of ours leaves the entry without an end: interrupted."""
    try:
        with backend.recorded(entry.command) if isinstance(backend, Recording) else nullcontext():
            _carry_out(backend, plan, keep)
        entry.end("done", finished=[one.id for one in unfinished])
    except (ClusterError, Refused, BadInput) as fault:
        with suppress(ClusterError):
            entry.end("failed", str(fault))
        raise
    finally:
        entry.close()
    return Applied(len(plan.changes), plan.hash, entry.id, digest(entry.path))


def _carry_out(backend: Backend, plan: Plan, keep: Keep | None) -> None:
    """Additions, then changes, then removals, then a look; a kind of call without work is not made."""
    if not plan.changes:
        return
    added, wanted = _names(plan, "add"), plan.sides.wanted
    qos = [one for one in wanted.qos if ("qos", one.name) in added]
    accounts = [one for one in wanted.accounts if ("account", one.name) in added]
    members = [one for one in wanted.members if ("member", member_name(one)) in added]
    if qos or accounts or members:
        backend.create(accounts, members, qos)
    changed, other, defaults = _changed(plan)
    if changed or other or defaults:
        backend.change(changed, other, defaults)
    gone = _names(plan, "remove")
    there = (*plan.observed.members, *plan.observed.left)
    if leaving := [member for member in there if ("member", member_name(member)) in gone]:
        backend.remove(leaving)
    kinds: set[Kind] = {change.kind for change in plan.changes} | ({"user"} if _leads(plan) else set())
    after = backend.observe_again(kinds) if isinstance(backend, Rereading) else backend.observe()
    _compare(make(plan.desired, after, keep=keep))


def _leads(plan: Plan) -> bool:
    """Whether it may change who leads an account: an account below another one is led by others as well."""
    return any(field in ("coordinators", "parent") for change in plan.changes for field, _, _ in change.fields)


def _names(plan: Plan, op: str) -> set[tuple[str, str]]:
    return {(change.kind, change.name) for change in plan.changes if change.op == op}


def _changed(plan: Plan) -> tuple[list[Account], list[Qos], list[tuple[str, str]]]:
    """What is to be changed as it shall be: what was seen, with the plan's new values over it."""
    accounts = {account.name: account for account in plan.sides.seen.accounts}
    qualities = {qos.name: qos for qos in plan.sides.seen.qos}
    new = [(c.kind, c.name, {field: value for field, _, value in c.fields}) for c in plan.changes if c.op == "change"]
    defaults = [(c.name, str(c.fields[0][2])) for c in plan.changes if c.kind == "user"]
    return (
        [normal(replace(accounts[name], **values)) for kind, name, values in new if kind == "account"],  # type: ignore[arg-type]
        [replace(qualities[name], **values) for kind, name, values in new if kind == "qos"],  # type: ignore[arg-type]
        defaults,
    )


def _compare(left: Plan) -> None:
    if left.changes:
        lines = "\n".join(f"  {change.op} {change.kind} {change.name}" for change in left.changes)
        raise ClusterError(f"the cluster took the commands, but {len(left.changes)} differences remain:\n{lines}")
