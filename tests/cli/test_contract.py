"""The command line as others call it: exit codes, JSON keys, words on stderr, nothing half done."""

import json
from datetime import date

import pytest

from schmelz.cli.jobs import seconds
from schmelz.cli.main import hoisted
from schmelz.faults import BadInput
from schmelz.portal.calls.models import Application
from schmelz.portal.usage.models import Quarantined

HEADER = "JobIDRaw|Account|User|Partition|State|Submit|Start|End|ElapsedRaw|AllocTRES|NNodes|NodeList\n"


def _line(cast, job: int, account: str, elapsed: int = 600, day: str = "2026-03-02", node: str | None = None) -> str:
    node = node or next(iter(cast.system.node_names.values()))[0]
    return f"{job}|{account}|u1|x|COMPLETED|{day}T08:00:00|{day}T08:00:00|{day}T08:10:00|{elapsed}|cpu=1,gres/gpu=2|1|{node}\n"


@pytest.fixture
def answers(cast, tmp_path):
    path = tmp_path / "answers.json"
    path.write_text(json.dumps(cast.answers()))
    return path


def test_the_whole_way_to_a_project(run, cast, answers) -> None:
    code = run("application", "new", "--mode", cast.mode.id, "--from", str(answers), person="anna").out.strip()
    shown = json.loads(run("application", "show", code, "--json", person="anna").out)
    assert (shown["state"], shown["waits_for"]) == ("submitted", cast.pool.signers[0])
    hours = str(cast.mode.size(cast.system).default)
    assert run("decision", "propose", code, "--gpu-hours", hours, "--because", "fits", person="anna").code == 4
    assert run("decision", "propose", code, "--gpu-hours", hours, "--because", "fits", person="signer0").code == 0
    assert run("decision", "sign", code, person="signer0").code == 4
    done = [run("decision", "sign", code, "--json", person=s.handle) for s in cast.signers[1:]][-1]
    project = json.loads(done.out)["project"]
    plan = run("plan", "--json", person="gilles")
    assert plan.code == 3
    assert {c["name"] for c in json.loads(plan.out)["changes"]} >= {project, cast.pool.account}
    assert run("apply", "--plan", "0" * 64, person="gilles").code == 4
    assert run("apply", person="anna").code == 4
    assert run("apply", "--plan", json.loads(plan.out)["hash"], person="gilles").code == 0
    assert run("plan", person="gilles").code == 0
    assert run("apply", "--json", person="gilles").code == 0
    balance = json.loads(run("balance", project, "--json", person="anna").out)
    assert (balance["settled_gpu_s"], balance["left_gpu_s"]) == (0, int(hours) * 3600)


@pytest.mark.parametrize(
    "words",
    [
        ("application", "show", "a99999"),
        ("application", "new", "--mode", "nonsense", "--from", "ANSWERS"),
        ("application", "new", "--mode", "MODE", "--from", "/nowhere.json"),
        ("submit", "/nowhere.sh", "--project", "p299999", "--gpus", "1"),
        ("usage", "--by", "colour"),
        ("usage", "--by", "day,day"),
        ("usage", "--from", "yesterday"),
        ("usage", "--from", "2026-02-02", "--to", "2026-02-01"),
        ("split", "--window", "sometime"),
        ("split", "--window", "2026-13"),
        ("split", "--system", "hal9000"),
        ("meter", "--from", "/nowhere.txt"),
        ("verify", "/nowhere"),
        ("check", "/nowhere.toml"),
        ("jobs", "--project", "p299999"),
        ("frobnicate",),
        ("split", "--frobnicate"),
        ("apply", "--allow-remove", "-1"),
    ],
)
def test_bad_input_is_2_in_words(run, cast, answers, words) -> None:
    words = [str(answers) if w == "ANSWERS" else cast.mode.id if w == "MODE" else w for w in words]
    done = run(
        *words,
        person=None
        if words[0] in ("check", "verify", "split", "usage")
        else "gilles"
        if words[0] in ("meter", "apply")
        else "anna",
    )
    assert (done.code, done.out) == (2, "")
    assert done.err.strip() and "Traceback" not in done.err


@pytest.mark.parametrize("text", ["", "[1", "NaN", "\x00", '{"title": NaN}', "[" * 5000])
def test_answers_that_are_no_json(run, cast, tmp_path, text) -> None:
    path = tmp_path / "answers.json"
    path.write_text(text)
    done = run("application", "new", "--mode", cast.mode.id, "--from", str(path), person="anna")
    assert (done.code, done.out, Application.objects.count()) == (2, "", 0)


