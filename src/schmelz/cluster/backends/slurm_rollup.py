"""Slurm's own sums of use, as `sreport` prints them, and up to when it has made them. Pure.

A *row* is an account and a user with GPU-seconds; rows without a user are an account with everything below it, and hold
also what idle reservations were charged to it. Suspended time is in the GPUs here, unlike in sacct's Elapsed. Sums are made
once an hour, for the hours that are over. Source: sreport and `sacctmgr show stats` of Slurm 22.05.
"""

import re

from schmelz.cluster.backends.slurm_read import number, table
from schmelz.cluster.model import ClusterError
from schmelz.units import HOUR

Row = tuple[str, str, int]
FORMAT = ("Cluster", "Accounts", "Login", "TresName", "Used")
COLUMNS = ("Cluster", "Account", "Login", "TRES Name", "Used")
_LAST = re.compile(r"^Internal DBD rollup last ran .*\(([0-9]{1,12})\)$", re.MULTILINE)


def rows(source: bytes, cluster: str) -> tuple[Row, ...]:
    """(account, user or nothing, GPU-seconds); the lines above the header are a title."""
    lines = source.split(b"\n")
    header = next((at for at, line in enumerate(lines) if line.startswith(COLUMNS[0].encode() + b"|")), None)
    if header is None:
        raise ClusterError("sreport: the answer has no header")
    found = table(b"\n".join(lines[header:]), COLUMNS, "sreport")
    return tuple(
        (row["Account"].strip(), row["Login"], number(row, "Used"))
        for row in found
        if row["Cluster"] == cluster and row["TRES Name"] == "gres/gpu"
    )


def last_hour(source: bytes) -> int | None:
    """The full hour before the last time that the data base made its sums."""
    found = _LAST.search(source.decode("utf-8", "replace"))
    return int(found[1]) // HOUR * HOUR if found else None
