"""Closed months: the head follows from the facts alone, every tampering is found, and today = frozen + booked + pending."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given, settings, strategies as st

from proof.months import FEBRUARY, MARCH, MONTHS, closed_month, facts, late, now_counts_as, year as make_year
from schmelz.faults import BadInput, Refused
from schmelz.proof.chain import canonical, link
from schmelz.proof.closing import CORRECTIONS, USED, freeze, of_month, pending, read_totals, use_by_day
from schmelz.proof.export import export
from schmelz.proof.facts import Facts, file_digest
from schmelz.proof.heads import check_month, check_order, following, head, read_line
from schmelz.proof.verify import verify


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    return make_year(tmp_path_factory.mktemp("data") / "closed")


@pytest.fixture(scope="module")
def exported(year: Facts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("proof")
    export(year, directory)
    return directory


@pytest.fixture
def proof(exported: Path, tmp_path: Path) -> Path:
    """An export of one's own, to be tampered with."""
    return shutil.copytree(exported, tmp_path / "proof")


def test_it_verifies_with_every_head_and_says_what_is_pending(year: Facts, proof: Path) -> None:
    assert [verify(proof, closing.head) for closing in year.closings] == [()] * 3
    assert any("nor that of one of its 3 closed months" in line for line in verify(proof, "0" * 64))
    booked = [
        read_totals(proof / "closed" / month, CORRECTIONS).select("closed_month", *USED).rows() for month in MONTHS
    ]
    assert booked == [[], [("2026-02", 28, 0, 1)], [("2026-03", 36, 0, 1)]]
    assert pl.read_csv(proof / "corrections.csv")["gpu_s"].to_list() == [44]


def test_the_same_facts_give_the_same_head(year: Facts, tmp_path: Path) -> None:
    heads = []
    for name, now in (("a", year), ("b", replace(year, as_of=year.as_of + 999, runs=year.runs.reverse()))):
        (tmp_path / name).mkdir()
        booked = pending(use_by_day(now), now.closings[:2], now.closed)
        heads.append(freeze(of_month(now, "2026-04"), "2026-04", booked, "p", "c", tmp_path / name).head)
    assert heads[0] == heads[1] not in {closing.head for closing in year.closings}


def test_the_head_stands_for_everything() -> None:
    parts: tuple = ("2026-04", "p", {"runs.csv": "a"}, {"usage.csv": "b"})
    others: tuple = ("2026-05", "q", {"runs.csv": "c"}, {"usage.csv": "d"})
    heads = {head(*parts[:n], others[n], *parts[n + 1 :]) for n in range(4)}
    assert len(heads | {head(*parts)}) == 5


def test_access_time_counts_what_a_project_was_on_the_day(year: Facts, proof: Path) -> None:
    """Project p1 became commercial on 2 April, after March was closed."""

    def split(month: str) -> list[tuple[str, str, int]]:
        rows = pl.read_csv(proof / "closed" / month / "access.csv").filter(pl.col("pool") == "eurohpc")
        return rows.select("category", "commercial", "gpu_s").rows()

    assert [split(month)[0][:2] for month in MONTHS[:2]] == [("academia", "no")] * 2
    april = pl.read_csv(proof / "closed/2026-04/usage.csv", try_parse_dates=True).filter(pl.col("project") == "p1")
    late = pl.col("day") >= date(2026, 4, 2)
    assert split("2026-04") == [
        ("academia", "no", april.filter(~late)["gpu_s"].sum()),
        ("industry", "yes", april.filter(late)["gpu_s"].sum()),
    ]
    assert min(row[2] for row in split("2026-04")) > 0
    every = pl.read_csv(proof / "access.csv")["gpu_s"].sum()
    assert every == pl.read_csv(proof / "usage.csv")["gpu_s"].sum()


def test_what_a_project_counts_as_later_changes_no_head(year: Facts, tmp_path: Path) -> None:
    heads = []
    for number, now in enumerate((year, now_counts_as(year, "p2", date(2026, 5, 1), country="FR"))):
        (tmp_path / str(number)).mkdir()
        empty = pending(use_by_day(now), (), now.closed)
        heads.append(freeze(of_month(now, "2026-04"), "2026-04", empty, "p", "c", tmp_path / str(number)).head)
    assert heads[0] == heads[1]


def test_months_are_closed_in_order(year: Facts) -> None:
    assert check_order("2026-05", year.closings) == year.closings[-1].head
    assert check_order("2031-12", ()) == "0" * 64
    for month, said in (("2026-03", "is closed"), ("2026-01", "before 2026-04"), ("2026-06", "2026-05 is not closed")):
        with pytest.raises(Refused, match=said):
            check_order(month, year.closings)
    assert (following("2026-09"), following("2026-11"), following("2026-12")) == ("2026-10", "2026-12", "2027-01")


