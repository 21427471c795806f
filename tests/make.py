"""Builders for tests: a small factory, runs, and lines of record text. Everything has a default; name what matters.

factory(pools={"a": 50, "b": 35, "c": 15}, charge="node")
runs({"job": "1", "start": 0, "elapsed": 60, "gpus": 4}, ...)
record_text(record_line(JobIDRaw="1", Elapsed="00:01:00"), ...)
"""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from schmelz.metering.runs import RUN_SCHEMA
from schmelz.policy.schema import Factory

SYSTEM, CLUSTER = "anvil", "anvil-c"
SITES = {"north": "n[01-02]", "south": "s[01-02]"}
HEADER = (
    "JobIDRaw",
    "Cluster",
    "User",
    "Account",
    "Partition",
    "QOS",
    "State",
    "Submit",
    "Eligible",
    "Start",
    "End",
    "Elapsed",
    "Timelimit",
    "AllocTRES",
    "NNodes",
    "NodeList",
)
LINE = {
    "JobIDRaw": "1",
    "Cluster": "",
    "User": "anna",
    "Account": "p1",
    "Partition": "gpu",
    "QOS": "normal",
    "State": "COMPLETED",
    "Submit": "2026-03-01T11:00:00",
    "Eligible": "2026-03-01T11:00:00",
    "Start": "2026-03-01T12:00:00",
    "End": "2026-03-01T12:01:00",
    "Elapsed": "00:01:00",
    "Timelimit": "01:00:00",
    "AllocTRES": "billing=4,cpu=4,gres/gpu=4,mem=1G,node=1",
    "NNodes": "1",
    "NodeList": "n01",
}


def factory(
    pools: Mapping[str, int] | None = None,
    sites: Mapping[str, str] | None = None,
    zone: str = "Europe/Luxembourg",
    **system: Any,
) -> Factory:
    """A factory with one system; `system` overrides keys of [[systems]], `pools` are weights (accounts `<pool>-*`)."""
    weights = {"eurohpc": 50, "national": 50} if pools is None else pools
    nodes = SITES if sites is None else sites
    rows = [
        {
            "id": pool,
            "title": pool,
            "weight": weight,
            "account": pool,
            "accounts": [f"{pool}-*"],
            "signers": ["host:technical", "host:director"],
        }
        for pool, weight in weights.items()
    ]
    sharing = {"floor_percent": min(25, *weights.values()), **system.pop("sharing", {})}
    machine = {
        "id": SYSTEM,
        "title": "Anvil",
        "operator": "host",
        "kind": "ai-optimised",
        "state": "in-service",
        "gpus_per_node": 4,
        "charge": "gpu",
        "nodes": dict(nodes),
        "pools": rows,
        "source": "made for tests",
        "sharing": sharing,
        "partitions": {site: [f"gpu-{site}"] for site in nodes},
        **system,
    }
    return Factory.model_validate(
        {
            "factory": {"id": "test", "name": "Test Factory", "zone": zone, "coordinator": "host"},
            "categories": [{"id": "startup", "title": {"en": "Start-up"}, "commercial": True}],
            "partners": [{"id": "host", "name": "Host", "role": "operator", "functions": ["technical", "director"]}],
            "sites": [{"id": site, "title": site} for site in nodes],
            "systems": [machine],
            "retention": {"applications": 60, "letters": 60, "job_records": 24, "ledger": 120},
        }
    )


def run(**values: Any) -> dict[str, Any]:
    """One run, ended unless its state says otherwise: submitted and eligible at its start."""
    job = {
        "system": SYSTEM,
        "cluster": CLUSTER,
        "job": "1",
        "start": 0,
        "elapsed": 60,
        "gpus": 4,
        "nodes": "",
        "partition": "gpu-north",
        "account": "eurohpc-1",
        "user": "anna",
        "qos": "normal",
        "state": "COMPLETED",
        "limit_s": 3600,
        **values,
    }
    at = 0 if job["start"] is None else job["start"]
    end = at + job["elapsed"] if job["state"] not in ("RUNNING", "PENDING") else None
    return {"submit": at, "eligible": at, "end": end, "held_s": job["elapsed"], "nnodes": 1, **job}


def runs(*rows: Mapping[str, Any]) -> pl.DataFrame:
    """A run frame; rows without a job number are numbered."""
    full = [run(**{"job": str(number), **row}) for number, row in enumerate(rows, start=1)]
    return pl.DataFrame([{name: row[name] for name in RUN_SCHEMA} for row in full], schema=RUN_SCHEMA)


def record_line(**fields: str) -> str:
    """One line of `sacct -P` text under HEADER."""
    unknown = set(fields) - set(HEADER)
    assert not unknown, f"not a column: {unknown}"
    return "|".join({**LINE, **fields}[name] for name in HEADER)


def record_text(*lines: str, header: Sequence[str] = HEADER) -> bytes:
    """A whole record text: the header, then the lines."""
    return "".join(f"{line}\n" for line in ("|".join(header), *lines)).encode()