def test_as_is_for_demo_data_only(run, cast) -> None:
    cast.franco.demo = False
    cast.franco.save()
    assert run("application", "list", person="franco").code == 4
    assert run("application", "list", person="nobody").code == 2


def test_metering_twice_changes_nothing(run, cast, tmp_path) -> None:
    path = tmp_path / "jobs.txt"
    path.write_text(HEADER + _line(cast, 1, cast.pool.account) + _line(cast, 2, "strangers"))
    first = json.loads(run("meter", "--from", str(path), "--json", person="gilles").out)
    rows = run("usage", "--by", "pool,project,site,day", "--json")
    again = json.loads(run("meter", "--from", str(path), "--json", person="gilles").out)
    assert (first["added"], again["added"], again["replaced"]) == (2, 0, 0)
    assert rows.out == run("usage", "--by", "pool,project,site,day", "--json").out
    site = next(iter(cast.system.node_names))
    assert json.loads(rows.out) == [
        {
            "pool": cast.pool.id,
            "project": cast.pool.account,
            "site": site,
            "day": "2026-03-02",
            "gpu_s": 1200,
            "runs": 1,
        },
        {"pool": "unassigned", "project": "strangers", "site": site, "day": "2026-03-02", "gpu_s": 1200, "runs": 1},
    ]
    assert run("usage", "--by", "project", "--from", "2026-03-03", "--json").out.strip() == "[]"


def test_a_bad_line_is_kept_apart(run, cast, tmp_path) -> None:
    path = tmp_path / "jobs.txt"
    path.write_text(HEADER + _line(cast, 1, "a") + "2|too|few\n" + _line(cast, 3, "a"))
    done = run("meter", "--from", str(path), "--json", person="gilles")
    assert done.code == 3
    assert (json.loads(done.out)["added"], json.loads(done.out)["quarantined"]) == (2, 1)
    assert "line 3" in done.err
    again = run("meter", "--from", str(path), "--json", person="gilles")
    assert (again.code, json.loads(again.out)["added"], again.err) == (3, 0, done.err)
    assert Quarantined.objects.count() == 1


def test_twenty_bad_lines_are_told_and_json_names_every_one(run, cast, tmp_path) -> None:
    path = tmp_path / "jobs.txt"
    path.write_text(HEADER + _line(cast, 1, "a") + "2|too|few\n" * 22)
    done = run("meter", "--from", str(path), "--json", person="gilles")
    assert [fault["line"] for fault in json.loads(done.out)["faults"]] == list(range(3, 25))
    assert "line 22:" in done.err and "line 23:" not in done.err
    assert "and 2 more lines" in done.err


@pytest.mark.parametrize("text", ["", "no header at all\n", "JobIDRaw|Account\n1|a\n"])
def test_records_without_a_header(run, cast, tmp_path, text) -> None:
    path = tmp_path / "jobs.txt"
    path.write_text(text)
    assert run("meter", "--from", str(path), person="gilles").code == 2


def test_split_adds_up(run, cast, tmp_path) -> None:
    path = tmp_path / "jobs.txt"
    path.write_text(HEADER + _line(cast, 1, cast.pool.account))
    run("meter", "--from", str(path), person="gilles")
    figures = json.loads(run("split", "--window", "2026-03", "--json").out)
    supply = dict(figures["supply"])
    assert figures["installed_gpu_s"] == sum(v for k, v in supply.items() if k != "excess") - supply["excess"]
    assert supply["used"] == 1200
    assert sum(p["entitlement_gpu_s"] for p in figures["pools"]) == figures["delivered_gpu_s"]
    pool = next(p for p in figures["pools"] if p["pool"] == cast.pool.id)
    assert (
        pool["own_gpu_s"] + pool["borrowed_gpu_s"] + pool["returned_gpu_s"]
        == pool["used_gpu_s"]
        == 1200 + supply["held"]
    )
    assert figures["share_error_ppm"] is None


def test_export_and_verify(run, cast, tmp_path) -> None:
    path, out = tmp_path / "jobs.txt", tmp_path / "out"
    path.write_text(HEADER + _line(cast, 1, cast.pool.account) + _line(cast, 2, "strangers", day="2026-02-28"))
    run("meter", "--from", str(path), person="gilles")
    head = run("export", str(out)).out.strip()
    assert run("verify", str(out), "--head", head).code == 0
    assert run("verify", str(out), "--head", "0" * 64).code == 1
    assert run("export", str(tmp_path)).code == 2
    assert ",u1," not in (out / "runs.csv").read_text()


