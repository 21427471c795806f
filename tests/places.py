"""Whole factories in directories of their own, worked by the command line: on SQLite, or on a PostgreSQL of their own."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conftest import FACTORIES

NOW = "2026-11-23T09:00:00Z"


@dataclass(frozen=True)
class Place:
    """A data directory and the address of its database (empty: SQLite in the directory)."""

    data: Path
    database: str = ""

    def environment(self) -> dict[str, str]:
        ours = {"SCHMELZ_DATA": str(self.data), "SCHMELZ_FACTORY": str(FACTORIES["luxembourg"]), "SCHMELZ_NOW": NOW}
        others = {key: value for key, value in os.environ.items() if not key.startswith(("SCHMELZ_", "DJANGO_"))}
        return {**others, **ours, **({"SCHMELZ_DATABASE": self.database} if self.database else {})}

    def run(self, *words: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "schmelz.cli", *map(str, words)],
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == code, (words, done.returncode, done.stdout[-800:], done.stderr[-800:])
        return done

    def json(self, *words: object) -> Any:
        return json.loads(self.run(*words, "--json").stdout)

    def figures(self, to: Path) -> dict[str, str]:
        """What the place says of itself: the split, and the files of a verified export by their digest."""
        self.run("export", to)
        self.run("verify", to)
        said = {"split": self.run("split", "--json").stdout}
        return said | json.loads((to / "manifest.json").read_text())["files"]
