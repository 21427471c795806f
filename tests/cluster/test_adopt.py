"""Taking over what stands on a real Slurm: only `show` commands go out, and nothing changes there until somebody marks."""

import json
import subprocess
from pathlib import Path

import pytest

from cluster.lab import Lab
from cluster.lab_daemons import wait_until
from cluster.world import SYSTEM, World

pytestmark = pytest.mark.slow
VALUES = """[defaults]
mode = "development"
organisation = "University"
category = "academia"
country = "LU"
end = 2031-12-31
"""


@pytest.fixture(scope="module")
def world(own_slurm: Lab, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A cluster with a life before Schmelz: a tree, people, budgets, and jobs that ran."""
    world = World(tmp_path_factory.mktemp("adopt"), own_slurm)
    anna, bruno = own_slurm.settings.users
    for words in (
        ("add", "account", "eurohpc", "fairshare=7"),
        ("add", "account", "uni", "description=university"),
        ("add", "account", "ehpc-1", "parent=eurohpc", "description=voice | models", "GrpTRESMins=gres/gpu=6010"),
        ("add", "account", "chem", "parent=uni", "GrpTRESMins=gres/gpu=600,cpu=99", "GrpTRES=gres/gpu=4"),
        ("add", "user", anna, "account=ehpc-1"),
        ("add", "user", anna, "account=chem"),
        ("add", "user", bruno, "account=chem", "partition=bissen"),
        ("add", "user", "carl", "account=chem"),
        ("add", "coordinator", "account=chem", f"names={bruno}"),
    ):
        assert own_slurm.run("sacctmgr", "-i", *words).returncode == 0, words
    own_slurm.run("sbatch", "-A", "ehpc-1", "--gpus=2", "--wrap", "sleep 2", user=anna)
    assert wait_until(lambda: "COMPLETED" in own_slurm.run("sacct", "-aXn", "--format=state").stdout, 30)
    return world


def everything(lab: Lab) -> dict[str, list[str]]:
    """All that sacctmgr and scontrol say of accounts, users, QOS and limits."""
    shows = {
        "tree": ("sacctmgr", "-P", "show", "account", "withassoc", "withcoord"),
        "users": ("sacctmgr", "-P", "show", "user", "withassoc"),
        "qos": ("sacctmgr", "-P", "show", "qos"),
    }
    return {name: lab.run(*words).stdout.splitlines() for name, words in shows.items()}


def test_reading_changes_nothing_and_asks_only_for_what_is_there(world: World, tmp_path: Path) -> None:
    before, said = everything(world.lab), tmp_path / "said"
    log = f'echo "$(basename $0) $*" >> {said}; exec $real "$@"'
    with world.shim("sacctmgr", log) as first, world.shim("sacct", log) as second, world.shim("scontrol", log) as third:
        path = ":".join(env["PATH"].split(":")[0] for env in (first, second, third)) + ":" + world.env["PATH"]
        world.ready("adopt", "--out", str(tmp_path / "a.toml"), "--since", "2020-01-01", PATH=path)
    commands = said.read_text().splitlines()
    assert {command.split()[0] for command in commands} == {"sacctmgr", "sacct"}
    managed = [command for command in commands if command.startswith("sacctmgr")]
    assert [words for command in managed if "show" not in (words := command.split())[1:3]] == []
    assert everything(world.lab) == before
    assert len(commands) <= 5, commands


def test_what_is_proposed_is_what_stands_there(world: World) -> None:
    found = json.loads(world.ready("adopt", "--json"))
    anna, bruno = world.anna, world.bruno
    projects = {project["account"]: project for project in found["projects"]}
    assert sorted(projects) == ["chem", "ehpc-1"]
    first, second = projects["ehpc-1"], projects["chem"]
    assert (first["pool"], first["gpu_minutes"], first["leader"], first["members"]) == ("eurohpc", 6010, anna, [anna])
    job = world.lab.run("sacct", "-aXnP", "--format=ElapsedRaw").stdout.strip()
    assert (first["used_gpu_s"], first["title"]) == (4 * int(job), "voice | models")  # whole nodes are charged
    assert (second["pool"], second["branch"], second["leader"]) == (None, ["uni"], bruno)
    assert second["members"] == sorted([anna, bruno, "carl"])
    assert {one["account"] for one in found["left_out"]} == {"eurohpc", "uni"}


def test_taking_over_and_marking_keeps_everybody_who_is_known(world: World, tmp_path: Path) -> None:
    path = tmp_path / "b.toml"
    world.ready("adopt", "--out", str(path))
    refused = world.run("adopt", "--check", str(path))
    assert (refused.code, len(refused.err.splitlines())) == (2, 6), refused.err
    text = path.read_text().replace("[defaults]", VALUES + "#", 1).replace("national = [", 'national = ["uni", ', 1)
    path.write_text(text)
    world.ready("adopt", "--check", str(path))
    assert world.run("adopt", "--take", str(path), SCHMELZ_AS="anna").code == 4
    before = everything(world.lab)
    taken = world.run("adopt", "--take", str(path))
    assert (taken.code, "carl (chem) is nobody here" in taken.err) == (0, True), taken
    assert json.loads(world.ready("adopt", "--take", str(path), "--json"))["projects"] == []
    assert everything(world.lab) == before
    assert world.sql("SELECT count(*) FROM ledger_event WHERE kind = 'project.adopted'") == [(2,)]
    blocked = json.loads(world.ready("plan", "--json", code=3))
    assert [c for c in blocked["changes"] if c["name"].split("/")[0] in ("chem", "ehpc-1", "eurohpc")] == []
    marked = world.lab.run(*taken.out.split()[:1], "-i", *taken.out.split()[1:])
    assert marked.returncode == 0, marked.stdout + marked.stderr
    plan = json.loads(world.ready("plan", "--json", code=3))
    changes = {(c["op"], c["kind"], c["name"]): c["fields"] for c in plan["changes"]}
    assert changes["change", "account", "chem"]["parent"] == ["uni", "luxembourg"]
    assert "gpu_minutes" not in changes["change", "account", "chem"]
    assert ("remove", "member", "chem/carl") in changes, changes
    assert not [
        name for op, kind, name in changes if op == "remove" and name in (f"chem/{world.anna}", f"ehpc-1/{world.anna}")
    ]
    world.ready("apply", "--allow-remove", "5")
    world.ready("plan", code=0)
    rows = world.lab.run(
        "sacctmgr", "-nP", "show", "assoc", "format=account,user,parentname,grptresmins,grptres"
    ).stdout
    assert "chem||luxembourg|cpu=99,gres/gpu=600|gres/gpu=4" in rows.splitlines(), rows
    assert f"ehpc-1|{world.anna}|||" in rows.splitlines()


def test_use_before_the_take_over_counts_in_the_balance(world: World) -> None:
    world.ready("meter")
    balance = json.loads(world.ready("balance", "ehpc-1", "--json"))
    job = world.lab.run("sacct", "-aXnP", "-A", "ehpc-1", "--format=ElapsedRaw").stdout.strip()
    assert balance["settled_gpu_s"] == 4 * int(job)
    assert balance["grant_gpu_s"] == 6010 * 60


def test_the_proof_knows_projects_that_were_taken_over(world: World, tmp_path: Path) -> None:
    subprocess.run(["rm", "-rf", tmp_path / "proof"], check=True)
    world.ready("export", str(tmp_path / "proof"))
    assert world.ready("verify", str(tmp_path / "proof")).startswith("verified")


def test_the_doctor_says_what_to_write_into_a_real_slurm_conf(world: World) -> None:
    def slurm() -> list[tuple[str, str]]:
        found = json.loads(world.run("doctor", "--json").out)
        return [(one["state"], one["remedy"].rpartition(": ")[2]) for one in found if one["check"] == f"slurm {SYSTEM}"]

    assert slurm() == [("ok", "")]
    conf, bad = world.lab.settings.conf, {"PriorityDecayHalfLife=0": "PriorityDecayHalfLife=7-0", "JobRequeue=1": ""}
    text = conf.read_text()
    for old, new in bad.items():
        text = text.replace(old, new) if new else text + "JobRequeue=0\n"
    conf.write_text(text.replace("PreemptMode=REQUEUE", "PreemptMode=CANCEL"))
    world.lab.daemons.end("slurmctld")
    _controller(world.lab)
    assert sorted(slurm()) == [
        ("stop", "PreemptMode=REQUEUE"),
        ("stop", "PriorityDecayHalfLife=0"),
        ("warn", "JobRequeue=1"),
    ]
    assert world.run("doctor").code == 1


def _controller(lab: Lab) -> None:
    """With the file as it lies there: `start` would write it anew."""
    lab.daemons.launch("slurmctld", ["slurmctld", "-D", "-f", str(lab.settings.conf)], lab.env())
    lab.daemons.wait(["slurmctld"], lambda: lab.run("scontrol", "ping").returncode == 0)
