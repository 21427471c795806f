"""Submitting on a real Slurm: a look tells before what Slurm does after; own and borrowed; plain words for waiting.

Everything goes through the command line, as members would type it.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from cluster.lab import Lab
from cluster.test_main_job import PEOPLE, Shell

BRUNO = """
import django; django.setup()
from schmelz.portal.people.actions import add_person
from schmelz.portal.policy import factory
add_person(factory(), handle="bruno", name="Bruno", email="b@example.org", demo=True, unix_name={unix!r},
           organisation=None, roles=[])
"""
APPLY = """
import django; django.setup()
from schmelz.operate.cluster import backend
from schmelz.operate.follow import wanted
from schmelz.portal.policy import main_system
asked = wanted(main_system())
backend(main_system()).create(asked.accounts, asked.members, asked.qos)
"""
HOURS = 100


@pytest.fixture(scope="module")
def shell(own_slurm: Lab, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    shell = Shell(tmp_path_factory.mktemp("factory"), own_slurm)
    shell("person", "list")
    for code, unix in ((PEOPLE, own_slurm.settings.users[0]), (BRUNO, own_slurm.settings.users[1])):
        subprocess.run([sys.executable, "-c", code.format(unix=unix)], env=shell.env, check=True, timeout=60)
    return shell


@pytest.fixture(scope="module")
def project(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An award of 100 GPU-hours that stands on the cluster as decided."""
    form = json.loads(shell("application", "form", "--mode", "playground"))
    form.update(title="Voice models", summary="Fine-tuning of open speech models.", gpu_hours=HOURS)
    path = tmp_path_factory.mktemp("form") / "form.json"
    path.write_text(json.dumps(form))
    code = shell("application", "new", "--mode", "playground", "--from", str(path), person="anna")
    shell("decision", "propose", code, "--gpu-hours", str(HOURS), "--because", "fits", person="ines")
    project = shell("decision", "sign", code, person="eva").split()[-1]
    subprocess.run([sys.executable, "-c", APPLY], env=shell.env, check=True, timeout=60)
    return project


@pytest.fixture
def submit(shell: Shell, project: str, tmp_path: Path) -> Any:
    script = tmp_path / "job.sh"

    def call(*words: str, code: int = 0, person: str = "anna", sleep: int = 2) -> Any:
        script.write_text(f"#!/bin/sh\nsleep {sleep}\n")
        said = shell("submit", str(script), "--project", project, "--json", *words, person=person, code=code)
        return json.loads(said) if said else None

    return call


def job(shell: Shell, number: str) -> dict[str, Any]:
    return next(one for one in json.loads(shell("jobs", "--json", person="anna")) if one["job"] == number)


def waiting_for(shell: Shell, number: str, word: str) -> str:
    """The plain words of a job that waits for this reason of Slurm's."""
    for _ in range(30):
        found = job(shell, number)
        if found["word"] == word:
            assert found["state"] == "PENDING"
            return str(found["reason"])
        time.sleep(0.5)
    raise AssertionError(f"it waits for {found['word']} ({found['reason']}), not for {word}")


def begun(shell: Shell, number: str) -> dict[str, Any]:
    """A job that runs, or has run."""
    for _ in range(60):
        found = job(shell, number)
        if found["state"] in ("RUNNING", "COMPLETED"):
            return found
        time.sleep(0.5)
    raise AssertionError(f"it did not start: {found['reason']}")


def test_a_job_that_fits_starts_as_the_look_said(shell: Shell, submit: Any, own_slurm: Lab) -> None:
    found = submit("--gpus", "4", "--time", "2", "--dry-run")
    assert (found["starts"], found["kind"], found["qos"], found["cost_gpu_s"]) == ("now", "own", "eurohpc-own", 480)
    assert (found["left_gpu_s"], found["held_by"]) == (HOURS * 3600, [])
    assert found["slurm_says"].startswith("Slurm could start it at ")
    assert own_slurm.run("squeue", "-h", "--states=all").stdout == ""  # nothing was queued by looking
    number = submit("--gpus", "4", "--time", "2")["job"]
    row = own_slurm.run("squeue", "-h", "--states=all", "-j", number, "-O", "UserName:|,qos:|").stdout.strip()
    assert row == f"{own_slurm.settings.users[0]}|eurohpc-own|"