@pytest.mark.parametrize(
    "text", ["", "2026", "2026-00", "2026-13", "2026-1", "../etc", "2026-10/", "1999-01", "٢٠٢٦-١٠"]
)
def test_what_is_no_month(text: str) -> None:
    with pytest.raises(BadInput, match="write for example"):
        check_month(text)


def test_more_gpus_than_there_are_cannot_be_closed(tmp_path: Path) -> None:
    many = late(facts(tmp_path), {"job": "x", "start": FEBRUARY, "elapsed": 60, "gpus": 17, "nodes": "n[01-02]"})
    with pytest.raises(Refused, match=r"installed: anvil north 2026-02-01: \d+ GPU-seconds"):
        closed_month(many, "2026-02")


# -- tampering. Each is done as well as its maker can: afterwards all digests, or all heads, are made anew.

M = "closed/2026-03"


def _lines(path: Path, change: Callable[[list[str]], list[str]], first: int = 0) -> None:
    lines = path.read_text().splitlines()
    path.write_text("".join(f"{line}\n" for line in [*lines[:first], *change(lines[first:])]))


def _cell(path: Path, column: str, value: str) -> None:
    names = path.read_text().splitlines()[0].split(",")

    def change(rows: list[str]) -> list[str]:
        cells = rows[0].split(",")
        cells[names.index(column)] = value
        return [",".join(cells), *rows[1:]]

    _lines(path, change, 1)


def _closing(directory: Path, number: int, change: Callable[[dict], dict]) -> None:
    def edit(lines: list[str]) -> list[str]:
        return [canonical(change(json.loads(line))) if n == number else line for n, line in enumerate(lines)]

    _lines(directory / "closings.jsonl", edit)


def _signature(said: dict, **changes: str) -> dict:
    first, *others = said["signatures"]
    return {**said, "signatures": [{**first, **changes}, *others]}


