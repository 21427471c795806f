"""What Slurm's answers about nodes mean: GPUs up and free at each site, when nodes were away, or set aside. Pure.

A node is *up* when its state has none but the words of `UP`: a word that we do not know makes no room. Free are the
GPUs of nodes that are up and no job has. A reservation with the flag MAINT is for nobody; the accounting keeps the accounts
of the others as numbers of associations, and knows no QOS: of those that have none, the controller is asked who may use them.
Source: `scontrol -o show nodes`, `scontrol -o show reservation`, `sacctmgr show event` and `show reservation` of Slurm 22.05.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from schmelz.cluster.backends.slurm_read import Row, gpus, instant, names, table
from schmelz.cluster.model import ClusterError, NodeEvent, Reservation, Room
from schmelz.policy.nodes import expand_nodes
from schmelz.policy.system import System

UP = frozenset({"IDLE", "MIXED", "ALLOCATED", "COMPLETING", "PLANNED", "RESERVED", "CLOUD", "DYNAMIC_NORM"})
EVENTS = ("Cluster", "NodeName", "State", "TimeStart", "TimeEnd", "Reason")
RESERVATIONS = ("Assocs", "Cluster", "TimeEnd", "Flags", "ID", "Name", "NodeName", "TimeStart")
_FIELD = re.compile(r"(?:^|\s)(NodeName|State|CfgTRES|AllocTRES)=(\S*)")  # of two the first: free text comes last


def rooms(source: bytes, system: System) -> dict[str, Room]:
    """The GPUs of each site. A node that is not in the answer is not up; an answer without GPUs is none."""
    lines = source.decode("utf-8", "replace").splitlines(keepends=True)
    nodes = dict(_node(line) for line in lines if line.strip())
    known = {node for names in system.node_names.values() for node in names} & set(nodes)
    if system.gpus() and not any(nodes[node][1] for node in known):
        raise ClusterError("scontrol show nodes: the answer has no GPUs of any node that the policy file names")
    return {site: _room(nodes[name] for name in names if name in nodes) for site, names in system.node_names.items()}


def _node(line: str) -> tuple[str, tuple[bool, int, int]]:
    """A node's name; whether it is up, its GPUs, and how many of them jobs have."""
    fields: dict[str, str] = {}
    for name, value in _FIELD.findall(line):
        fields.setdefault(name, value)
    if len(fields) < 4 or not line.endswith("\n"):
        raise ClusterError(f"scontrol show nodes: a line is not about a node, or is cut off: {line[:120]!r}")
    up = set(fields["State"].split("+")) <= UP
    return fields["NodeName"], (up, gpus(fields["CfgTRES"]) or 0, gpus(fields["AllocTRES"]) or 0)


def _room(nodes: Iterable[tuple[bool, int, int]]) -> Room:
    there = [(installed, busy) for up, installed, busy in nodes if up]
    return Room(sum(installed for installed, _ in there), sum(installed - busy for installed, busy in there))


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


# -- reservations


def named(source: bytes, cluster: str) -> dict[str, tuple[str, ...]]:
    """Each reservation, and the numbers of the associations that may use it."""
    return {row["Name"]: names(row["Assocs"]) for row in _reserved(source, cluster)}


def reservations(source: bytes, associations: bytes, live: bytes, cluster: str) -> tuple[Reservation, ...]:
    """The reservations of the accounting, each with the accounts and QOS that may use it."""
    account_of = {
        row["ID"]: row["Account"]
        for row in (table(associations, ("ID", "Account", "Cluster"), "sacctmgr show assoc") if associations else ())
        if row["Cluster"] == cluster
    }
    return tuple(sorted(_reservation(row, account_of, _now(live)) for row in _reserved(source, cluster)))


def _reserved(source: bytes, cluster: str) -> list[dict[str, str]]:
    rows = table(source, RESERVATIONS, "sacctmgr show reservation")
    return [
        row for row in rows if row["Cluster"] == cluster and row["NodeName"] and instant(row["TimeStart"]) is not None
    ]


def _reservation(row: Row, account_of: dict[str, str], now: dict[str, dict[str, tuple[str, ...]]]) -> Reservation:
    told = now.get(row["Name"], {})
    known = names(",".join(account_of.get(number, "") for number in names(row["Assocs"])))
    try:
        nodes: Sequence[str] = expand_nodes(row["NodeName"])
    except ValueError as error:
        raise ClusterError(f"reservation {row['Name']}: its nodes cannot be read: {error}") from None
    return Reservation(
        row["Name"],
        tuple(sorted(nodes)),
        instant(row["TimeStart"]) or 0,
        instant(row["TimeEnd"]),
        "MAINT" in row["Flags"].split(","),
        known or told.get("Accounts", ()),
        told.get("QOS", ()),
    )


def _now(live: bytes) -> dict[str, dict[str, tuple[str, ...]]]:
    """What the controller says of the reservations it has: those whom it lets in, none for those it keeps out (-name)."""
    found = {}
    for line in live.decode("utf-8", "replace").splitlines():
        fields = dict(word.split("=", 1) for word in line.split() if "=" in word)
        if "ReservationName" in fields:
            told = {name: fields.get(name, "(null)").replace("(null)", "") for name in ("Accounts", "QOS")}
            allowed = {
                name: names(",".join(one for one in text.split(",") if one[:1] != "-")) for name, text in told.items()
            }
            found[fields["ReservationName"]] = allowed
    return found
