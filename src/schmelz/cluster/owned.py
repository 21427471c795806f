"""What of both sides is ours to compare: equal things look equal, and what hangs on foreign objects is left out.

*Foreign* objects stand on the cluster under a name that the decisions use, but without our mark. They are *left alone*,
and so is what depends on them: accounts below a foreign account, accounts whose jobs would ask for a foreign QOS, and
the members of those; a QOS that would pre-empt a foreign one is made without that. In the normal form a closed account
is never also held, and lists are sorted. Pure.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace

from schmelz.cluster.desired import Desired
from schmelz.cluster.model import Account, Observed, Qos

NAMED = 5


@dataclass(frozen=True)
class Sides:
    """Desired and observed in normal form and within reach; `alone` tells each desired name out of reach its cause."""

    wanted: Desired
    seen: Observed
    alone: Mapping[str, str]


def sides(desired: Desired, observed: Observed) -> Sides:
    """Both sides, ready to be compared."""
    alone = _alone(desired, observed)
    foreign = set(observed.foreign_qos)
    ours = {account.name for account in observed.accounts if account.name not in alone}
    wanted = replace(
        desired,
        accounts=tuple(normal(account) for account in desired.accounts if account.name not in alone),
        members=tuple(member for member in desired.members if member.account not in alone),
        qos=tuple(_normal_qos(qos, foreign) for qos in desired.qos if qos.name not in foreign),
    )
    seen = replace(
        observed,
        accounts=tuple(normal(account) for account in observed.accounts if account.name in ours),
        members=tuple(member for member in observed.members if member.account in ours),
        qos=tuple(_normal_qos(qos) for qos in observed.qos),
        left=tuple(member for member in observed.left if member.account in ours),
    )
    return Sides(wanted, seen, alone)


def normal(account: Account) -> Account:
    """The account in the form in which equal accounts are equal."""
    held = account.held and account.open
    qos, coordinators = tuple(sorted(account.qos)), tuple(sorted(account.coordinators))
    if (held, qos, coordinators) == (account.held, account.qos, account.coordinators):
        return account
    return replace(account, held=held, qos=qos, coordinators=coordinators)


def _normal_qos(qos: Qos, foreign: Set[str] = frozenset()) -> Qos:
    return replace(qos, preempts=tuple(sorted(set(qos.preempts) - foreign)))


def _alone(desired: Desired, observed: Observed) -> dict[str, str]:
    """Desired accounts out of reach, each with the foreign name that is the cause (its own, or what it hangs on)."""
    foreign = set(observed.foreign)
    barred = {qos.name for qos in desired.qos} & set(observed.foreign_qos)
    alone: dict[str, str] = {}
    for account in desired.accounts:
        needed = barred & {*account.qos, account.default_qos}
        if account.name in foreign:
            alone[account.name] = account.name
        elif account.parent in alone:
            alone[account.name] = alone[account.parent]
        elif needed:
            alone[account.name] = f"qos {min(needed)}"
    return alone


def warnings(desired: Desired, observed: Observed, alone: Mapping[str, str]) -> tuple[str, ...]:
    """A line for each foreign object in our way, each QOS of ours that nobody wants any more, and who is leaving."""
    barred = sorted({qos.name for qos in desired.qos} & set(observed.foreign_qos))
    causes = sorted({cause for cause in alone.values() if not cause.startswith("qos ")})
    left_over = sorted({qos.name for qos in observed.qos} - {qos.name for qos in desired.qos})
    return (
        *(_in_the_way(name, "an account", name, alone) for name in causes),
        *(_in_the_way(name, "a quality of service", f"qos {name}", alone) for name in barred),
        *(
            f"{name}: no decision asks for this quality of service any more; it stays, because jobs may still name it"
            for name in left_over
        ),
        *(
            f"{one.account}: {one.user} left while jobs were there; they go on to their end, no other one starts"
            for one in sorted(set(observed.leaving) - set(desired.members))
        ),
    )


def _in_the_way(name: str, what: str, cause: str, alone: Mapping[str, str]) -> str:
    hanging = sorted(account for account, why in alone.items() if why == cause and account != name)
    more = f" and {len(hanging) - NAMED} more" if len(hanging) > NAMED else ""
    them = f"it and what depends on it ({', '.join(hanging[:NAMED])}{more}) are" if hanging else "it is"
    return f"{name}: {what} of this name stands there without our mark; {them} left alone until an operator marks or renames it"
