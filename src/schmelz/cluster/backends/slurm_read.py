"""What Slurm's answers about accounts mean: tables by their headers, the tree of accounts, members, coordinators. Pure.

A *table* is `-P` text; it is refused whole when a column is missing, a row is of another length or the end is cut.
The *stand* of a cluster is what one read of everything says. A *former* member's association has MaxSubmitJobs=0: it
stays until its last job has ended (Slurm keeps it that long) and is nobody's right to anything. Closed accounts have
GrpSubmitJobs=0, held ones only GrpJobs=0. The tree is asked for WOPLimits: each row shows what is set on it, not what it
inherits, so that what was written reads back equal. Invariant: an answer without the cluster's own root is no answer; a
tree has all its parents, the users' list all its users.
"""

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime

from schmelz.cluster.backends.slurm_call import TIME_FORMAT
from schmelz.cluster.backends.slurm_words import STATES
from schmelz.cluster.model import MARK, Account, ClusterError, Member, Observed, Qos

Row = Mapping[str, str]
Qualities = tuple[tuple[Qos, ...], tuple[str, ...]]
"""Those with our mark, and the names of the others."""

ROOT = "root"
TREE = (
    "Account", "Cluster", "ParentName", "User", "Partition", "Share", "GrpTRESMins", "GrpJobs", "GrpSubmit",
    "MaxSubmit", "QOS", "Def QOS", "Org",
)  # fmt: skip
USERS = ("User", "Def Acct", "Coord Accounts")
PROBLEMS = ("Cluster", "Account", "User", "Problem")
NO_UID = "User does not have a uid"
UNKNOWN = "no Unix user where Slurm's data base runs, so no job of theirs can start"
SHOWN = 10
JOBS = ("CLUSTER", "ACCOUNT", "USER", "STATE", "END_TIME")
ENDS = {word for word, state in STATES.items() if state not in ("PENDING", "RUNNING")}


@dataclass(frozen=True)
class Stand:
    """Everything that one read says: what is ours, former members, and what else the cluster has.

    `here` are all accounts of this cluster, `everyone` all associations of it, `defaults` each user's default account.
    """

    observed: Observed
    former: frozenset[Member]
    here: frozenset[str]
    everyone: frozenset[Member]
    defaults: Mapping[str, str]


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


def gpus(limits: str) -> int | None:
    """The number of GPUs (or of GPU-minutes) in a limit by resource; None where it has none."""
    found = re.search(r"(?:^|,)gres/gpu=([0-9]+)", limits)
    return int(found[1]) if found else None


def names(text: str) -> tuple[str, ...]:
    """A list between commas, sorted, each name once."""
    return tuple(sorted(set(filter(None, text.split(",")))))


def stand(tree: bytes, qualities: Qualities, users: bytes, cluster: str) -> Stand:
    """The accounts of `cluster`. Other clusters of the same data base only tell which names are taken."""
    every = table(tree, TREE, "sacctmgr show account")
    rows = [row for row in every if row["Cluster"] == cluster]
    if not any(row["Account"] == ROOT and not row["User"] for row in rows):
        if rows:
            raise ClusterError(
                f"sacctmgr show account: the answer is not whole: it lacks the root account of {cluster!r}"
            )
        known = ", ".join(sorted({row["Cluster"] for row in every if row["Cluster"]})) or "none"
        raise ClusterError(f"the cluster {cluster!r} has no root account; the data base knows the clusters: {known}")
    everyone = frozenset(_member(row) for row in rows if row["User"])
    people = _people(users, {member.user for member in everyone})
    accounts, members, former = _ours(rows, people)
    qos, foreign_qos = qualities
    _whole(accounts, {*foreign_qos, *(one.name for one in qos)})
    defaults = {user: row["Def Acct"] for user, row in people.items()}
    foreign = tuple(sorted({row["Account"] for row in every if row["Org"] != MARK} - {ROOT}))
    pairs = tuple((user, defaults[user]) for user in sorted({member.user for member in members}))
    observed = Observed(cluster, accounts, members, foreign, qos, foreign_qos, pairs)
    return Stand(observed, former, frozenset(row["Account"] for row in rows), everyone, defaults)


def _ours(
    rows: Sequence[Row], people: Mapping[str, Row]
) -> tuple[tuple[Account, ...], tuple[Member, ...], frozenset[Member]]:
    """Our accounts, their members, their former members."""
    ours = [row for row in rows if row["Org"] == MARK and row["Account"] != ROOT]
    parents = {row["Account"]: row["ParentName"] for row in rows if not row["User"]}
    leads = _coordinators(parents, people)
    accounts = tuple(sorted(_account(row, parents, leads) for row in ours if not row["User"]))
    members = [row for row in ours if row["User"]]
    if orphans := {row["Account"] for row in members} - {account.name for account in accounts}:
        raise ClusterError(f"the answer has members of {min(orphans)}, but not the account itself")
    former = frozenset(_member(row) for row in members if row["MaxSubmit"] == "0")
    return accounts, tuple(sorted({_member(row) for row in members} - former)), former