def test_a_budget_that_does_not_cover_the_job_is_told_before_and_after(shell: Shell, submit: Any) -> None:
    wish = ("--gpus", "4", "--time", "2-00:00:00")  # 192 of 100 GPU-hours
    found = submit(*wish, "--dry-run", code=4)
    assert ([one["limit"] for one in found["held_by"]], found["starts"]) == (["budget"], "never")
    assert found["slurm_says"].startswith("Slurm could start it at ")  # it does not look at budgets
    number = submit(*wish)["job"]
    assert waiting_for(shell, number, "AssocGrpGRESMinutes").startswith(
        "the project's remaining GPU-hours do not cover its time limit; ask for a shorter time limit"
    )


def test_a_borrowed_job_runs_under_the_borrow_qos(shell: Shell, submit: Any, own_slurm: Lab) -> None:
    found = submit("--gpus", "4", "--time", "2", "--borrow", "--dry-run")
    assert (found["kind"], found["qos"], found["starts"]) == ("borrowed", "eurohpc-borrow", "now")
    assert "may be pre-empted" in found["notes"][0]
    number = submit("--gpus", "4", "--time", "2", "--borrow")["job"]
    assert begun(shell, number)["qos"] == "eurohpc-borrow"


def test_who_finds_the_own_gpus_in_use_may_borrow(shell: Shell, submit: Any, own_slurm: Lab) -> None:
    """Two own jobs hold the 8 GPUs of the pool; 8 others are free."""
    numbers = [submit("--gpus", "4", "--time", "2", sleep=60)["job"] for _ in range(2)]
    assert [begun(shell, number)["qos"] for number in numbers] == ["eurohpc-own", "eurohpc-own"]
    found = submit("--gpus", "4", "--time", "2", "--dry-run")
    assert ([one["limit"] for one in found["held_by"]], found["starts"]) == (["cap"], "waits")
    assert found["starts_otherwise"] == {"kind": "borrowed", "starts": "now"}
    third = submit("--gpus", "4", "--time", "2")["job"]
    assert waiting_for(shell, third, "QOSGrpGRES").startswith("the guaranteed GPUs of its pool are in use")
    assert own_slurm.run("scancel", *numbers, third).returncode == 0


def test_a_job_larger_than_the_pools_own_gpus(submit: Any) -> None:
    """The lab has 16 GPUs, 8 of them the pool's own."""
    found = submit("--gpus", "8", "--time", "2", "--dry-run")
    assert "cap" not in [one["limit"] for one in found["held_by"] if "at most" in one["words"]]
    assert [one["limit"] for one in submit("--gpus", "12", "--time", "2", "--dry-run", code=4)["held_by"]] == [
        "site",
        "cap",
    ]


def test_jobs_of_a_held_project_wait_and_say_so(shell: Shell, submit: Any, project: str, own_slurm: Lab) -> None:
    assert own_slurm.run("sacctmgr", "-i", "modify", "account", project, "set", "GrpJobs=0").returncode == 0
    found = submit("--gpus", "1", "--time", "2", "--dry-run")
    assert (found["starts"], found["held_by"][0]["limit"]) == ("waits", "start")
    number = submit("--gpus", "1", "--time", "2")["job"]
    assert "its project has not begun, is closed" in waiting_for(shell, number, "AssocGrpJobsLimit")
    assert own_slurm.run("sacctmgr", "-i", "modify", "account", project, "set", "GrpJobs=-1").returncode == 0


def test_who_is_no_member_is_refused_by_us_and_by_slurm(submit: Any, project: str, own_slurm: Lab) -> None:
    from cluster.test_slurm_backend import system_of
    from schmelz.cluster.backends.slurm import SlurmCluster
    from schmelz.cluster.model import JobRequest

    assert submit("--gpus", "1", person="bruno", code=4) is None
    wish = JobRequest("#!/bin/sh\ntrue\n", project, "eurohpc", own_slurm.settings.users[1], 1, 1, 120)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", own_slurm.env()["SLURM_CONF"])
        said = SlurmCluster(system_of(own_slurm)).forecast(wish)
    assert said.startswith(f"Slurm would refuse it: {own_slurm.settings.users[1]} may not use the project {project}")
