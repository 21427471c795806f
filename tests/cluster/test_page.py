"""The page about a real Slurm is run from `make cluster` to `make cluster-clean`, every command of it, in one shell."""

import os
import subprocess
from pathlib import Path

import pytest

from cluster.lab_daemons import user_exists
from docs.test_tutorial import _fits, _steps

ROOT = Path(__file__).parent.parent.parent
OUTER = ("SCHMELZ_", "DJANGO_", "SLURM_", "MAKE", "MFLAGS")  # nothing of the caller's: these tests run under make too
KEPT = ("eval ", "cd ", "export ")  # what a shell keeps for the next command
pytestmark = pytest.mark.slow


def test_every_command_of_the_page(place: Path) -> None:
    before = {name: user_exists(name) for name in ("anna", "bruno")}
    env = {name: value for name, value in os.environ.items() if not name.startswith(OUTER)}
    env |= {"CLUSTER": str(place), "PYTHONDONTWRITEBYTECODE": "1"}
    said: list[str] = [f"cd {ROOT}"]
    for command, expected in _steps((ROOT / "docs/cluster.md").read_text()):
        done = subprocess.run(
            ["bash", "-c", "\n".join([*said, command])],
            cwd=ROOT, env=env, text=True, timeout=180, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        said += [command] if command.startswith(KEPT) else []
        assert _fits(expected, done.stdout), f"$ {command}\n{done.stdout}\n--- expected\n" + "\n".join(expected)
    assert not place.exists()
    assert {name: user_exists(name) for name in before} == before
