"""What Slurm's answers mean: tables by their headers, the tree of accounts, jobs and events of nodes. Pure.

A *table* is `-P` text; it is refused whole when a column is missing, a row is of another length or the end is cut.
The *stand* of a cluster is what one read of all accounts says. A *former* member's association has MaxSubmitJobs=0: it
stays until its last job has ended (Slurm keeps it that long) and is nobody's right to anything. Closed accounts have
GrpSubmitJobs=0. Invariant: an answer without the cluster's own root is no answer; a tree has all its parents.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from schmelz.cluster.backends.slurm_call import TIME_FORMAT
from schmelz.cluster.backends.slurm_words import BY_STATE, REASONS, STATES
from schmelz.cluster.model import MARK, Account, ClusterError, Job, JobState, Member, Observed
from schmelz.policy.nodes import expand_nodes
from schmelz.policy.system import System

Row = Mapping[str, str]
NodeEvent = tuple[str, str, int, int | None, str]

ROOT = "root"
TREE = ("Account", "Org", "Cluster", "ParentName", "User", "Share", "GrpTRESMins", "GrpSubmit", "MaxSubmit")
USERS = ("User", "Def Acct", "Account", "Cluster")
EVENTS = ("Cluster", "NodeName", "State", "TimeStart", "TimeEnd", "Reason")
QUEUE = ("JOBID", "CLUSTER", "ACCOUNT", "USER", "STATE", "PARTITION", "NODES", "TRES_ALLOC", "NODELIST", "REASON",
         "SUBMIT_TIME", "START_TIME", "END_TIME", "TIME_LIMIT", "EXIT_CODE")
ENDED = ("JobIDRaw", "Cluster", "User", "Account", "Partition", "State", "Submit", "Start", "End", "Timelimit",
         "ReqTRES", "AllocTRES", "NNodes", "ExitCode", "NodeList")
RECORDS = ("JobIDRaw", "Cluster", "User", "Account", "Partition", "QOS", "State", "Submit", "Eligible", "Start", "End",
           "ElapsedRaw", "TimelimitRaw", "AllocTRES", "NNodes", "ExitCode", "NodeList")
_GPUS = re.compile(r"(?:^|,)gres/gpu(:[^=,]+)?=([0-9]+)")
_LIMIT = re.compile(r"(?:([0-9]+)-)?(?:([0-9]+):)?([0-9]+):([0-9]+)")


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
    shares = 0 if row["Share"] == "parent" else _number(row, "Share")  # somebody set it by hand; we never do
    return Account(row["Account"], row["ParentName"], shares, _budget(row["GrpTRESMins"]),
                   row["GrpSubmit"] != "0")


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


# -- jobs


def queue(source: bytes, system: System) -> list[Job]:
    """The jobs that the controller has in its memory."""
    return [_queued(row, system) for row in _of_cluster(table(source, QUEUE, "squeue"), "CLUSTER", system)]


def ended(source: bytes, system: System) -> list[Job]:
    """The ended jobs of the accounting."""
    rows = _of_cluster(table(source, ENDED, "sacct"), "Cluster", system)
    jobs = [_recorded(row, system) for row in rows if row["JobIDRaw"].isdigit()]
    return [job for job in jobs if job.state not in ("PENDING", "RUNNING")]


def _of_cluster(rows: list[dict[str, str]], column: str, system: System) -> list[dict[str, str]]:
    if strange := next((row[column] for row in rows if row[column] != system.cluster.name), None):
        raise ClusterError(f"the answer is about the cluster {strange!r}, not about {system.cluster.name!r}")
    return rows


def _queued(row: Row, system: System) -> Job:
    state = STATES.get(row["STATE"], "RUNNING")
    live, waits = state in ("PENDING", "RUNNING"), state == "PENDING"
    status = _number(row, "EXIT_CODE")  # as wait(2) gives it
    code = _code(state, status >> 8, status & 127)
    return Job(
        row["JOBID"], row["ACCOUNT"], row["USER"], state, gpus(row["TRES_ALLOC"]), _number(row, "NODES"),
        _limit(row["TIME_LIMIT"], system), _instant(row["SUBMIT_TIME"]) or 0,
        None if waits else _start(row["START_TIME"], row["NODELIST"]),
        None if live else _instant(row["END_TIME"]), site(row["NODELIST"], row["PARTITION"], system), row["NODELIST"],
        _waiting(row) if waits else how(row["STATE"], code), code)


def _recorded(row: Row, system: System) -> Job:
    word = row["State"].partition(" ")[0]  # "CANCELLED by 1001"
    state = STATES.get(word, "FAILED")
    status, _, signal = row["ExitCode"].partition(":")
    code = _code(state, int(status or 0), int(signal or 0))
    nodes = "" if row["NodeList"] in ("None assigned", "None") else row["NodeList"]
    return Job(
        row["JobIDRaw"], row["Account"], row["User"], state, gpus(row["AllocTRES"] or row["ReqTRES"]),
        _number(row, "NNodes"), _limit(row["Timelimit"], system), _instant(row["Submit"]) or 0,
        _start(row["Start"], nodes), _instant(row["End"]), site(nodes, row["Partition"], system), nodes,
        how(word, code), code)


def _code(state: JobState, status: int, signal: int) -> int | None:
    """A shell's exit code; none for a job that somebody else ended: there controller and accounting disagree."""
    if state not in ("COMPLETED", "FAILED"):
        return None
    return status or (128 + signal if signal else 0)


