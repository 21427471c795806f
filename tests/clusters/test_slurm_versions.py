"""Newer Slurm: answers of 23.02 to 25.05 as their documentation has them (see the README of each folder of tapes).

Every version's tapes have another order of columns and columns that nobody asked for.
"""

from pathlib import Path

import polars as pl
import pytest

from make import factory
from schmelz.cluster.backends import slurm_nodes as nodes, slurm_qos as qos, slurm_queue as queue, slurm_read as read
from schmelz.cluster.model import Account, Member, Qos
from schmelz.metering.sacct import read as read_records

TAPES = Path(__file__).parent.parent / "tapes"
VERSIONS = sorted(path.name for path in TAPES.glob("slurm-*") if path.name != "slurm-22.05")
SYSTEM = factory(
    sites={"bissen": "mxb[001-002]", "bettembourg": "mxt[001-002]"},
    cluster={"backend": "slurm", "name": "schmelz", "max_time": "1d"},
    partitions={"bissen": ["bissen"], "bettembourg": ["bettembourg"]},
).systems[0]
ENDED = {  # the word of each version's third job -> state, words
    "BOOT_FAIL": ("NODE_FAIL", "was lost: a node did not start"),
    "DEADLINE": ("TIMEOUT", "its deadline passed"),
    "NODE_FAIL": ("NODE_FAIL", "was lost: a node went away"),
    "OUT_OF_MEMORY": ("FAILED", "used more memory than it had asked for"),
    "PREEMPTED": ("CANCELLED", "gave its GPUs back to their owner"),
}

pytestmark = pytest.mark.parametrize("version", VERSIONS)


def tape(version: str, name: str) -> bytes:
    return (TAPES / version / f"{name}.txt").read_bytes()


def test_the_queue(version: str) -> None:
    running, waiting, other = queue.queue(tape(version, "queue"), SYSTEM)
    assert (running.job, running.user, running.state, running.gpus, running.site, running.qos, running.limit) == (
        *("5", "tsanna", "RUNNING", 4, "bissen", "eurohpc-own", 86400),
    )
    assert (waiting.state, waiting.qos, waiting.gpus, waiting.started) == ("PENDING", "eurohpc-borrow", 4, None)
    assert waiting.word and waiting.word not in waiting.reason
    assert (other.state, other.started) == ("RUNNING", 1795479072)
    assert other.word not in other.reason


def test_the_ended_jobs(version: str) -> None:
    done, cancelled, third = queue.ended(tape(version, "ended"), SYSTEM)
    assert (done.state, done.gpus, done.started, done.ended, done.exit_code) == (
        *("COMPLETED", 4, 1795479071, 1795479131, 0),
    )
    assert (cancelled.state, cancelled.word, done.qos) == ("CANCELLED", "CANCELLED", "eurohpc-own")
    assert (third.state, third.reason) == ENDED[third.word]


def test_the_records(version: str) -> None:
    reading = read_records(tape(version, "records"), system="anvil", cluster="schmelz")
    assert (reading.faults, reading.lines) == ((), 5)
    rows = reading.runs.select("job", "gpus", "elapsed", pl.col("start").is_not_null(), "limit_s").rows()
    assert rows == [
        ("1", 4, 60, True, 86400),
        ("2", 4, 0, False, None),
        ("3", 4, 60, True, None),
        ("5", 4, 30, True, 86400),
        ("6", 4, 0, False, 86400),
    ]


def test_accounts_members_and_qos(version: str) -> None:
    found = read.stand(
        tape(version, "accounts"), qos.qualities(tape(version, "qos")), tape(version, "users"), "schmelz"
    ).observed
    pair = ("eurohpc-borrow", "eurohpc-own")
    assert found.accounts == (
        Account("eurohpc", "root", 50, qos=pair, default_qos="eurohpc-own"),
        Account("p200001", "eurohpc", 1, 6000, qos=pair, default_qos="eurohpc-own", coordinators=("tsanna",)),
    )
    assert found.members == (Member("tsanna", "p200001", "bettembourg"), Member("tsanna", "p200001", "bissen"))
    assert found.qos == (
        Qos("eurohpc-borrow", 1, preemptible=True, exempt=7200),
        Qos("eurohpc-own", 1000, 8, preempts=("eurohpc-borrow",)),
    )
    assert (found.foreign_qos, found.defaults) == (("normal",), (("tsanna", "p200001"),))


def test_the_events_of_nodes(version: str) -> None:
    ((node, kind, start, end, reason),) = nodes.events(tape(version, "events"), "schmelz")
    assert (node, start, end, reason) == ("mxb002", 1795479214, None, "GPU 3")
    assert kind in ("down", "drained")
