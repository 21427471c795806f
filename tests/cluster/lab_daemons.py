"""Processes that outlive their starter, and are ended only when they are surely ours.

A *daemon* is a plain foreground process in a session of its own. Its record (`run/NAME.ours`) holds its pid and its
start time in kernel ticks: a pid that was given to another process since has another start time and is left alone.
Processes of jobs are known by the environment that Slurm gives to them and to nobody else. Source: proc(5).
"""

import contextlib
import os
import pwd
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.lab_conf import PATH, LabError

PAUSE = 0.05
STARTED: dict[int, subprocess.Popen[bytes]] = {}  # by this process, which has to reap them


def birth(pid: int) -> int | None:
    """When this process began, in ticks since boot; None when it is gone or only waits to be reaped."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if state in "ZX" else int(rest[18])


def wait_until(true: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(PAUSE)
    return True


@dataclass(frozen=True)
class Daemons:
    """The daemons of one directory; the records on disk are the truth, so another process may end them."""

    directory: Path

    def _record(self, name: str) -> Path:
        return self.directory / "run" / f"{name}.ours"

    def recorded(self) -> dict[str, tuple[int, int]]:
        records = sorted((self.directory / "run").glob("*.ours"))
        return {path.stem: _parsed(path.read_text()) for path in records}

    def pid(self, name: str) -> int | None:
        """The pid of a daemon that runs and is ours."""
        pid, born = self.recorded().get(name, (0, 0))
        return pid if pid and birth(pid) == born else None

    def running(self) -> dict[str, int]:
        return {name: pid for name in self.recorded() if (pid := self.pid(name))}

    def launch(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> bool:
        """Start it unless it runs; True when this call started it."""
        if self.pid(name):
            return False
        self._forget(name)
        with (self.directory / "log" / f"{name}.out").open("ab") as out:
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=self.directory,
                env={"PATH": PATH, "LANG": "C.UTF-8", **environment}, start_new_session=True, umask=0o022,
            )  # fmt: skip
        STARTED[child.pid] = child
        self._record(name).write_text(f"{child.pid} {birth(child.pid) or 0}\n")
        return True

    def wait(self, names: Sequence[str], ready: Callable[[], bool], seconds: float = 30) -> None:
        """Until it is ready; at once an error when one of them ended instead."""
        wait_until(lambda: not all(map(self.pid, names)) or ready(), seconds)
        for name in names:
            if not self.pid(name):
                raise LabError(f"{name} ended: {self.last_words(name)}", code=1)
        if not ready():
            raise LabError(f"{names[0]} did not answer in {seconds:.0f} s: {self.last_words(names[0])}", code=1)

    def last_words(self, name: str) -> str:
        """The last complaint in its log, or the last line."""
        for path in (self.directory / "log" / f"{name}.log", self.directory / "log" / f"{name}.out"):
            lines = path.read_text(errors="replace").split("\n") if path.exists() else []
            said = [line.strip() for line in lines if line.strip()]
            if worst := [line for line in said if re.search(r"\b(fatal|error)\b", line, re.IGNORECASE)] or said:
                return f"{worst[-1]} ({path})"
        return f"it said nothing ({self.directory / 'log'})"

    def end(self, *names: str, seconds: float = 30) -> None:
        """Ask all of them to end, wait for each, then insist."""
        for sign, patience in ((signal.SIGTERM, seconds), (signal.SIGKILL, 5)):
            for name in names:
                if pid := self.pid(name):
                    os.kill(pid, sign)
            if wait_until(lambda: not any(self.pid(name) for name in names), patience):
                break
        for name in names:
            self._forget(name)

    def _forget(self, name: str) -> None:
        pid, _ = self.recorded().get(name, (0, 0))
        if child := STARTED.pop(pid, None):
            child.wait(5)
        self._record(name).unlink(missing_ok=True)

    def end_steps(self, conf: Path) -> None:
        """What jobs left behind because their daemons died first, or because it fled into a session of its own."""
        for pid in list(_processes_of_jobs(conf)):
            if birth(pid):
                os.kill(pid, signal.SIGKILL)


def _processes_of_jobs(conf: Path) -> Iterator[int]:
    """Slurm tells steps and tasks where its file is, and tasks on which node they are; a person's shell has no node."""
    mark = f"SLURM_CONF={conf}".encode()
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # another user's, or gone meanwhile
            told = (place / "environ").read_bytes().split(b"\0")
            step = (place / "comm").read_text() == "slurmstepd\n"
            if mark in told and (step or any(word.startswith(b"SLURMD_NODENAME=") for word in told)):
                yield int(place.name)


def must(*command: str) -> None:
    """A short command that has to succeed."""
    done = subprocess.run(command, env={"PATH": PATH}, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().split("\n")[-1]
        raise LabError(f"{command[0]} failed: {said}", code=1)


def user_exists(name: str) -> bool:
    with contextlib.suppress(KeyError):
        return bool(pwd.getpwnam(name))
    return False


def answers(path: Path, speaks: bool) -> bool:
    """Whether something listens on this Unix socket and, where it speaks first, has said something."""
    with socket.socket(socket.AF_UNIX) as line, contextlib.suppress(OSError):
        line.settimeout(2)
        line.connect(str(path))
        return not speaks or bool(line.recv(1))
    return False


def _parsed(record: str) -> tuple[int, int]:
    pid, born = record.split()
    return int(pid), int(born)
