"""Closing the difference: make a fresh plan, check it against the one a person read, do it, read back, compare.

Two guards stand before the first command: the plan must be the one that was read (its hash), and what it takes away
must stay within what a person allowed (the *brake*). Applying twice equals applying once; killed half-way, the next
apply finishes, because each begins by looking at the cluster again. Nothing is believed that was not read back.
"""

from dataclasses import dataclass

from schmelz.cluster.desired import Desired
from schmelz.cluster.diff import Change
from schmelz.cluster.model import Account, Backend, ClusterError, Member
from schmelz.cluster.plan import Plan, make
from schmelz.faults import Refused


@dataclass(frozen=True)
class Applied:
    """How many changes were made, and the hash of the plan that asked for them."""

    changes: int
    hash: str


def apply(backend: Backend, desired: Desired, *, expected_hash: str | None = None, allow_remove: int = 0) -> Applied:
    """Make the cluster as desired. Raises Refused (nothing was touched) or ClusterError (apply again)."""
    plan = make(desired, backend.observe())
    _guard(plan, expected_hash, allow_remove)
    if plan.changes:
        _carry_out(backend, plan)
        _compare(make(desired, backend.observe()))
    return Applied(len(plan.changes), plan.hash)


def _guard(plan: Plan, expected_hash: str | None, allow_remove: int) -> None:
    if expected_hash is not None and expected_hash != plan.hash:
        raise Refused(
            f"the cluster or the decisions moved since plan {expected_hash[:12]} was made; "
            f"the plan is {plan.hash[:12]} now.",
            "Read the new plan and apply that one.",
        )
    if plan.removals > allow_remove:
        raise Refused(
            f"the plan closes accounts or takes access away {plan.removals} times ({plan.radius}); "
            f"allowed are {allow_remove}.",
            f"If that is meant, allow it with --allow-remove {plan.removals}.",
        )


def _carry_out(backend: Backend, plan: Plan) -> None:
    """Additions, then changes, then removals; a kind of call without work is not made."""
    added = _names(plan, "add")
    accounts = [a for a in plan.desired.accounts if ("account", a.name) in added]
    members = [m for m in plan.desired.members if ("member", f"{m.account}/{m.user}") in added]
    if accounts or members:
        backend.create(accounts, members)
    if changed := _changed(plan):
        backend.change(changed)
    if gone := [
        Member(m.user, m.account)
        for m in plan.observed.members
        if ("member", f"{m.account}/{m.user}") in _names(plan, "remove")
    ]:
        backend.remove(gone)


def _names(plan: Plan, op: str) -> set[tuple[str, str]]:
    return {(change.kind, change.name) for change in plan.changes if change.op == op}


def _changed(plan: Plan) -> list[Account]:
    """The accounts to change as they shall be: what was seen, with the plan's new values over it."""
    seen = {account.name: account for account in plan.observed.accounts}
    return [_over(seen[change.name], change) for change in plan.changes if change.op == "change"]


def _over(account: Account, change: Change) -> Account:
    values = {name: getattr(account, name) for name in ("name", "parent", "shares", "gpu_minutes", "open")}
    return Account(**values | {field: new for field, _, new in change.fields})


def _compare(left: Plan) -> None:
    if left.changes:
        lines = "\n".join(f"  {change.op} {change.kind} {change.name}" for change in left.changes)
        raise ClusterError(f"the cluster took the commands, but {len(left.changes)} differences remain:\n{lines}")
