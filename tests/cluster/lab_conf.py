"""What the lab is made of: its settings, and the refusals before anything starts.

A *lab* is a whole Slurm cluster in one directory: two sites, one partition each, pretended GPUs. Everything here is
decided before a process runs; `lab.py` does the running. Invariants: one directory holds one lab and one settings file,
`lab.json`; nothing listens beyond the loopback address; only our own directories and free ports are taken.
"""

import contextlib
import json
import os
import pwd
import re
import secrets
import shutil
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

SITES = {"bissen": "mxb", "bettembourg": "mxt"}  # partition -> what its node names begin with
PACKAGES = {  # program -> the Debian package it comes in; their dependencies bring the plugins
    "slurmctld": "slurmctld",
    "slurmd": "slurmd",
    "slurmdbd": "slurmdbd",
    "sacctmgr": "slurm-client",
    "munged": "munge",
    "mariadbd": "mariadb-server",
    "mariadb-install-db": "mariadb-server",
}
PATH = f"{os.environ.get('PATH', '/usr/bin:/bin')}:/usr/sbin:/sbin"  # ordinary people lack the directories of daemons
LONGEST_PATH = 80  # a Unix socket's name ends at 107 characters
USER_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")


class LabError(Exception):
    """One sentence for a person: what is wrong, and what would be right. `code` is the exit status."""

    def __init__(self, sentence: str, code: int = 2) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True)
class Settings:
    """What a lab is. Port 0 means: take free ones at the first start, and keep them."""

    directory: Path
    nodes: int = 2
    gpus: int = 4
    port: int = 0
    name: str = "schmelz"
    users: tuple[str, ...] = ("anna", "bruno")

    @property
    def conf(self) -> Path:
        return self.directory / "etc" / "slurm.conf"

    @property
    def ports(self) -> range:
        """slurmdbd, slurmctld, then one for each slurmd."""
        return range(self.port, self.port + 2 + len(SITES) * self.nodes)

    @property
    def shape(self) -> str:
        return f"{self.name}, {len(SITES)} sites x {self.nodes} nodes x {self.gpus} GPUs"

    def nodes_of(self, site: str) -> tuple[str, ...]:
        return tuple(f"{SITES[site]}{number:03}" for number in range(1, self.nodes + 1))

    @property
    def node_names(self) -> tuple[str, ...]:
        return tuple(name for site in SITES for name in self.nodes_of(site))

    def save(self) -> None:
        text = json.dumps(asdict(self) | {"directory": str(self.directory)}, indent=1) + "\n"
        write(self.directory / "lab.json", 0o644, text.encode())


def load(directory: Path) -> Settings | None:
    """The settings of the lab in this directory, or None where there is none."""
    record = directory / "lab.json"
    try:
        facts = json.loads(record.read_text())
        return Settings(**facts | {"directory": directory, "users": tuple(facts["users"])})
    except FileNotFoundError:
        return None
    except OSError as fault:
        raise LabError(f"{record}: {fault.strerror}; choose another directory") from fault
    except (ValueError, TypeError, KeyError) as fault:
        raise LabError(f"{record}: not what a lab writes ({fault}); choose another directory") from fault


def missing_packages() -> tuple[str, ...]:
    gone = {package for program, package in PACKAGES.items() if not shutil.which(program, path=PATH)}
    return tuple(sorted(gone))


def refusals(settings: Settings) -> Iterator[str]:
    """Everything that would make a start fail later and less clearly, one sentence each."""
    if gone := missing_packages():
        yield f"missing Debian packages; install them with: apt-get install --no-install-recommends {' '.join(gone)}"
    yield from _refused_settings(settings)
    yield from _refused_directory(settings.directory)
    yield from _refused_host(socket.gethostname())


def _refused_settings(settings: Settings) -> Iterator[str]:
    if not 1 <= settings.nodes <= 99:
        yield f"nodes: {settings.nodes} per site; from 1 to 99 is possible"
    if not 1 <= settings.gpus <= 16:
        yield f"gpus: {settings.gpus} per node; from 1 to 16 is possible"
    if settings.port and not 1024 <= settings.port <= 60_000:
        yield f"port: {settings.port}; from 1024 to 60000 is possible"
    for user in settings.users:
        if not USER_NAME.fullmatch(user):
            yield f"users: {user!r} is no Unix user name; small letters, digits, - and _, at most 32"


def _refused_directory(directory: Path) -> Iterator[str]:
    if not re.fullmatch(r"[A-Za-z0-9/._+-]+", str(directory)) or len(str(directory)) > LONGEST_PATH:
        yield f"{directory}: Slurm needs a path of letters, digits and /._+- only, at most {LONGEST_PATH} characters"
    for folder in reversed((directory, *directory.parents)):
        if folder.exists() and not folder.stat().st_mode & 0o001:
            mode, better = f"{folder.stat().st_mode & 0o777:o}", default_directory()
            yield f"{folder}: closed to other Unix users (mode {mode}); choose a directory such as {better}"
            return  # what lies below may not even be asked for
    if directory.exists() and directory.stat().st_uid != os.getuid():
        yield f"{directory}: belongs to another user; choose another directory"
    if directory.is_dir() and load(directory) is None and {path.name for path in directory.iterdir()} - {"lab.lock"}:
        yield f"{directory}: holds other files and no lab; choose an empty or new directory"


def _refused_host(host: str) -> Iterator[str]:
    """Slurm's daemons listen on the address of the host's own name, whatever their files say."""
    try:
        addresses = socket.gethostbyname_ex(host)[2]
    except OSError:
        addresses = []
    if not addresses or not all(address.startswith("127.") for address in addresses):
        seen = ", ".join(addresses) or "nothing"
        yield f"/etc/hosts: the host name {host} means {seen}; to stay on loopback, add the line: 127.0.1.1 {host}"


def default_directory() -> Path:
    return Path("/var/tmp") / f"schmelz-cluster-{os.getuid()}"


def own_name() -> str:
    return pwd.getpwuid(os.getuid()).pw_name


def short_host() -> str:
    return socket.gethostname().partition(".")[0]


def free_ports(count: int) -> int:
    """The first of so many free ports in a row, below those that the kernel hands out by itself."""
    while True:
        first = 20_000 + secrets.randbelow(12_000)
        if all(is_free(port) for port in range(first, first + count)):
            return first


def is_free(port: int) -> bool:
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # just closed connections do not count
        probe.bind(("127.0.0.1", port))
        return True
    return False


def write(path: Path, mode: int, content: bytes) -> None:
    """Whole or not at all, and with its mode from the first byte on: some are secrets."""
    aside = path.with_name(path.name + ".new")
    aside.unlink(missing_ok=True)
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    aside.replace(path)
