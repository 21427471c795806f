"""Plan, apply, undo, the journal and drift on the command line: exit codes, JSON keys, words on stderr."""

import json
from dataclasses import replace

import pytest

from portal.award import project as awarded
from schmelz.cluster.model import Member
from schmelz.operate.cluster import backend
from schmelz.portal.clock import now
from schmelz.portal.projects.models import Project
from schmelz.units import DAY, iso


@pytest.fixture
def project(run, cast) -> Project:
    found = awarded(cast)
    assert run("apply", person="gilles").code == 0
    return found


def _by_hand(cast, code: str, **values: object) -> None:
    machine = backend(cast.system)
    account = next(one for one in machine.observe().accounts if one.name == code)
    machine.change([replace(account, **values)])


def test_undo_and_the_journal(run, cast, project) -> None:
    assert run("plan", "--undo", person="gilles").code == 4
    assert run("suspend", project.code, "--because", "unpaid", person="gilles").code == 0
    plan = run("plan", "--json", person="gilles")
    shown = json.loads(plan.out)
    assert (plan.code, shown["notices"], shown["approved_by"]) == (3, [], [])
    assert {*shown} >= {"hash", "cluster", "radius", "changes", "warnings", "foreign"}
    assert "unpaid" in shown["changes"][0]["because"]
    assert run("apply", "--plan", shown["hash"], person="gilles").code == 4
    done = json.loads(run("apply", "--plan", shown["hash"], "--allow-remove", "1", "--json", person="gilles").out)
    assert done["hash"] == shown["hash"] and done["journal"].startswith("000002-") and len(done["digest"]) == 64
    assert run("plan", "--undo", person="gilles").code == 3
    assert run("apply", "--undo", person="gilles").code == 0
    after = run("plan", person="gilles")
    assert after.code == 3 and "was an undo" in after.err
    rows = json.loads(run("applies", "--json", person="gilles").out)
    assert [(r["id"][:6], r["what"], r["state"], r["who"]) for r in rows] == [
        ("000003", "undo", "done", "gilles"),
        ("000002", "apply", "done", "gilles"),
        ("000001", "apply", "done", "gilles"),
    ]
    assert rows[1]["removals"] == [f"account {project.code}"]
    table = run("applies", person="gilles")
    assert rows[0]["id"] in table.out and max(map(len, table.out.splitlines())) <= 100
    lines = json.loads(run("applies", rows[0]["id"], "--json", person="gilles").out)
    assert [line["line"] for line in lines] == ["header", "state", "end"]  # the built-in cluster runs no commands
    assert "done" in run("applies", rows[0]["id"], person="gilles").out
    assert run("applies", "000009-x", person="gilles").code == 2
    assert run("applies", person="anna").code == 4


def test_a_second_operator(run, cast, project, monkeypatch) -> None:
    monkeypatch.setitem(cast.system.cluster.__dict__, "removals_alone", 0)
    run("suspend", project.code, "--because", "unpaid", person="gilles")
    plan = run("plan", "--json", person="gilles")
    assert f"schmelz approve {json.loads(plan.out)['hash']}" in plan.err
    refused = run("apply", "--allow-remove", "1", person="gilles")
    assert (refused.code, "A second operator must approve" in refused.err) == (4, True)


def test_drift_and_its_choices(run, cast, project) -> None:
    code = project.code
    assert run("drift", person="gilles").code == 0
    _by_hand(cast, code, shares=9, gpu_minutes=7)
    backend(cast.system).create([], [Member("mallory", code)])
    found = run("drift", "--json", person="gilles")
    shown = json.loads(found.out)
    assert found.code == 3 and {*shown} == {"system", "at", "counts", "rows", "left", "problems"}
    assert [(r["part"], r["kind"], r["name"], r["field"]) for r in shown["rows"]] == [
        ("by_hand", "account", code, "shares"),
        ("by_hand", "account", code, "gpu_minutes"),
        ("extra", "member", f"{code}/mallory", ""),
    ]
    assert shown["rows"][1]["choices"] == ["repair", "leave", "decide"]
    table = run("drift", person="gilles")
    assert "mallory" in table.out and max(map(len, table.out.splitlines())) <= 100
    choose = ("drift-choose", "account", code)
    assert run(*choose, "shares", "--repair", person="gilles").code == 0
    until = iso(now() + 20 * DAY)[:10]
    leave = (*choose, "gpu_minutes", "--ignore-until", until, "--because", "the audit")
    assert run(*leave, person="anna").code == 4
    assert run(*leave, person="gilles").code == 0
    assert run("drift-choose", "member", f"{code}/mallory", "--repair", person="gilles").code == 4
    done = run("drift-choose", "member", f"{code}/mallory", "--repair", "--allow-remove", "1", person="gilles")
    assert done.code == 0
    after = run("drift", person="gilles")
    assert (after.code, "the audit" in after.err) == (0, True)
    decided = run(*choose, "gpu_minutes", "--decide", "--because", "x", person="gilles")
    assert decided.code == 4 and f"schmelz amend {code}" in decided.err
    plan = run("plan", person="gilles")
    assert (plan.code, "the audit" in plan.out) == (0, True)


@pytest.mark.parametrize(
    "words",
    [
        ("apply", "--plan", "xyz"),
        ("apply", "--plan", "0" * 65),
        ("drift-choose", "account", "p1", "shares"),
        ("drift-choose", "account", "p1", "shares", "--repair", "--decide"),
        ("drift-choose", "account", "p1", "shares", "--repair"),
        ("drift-choose", "account", "p1", "shares", "--ignore-until", "soon", "--because", "x"),
        ("drift", "--system", "hal9000"),
        ("applies", "../../etc/passwd"),
    ],
)
def test_bad_input_is_2(run, cast, words) -> None:
    done = run(*words, person="gilles")
    assert (done.code, done.out) == (2, "") and "Traceback" not in done.err
