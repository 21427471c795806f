"""The main job in the pages, without a browser's help: apply, propose, sign, apply the plan, submit, look."""

import csv
import io
import re

from django.test import Client

from schmelz.operate import cluster
from schmelz.portal.projects.models import Project
from schmelz.web.views.jobs import sentence


def _text(client: Client, path: str) -> str:
    response = client.get(path, follow=True)
    assert response.status_code == 200, path
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def _send(client: Client, path: str, **form: object) -> str:
    response = client.post(path, form, follow=True)
    assert response.status_code == 200, response.content.decode()[-600:]
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def test_from_application_to_a_waiting_job(cast, browser) -> None:
    anna, gilles = browser(cast.anna), browser(cast.gilles)
    said = _send(anna, f"/calls/{cast.mode.id}/apply", **cast.answers())
    assert "Your application a00001 was received" in said and "waits for a proposal" in said
    assert "Received: a00001" in _text(anna, "/letters")

    assert "1 decision waits for you" in _text(browser(cast.signers[0]), "/inbox")
    award = str(cast.mode.size(cast.system).default)
    said = _send(
        browser(cast.signers[0]), "/applications/a00001/decide", do="propose", gpu_hours=award, because="It fits."
    )
    assert "the next signer was told" in said
    for signer in cast.signers[1:]:
        said = _send(browser(signer), "/applications/a00001/decide", do="sign", because="")
    project = Project.objects.get()
    assert f"is project {project.code}" in said
    assert "awarded" in _text(anna, "/applications/a00001")

    plan = gilles.get("/plan").content.decode()
    assert f"+ account {project.code}" in plan
    read = re.search(r'name="hash" value="([0-9a-f]{64})"', plan).group(1)
    assert "is applied" in _send(gilles, "/plan/apply", hash=read, system=cast.system.id)
    assert "The cluster is as decided" in _text(gilles, "/plan")
    assert gilles.post("/plan/apply", {"hash": read}).status_code == 403

    said = _send(
        anna, f"/projects/{project.code}/submit", script="#!/bin/sh\r\necho hello\r\n", gpus="1", hours="0", minutes="2"
    )
    assert "was submitted" in said and "Waits for 1 GPU" in said
    listed = _text(anna, "/jobs")
    assert "Waits for 1 GPU" in listed and "Nothing matches" in _text(anna, "/jobs?state=RUNNING")
    assert "Jobs of your projects appear here" in _text(browser(cast.franco), "/jobs")


def test_the_list_of_jobs_answers_only_news(scene, browser) -> None:
    client = browser(scene.cast.anna)
    seen = re.search(r"seen=([0-9a-f]{16})", client.get("/jobs").content.decode()).group(1)
    assert client.get(f"/jobs?seen={seen}", headers={"HX-Request": "true"}).status_code == 204
    assert client.get("/jobs?seen=0000", headers={"HX-Request": "true"}).status_code == 200


def test_job_sentences(scene) -> None:
    from schmelz.cluster.model import Job

    def said(**changes: object) -> str:
        job = Job(
            **{
                "job": "1",
                "account": "p",
                "user": "anna",
                "state": "PENDING",
                "gpus": 8,
                "nodes": 2,
                "limit": 600,
                "submitted": 0,
                "started": None,
                "ended": None,
                "site": None,
                "node_list": "",
                "reason": "",
                **changes,
            }
        )
        return sentence(scene.cast.factory, job, 1000)

    assert said(reason="waits for room") == "Waits for 8 GPUs: waits for room"
    assert said(state="CANCELLED") == "Ended before it began"
    assert said(state="COMPLETED", started=100, ended=190, gpus=1) == "Done after 1 min 30 s on 1 GPU, 13 minutes ago"
    assert (
        said(state="TIMEOUT", started=100, ended=990)
        == "Stopped at its time limit after 14 min 50 s on 8 GPUs, just now"
    )


def test_split_file_adds_up(scene, browser) -> None:
    response = browser(None).get("/split?format=csv")
    assert "attachment" in response.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(response.content.decode())))
    sites: dict[str, int] = {}
    for row in rows:
        if row["of"] == "site":
            sites[row["day"]] = sites.get(row["day"], 0) + int(row["gpu_seconds"])
    assert sites == {row["day"]: int(row["gpu_seconds"]) for row in rows if row["line"] == "installed"}


def test_lists_as_files_are_no_formulas(scene, browser) -> None:
    scene.waiting.title = '=HYPERLINK("http://example.org")'
    scene.waiting.save()
    text = browser(scene.cast.anna).get("/applications?format=csv").content.decode()
    assert "'=HYPERLINK" in text and len(text.splitlines()) == 3
    assert len(browser(scene.cast.anna).get("/projects?format=csv").content.decode().splitlines()) == 2


def test_health_speaks_of_four_things(scene, browser) -> None:
    said = _text(browser(scene.cast.gilles), "/health")
    assert all(word in said for word in ("Job records", "Cluster of", "Letters", "Quarantine"))
    assert cluster.running_systems()
