"""Drift and undo on a real Slurm: what somebody does with sacctmgr is found, put right one by one, and told in full."""

import json
import subprocess

import pytest

from cluster.lab import Lab
from cluster.world import World


@pytest.fixture(scope="module")
def world(own_slurm: Lab, tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(tmp_path_factory.mktemp("drift"), own_slurm)
    world.project("p200001", 100, "anna", "bruno")
    world.project("p200002", 50, "anna")
    world.apply()
    return world


def _manager(world: World, *words: str) -> None:
    done = world.lab.run("sacctmgr", "-i", *words)
    assert done.returncode == 0, done.stdout + done.stderr


def _drift(world: World, code: int = 3) -> list[tuple[str, str, str, str]]:
    rows = json.loads(world.ready("drift", "--json", code=code))["rows"]
    return [(row["part"], row["kind"], row["name"], row["field"]) for row in rows]


def test_by_hand_then_one_by_one_right(world: World) -> None:
    assert _drift(world, 0) == []
    _manager(world, "modify", "account", "p200001", "set", "GrpTRESMins=gres/gpu=7", "fairshare=9")
    _manager(world, "remove", "user", world.bruno, "account=p200001")
    _manager(world, "add", "user", world.bruno, "account=p200002")
    found = _drift(world)
    assert set(found) == {
        ("by_hand", "account", "p200001", "shares"),
        ("by_hand", "account", "p200001", "gpu_minutes"),
        ("missing", "member", f"p200001/{world.bruno}", ""),
        ("extra", "member", f"p200002/{world.bruno}", ""),
    } | {row for row in found if row[1] == "user"}
    world.ready("drift-choose", "account", "p200001", "shares", "--repair")
    assert set(_drift(world)) == set(found) - {("by_hand", "account", "p200001", "shares")}
    entry = json.loads(world.ready("applies", "--json"))[0]
    assert (entry["what"], entry["changes"], entry["state"]) == ("repair", 1, "done")
    told = world.ready("applies", entry["id"])
    commands = [line for line in told.splitlines() if line.startswith("$ ") and " show " not in line]
    assert len(commands) == 1 and "fairshare=1" in commands[0].lower() and "p200001" in commands[0], told
    for _ in found:
        if left := _drift(world, 3) if world.run("drift").code else []:
            world.ready("drift-choose", *filter(None, left[0][1:]), "--repair", "--allow-remove", "1")
    assert _drift(world, 0) == []
    world.whole()


def test_undo_closes_and_the_running_job_goes_on(world: World) -> None:
    world.project("p200003", 10, "anna")
    world.apply()
    script = ["sbatch", "--parsable", "-A", "p200003", "--gres=gpu:1", "--wrap", "sleep 60"]
    done = world.lab.run(*script, user=world.anna)
    assert done.returncode == 0, done.stderr
    job = done.stdout.strip().split(";")[0]
    _until_running(world, job)
    plan = world.run("plan", "--undo")
    assert plan.code == 3 and "1 running job touched, 0 cancelled" in plan.out, plan.out
    world.ready("apply", "--undo", "--allow-remove", "5")
    assert world.lab.run("squeue", "-h", "-j", job, "-o", "%T").stdout.strip() == "RUNNING"
    refused = world.lab.run(*script, user=world.anna)
    assert refused.returncode != 0
    after = world.run("plan")
    assert after.code == 3 and "was an undo" in after.err and "p200003" in after.out
    world.apply()
    assert world.run("plan").code == 0
    world.lab.run("scancel", job)


def _until_running(world: World, job: str) -> None:
    subprocess.run(
        ["sh", "-c", f"for i in $(seq 100); do squeue -h -j {job} -o %T | grep -q RUNNING && exit 0; sleep .2; done; exit 1"],
        env=world.env, check=True, timeout=60,
    )  # fmt: skip
