"""An export verifies as it is, and every tampering is found: files alone, no database."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from schmelz.faults import BadInput
from schmelz.metering.sacct import read
from schmelz.metering.supply import Outage
from schmelz.metering.usage import Attributes
from schmelz.policy.load import load
from schmelz.proof.chain import GENESIS, canonical, link
from schmelz.proof.export import export
from schmelz.proof.facts import PROJECT_COLUMNS, Facts, file_digest
from schmelz.proof.recompute import splits, use
from schmelz.proof.verify import verify

HEADER = "JobIDRaw|Account|User|State|Submit|Eligible|Start|End|ElapsedRaw|AllocTRES|NNodes|NodeList\n"


ROW = Attributes("p1", date(2026, 1, 1), "LU", "m", "industry", "", False, True, "Foundry")


def _event(seq: int, previous: str, project: str, pool: str) -> tuple[dict[str, object], str]:
    counts = {**asdict(ROW), "since": ROW.since.isoformat()}
    del counts["project"]
    data = canonical({"pool": pool, "gpu_s": 360000, "start": 1, "end": 2 * 10**9, "attributes": counts})
    event: dict[str, object] = {
        "seq": seq,
        "at": seq,
        "kind": "project.open",
        "subject": f"project:{project}",
        "actor": "",
        "because": "",
        "data": data,
    }
    return event, link(previous, event)


@pytest.fixture
def facts(factory_file: Path) -> Facts:
    factory = load(factory_file)
    system = factory.systems[0]
    nodes = [name for names in system.node_names.values() for name in names]
    lines = "".join(
        f"{n}|{account}|u{n}|COMPLETED|{s}|{s}|{s}|{s + 5000}|5000|gres/gpu=2|1|{nodes[n]}\n"
        for n, account in enumerate(("p1", "p2", "p1", "strangers"))
        for s in (1772000000 + n * 86400,)
    )
    pools = [p.id for p in system.pools]
    projects = pl.DataFrame(
        [
            ("p1", system.id, pools[0], 360000, 1, 2 * 10**9),
            ("p2", system.id, pools[1], 360000, 1, 2 * 10**9),
        ],
        schema=PROJECT_COLUMNS,
        orient="row",
    )
    first = _event(1, GENESIS, "p1", pools[0])
    return Facts(
        factory=factory,
        projects=projects,
        as_of=1775000000,
        events=(first, _event(2, first[1], "p2", pools[1])),
        runs=read((HEADER + lines).encode(), system=system.id, cluster=system.cluster.name).runs,
        outages=(Outage(system.id, nodes[0], "down", 1772100000, 1772200000, None),),
        attributes=(ROW, replace(ROW, project="p2")),
    )


@pytest.fixture
def proof(facts: Facts, tmp_path: Path) -> tuple[Path, str]:
    return tmp_path / "proof", export(facts, tmp_path / "proof")


def test_untouched_it_verifies_and_is_the_same_twice(facts: Facts, proof: tuple[Path, str], tmp_path: Path) -> None:
    directory, head = proof
    assert verify(directory, head) == ()
    assert export(facts, tmp_path / "again") == head
    assert splits(facts)[0]["supply"]["used"] == 4 * 2 * 5000 and use(facts)["gpu_s"].sum() == 4 * 2 * 5000


def _rows(path: Path, change: Callable[[list[list[str]]], list[list[str]]]) -> None:
    rows = [line.split(",") for line in path.read_text().splitlines()]
    path.write_text("\n".join(",".join(row) for row in [rows[0], *change(rows[1:])]) + "\n")


def _cell(directory: Path, name: str, column: str, value: str) -> None:
    path = directory / name
    index = path.read_text().splitlines()[0].split(",").index(column)
    _rows(path, lambda rows: [[*rows[0][:index], value, *rows[0][index + 1 :]], *rows[1:]])


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-70])


def _swap_events(directory: Path) -> None:
    path = directory / "events.jsonl"
    path.write_text("\n".join(reversed(path.read_text().splitlines())) + "\n")


TAMPERINGS: dict[str, tuple[Callable[[Path], None], str]] = {
    "a changed second": (lambda d: _cell(d, "runs.csv", "elapsed", "5001"), "usage.csv"),
    "a dropped run": (lambda d: _rows(d / "runs.csv", lambda rows: rows[1:]), "usage.csv"),
    "a doubled run": (
        lambda d: _rows(d / "runs.csv", lambda rows: [rows[0], *rows]),
        "runs.csv: job 0 stands there 2 times",
    ),
    "a run given to another project": (lambda d: _cell(d, "runs.csv", "account", "p2"), "usage.csv"),
    "more GPUs": (lambda d: _cell(d, "runs.csv", "gpus", "4"), "usage.csv"),
    "a project in the other pool": (
        lambda d: _cell(d, "projects.csv", "pool", "elsewhere"),
        "projects.csv: p1: pool is elsewhere",
    ),
    "a larger grant": (
        lambda d: _cell(d, "projects.csv", "grant_gpu_s", "999999"),
        "projects.csv: p1: grant_gpu_s is 999999",
    ),
    "a missing project": (
        lambda d: _rows(d / "projects.csv", lambda rows: rows[1:]),
        "projects.csv: p1: was awarded but is missing",
    ),
    "a project that pays no more": (
        lambda d: _cell(d, "attributes.csv", "commercial", "false"),
        "attributes.csv: p1 from 2026-01-01: commercial is False, the chain says True",
    ),
    "attributes left out": (
        lambda d: _rows(d / "attributes.csv", lambda rows: rows[1:]),
        "attributes.csv: p1: has 0 rows, the chain knows 1",
    ),
    "an invented access time": (lambda d: _cell(d, "access.csv", "gpu_s", "1"), "access.csv"),
    "a truncated file": (lambda d: _truncate(d / "events.jsonl"), "events.jsonl: cannot be read"),
    "a file too many": (lambda d: (d / "notes.txt").write_text("x"), "notes.txt: is not named by the manifest"),
    "a shorter outage": (lambda d: _cell(d, "outages.csv", "end", "1772150000"), "splits.json"),
    "events in another order": (_swap_events, "events.jsonl: line 1: the chain is broken"),
    "an invented claim": (lambda d: _cell(d, "usage.csv", "gpu_s", "1"), "usage.csv"),
    "a missing file": (lambda d: (d / "outages.csv").unlink(), "outages.csv: is missing"),
    "a broken file": (lambda d: (d / "runs.csv").write_text("garbage\n\x00"), "runs.csv: cannot be read"),
    "an empty policy": (lambda d: (d / "factory.json").write_text(""), "factory.json: cannot be read"),
    "no attributes at all": (lambda d: (d / "attributes.csv").write_text(""), "attributes.csv: cannot be read"),
    "no outages at all": (lambda d: (d / "outages.csv").write_text(""), "outages.csv: cannot be read"),
    "an empty claim": (lambda d: (d / "access.csv").write_text(""), "access.csv: cannot be read"),
    "half a claim": (lambda d: _truncate(d / "splits.json"), "splits.json: cannot be read"),
    "claims in another order": (
        lambda d: _rows(d / "usage.csv", lambda rows: rows[::-1]),
        "usage.csv: the rows are right but stand in another order",
    ),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_every_tampering_is_found_even_with_a_new_manifest(proof: tuple[Path, str], name: str) -> None:
    directory, head = proof
    tamper, said = TAMPERINGS[name]
    tamper(directory)
    assert verify(directory), "the manifest's hashes must tell"
    manifest = json.loads((directory / "manifest.json").read_text())
    manifest["files"] = {n: file_digest(directory / n) for n in manifest["files"] if (directory / n).exists()}
    (directory / "manifest.json").write_text(json.dumps(manifest))
    found = verify(directory)
    assert any(line.startswith(said) for line in found), found
    assert any("its head is" in line for line in verify(directory, head))


@pytest.mark.parametrize("text", ["", "[]", '{"format": 99}', None])
def test_a_manifest_that_is_broken_is_a_finding(proof: tuple[Path, str], text: str | None) -> None:
    path = proof[0] / "manifest.json"
    path.unlink() if text is None else path.write_text(text)
    assert [line[:14] for line in verify(proof[0])] == ["manifest.json:"]


def test_nothing_of_an_export(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(BadInput, match="holds no export"):
            verify(place)


@pytest.mark.slow  # a window for each of 27 years and their months
def test_a_run_from_before_all_windows_can_be_exported(facts: Facts, tmp_path: Path) -> None:
    old = replace(facts, runs=facts.runs.with_columns(start=pl.when(pl.col("job") == "0").then(5).otherwise("start")))
    head = export(old, tmp_path / "old")
    assert verify(tmp_path / "old", head) == ()


def test_export_spares_what_is_not_its_own(facts: Facts, tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("x")
    with pytest.raises(BadInput, match="is no export"):
        export(facts, tmp_path)
    assert (tmp_path / "precious.txt").read_text() == "x"