def _waiting(row: Row) -> str:
    word = row["REASON"].partition(",")[0].strip("()")  # "ReqNodeNotAvail, UnavailableNodes:mxb001"
    return REASONS.get(word) or BY_STATE.get(row["STATE"]) or row["REASON"]


def how(word: str, code: int | None) -> str:
    """What became of a job, in plain words."""
    return BY_STATE.get(word, word).format(code=code)


def gpus(tres: str) -> int:
    """GPUs in a TRES text: the untyped number where it is given, else the sum of the typed ones."""
    found = _GPUS.findall(tres)
    plain = [int(number) for kind, number in found if not kind]
    return plain[0] if plain else sum(int(number) for _, number in found)


def site(nodes: str, partition: str, system: System) -> str | None:
    """The site of a job: where its first node is, else the one site of its partition; None while it is open."""
    names = expand_nodes(nodes) if nodes else ()
    for known, its_nodes in system.node_names.items():
        if names and names[0] in its_nodes:
            return known
    wished = partition.split(",")
    places = [known for known, partitions in system.partitions.items() if set(wished) <= set(partitions)]
    return places[0] if len(places) == 1 else None


def _start(text: str, nodes: str) -> int | None:
    """When it began; a job that never had nodes never began, whatever is written there."""
    return _instant(text) if nodes else None


def _limit(text: str, system: System) -> int:
    """Seconds of [D-][HH:]MM:SS; a job without a limit has the longest that the policy knows."""
    found = _LIMIT.fullmatch(text)
    if found is None:
        return system.cluster.max_time
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _instant(text: str) -> int | None:
    try:
        return int(datetime.strptime(text, TIME_FORMAT).replace(tzinfo=UTC).timestamp())
    except ValueError:  # Unknown, None, N/A
        return None


def _number(row: Row, column: str) -> int:
    try:
        return int(row[column])
    except ValueError:
        raise ClusterError(f"{column}: {row[column]!r} is not a number") from None


# -- nodes


def events(source: bytes, cluster: str) -> tuple[NodeEvent, ...]:
    """(node, "down" or "drained", start, end or None while it lasts, reason), in the order of time."""
    rows = table(source, EVENTS, "sacctmgr show event")
    if not any(row["Cluster"] == cluster for row in rows):
        raise ClusterError(f"sacctmgr show event: the cluster {cluster!r} is not in the answer")
    found = [(row["NodeName"], _kind(row["State"]), start, _instant(row["TimeEnd"]), row["Reason"]) for row in rows
             if row["NodeName"] and row["Cluster"] == cluster and (start := _instant(row["TimeStart"])) is not None]
    return tuple(sorted(found, key=lambda event: (event[2], event[0])))


def _kind(state: str) -> str:
    """Whoever drains a node may still let its job end; everything else that makes an event is down."""
    return "drained" if "DRAIN" in state and "DOWN" not in state else "down"
