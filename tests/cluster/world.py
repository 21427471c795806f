"""A factory with decided projects against a lab's Slurm, as a data directory of its own; commands run as whole processes.

The *world* is what was decided: it is written straight into the data base (decisions have tests of their own), and
`expected` says what Slurm must hold then. A *shim* is a program that stands before Slurm's on PATH and spoils it.
"""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cluster.lab import Lab
from cluster.lab_files import factory_toml

SYSTEM, POOL = "meluxina-ai", "eurohpc"
BACKGROUND = """
import django; django.setup()
from schmelz.portal.people.actions import add_person
from schmelz.portal.policy import factory
for handle, unix, roles in (("anna", {anna!r}, ()), ("bruno", {bruno!r}, ()), ("gilles", None, ("luxprovide:operator",))):
    mail = handle + "@example.org"
    add_person(factory(), handle=handle, name=handle.title(), email=mail, demo=True, unix_name=unix, roles=roles)
"""
PROJECT = {
    "title": "Voices", "system": SYSTEM, "pool": POOL, "mode": "playground", "organisation": "Quartz", "category": "startup",
    "country": "LU", "commercial": 0, "pacing": "", "sites": "", "suspended": 0, "state": "awarded",
}  # fmt: skip
Assoc = tuple[str, str, str, str]
"""Account, Unix user (or nothing), parent, GPU-minutes (or nothing)."""


@dataclass(frozen=True)
class Done:
    """How a command ended, what it printed, what it said, how long it took."""

    code: int
    out: str
    err: str
    seconds: float


class World:
    """`place` holds data and policy file; `run("plan")` is `schmelz plan` as the operator."""

    def __init__(self, place: Path, lab: Lab) -> None:
        self.lab, self.data = lab, place / "data"
        self.anna, self.bruno = lab.settings.users
        (place / "factory.toml").write_text(factory_toml(lab.settings))
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SCHMELZ_")}
        self.env = clean | lab.env() | {
            "SCHMELZ_DATA": str(self.data),
            "SCHMELZ_FACTORY": str(place / "factory.toml"),
            "SCHMELZ_AS": "gilles",
            "DJANGO_SETTINGS_MODULE": "schmelz.portal.settings",
        }  # fmt: skip
        self.ready("person", "list", SCHMELZ_AS="")
        script = BACKGROUND.format(anna=self.anna, bruno=self.bruno)
        subprocess.run([sys.executable, "-c", script], env=self.env, check=True, timeout=60)

    # -- commands

    def start(self, *words: str, **env: str) -> subprocess.Popen[str]:
        """In a process group of its own, so that a kill reaches all of it."""
        told = {name: value for name, value in (self.env | env).items() if value}
        return subprocess.Popen(
            [sys.executable, "-m", "schmelz.cli", *words], env=told, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def run(self, *words: str, timeout: float = 120, **env: str) -> Done:
        began = time.monotonic()
        process = self.start(*words, **env)
        out, err = process.communicate(timeout=timeout)
        return Done(process.returncode, out, err, time.monotonic() - began)

    def ready(self, *words: str, code: int = 0, **env: str) -> str:
        """A command that has to end with this exit code; what it printed."""
        done = self.run(*words, **env)
        assert done.code == code, f"{words}: {done.code}\n{done.out}\n{done.err}"
        return done.out.strip()

    def apply(self, code: int = 0, **env: str) -> Done:
        done = self.run("apply", "--allow-remove", "20", **env)
        assert done.code == code, f"apply: {done.code}\n{done.out}\n{done.err}"
        assert "Traceback" not in done.err
        return done

    # -- what was decided

    def sql(self, command: str, *values: object) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.data / "schmelz.sqlite3", timeout=30)) as base, base:
            return base.execute(command, values).fetchall()

    def project(self, code: str, gpu_hours: int, *members: str, **changes: object) -> None:
        """A project with people; the first one leads."""
        now = int(time.time())
        facts = PROJECT | {"code": code, "application": f"a-{code}", "grant_gpu_s": gpu_hours * 3600}
        facts |= {"start": now - 86400, "end": now + 400 * 86400} | changes
        marks = ",".join("?" * len(facts))
        quoted = ",".join(f'"{name}"' for name in facts)
        self.sql(f"INSERT INTO projects_project ({quoted}) VALUES ({marks})", *facts.values())
        for number, handle in enumerate(members):
            self.join(code, handle, leads=not number)

    def join(self, code: str, handle: str, *, leads: bool = False) -> None:
        self.sql(
            "INSERT INTO projects_membership (project_id, person_id, leads, since) "
            "SELECT p.id, q.id, ?, 0 FROM projects_project p, people_person q WHERE p.code = ? AND q.handle = ?",
            leads, code, handle,
        )  # fmt: skip

    def leave(self, code: str, handle: str) -> None:
        self.sql(
            "DELETE FROM projects_membership WHERE project_id = (SELECT id FROM projects_project WHERE code = ?) "
            "AND person_id = (SELECT id FROM people_person WHERE handle = ?)",
            code, handle,
        )  # fmt: skip

    def change(self, code: str, **changes: object) -> None:
        for name, value in changes.items():
            self.sql(f'UPDATE projects_project SET "{name}" = ? WHERE code = ?', value, code)

    # -- what must stand there

    def expected(self) -> set[Assoc]:
        """The associations of open projects that Slurm must hold, pools left out."""
        grants = self.sql("SELECT code, grant_gpu_s FROM projects_project")
        members = self.sql(
            "SELECT p.code, q.unix_name FROM projects_membership m JOIN projects_project p ON p.id = m.project_id "
            "JOIN people_person q ON q.id = m.person_id"
        )
        accounts = {(str(code), "", POOL, f"gres/gpu={int(str(grant)) // 60}") for code, grant in grants}
        return accounts | {(str(code), str(user), "", "") for code, user in members}

    def seen(self) -> list[Assoc]:
        """The associations that Slurm holds, those of root and of the pools left out."""
        done = self.lab.run("sacctmgr", "-nP", "show", "assoc", "format=account,user,parentname,grptresmins")
        assert done.returncode == 0, done.stderr
        rows = [tuple(line.split("|")) for line in done.stdout.splitlines()]
        return [row for row in rows if row[0] not in ("root", "eurohpc", "luxembourg")]  # type: ignore[misc]

    def whole(self) -> None:
        """The cluster is as decided: nothing is missing, nothing is left over, nothing stands there twice."""
        seen = self.seen()
        assert sorted(seen) == sorted(self.expected())

    # -- what is spoilt

    @contextmanager
    def shim(self, program: str, script: str) -> Iterator[Mapping[str, str]]:
        """The environment in which `program` is this shell script; $real is the true one, $n counts the calls."""
        folder = self.data.parent / f"shim-{time.monotonic_ns()}"
        folder.mkdir()
        count = (
            f'real=/usr/bin/{program}\nn=$(mktemp -u {folder}/call.XXXXXX); : > "$n"; n=$(ls {folder} | grep -c call)\n'
        )
        path = folder / program
        path.write_text(f"#!/bin/sh\n{count}{script}\n")
        path.chmod(0o755)
        yield {"PATH": f"{folder}:{self.env['PATH']}"}
