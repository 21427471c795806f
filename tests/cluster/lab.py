"""A real Slurm cluster in one directory: for people (`make cluster`) and for the tests.

It runs munged, MariaDB, slurmdbd, slurmctld and one slurmd per node as plain processes on loopback; GPUs are pretended,
jobs are real and run as their own Unix user. `start` may be called again at any time and starts only what does not run;
a start that fails ends what it started; `stop` keeps the data; `clean` also removes the directory and the Unix users
that the lab had made. Accounts and QOS are not made here: that is the work of the plan.
"""

import argparse
import contextlib
import fcntl
import os
import pwd
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # run as a file: the folder above is where `cluster` is found
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cluster.lab_conf import (
    PATH,
    SITES,
    LabError,
    Settings,
    default_directory,
    free_ports,
    is_free,
    load,
    own_name,
    refusals,
)
from cluster.lab_daemons import Daemons, answers, must, user_exists, wait_until
from cluster.lab_files import exports, write_files

__all__ = ["Lab", "LabError", "Settings", "main"]


class Lab:
    """One cluster, in one directory. Methods raise LabError with a sentence for a person."""

    def __init__(self, settings: Settings) -> None:
        self.settings = replace(settings, directory=settings.directory.resolve())
        self.daemons = Daemons(self.settings.directory)

    def env(self) -> dict[str, str]:
        """What a client needs in its environment, besides PATH."""
        return {"SLURM_CONF": str(self.settings.conf)}

    def run(self, *command: str, user: str | None = None, timeout: float = 30) -> subprocess.CompletedProcess[str]:
        """A command on this cluster, as ourselves or as one of the Unix users, in a folder that all may write."""
        account = pwd.getpwnam(user) if user else None
        who: dict[str, Any] = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}
        try:
            return subprocess.run(
                command, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL, check=False,
                cwd=self.settings.directory / "work", env={"PATH": PATH, "LANG": "C.UTF-8", **self.env()}, **who,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, 124, "", f"{command[0]}: no answer in {timeout:.0f} s")

    def start(self) -> None:
        if faults := list(refusals(self.settings)):
            raise LabError("\n".join(faults))
        self.settings.directory.mkdir(parents=True, exist_ok=True)
        self.settings.directory.chmod(0o755)
        with self._alone():
            self._keep_settings()
            before = self.daemons.running()
            try:
                write_files(self.settings)
                self._make_users()
                self._launch_all()
            except BaseException:
                self.daemons.end(*(name for name in self.daemons.recorded() if name not in before), seconds=2)
                raise

    def stop(self) -> None:
        """Cancel what runs, end every daemon from the nodes to the keys; the data and the waiting jobs stay."""
        if load(self.settings.directory) is None:
            return
        with self._alone():
            self._cancel_jobs()
            self.daemons.end("slurmctld", *self._slurmd_names())
            self.daemons.end_steps(self.settings.conf)
            for name in ("slurmdbd", "mariadbd", "munged"):
                self.daemons.end(name)

    def clean(self) -> None:
        """Stop at once, forget everything: also the directory and the Unix users made for it."""
        if load(self.settings.directory) is None:
            return
        with self._alone():
            self._cancel_jobs()
            self.daemons.end(*self.daemons.recorded(), seconds=0)
            self.daemons.end_steps(self.settings.conf)
            for user in self.made_users():
                if user_exists(user):
                    must("userdel", user)
            shutil.rmtree(self.settings.directory)

    def status(self) -> dict[str, int | None]:
        """Each daemon of the lab and its pid, None for one that does not run."""
        names = ("munged", "mariadbd", "slurmdbd", "slurmctld", *self._slurmd_names())
        return {name: self.daemons.pid(name) for name in names}

    def nodes(self) -> dict[str, tuple[str, str]]:
        """Each node: its state and its GPUs, as sinfo says; nothing while the controller does not answer."""
        said = self.run("sinfo", "-h", "-N", "-o", "%N|%T|%G").stdout.split()
        return {name: (state, gres) for name, state, gres in (line.split("|") for line in said)}

    def nodes_are_up(self) -> bool:
        states = [state for state, _ in self.nodes().values()]
        return len(states) == len(self.settings.node_names) and set(states) <= {"idle", "allocated", "mixed"}

    def made_users(self) -> tuple[str, ...]:
        record = self.settings.directory / "users-made"
        return tuple(record.read_text().split()) if record.exists() else ()

    def _slurmd_names(self) -> tuple[str, ...]:
        return tuple(f"slurmd.{node}" for node in self.settings.node_names)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """One start or stop at a time."""
        with (self.settings.directory / "lab.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _keep_settings(self) -> None:
        """The first start's settings stay with the directory; only Unix users may be added."""
        kept = load(self.settings.directory)
        port = self.settings.port or (kept.port if kept else free_ports(len(self.settings.ports)))
        users = tuple(dict.fromkeys((*(kept.users if kept else ()), *self.settings.users)))
        self.settings = replace(self.settings, port=port, users=users)
        if kept and self.settings != replace(kept, users=users):
            raise LabError(f"{kept.directory}: holds a cluster of another shape ({kept.shape}); clean it first")
        if not self.daemons.running() and (taken := [port for port in self.settings.ports if not is_free(port)]):
            raise LabError(f"port {taken[0]} is in use; end what uses it, or choose another first port", code=1)
        self.settings.save()

    def _make_users(self) -> None:
        """Only root can; others run every job as themselves. Written down first, so that clean finds them."""
        for user in self.settings.users if os.getuid() == 0 else ():
            if not user_exists(user):
                with (self.settings.directory / "users-made").open("a") as record:
                    record.write(f"{user}\n")
                must("useradd", "-M", "-d", "/nonexistent", "-s", "/bin/bash", user)

    def _launch_all(self) -> None:
        self._launch_keys_and_data_base()
        conf, slurmd_names = str(self.settings.conf), self._slurmd_names()
        # the data base listens on a Unix socket only and knows its user by it: no port, no password
        self.daemons.launch("slurmdbd", ["slurmdbd", "-D"],
            self.env() | {"MYSQL_UNIX_PORT": str(self.settings.directory / "run/db.sock")})  # fmt: skip
        self.daemons.wait(["slurmdbd"], lambda: self.run("sacctmgr", "-n", "show", "cluster").returncode == 0)
        self._register()
        for name, node in zip(slurmd_names, self.settings.node_names, strict=True):
            self.daemons.launch(name, ["slurmd", "-D", "-f", conf, "-N", node], self.env())
        self.daemons.launch("slurmctld", ["slurmctld", "-D", "-f", conf], self.env())
        self.daemons.wait(["slurmctld"], lambda: not is_free(self.settings.ports[1]))
        self.daemons.wait(["slurmctld", *slurmd_names], self.nodes_are_up, seconds=60)

    def _launch_keys_and_data_base(self) -> None:
        place = self.settings.directory
        paths = {"socket": "run/munge.sock", "key-file": "etc/munge.key", "pid-file": "run/munged.pid",
                 "seed-file": "run/munged.seed", "log-file": "log/munged.log"}  # fmt: skip
        munge = [f"--{name}={place / path}" for name, path in paths.items()]
        self.daemons.launch("munged", ["munged", "-F", *munge], {})
        common = ("--no-defaults", f"--user={own_name()}", f"--datadir={place}/db", "--skip-log-bin")
        if not (place / "db/mysql").exists():
            must("mariadb-install-db", *common, "--skip-test-db", "--skip-name-resolve")
        self.daemons.launch("mariadbd", ["mariadbd", *common, f"--socket={place}/run/db.sock", "--skip-networking",
            "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=128M", "--innodb-lock-wait-timeout=900",
            "--max-allowed-packet=64M"], {})  # fmt: skip
        self.daemons.wait(["munged"], lambda: answers(place / "run/munge.sock", speaks=False))
        self.daemons.wait(["mariadbd"], lambda: answers(place / "run/db.sock", speaks=True))

    def _register(self) -> None:
        """The data base must know the cluster before slurmctld may enforce its associations."""
        name = self.settings.name
        if not self.run("sacctmgr", "-nP", "show", "cluster", name, "format=cluster").stdout.strip():
            done = self.run("sacctmgr", "-i", "add", "cluster", name)
            if done.returncode:
                raise LabError(f"sacctmgr add cluster: {done.stderr.strip() or done.stdout.strip()}", code=1)

    def _cancel_jobs(self) -> None:
        """Running jobs would outlive their daemons. Closed partitions keep waiting jobs from taking their place."""
        if not self.daemons.pid("slurmctld"):
            return
        for site in SITES:
            self.run("scontrol", "update", f"PartitionName={site}", "State=INACTIVE")
        for state in ("RUNNING", "SUSPENDED"):
            self.run("scancel", f"--state={state}")
        wait_until(lambda: not self.run("squeue", "-h", "--states=R,S,CG").stdout, 15)


def describe(lab: Lab) -> str:
    """What runs, and what to do with it."""
    settings, place, root = lab.settings, lab.settings.directory, os.getuid() == 0
    sites = "\n".join(f"  {site:13}{' '.join(settings.nodes_of(site))}" for site in SITES)
    made = f"{', '.join(settings.users) or 'none'} (made for this cluster: {', '.join(lab.made_users()) or 'none'})"
    who = made if root else f"{own_name()} (only root can start jobs of others)"
    return f"""\
Slurm runs in {place}: {settings.shape}; the GPUs are pretended, the jobs are real
{sites}
  Unix users   {who}
  ports        {settings.ports[0]}-{settings.ports[-1]} on loopback
  policy file  {place}/factory.toml (ours, with this machine in it)
Next:
  . {place}/env                       (SLURM_CONF, SCHMELZ_DATA, SCHMELZ_FACTORY, PATH)
  sinfo && schmelz doctor
  schmelz demo && schmelz --as gilles plan
docs/cluster.md goes on from here, to a job of {settings.users[0] if root and settings.users else "your own"}.
Later: make cluster-status, make cluster-stop (keeps the data), make cluster-clean (removes everything); or
  {sys.executable} {__file__} status|stop|clean {place}"""


def report(lab: Lab) -> int:
    """`status`: exit 0 only when every daemon runs and every node is up."""
    for name, pid in lab.status().items():
        print(f"{name:16}{f'runs, pid {pid}' if pid else 'does not run'}")
    if not all(lab.status().values()):
        return 1
    for node, (state, gres) in lab.nodes().items():
        print(f"{node:16}{state}, {gres}")
    return 0 if lab.nodes_are_up() else 1


def start(lab: Lab) -> int:
    began = time.monotonic()
    lab.start()
    print(f"Ready after {time.monotonic() - began:.1f} s.\n{describe(lab)}")
    return 0


def stop(lab: Lab) -> int:
    lab.stop()
    print(f"Stopped; the data stay in {lab.settings.directory}. `start` goes on with them, `clean` removes them.")
    return 0


def env(lab: Lab) -> int:
    print(exports(lab.settings), end="")
    return 0


def clean(lab: Lab) -> int:
    users = lab.made_users()
    lab.clean()
    print(f"Removed {lab.settings.directory}; Unix users removed: {', '.join(users) or 'none'}.")
    return 0


COMMANDS = {"start": start, "status": report, "stop": stop, "env": env, "clean": clean}


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="lab.py", description="A real Slurm cluster in one directory, on loopback.")
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("directory", nargs="?", type=Path, default=default_directory(), metavar="DIR",
                        help="default: %(default)s")  # fmt: skip
    parser.add_argument("--nodes", type=int, help=f"nodes per site (default: {Settings.nodes})")
    parser.add_argument("--gpus", type=int, help=f"GPUs per node (default: {Settings.gpus})")
    parser.add_argument("--port", type=int, help="first of the ports (default: free ones)")
    parser.add_argument("--name", help=f"the cluster's name (default: {Settings.name})")
    parser.add_argument("--users", type=lambda text: tuple(filter(None, text.split(","))), metavar="A,B",
                        help=f"Unix users to make, when root (default: {','.join(Settings.users)})")  # fmt: skip
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    given = vars(parsed(arguments))
    command, directory = given.pop("command"), given.pop("directory").resolve()
    try:
        kept = load(directory)
        if kept is None and command != "start":
            raise LabError(f"{directory}: holds no cluster; `start` makes one")
        asked = {name: value for name, value in given.items() if value is not None}
        return COMMANDS[command](Lab(replace(kept or Settings(directory), **asked)))
    except LabError as fault:
        print(fault, file=sys.stderr)
        return fault.code
    except OSError as fault:
        print(f"{fault.filename or 'output'}: {fault.strerror}", file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
