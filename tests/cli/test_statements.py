"""Statements and attributes on the command line: forms, files, exit codes."""

import json
from datetime import timedelta

import pytest

from portal import award
from schmelz.portal.clock import now
from schmelz.units import local_date


@pytest.fixture
def project(cast):
    return award.project(cast)


def test_a_statement_in_every_form(run, cast, project, tmp_path) -> None:
    words = ("statement", "project", project.code)
    said = json.loads(run(*words, "--json", person="anna").out)
    assert said["statement"] == "project" and said["tables"]["balance"][-1]["gpu_s"] == project.grant_gpu_s
    assert run(*words, "--format", "csv", person="anna").out.startswith("table,row,of,column,value\n")
    text = run(*words, person="anna").out
    assert "What is left" in text and max(len(line) for line in text.splitlines()) <= 120
    paper = tmp_path / "one.pdf"
    assert run(*words, "--format", "pdf", "--out", str(paper), person="anna").code == 0
    assert paper.read_bytes().startswith(b"%PDF")
    assert run(*words, "--format", "pdf", person="anna").code == 2
    assert run(*words, "--format", "pdf", "--out", str(tmp_path / "no" / "x.pdf"), person="anna").code == 2


def test_the_others(run, cast) -> None:
    year = f"{local_date(now(), cast.factory.zone).year}"
    system = ("--system", cast.system.id)
    assert run("statement", "pool", cast.pool.id, *system, "--json").code == 0
    assert run("statement", "pool", "moon", *system).code == 2
    assert run("statement", "annual", year, person="franco").code == 4
    assert json.loads(run("statement", "annual", year, "--public", "--json", person="franco").out)["facts"]["year"]
    assert run("statement", "kpi", person="gilles").code == 0
    assert run("statement", "kpi", "--year", "last", person="gilles").code == 2


def test_what_a_project_counts_as(run, cast, project) -> None:
    day = (local_date(project.start, cast.factory.zone) + timedelta(days=1)).isoformat()
    words = ("attribute", project.code, "--country", "FR", "--field", "voice", "--because", "Moved.")
    assert run(*words, "--from", "tomorrow", person="gilles").code == 2
    assert run(*words, "--from", day, person="anna").code == 4
    said = json.loads(run(*words, "--from", day, "--json", person="gilles").out)
    assert (said["from"], said["country"], said["field"], said["mode"]) == (day, "FR", "voice", project.mode)
    assert run(*words, "--from", day, person="gilles").code == 4


def test_use_by_what_projects_were(run, cast) -> None:
    keys = "country,mode,category,field,sme,commercial,organisation,month,quarter,year"
    assert run("usage", "--by", keys, "--csv").out == f"{keys},gpu_s,runs\n"
    assert run("usage", "--by", "country,country").code == 2