TAMPERINGS: dict[str, tuple[Callable[[Path], None], str]] = {
    "a changed second": (lambda d: _cell(d / M / "runs.csv", "elapsed", "5001"), f"{M}/usage.csv: "),
    "a dropped run": (lambda d: _lines(d / M / "runs.csv", lambda rows: rows[1:], 1), f"{M}/usage.csv: "),
    "a doubled run": (
        lambda d: _lines(d / M / "runs.csv", lambda rows: [rows[0], *rows], 1),
        f"{M}/runs.csv: 1 runs stand",
    ),
    "a run of another month": (
        lambda d: _cell(d / M / "runs.csv", "start", "1700000000"),
        f"{M}/runs.csv: 1 runs stand",
    ),
    "a run of another project": (lambda d: _cell(d / M / "runs.csv", "account", "p2"), f"{M}/usage.csv: "),
    "a project in the other pool": (lambda d: _cell(d / M / "projects.csv", "pool", "elsewhere"), f"{M}/"),
    "a project of another country": (lambda d: _cell(d / M / "attributes.csv", "country", "FR"), f"{M}/access.csv: "),
    "an invented access time": (lambda d: _cell(d / M / "access.csv", "gpu_s", "1"), f"{M}/access.csv: "),
    "a shorter outage": (
        lambda d: _cell(d / "closed/2026-02/outages.csv", "end", "1770500000"),
        "closed/2026-02/supply.csv",
    ),
    "another policy": (
        lambda d: _lines(
            d / M / "factory.json", lambda t: [line.replace('"gpus_per_node": 4', '"gpus_per_node": 8') for line in t]
        ),
        f"{M}/supply.csv: ",
    ),
    "an invented use": (lambda d: _cell(d / M / "usage.csv", "gpu_s", "1"), f"{M}/usage.csv: "),
    "an invented supply": (lambda d: _cell(d / M / "supply.csv", "idle", "1"), f"{M}/supply.csv: "),
    "an invented share": (lambda d: _cell(d / M / "pools.csv", "own_gpu_s", "1"), f"{M}/pools.csv: "),
    "a changed correction": (lambda d: _cell(d / M / "corrections.csv", "gpu_s", "15"), "corrections.csv: 2026-02 "),
    "a correction of a month that was open": (
        lambda d: _cell(d / M / "corrections.csv", "closed_month", "2026-04"),
        f"{M}/corrections.csv: corrects 2026-04, which was not closed before",
    ),
    "a correction left out": (
        lambda d: _lines(d / M / "corrections.csv", lambda rows: [], 1),
        "corrections.csv: 2026-02 ",
    ),
    "a pending correction left out": (
        lambda d: _lines(d / "corrections.csv", lambda rows: [], 1),
        "corrections.csv: 2026-03 ",
    ),
    "a missing file": (lambda d: (d / M / "pools.csv").unlink(), f"{M}/pools.csv: is missing"),
    "a broken file": (lambda d: (d / M / "runs.csv").write_text("garbage\n\x00"), f"{M}: the inputs cannot be read"),
    "months in another order": (
        lambda d: _lines(d / "closings.jsonl", lambda rows: [rows[1], rows[0], rows[2]]),
        "closings.jsonl: line 2: 2026-02: follows 2026-03",
    ),
    "a month taken out": (
        lambda d: _lines(d / "closings.jsonl", lambda rows: [rows[0], rows[2]]),
        "closings.jsonl: 2026-03: was closed but is missing",
    ),
    "the last month taken out": (
        lambda d: _lines(d / "closings.jsonl", lambda rows: rows[:2]),
        "closings.jsonl: 2026-04: was closed but is missing",
    ),
    "a month put in": (
        lambda d: _lines(
            d / "closings.jsonl", lambda rows: [*rows, rows[2].replace('"month":"2026-04"', '"month":"2026-05"')]
        ),
        "closings.jsonl: 2026-05: the chain knows no such closing",
    ),
    "all closings taken out": (
        lambda d: (d / "closings.jsonl").write_text(""),
        "closings.jsonl: 2026-02: was closed but",
    ),
    "no closing at all": (
        lambda d: _lines(d / "closings.jsonl", lambda rows: ["{}", *rows[1:]]),
        "closings.jsonl: line 1: is no",
    ),
    "another head": (
        lambda d: _closing(d, 1, lambda c: {**c, "head": "0" * 64}),
        "closings.jsonl: line 2: 2026-03: its head is",
    ),
    "another head before": (
        lambda d: _closing(d, 1, lambda c: {**c, "previous": "0" * 64}),
        "closings.jsonl: line 2: 2026-03: the head",
    ),
    "another event before": (
        lambda d: _closing(d, 1, lambda c: {**c, "inputs": {**c["inputs"], "events": "0" * 64}}),
        "closings.jsonl: 2026-03: names 0000",
    ),
    "an input less": (
        lambda d: _closing(d, 1, lambda c: {**c, "inputs": {k: v for k, v in c["inputs"].items() if k != "runs.csv"}}),
        "closings.jsonl: line 2: 2026-03: does not stand for",
    ),
    "another signer": (
        lambda d: _closing(d, 1, lambda c: _signature(c, signer="f" * 64)),
        "closings.jsonl: 2026-03: the chain knows no",
    ),
    "another role": (
        lambda d: _closing(d, 1, lambda c: _signature(c, role="nobody:at-all")),
        "closings.jsonl: 2026-03: nobody:at-all does",
    ),
    "a signature less": (
        lambda d: _closing(d, 1, lambda c: {**c, "signatures": c["signatures"][1:]}),
        "closings.jsonl: 2026-03: the signature of",
    ),
    "a signature twice": (
        lambda d: _closing(d, 1, lambda c: {**c, "signatures": [*c["signatures"], c["signatures"][0]]}),
        "closings.jsonl: 2026-03: one role signed twice",
    ),
    "a file of nobody's": (
        lambda d: (d / M / "more.csv").write_text("x"),
        f"{M}/more.csv: is not named by the manifest",
    ),
}


def _new_manifest(directory: Path) -> None:
    manifest = json.loads((directory / "manifest.json").read_text())
    manifest["files"] = {n: file_digest(directory / n) for n in manifest["files"] if (directory / n).exists()}
    manifest["chain"] = json.loads((directory / "events.jsonl").read_text().splitlines()[-1])["hash"]
    (directory / "manifest.json").write_text(json.dumps(manifest))


def _new_heads(directory: Path) -> None:
    """Digests and heads of all closed months, as they follow from what stands there now."""
    lines, previous = [], "0" * 64
    for text in (directory / "closings.jsonl").read_text().splitlines():
        said = asdict(read_line(text))
        for names in (said["inputs"], said["totals"]):
            names |= {n: file_digest(directory / "closed" / said["month"] / n) for n in names if n != "events"}
        said["previous"], previous = previous, head(said["month"], previous, said["inputs"], said["totals"])
        lines.append(canonical({**said, "head": previous}))
    (directory / "closings.jsonl").write_text("".join(f"{line}\n" for line in lines))


