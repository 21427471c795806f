"""`schmelz submit`: a look first (--dry-run) tells what sending would do; borrowing says what it means."""

import json

import pytest

from schmelz.cluster.backends.slots import charged
from schmelz.operate.cluster import backend
from schmelz.operate.follow import wanted
from schmelz.portal.projects.models import Project
from schmelz.units import HOUR

KEYS = {
    "project", "pool", "qos", "kind", "gpus", "nodes", "limit_s", "cost_gpu_s", "left_gpu_s", "left_after_gpu_s", "fits",
    "held_by", "starts", "as_of",
}  # fmt: skip


@pytest.fixture
def project(cast) -> Project:
    """An award that nobody has put on the cluster."""
    from schmelz.portal.calls import actions

    applied = actions.submit(cast.factory, mode_id=cast.mode.id, person=cast.anna, answers=cast.answers())
    actions.propose(cast.factory, applied.code, cast.signers[0], gpu_hours=applied.gpu_hours, because="It fits.")
    for signer in cast.signers[1:]:
        actions.sign(cast.factory, applied.code, signer)
    return Project.objects.get()


@pytest.fixture
def ready(cast, project) -> Project:
    """The same, on the cluster."""
    asked = wanted(cast.system)
    backend(cast.system).create(asked.accounts, asked.members, asked.qos)
    return project


@pytest.fixture
def submit(run, tmp_path):
    script = tmp_path / "job.sh"
    script.write_text("#!/bin/sh\ntrue\n")

    def call(project: Project, *words: str, person: str = "anna"):
        return run("submit", str(script), "--project", project.code, *words, person=person)

    return call


def held(done) -> list[str]:
    return [one["limit"] for one in json.loads(done.out)["held_by"]]


def test_a_look_sends_nothing_and_tells_what_sending_would_do(submit, ready, cast, run) -> None:
    look = submit(ready, "--gpus", "2", "--time", "1:00:00", "--dry-run", "--json")
    found = json.loads(look.out)
    cost = charged(cast.system, 2, 1) * HOUR
    assert (look.code, found["starts"], found["fits"], found["held_by"]) == (0, "now", True, [])
    assert set(found) >= KEYS
    assert (found["kind"], found["qos"], found["cost_gpu_s"]) == ("own", f"{cast.pool.account}-own", cost)
    assert (found["left_gpu_s"], found["left_after_gpu_s"]) == (ready.grant_gpu_s, ready.grant_gpu_s - cost)
    assert json.loads(run("jobs", "--json", person="anna").out) == []
    sent = submit(ready, "--gpus", "2", "--time", "1:00:00")
    assert (sent.code, [j["job"] for j in json.loads(run("jobs", "--json", person="anna").out)]) == (
        0,
        [sent.out.strip()],
    )


@pytest.mark.parametrize(
    ("words", "limit"),
    [
        (("--gpus", "1", "--time", "900-00"), "max-time"),
        (("--gpus", "900000"), "site"),
    ],
)
def test_what_would_be_refused_is_4_and_says_why(submit, ready, words, limit) -> None:
    done = submit(ready, *words, "--dry-run", "--json")
    assert done.code == 4
    assert limit in held(done)


def test_a_grant_that_does_not_cover_the_job(submit, ready) -> None:
    ready.grant_gpu_s = 60
    ready.save()
    done = submit(ready, "--gpus", "1", "--time", "10:00", "--dry-run", "--json")
    assert (done.code, "budget" in held(done)) == (4, True)
    assert json.loads(done.out)["left_after_gpu_s"] < 0


def test_a_project_that_is_not_on_the_cluster(submit, project) -> None:
    done = submit(project, "--gpus", "1", "--dry-run", "--json")
    assert (done.code, "not-applied" in held(done)) == (4, True)


def test_bad_input_and_strangers(submit, ready) -> None:
    assert submit(ready, "--gpus", "0", "--dry-run").code == 2
    assert submit(ready, "--gpus", "1", "--site", "mars", "--dry-run").code == 2
    stranger = submit(ready, "--gpus", "1", "--dry-run", person="franco")
    assert (stranger.code, stranger.out) == (4, "")
    signer = submit(ready, "--gpus", "1", "--dry-run", "--json", person="signer0")
    assert (signer.code, {"unix-name", "member"} & set(held(signer)) != set()) == (4, True)


def test_in_words(submit, ready) -> None:
    said = submit(ready, "--gpus", "1", "--time", "1:00:00", "--dry-run").out
    assert said.startswith("would start now: own job")
    assert "costs at most" in said and "left of the grant" in said and "as a borrowed job it would" in said


def test_borrowing_says_what_it_means(submit, ready, cast, run) -> None:
    look = submit(ready, "--gpus", "1", "--time", "10:00", "--borrow", "--dry-run", "--json")
    found = json.loads(look.out)
    assert (look.code, found["kind"], found["qos"]) == (0, "borrowed", f"{cast.pool.account}-borrow")
    assert "may be pre-empted" in found["notes"][0] and found["starts_otherwise"]["kind"] == "own"
    sent = submit(ready, "--gpus", "1", "--time", "10:00", "--borrow")
    assert sent.code == 0 and "may be pre-empted after" in sent.err
    assert json.loads(run("jobs", "--json", person="anna").out)[0]["qos"] == f"{cast.pool.account}-borrow"
