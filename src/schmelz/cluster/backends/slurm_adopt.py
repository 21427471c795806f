"""What already stands on a Slurm, read for taking it over: the tree of accounts, people, limits, titles.

Only `show` is asked, twice; nothing is changed. Texts that people wrote stand in the last column, where a separator in
them does no harm. Invariant: an answer without the cluster's own root account is no answer.
"""

from collections.abc import Sequence

from schmelz.cluster.adopt import Standing
from schmelz.cluster.backends.slurm_call import LONG_PATIENCE, ask
from schmelz.cluster.backends.slurm_read import ROOT, Row, table
from schmelz.cluster.model import MARK, ClusterError

TREE_COLUMNS = ("Account", "Cluster", "ParentName", "User", "Partition", "GrpTRESMins", "GrpTRES", "GrpJobs",
                "GrpSubmit", "GrpWall", "QOS", "Org")  # fmt: skip
TREE = ("sacctmgr", "-P", "show", "account", "withassoc", "format=account,cluster,parentname,user,partition,"
        "grptresmins,grptres,grpjobs,grpsubmitjobs,grpwall,qos,org")  # fmt: skip
TITLE_COLUMNS = ("Account", "Coord Accounts", "Descr")
TITLES = ("sacctmgr", "-P", "show", "account", "withcoord", "format=account,coord,descr")
LIMITS = ("GrpTRES", "GrpJobs", "GrpSubmit", "GrpWall")


def standing(cluster: str) -> tuple[Standing, ...]:
    """The accounts of this cluster, by name. Raises ClusterError when Slurm does not answer, or not for this cluster."""
    return parse(ask(TREE, patience=LONG_PATIENCE), ask(TITLES, patience=LONG_PATIENCE), cluster)


def parse(tree: bytes, titles: bytes, cluster: str) -> tuple[Standing, ...]:
    """The same, of answers that were read already."""
    rows = [row for row in table(tree, TREE_COLUMNS, "sacctmgr show account") if row["Cluster"] == cluster]
    said = {row["Account"]: row for row in table(titles, TITLE_COLUMNS, "sacctmgr show account")}
    accounts = {row["Account"]: row for row in rows if not row["User"]}
    if ROOT not in accounts:
        raise ClusterError(f"the cluster {cluster!r} has no root account: the data base knows no such cluster")
    people: dict[str, list[Row]] = {}
    for row in rows:
        if row["User"]:
            people.setdefault(row["Account"], []).append(row)
    return tuple(
        _standing(row, said.get(name, {}), people.get(name, ()))
        for name, row in sorted(accounts.items())
        if name != ROOT
    )


def _standing(row: Row, said: Row, people: Sequence[Row]) -> Standing:
    budgets = dict(part.split("=", 1) for part in row["GrpTRESMins"].split(",") if "=" in part)
    minutes = budgets.pop("gres/gpu", None)
    remarks = [f"{name}={row[name]} stays as it is on the cluster" for name in LIMITS if row[name]]
    remarks += [f"GrpTRESMins={name}={value} stays as it is on the cluster" for name, value in sorted(budgets.items())]
    remarks += (
        [f"its QOS {row['QOS']}: the plan gives it those of its pool"] if row["QOS"] not in ("", "normal") else []
    )
    narrow = sorted(
        f"{one['User']} may use only the partition {one['Partition']}" for one in people if one["Partition"]
    )
    remarks += [f"{who}: the plan lets members use all" for who in narrow]
    return Standing(
        account=row["Account"],
        parent=row["ParentName"],
        title=said.get("Descr", ""),
        marked=row["Org"] == MARK,
        gpu_minutes=int(minutes) if minutes is not None and minutes.isdigit() else None,
        users=tuple(sorted({one["User"] for one in people} - {ROOT})),
        coordinators=tuple(sorted(filter(None, said.get("Coord Accounts", "").split(",")))),
        remarks=tuple(remarks),
    )
