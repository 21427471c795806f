"""The form of a job: a look before sending, without JavaScript; nothing is sent by it and nothing that was typed is lost."""

import re

import pytest

from schmelz.operate.cluster import backend, list_jobs
from schmelz.operate.follow import wanted

GOOD = {
    "script": "#!/bin/sh\ntrue\n",
    "gpus": "1",
    "nodes": "",
    "hours": "0",
    "minutes": "5",
    "site": "",
    "kind": "own",
}


@pytest.fixture
def form(scene, browser):
    """Fills the form of the awarded project in as Anna."""
    client, path = browser(scene.cast.anna), f"/projects/{scene.project.code}/submit"

    def fill(**said: str) -> tuple[int, str]:
        response = client.post(path, {**GOOD, **said})
        return response.status_code, re.sub(r"\s+", " ", response.content.decode())

    return fill


@pytest.fixture
def on_cluster(scene) -> None:
    asked = wanted(scene.cast.system)
    backend(scene.cast.system).create(asked.accounts, asked.members, asked.qos)


def test_a_look_tells_the_cost_and_sends_nothing(form, on_cluster, scene) -> None:
    status, page = form(check="1", script="#!/bin/sh\necho kept\n")
    assert status == 200
    assert "It could start now" in page and "It costs at most" in page and "Left of the grant" in page
    assert "echo kept" in page and list_jobs(scene.cast.anna) == ()


def test_a_look_says_what_holds_the_job(form, scene) -> None:
    status, page = form(check="1")
    assert status == 200
    assert "It would be refused, or never start" in page
    assert f"{scene.project.code} is not on the cluster yet; the operator has to apply the plan" in page


def test_bad_input_is_said_before_a_look(form) -> None:
    status, page = form(check="1", gpus="none")
    assert status == 400 and "What would become of it" not in page


def test_a_borrowed_job_is_sent_and_its_owner_told(form, on_cluster, scene, browser) -> None:
    assert form(kind="borrowed")[0] == 302
    assert [job.qos for job in list_jobs(scene.cast.anna)] == [f"{scene.cast.pool.account}-borrow"]
    job = list_jobs(scene.cast.anna)[0].job
    page = browser(scene.cast.anna).get(f"/jobs/{job}").content.decode()
    assert "borrowed: may be pre-empted" in page
    assert "1 borrowed GPU" in browser(scene.cast.anna).get("/jobs").content.decode()
