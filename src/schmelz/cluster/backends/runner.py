"""A job's keeper: runs one script, keeps its output, stops it at its limit, and writes down how it ended.

Started by a scheduling cycle as a process of its own (`python -I -S runner.py JOBDIR`, standard library only), so that
jobs outlive whoever started them. The open, locked file it inherits says that it lives: when the keeper dies, the lock
is free. `began` is written before the script runs (from then on it is never started again) and touched as the sign of
life; `cancel` asks for the end; `ended.json` is the last word. Every process of a job carries the job's directory in
its environment (the *cookie*), also when it left the process group: nothing of a job survives the job.
As root, the script runs as nobody. Time is measured by a clock that nobody sets.
"""

import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

COOKIE = "SCHMELZ_JOB_DIR"
NOBODY = 65534
OUTPUT_CAP = 64 * 1024 * 1024
GRACE = 2.0
TURN = 0.2


def put(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write a file as a whole or not at all: aside, sync, rename; `durable` also survives a power cut."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        if durable:
            os.fsync(file.fileno())
    aside.rename(path)
    if durable:
        sync(path.parent)


def sync(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep(home: Path) -> None:
    """Kill every process that carries the cookie of the job at `home`, except this one, until none is left."""
    mark = f"{COOKIE}={home}".encode()
    for _ in range(50):
        found = [pid for pid in _processes() if mark in _environment(pid)]
        if not found:
            return
        for pid in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(TURN / 10)


def _processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit() and int(path.name) != os.getpid()]


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def keep(home: Path) -> None:
    """Run the job at `home` from its first to its last word."""
    limit = json.loads((home / "job.json").read_bytes())["request"]["limit"]
    start = json.loads((home / "started.json").read_bytes())["start"]
    put(home / "began", b"")
    clock = time.monotonic()
    with (home / "output.txt").open("wb", buffering=0) as output:
        state, code, by_signal = _run(home, output, clock + limit)
    ended = {"state": state, "code": code, "signal": by_signal, "end": start + int(time.monotonic() - clock)}
    put(home / "ended.json", json.dumps(ended).encode())


def _run(home: Path, output: BinaryIO, deadline: float) -> tuple[str, int, int]:
    """The script's state, exit code and the signal that ended it."""
    try:
        script = _start(home / "work", (home / "script").read_bytes())
    except OSError as error:
        output.write(
            f"schmelz: the script does not start: {error.strerror}; does its #! line name a program "
            "that is installed?\n".encode()
        )
        return "FAILED", 127, 0
    copy = Copy(script, output)
    stopped = _watch(home, script, copy, deadline)
    sweep(home)
    copy.rest()
    code = script.returncode
    return stopped or ("FAILED" if code else "COMPLETED"), max(code, 0), max(-code, 0)


def _start(work: Path, text: bytes) -> "subprocess.Popen[bytes]":
    """Start a copy of the script in its working directory, as nobody where that is possible."""
    drop = os.getuid() == 0
    work.mkdir(mode=0o700, exist_ok=True)
    put(work / "script", text, durable=False)
    (work / "script").chmod(0o700)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if drop:
        os.chown(work, NOBODY, NOBODY)
        os.chown(work / "script", NOBODY, NOBODY)
        resource.setrlimit(resource.RLIMIT_NPROC, (4096, 4096))

    def spawn(arguments: list[str]) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            arguments,
            cwd=work,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,
            umask=0o077,
            user=NOBODY if drop else None,
            group=NOBODY if drop else None,
            extra_groups=[] if drop else None,
        )

    if text.startswith(b"#!"):
        return spawn(["./script"])
    return spawn(["/bin/sh", "./script"])


class Copy:
    """Copies what a script prints into its output file, up to the cap; the rest is read and dropped."""

    def __init__(self, script: "subprocess.Popen[bytes]", output: BinaryIO) -> None:
        assert script.stdout
        self.source, self.output, self.room, self.open = script.stdout.fileno(), output, OUTPUT_CAP, True
        os.set_blocking(self.source, False)

    def turn(self, seconds: float) -> None:
        """Wait at most `seconds` for output and copy it; without a source, just wait."""
        if not self.open:
            time.sleep(min(seconds, TURN / 10))
        elif select.select([self.source], [], [], seconds)[0]:
            self._block()

    def rest(self) -> None:
        """Copy what is still there."""
        while self.open and select.select([self.source], [], [], 0)[0]:
            self._block()

    def _block(self) -> None:
        block = os.read(self.source, 65536)
        self.open = bool(block)
        if block and self.room:
            self._write(block)

    def _write(self, block: bytes) -> None:
        kept = block[: self.room]
        self.room -= len(kept)
        try:
            self.output.write(kept)
            if not self.room:
                self.output.write(b"\nschmelz: the output is cut here\n")
        except OSError:  # a full disk costs the output, not the job
            self.room = 0


def _watch(home: Path, script: "subprocess.Popen[bytes]", copy: Copy, deadline: float) -> str | None:
    """Stay with the script until it ends; why it was stopped, None when it ended by itself."""
    stopped, kill_at = None, 0.0
    while script.poll() is None:
        now = time.monotonic()
        if stopped is None and (stopped := _reason_to_stop(home, now, deadline)):
            kill_at = now + GRACE
            _signal_group(script.pid, signal.SIGTERM)
        elif stopped and now >= kill_at:
            _signal_group(script.pid, signal.SIGKILL)
        os.utime(home / "began")
        copy.turn(TURN)
    return stopped


def _reason_to_stop(home: Path, now: float, deadline: float) -> str | None:
    if now >= deadline:
        return "TIMEOUT"
    return "CANCELLED" if (home / "cancel").exists() else None


def _signal_group(leader: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(leader, number)


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