def _new_chain(directory: Path) -> None:
    """The whole chain made anew, so that it says the new heads: what only its keeper can do. Again the heads, then."""
    heads = {c.month: c for c in map(read_line, (directory / "closings.jsonl").read_text().splitlines())}
    previous, lines, before = "0" * 64, [], {}
    for text in (directory / "events.jsonl").read_text().splitlines():
        event = json.loads(text)
        del event["hash"]
        month = event["subject"].partition(":")[2]
        if event["kind"] == "month.close":
            before[month] = previous
        if month in heads:
            inputs = {**heads[month].inputs, "events": before[month]}
            now = {
                **json.loads(event["data"]),
                "head": head(month, _earlier(heads, month), inputs, heads[month].totals),
            }
            heads[month] = replace(heads[month], inputs=inputs, previous=_earlier(heads, month), head=now["head"])
            event["data"] = canonical(now)
        previous = link(previous, event)
        lines.append(canonical({**event, "hash": previous}))
    (directory / "events.jsonl").write_text("".join(f"{line}\n" for line in lines))
    (directory / "closings.jsonl").write_text("".join(canonical(asdict(c)) + "\n" for c in heads.values()))


def _earlier(heads: dict, month: str) -> str:
    months = sorted(heads)
    return heads[months[months.index(month) - 1]].head if month != months[0] else "0" * 64


@pytest.mark.parametrize("name", TAMPERINGS)
def test_every_tampering_is_found_even_with_a_new_manifest(proof: Path, name: str) -> None:
    tamper, said = TAMPERINGS[name]
    tamper(proof)
    _new_manifest(proof)
    found = verify(proof)
    assert any(line.startswith(said) for line in found), found


def test_new_heads_stand_against_the_chain(year: Facts, proof: Path) -> None:
    _cell(proof / M / "runs.csv", "qos", "another")  # no figure follows from it
    _new_heads(proof)
    _new_manifest(proof)
    found = verify(proof)
    assert [line[:37] for line in found if "in the chain" in line] == [
        "closings.jsonl: 2026-03: its head is ",
        "closings.jsonl: 2026-04: its head is ",
    ]


def test_a_whole_new_chain_stands_against_the_heads_that_owners_kept(year: Facts, proof: Path) -> None:
    _cell(proof / M / "runs.csv", "qos", "another")
    _new_heads(proof)
    _new_chain(proof)
    _new_manifest(proof)
    assert verify(proof) == (), "arithmetic alone cannot tell"
    before, *after = [verify(proof, closing.head) for closing in year.closings]
    assert all("closed months" in found[0] for found in after)
    assert before == (), "what was before the change is as it was"


def test_no_database_is_needed(year: Facts, proof: Path) -> None:
    code = "import sys; sys.modules['django'] = None; from schmelz.cli.main import main; main(sys.argv[1:])"
    words = [sys.executable, "-c", code, "verify", str(proof), "--head", year.closings[0].head]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


# -- the identity

RUN = st.fixed_dictionaries(
    {
        "job": st.sampled_from((f"0{FEBRUARY // 86400}", f"1{MARCH // 86400}", "95", "96")),
        "account": st.sampled_from(("p1", "p2", "strangers")),
        "nodes": st.sampled_from(("n01", "s[01-02]")),
        "gpus": st.sampled_from((0, 1)),
        "start": st.sampled_from((FEBRUARY - 9, FEBRUARY + 90, MARCH - 90, MARCH, MARCH + 10**6)),
        "elapsed": st.sampled_from((0, 1, 5000, 200000)),
    }
)


@settings(max_examples=settings.default.max_examples // 7)
@given(readings=st.lists(st.lists(RUN, max_size=3), min_size=4, max_size=4))
def test_whatever_comes_late_today_is_frozen_and_booked_and_pending(readings: list[list[dict[str, object]]]) -> None:
    with TemporaryDirectory() as place:
        now = facts(Path(place) / "closed")
        for month, news in zip((*MONTHS, None), readings, strict=True):
            now = late(now, *news) if news else now
            now = closed_month(now, month) if month else now
        parts = [pending(use_by_day(now), now.closings, now.closed)]
        for month in MONTHS:
            frozen = read_totals(now.closed / month, "usage.csv").with_columns(closed_month=pl.lit(month))
            parts += [read_totals(now.closed / month, CORRECTIONS), frozen.select(parts[0].columns)]
        by = ["system", "pool", "project", "site", "day"]
        used = pl.any_horizontal(pl.col(USED) != 0)
        summed = pl.concat(parts).group_by(by).agg(pl.col(USED).sum()).filter(used).sort(by)
        truth = use_by_day(now).filter(pl.col("day").dt.strftime("%Y-%m").is_in(MONTHS) & used)
        assert summed.rows() == truth.select(*by, *USED).sort(by).rows()
        export(now, Path(place) / "proof")
        assert verify(Path(place) / "proof") == ()
