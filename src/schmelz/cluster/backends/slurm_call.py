"""Running Slurm's commands: argument lists, a clean environment, a time limit, and the exit status is what counts.

Nothing of our own environment reaches a command but PATH and where Slurm's file is; times are UTC in one format. A
command that is missing, too slow or unhappy is a ClusterError with Slurm's last word in it: silence is never an answer.
`as_person` runs a command with the rights of somebody: possible for root, and for a person who is ourselves.
A *recorder* hears of each command twice, before it runs and after: when it cannot write down, the command does not run.
"""

import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace

from schmelz.cluster.model import ClusterError
from schmelz.faults import Refused

TIME_FORMAT = "%Y-%m-%dT%H:%M:%S"
PATIENCE = 60
LONG_PATIENCE = 600  # a first load of many projects, the records of a year


@dataclass(frozen=True)
class Record:
    """A command: what was said to it, when (UTC epoch seconds), how long it took, and its answer.

    Before it runs `seconds` is None. Without an answer (too slow, not there) `status` stays None and `stderr` says why.
    """

    argv: tuple[str, ...]
    stdin: str
    started: float
    seconds: float | None = None
    status: int | None = None
    stdout: bytes = b""
    stderr: str = ""


Recorder = Callable[[Record], None]
_recorder: ContextVar[Recorder | None] = ContextVar("recorder", default=None)


@contextmanager
def recorded(to: Recorder) -> Iterator[None]:
    """Within, `to` hears of every command, from several threads at once; what it raises keeps one from running."""
    token = _recorder.set(to)
    try:
        yield
    finally:
        _recorder.reset(token)


@dataclass(frozen=True)
class Answer:
    """How a command ended, what it printed, and the last line of what it complained."""

    status: int
    out: bytes
    complaint: str

    @property
    def last_word(self) -> str:
        lines = [line.strip() for line in self.complaint.splitlines() if line.strip()]
        return lines[-1] if lines else "it said nothing"


def attempt(command: Sequence[str], *, text: str = "", patience: int = PATIENCE) -> Answer:
    """Run it as ourselves, `text` on its standard input; whatever its exit status is."""
    home = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC", "SLURM_TIME_FORMAT": TIME_FORMAT}
    return _run(command, {**home, **_slurm_conf()}, text, patience, None, "/")


def ask(command: Sequence[str], *, text: str = "", patience: int = PATIENCE) -> bytes:
    """What it printed. Raises ClusterError unless it ended with exit status 0."""
    answer = attempt(command, text=text, patience=patience)
    if answer.status:
        raise ClusterError(f"{named(command)} failed (exit status {answer.status}): {answer.last_word}")
    return answer.out


def as_person(
    user: str, command: Sequence[str], *, text: str = "", folder: str = "/", patience: int = PATIENCE
) -> Answer:
    """Run it with the rights of `user`, and with nothing in the environment that a job could inherit."""
    return _run(command, _slurm_conf(), text, patience, _rights(user), folder)


def person(user: str) -> pwd.struct_passwd:
    """The Unix user. Raises Refused for nobody, and for root: no job runs as root."""
    try:
        entry = pwd.getpwnam(user)
    except (KeyError, ValueError):
        raise Refused(f"there is no Unix user {user!r} on this machine.", "The operator makes one.") from None
    if entry.pw_uid == 0:
        raise Refused(f"{user} is root; no job runs as root.", "The operator gives you a Unix user of your own.")
    return entry


def named(command: Sequence[str]) -> str:
    """A command in a message: its first words, long lists left out."""
    words = [word if len(word) < 60 else word[:57] + "..." for word in command[:5]]
    return " ".join(words)


def _slurm_conf() -> dict[str, str]:
    return {name: os.environ[name] for name in ("SLURM_CONF",) if name in os.environ}


def _rights(user: str) -> pwd.struct_passwd | None:
    """Whose rights to take; None when they are our own already."""
    entry, ours = person(user), os.getuid()
    if ours == entry.pw_uid:
        return None
    if ours != 0:
        raise ClusterError(
            f"Schmelz runs as Unix user {ours} and cannot act as {user}; "
            "it must run as root to submit and read jobs for others"
        )
    return entry


def _run(
    command: Sequence[str],
    environment: dict[str, str],
    text: str,
    patience: int,
    rights: pwd.struct_passwd | None,
    folder: str,
) -> Answer:
    """The one place from which a command goes out: written down, run, written down."""
    record, began, tell = Record(tuple(command), text, time.time()), time.monotonic(), _recorder.get() or _nobody
    tell(record)
    try:
        answer = _process(command, environment, text, patience, rights, folder)
    except ClusterError as fault:
        tell(replace(record, seconds=time.monotonic() - began, stderr=str(fault)))
        raise
    seconds = time.monotonic() - began
    tell(replace(record, seconds=seconds, status=answer.status, stdout=answer.out, stderr=answer.complaint))
    return answer


def _process(
    command: Sequence[str],
    environment: dict[str, str],
    text: str,
    patience: int,
    rights: pwd.struct_passwd | None,
    folder: str,
) -> Answer:
    program, patience = shutil.which(command[0]), min(patience, _longest())
    if program is None:
        raise ClusterError(f"{command[0]} is not installed here, or not on PATH")
    groups = os.getgrouplist(rights.pw_name, rights.pw_gid) if rights else None
    try:
        done = subprocess.run(
            [program, *command[1:]],
            input=text.encode(),
            capture_output=True,
            timeout=patience,
            check=False,
            env=environment,
            cwd=folder,
            user=rights and rights.pw_uid,
            group=rights and rights.pw_gid,
            extra_groups=groups,
            umask=0o022,  # a job inherits it
        )
    except subprocess.TimeoutExpired:
        raise ClusterError(
            f"{named(command)} gave no answer in {patience} s; what it did is not known: "
            "look at the cluster before you repeat it"
        ) from None
    except (OSError, ValueError) as error:
        raise ClusterError(f"{named(command)} could not be run: {error}") from error
    return Answer(done.returncode, done.stdout, done.stderr.decode("utf-8", "replace"))


def _longest() -> int:
    """How many seconds any command may take, where somebody says so: SCHMELZ_PATIENCE."""
    told = os.environ.get("SCHMELZ_PATIENCE", "")
    return int(told) if told.isdecimal() and int(told) else LONG_PATIENCE


def _nobody(record: Record) -> None:
    """Nobody writes down."""
