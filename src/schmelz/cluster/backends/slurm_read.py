"""What Slurm's answers mean: tables by their headers, the tree of accounts, events of nodes. Pure.

A *table* is `-P` text; it is refused whole when a column is missing, a row is of another length or the end is cut.
The *stand* of a cluster is what one read of all accounts says. A *former* member's association has MaxSubmitJobs=0: it
stays until its last job has ended (Slurm keeps it that long) and is nobody's right to anything. Closed accounts have
GrpSubmitJobs=0. Invariant: an answer without the cluster's own root is no answer; a tree has all its parents.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from schmelz.cluster.backends.slurm_call import TIME_FORMAT
from schmelz.cluster.model import MARK, Account, ClusterError, Member, NodeEvent, Observed

Row = Mapping[str, str]

ROOT = "root"
TREE = ("Account", "Org", "Cluster", "ParentName", "User", "Share", "GrpTRESMins", "GrpSubmit", "MaxSubmit")
USERS = ("User", "Def Acct", "Account", "Cluster")
EVENTS = ("Cluster", "NodeName", "State", "TimeStart", "TimeEnd", "Reason")


@dataclass(frozen=True)
class Stand:
    """Everything that one read says: what is ours, former members, and the names of all accounts of this cluster."""

    observed: Observed
    former: frozenset[Member]
    here: frozenset[str]


def table(source: bytes, columns: Sequence[str], what: str) -> list[dict[str, str]]:
    """The rows of an answer. Separators in the last column are part of its text. Raises ClusterError."""
    text = source.decode("utf-8", "replace")
    if not text:
        raise ClusterError(f"{what}: the answer is empty")
    if not text.endswith("\n"):
        raise ClusterError(f"{what}: the answer is cut off in the middle of a line")
    header, *lines = text[:-1].split("\n")
    names = header.split("|")
    if missing := [column for column in columns if column not in names]:
        raise ClusterError(f"{what}: the answer lacks the column {', '.join(missing)}")
    rows = [line.split("|", len(names) - 1) for line in lines]
    if wrong := next((line for line, row in zip(lines, rows, strict=True) if len(row) != len(names)), None):
        raise ClusterError(f"{what}: a line has not {len(names)} fields: {wrong[:120]!r}")
    return [dict(zip(names, row, strict=True)) for row in rows]


def instant(text: str) -> int | None:
    """A time in UTC epoch seconds; None where Slurm has nothing to say."""
    try:
        return int(datetime.strptime(text, TIME_FORMAT).replace(tzinfo=UTC).timestamp())
    except ValueError:  # Unknown, None, N/A
        return None


def number(row: Row, column: str) -> int:
    """A whole number in a column. Raises ClusterError."""
    try:
        return int(row[column])
    except ValueError:
        raise ClusterError(f"{column}: {row[column]!r} is not a number") from None


# -- accounts


def stand(source: bytes, cluster: str) -> Stand:
    """The accounts of `cluster`. Other clusters of the same data base only tell which names are taken."""
    every = table(source, TREE, "sacctmgr show account")
    rows = [row for row in every if row["Cluster"] == cluster]
    if not any(row["Account"] == ROOT and not row["User"] for row in rows):
        known = ", ".join(sorted({row["Cluster"] for row in every if row["Cluster"]})) or "none"
        raise ClusterError(f"the cluster {cluster!r} has no root account; the data base knows the clusters: {known}")
    here = frozenset(row["Account"] for row in rows)
    ours = [row for row in rows if row["Org"] == MARK and row["Account"] != ROOT]
    accounts = tuple(sorted(_account(row, here) for row in ours if not row["User"]))
    members = [row for row in ours if row["User"]]
    if orphans := {row["Account"] for row in members} - {account.name for account in accounts}:
        raise ClusterError(f"the answer has members of {min(orphans)}, but not the account itself")
    former = frozenset(_member(row) for row in members if row["MaxSubmit"] == "0")
    present = tuple(sorted({_member(row) for row in members} - former))
    foreign = {row["Account"] for row in every if row["Org"] != MARK} - {ROOT}
    return Stand(Observed(cluster, accounts, present, tuple(sorted(foreign))), former, here)


def _account(row: Row, here: frozenset[str]) -> Account:
    if row["ParentName"] not in here:
        raise ClusterError(f"account {row['Account']}: its parent {row['ParentName']!r} is not in the answer")
    shares = 0 if row["Share"] == "parent" else number(row, "Share")  # somebody set it by hand; we never do
    return Account(row["Account"], row["ParentName"], shares, _budget(row["GrpTRESMins"]), row["GrpSubmit"] != "0")


def _budget(limits: str) -> int | None:
    found = re.search(r"(?:^|,)gres/gpu=([0-9]+)", limits)
    return int(found[1]) if found else None


def _member(row: Row) -> Member:
    return Member(row["User"], row["Account"])


def new_defaults(source: bytes, cluster: str, leaving: Iterable[Member]) -> dict[str, list[str]]:
    """Who must get another default account before leaving: account -> users. Nobody whose last account it is."""
    gone, default, others = set(leaving), {}, dict[str, set[str]]()
    for row in table(source, USERS, "sacctmgr show user"):
        if row["Cluster"] == cluster:
            default[row["User"]] = row["Def Acct"]
            if _member(row) not in gone:
                others.setdefault(row["User"], set()).add(row["Account"])
    moves: dict[str, list[str]] = {}
    for user, rest in sorted(others.items()):
        if Member(user, default[user]) in gone:
            moves.setdefault(min(rest), []).append(user)
    return moves


# -- nodes


def events(source: bytes, cluster: str) -> tuple[NodeEvent, ...]:
    """(node, "down" or "drained", start, end or None while it lasts, reason), in the order of time."""
    rows = table(source, EVENTS, "sacctmgr show event")
    if not any(row["Cluster"] == cluster for row in rows):
        raise ClusterError(f"sacctmgr show event: the cluster {cluster!r} is not in the answer")
    found = [
        (row["NodeName"], _kind(row["State"]), start, instant(row["TimeEnd"]), row["Reason"])
        for row in rows
        if row["NodeName"] and row["Cluster"] == cluster and (start := instant(row["TimeStart"])) is not None
    ]
    return tuple(sorted(found, key=lambda event: (event[2], event[0])))


def _kind(state: str) -> Literal["down", "drained"]:
    """Whoever drains a node may still let its job end; everything else that makes an event is down."""
    return "drained" if "DRAIN" in state and "DOWN" not in state else "down"