def _account(row: Row, parents: Mapping[str, str], leads: Mapping[str, Sequence[str]]) -> Account:
    name, parent = row["Account"], row["ParentName"]
    if parent not in parents:
        raise ClusterError(f"account {name}: its parent {parent!r} is not in the answer")
    is_open = row["GrpSubmit"] != "0"
    return Account(
        name,
        parent,
        shares=0 if row["Share"] == "parent" else number(row, "Share"),  # somebody set it by hand; we never do
        gpu_minutes=gpus(row["GrpTRESMins"]),
        open=is_open,
        held=is_open and row["GrpJobs"] == "0",
        qos=names(row["QOS"]),
        default_qos=row["Def QOS"],
        coordinators=tuple(leads.get(name, ())),
    )


def _coordinators(parents: Mapping[str, str], people: Mapping[str, Row]) -> dict[str, list[str]]:
    """The coordinators of each account. Slurm lists all accounts below as well: who leads the parent is not counted."""
    found: dict[str, list[str]] = {}
    for user, row in sorted(people.items()):
        accounts = set(names(row["Coord Accounts"])) & set(parents)
        for account in accounts:
            if parents[account] not in accounts:
                found.setdefault(account, []).append(user)
    return found


def _member(row: Row) -> Member:
    return Member(row["User"], row["Account"], row["Partition"])


def _whole(accounts: Sequence[Account], known: set[str]) -> None:
    """Half a list of QOS would show in the accounts that name the rest."""
    for account in accounts:
        named = {name.lstrip("+-") for name in (*account.qos, account.default_qos) if name}
        if lost := named - known:
            raise ClusterError(f"account {account.name}: its QOS {min(lost)} is not in the answer")


def _people(source: bytes, users: set[str]) -> dict[str, Row]:
    """Every user of the data base; the default account is that on the cluster that was asked for."""
    rows: dict[str, Row] = {row["User"]: row for row in table(source, USERS, "sacctmgr show user")}
    if lost := users - set(rows):
        raise ClusterError(f"user {min(lost)}: has an association, but is not in the list of users")
    return rows


def busy(source: bytes, cluster: str, after: int) -> set[tuple[str, str]]:
    """Whose jobs are in the controller's memory, waiting, running or ended after this instant: (user, account)."""
    rows = table(source, JOBS, "squeue")
    if strange := next((row["CLUSTER"] for row in rows if row["CLUSTER"] != cluster), None):
        raise ClusterError(f"the answer is about the cluster {strange!r}, not about {cluster!r}")
    return {(row["USER"], row["ACCOUNT"]) for row in rows if not _has_ended(row, after)}


def _has_ended(row: Row, after: int) -> bool:
    """A running job has an end, too: when its time limit is over."""
    end = instant(row["END_TIME"])
    return row["STATE"] in ENDS and end is not None and end <= after


def problems(source: bytes, users: Set[str], cluster: str) -> tuple[str, ...]:
    """What is wrong with these users, a line for each kind; an account without people is nothing wrong."""
    rows = table(source, PROBLEMS, "sacctmgr show problem")
    found = {(row["User"], row["Problem"]) for row in rows if row["User"] in users and row["Cluster"] in ("", cluster)}
    kinds: dict[str, list[str]] = {}
    for user, said in sorted(found):
        kinds.setdefault(UNKNOWN if said == NO_UID else said, []).append(user)
    return tuple(f"{said}: {_some(of)}" for said, of in sorted(kinds.items()))


def _some(users: Sequence[str]) -> str:
    more = f" and {len(users) - SHOWN} more" if len(users) > SHOWN else ""
    return ", ".join(users[:SHOWN]) + more


def new_defaults(stand: Stand, leaving: Iterable[Member]) -> list[tuple[str, str]]:
    """Who must get a default account before leaving: (user, account). Nobody whose last account it is.

    Slurm keeps the default with one association: whoever leaves it, but not the account, is given the same one again.
    """
    gone, others = set(leaving), dict[str, set[str]]()
    for member in stand.everyone - gone:
        others.setdefault(member.user, set()).add(member.account)
    lost = {(member.user, member.account) for member in gone} & set(stand.defaults.items())
    stays = [(user, account, rest) for user, account in lost if (rest := others.get(user))]
    return sorted((user, account if account in rest else min(rest)) for user, account, rest in stays)