def test_global_options_stand_anywhere() -> None:
    assert hoisted(["meter", "--data", "D", "--from", "-", "--as=anna"]) == [
        "--data",
        "D",
        "--as=anna",
        "meter",
        "--from",
        "-",
    ]
    assert hoisted(["submit", "--", "--data"]) == ["submit", "--", "--data"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0-02:30:00", 9000), ("1-00:00:00", 86400), ("00:10:00", 600), ("10", 600), ("05:30", 330), ("2-3", 183600)],
)
def test_times_as_slurm_writes_them(text, expected) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "0", "soon", "-5", "1:2:3:4", "0-00:00:00", "1e3", "99999999999", "nan"])
def test_times_that_are_none(text) -> None:
    with pytest.raises(BadInput, match="--time"):
        seconds(text)


def test_json_dates_are_iso(run) -> None:
    figures = json.loads(run("split", "--window", "2026-03", "--json").out)
    assert date.fromisoformat(figures["from"][:10])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--gpus", "0"), "gpus: must be 1 or more"),
        (("--gpus", "-4"), "gpus: must be 1 or more"),
        (("--gpus", "1", "--nodes", "0"), "nodes: 1 GPUs need 1 nodes"),
        (("--gpus", "100", "--nodes", "1"), "nodes: 100 GPUs need"),
        (("--gpus", "100000"), "gpus: 100000 GPUs on"),
        (("--gpus", "1", "--site", "mars"), "site: 'mars' is not known"),
        (("--gpus", "1", "--time", "999-00:00:00"), "is too long; at most"),
        (("--gpus", "1.5"), "Usage"),
    ],
)
def test_jobs_that_cannot_be(run, cast, answers, tmp_path, words, said) -> None:
    code = run("application", "new", "--mode", cast.mode.id, "--from", str(answers), person="anna").out.strip()
    hours = str(cast.mode.size(cast.system).default)
    run("decision", "propose", code, "--gpu-hours", hours, "--because", "fits", person="signer0")
    project = [run("decision", "sign", code, person=s.handle).out for s in cast.signers[1:]][-1].split()[-1]
    run("apply", person="gilles")
    script = tmp_path / "a.sh"
    script.write_text("#!/bin/sh\ntrue\n")
    done = run("submit", str(script), "--project", project, *words, person="anna")
    assert (done.code, done.out) == (2, ""), done
    assert said in done.err
    assert run("jobs", "--json", person="anna").out.strip() == "[]"


def test_closing_from_the_command_line(run, cast, tmp_path, monkeypatch) -> None:
    path, proof, kept = tmp_path / "jobs.txt", tmp_path / "out", tmp_path / "head.json"
    path.write_text(HEADER + _line(cast, 1, cast.pool.account))
    monkeypatch.setenv("SCHMELZ_NOW", "2026-04-02T09:00:00Z")
    assert run("close", "2026-03", person="gilles").code == 4, "nothing was read"
    run("meter", "--from", str(path), person="gilles")
    assert run("close", "2026-13", person="gilles").code == 2
    assert run("close", "2026-04", person="gilles").code == 4
    assert run("close", "2026-03", person="anna").code == 4
    said = json.loads(run("close", "2026-03", "--json", person="gilles").out)
    assert set(said) == {"month", "head", "previous", "inputs", "totals", "corrections", "signers"}
    assert (said["totals"]["gpu_s"], said["totals"]["runs"], said["corrections"]) == (1200, 1, [])
    assert run("close", "2026-03", person="gilles").code == 4
    assert run("countersign", "2026-03", "--head", "0" * 64, person="gilles").code == 4
    signed = json.loads(run("countersign", "2026-03", "--head", said["head"], "--json", person="gilles").out)
    assert {"role": f"{cast.system.operator}:operator", "person": "gilles"} in signed["signers"]
    assert json.loads(run("closings", "--json").out) == [signed]
    assert said["head"] in run("closings").out
    assert run("head", "2026-03", "--out", str(kept)).code == 0
    assert json.loads(kept.read_text())["head"] == run("head", "2026-03").out.strip() == said["head"]
    assert run("head", "2026-02").code == 2
    path.write_text(HEADER + _line(cast, 2, "strangers"))
    run("meter", "--from", str(path), person="gilles")
    late = json.loads(run("corrections", "--json").out)
    assert [(row["closed_month"], row["gpu_s"], row["runs"]) for row in late["pending"]] == [("2026-03", 1200, 1)]
    assert json.loads(run("corrections", "--json", person="anna").out) == {"pending": [], "booked": []}
    assert "strangers" in run("corrections").out
    run("export", str(proof))
    assert run("verify", str(proof), "--head", said["head"]).code == 0
