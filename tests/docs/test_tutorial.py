"""The tutorial is run: every console block in one shell session, every shown output compared (`...` stands for anything)."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.slow


def _steps(page: str) -> list[tuple[str, list[str]]]:
    """(command, expected lines) of each `$ ` line; `> ` lines go on with the command."""
    steps: list[tuple[str, list[str]]] = []
    for block in re.findall(r"```console\n(.*?)```", page, flags=re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                steps.append((line[2:], []))
            elif line.startswith("> "):
                steps[-1] = (steps[-1][0] + "\n" + line[2:], steps[-1][1])
            else:
                steps[-1][1].append(line)
    return steps


def _fits(expected: list[str], said: str) -> bool:
    pattern = "\n".join(".*" if line == "..." else re.escape(line).replace(r"\.\.\.", "[^\n]*") for line in expected)
    return not expected or re.fullmatch(pattern, said.strip(), flags=re.DOTALL) is not None


@pytest.mark.parametrize("page", ["tutorial.md"])
def test_every_command_of_the_page(page: str, tmp_path: Path) -> None:
    bin_directory = Path(sys.executable).parent
    env = {**os.environ, "PATH": f"{bin_directory}:{os.environ['PATH']}", "SCHMELZ_FACTORY": str(ROOT / "factory.toml")}
    env.pop("SCHMELZ_DATA")
    exports = ""
    for command, expected in _steps((ROOT / "docs" / page).read_text()):
        done = subprocess.run(
            ["bash", "-c", exports + command],
            cwd=tmp_path,
            env=env,
            text=True,
            timeout=180,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        if command.startswith("export "):
            exports += command + "\n"
        assert _fits(expected, done.stdout), f"$ {command}\n{done.stdout}\n--- expected\n" + "\n".join(expected)
