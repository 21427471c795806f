"""The main job on a real Slurm: award -> plan -> apply -> account and limits -> sbatch by a Unix user -> sacct -> meter -> split.

Everything goes through the command line, as an operator and a member would type it.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cluster.lab import Lab

ROOT = Path(__file__).parent.parent.parent
PEOPLE = """
import django; django.setup()
from schmelz.portal.people.actions import add_person
from schmelz.portal.people.models import Organisation
from schmelz.portal.policy import factory
home = Organisation.objects.create(name="Quartz Voice", country="LU", category="startup", founded=2025)
for handle, unix, role in (("anna", {unix!r}, None), ("ines", None, "luxprovide:technical"), ("eva", None, "eurohpc:officer"),
                           ("gilles", None, "luxprovide:operator")):
    add_person(factory(), handle=handle, name=handle.title(), email=handle + "@example.org", demo=True, unix_name=unix,
               organisation=home if handle == "anna" else None, roles=[role] if role else [])
"""


class Shell:
    """`schmelz` in a data directory of its own, against the lab's Slurm."""

    def __init__(self, place: Path, lab: Lab) -> None:
        text = (ROOT / "factory.toml").read_text()
        for old, new in (
            ('backend = "local" ', f'backend = "slurm"\nname = "{lab.settings.name}" '),
            ('name = "local" ', "# "),
            ("mxb[001-126]", "mxb[001-002]"),
            ("mxt[001-126]", "mxt[001-002]"),
            ('"gpu-bissen", ', ""),
            ('"gpu-bettembourg", ', ""),
        ):
            text = text.replace(old, new, 1)
        (place / "factory.toml").write_text(text)
        self.env = {
            **os.environ,
            **lab.env(),
            "SCHMELZ_DATA": str(place / "data"),
            "SCHMELZ_FACTORY": str(place / "factory.toml"),
            "DJANGO_SETTINGS_MODULE": "schmelz.portal.settings",
        }

    def __call__(self, *words: str, person: str | None = None, code: int = 0) -> str:
        command = [sys.executable, "-m", "schmelz.cli", *(["--as", person] if person else []), *words]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=120)
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout.strip()


@pytest.fixture(scope="module")
def shell(slurm: Lab, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    shell = Shell(tmp_path_factory.mktemp("factory"), slurm)
    shell("person", "list")
    subprocess.run(
        [sys.executable, "-c", PEOPLE.format(unix=slurm.settings.users[0])], env=shell.env, check=True, timeout=60
    )
    return shell


@pytest.fixture(scope="module")
def project(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An award of 100 GPU-hours that was applied to the cluster."""
    form = json.loads(shell("application", "form", "--mode", "playground"))
    form.update(title="Voice models", summary="Fine-tuning of open speech models.", gpu_hours=100)
    path = tmp_path_factory.mktemp("form") / "form.json"
    path.write_text(json.dumps(form))
    code = shell("application", "new", "--mode", "playground", "--from", str(path), person="anna")
    shell("decision", "propose", code, "--gpu-hours", "100", "--because", "fits", person="ines")
    project = shell("decision", "sign", code, person="eva").split()[-1]
    plan = json.loads(shell("plan", "--json", person="gilles", code=3))
    assert {"eurohpc", "luxembourg", project} <= {change["name"] for change in plan["changes"]}
    shell("apply", "--plan", plan["hash"], person="gilles")
    return project


def test_the_cluster_is_as_decided(shell: Shell, project: str, slurm: Lab) -> None:
    rows = slurm.run("sacctmgr", "-nP", "show", "assoc", "format=account,user,parentname,share,grptresmins").stdout
    assert f"{project}||eurohpc|1|gres/gpu=6000" in rows.splitlines(), rows
    assert any(line.startswith(f"{project}|{slurm.settings.users[0]}|") for line in rows.splitlines()), rows
    assert any(line.startswith("eurohpc||root|50|") for line in rows.splitlines()), rows
    shell("plan", person="gilles", code=0)
    assert json.loads(shell("apply", "--json", person="gilles"))["changes"] == 0
    print("\n" + rows)


def test_a_job_is_run_metered_and_split(shell: Shell, project: str, slurm: Lab, tmp_path: Path) -> None:
    script = tmp_path / "train.sh"
    script.write_text("#!/bin/sh\nid -un; sleep 3\n")
    job = shell(
        "submit",
        str(script),
        "--project",
        project,
        "--gpus",
        "4",
        "--time",
        "0-00:02:00",
        "--site",
        "bissen",
        person="anna",
    )
    running = json.loads(shell("jobs", "--json", person="anna"))
    assert [(j["job"], j["user"], j["gpus"]) for j in running] == [(job, slurm.settings.users[0], 4)]
    line = _ended(slurm, job)
    shell("meter")
    shell("meter")
    elapsed = int(line.split("|")[2])
    rows = json.loads(shell("usage", "--by", "pool,project,site", "--json"))
    today = [row for row in rows if row["project"] == project]  # other tests use this cluster, too
    assert today == [{"pool": "eurohpc", "project": project, "site": "bissen", "gpu_s": 4 * elapsed, "runs": 1}]
    split = json.loads(shell("split", "--json"))
    used = {pool["pool"]: pool["used_gpu_s"] for pool in split["pools"]}
    assert used == {"eurohpc": 4 * elapsed, "national": 0}
    supply = split["supply"]
    assert split["installed_gpu_s"] == sum(v for k, v in supply.items() if k != "excess") - supply["excess"]
    balance = json.loads(shell("balance", project, "--json", person="anna"))
    assert (balance["settled_gpu_s"], balance["committed_gpu_s"]) == (4 * elapsed, 0)
    assert shell("export", str(tmp_path / "proof"))
    assert shell("verify", str(tmp_path / "proof")).startswith("verified")
    print(f"\n{line}\n{today}\n{supply}")


def _ended(slurm: Lab, job: str) -> str:
    """The job's line in Slurm's own accounting, once it is there as completed."""
    for _ in range(60):
        rows = slurm.run(
            "sacct", "-nXP", "-j", job, "--format=JobIDRaw,State,ElapsedRaw,AllocTRES,User,NodeList"
        ).stdout
        if "|COMPLETED|" in rows:
            return rows.strip()
        time.sleep(1)
    raise AssertionError(f"job {job} did not end: {rows}")


def test_an_outsider_cannot_use_the_account(shell: Shell, project: str, slurm: Lab) -> None:
    done = slurm.run("sbatch", "-A", project, "--gpus=1", "--wrap", "true", user=slurm.settings.users[1])
    assert done.returncode != 0
    assert "Invalid account" in done.stderr
