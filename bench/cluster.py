"""The plan on a real Slurm: 1,000 projects and 2,000 members made, looked at, changed, against one plain `sacctmgr load`.

Starts two labs of its own on loopback, one for the baseline and one for us, so that both begin with an empty data base.
Every figure is a whole command `schmelz`, from its start to its end, with its own seconds of CPU and the Slurm processes
that it started. Principal investigators coordinate their accounts, as the policy file says; with `--no-coordinators`
nobody does. Where no Slurm can run it says so and ends.
"""

import argparse
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

sys.path.pop(0)  # this folder: the lab is the package `cluster` of the tests
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from cluster.lab import Lab, Settings
from cluster.lab_conf import refusals
from cluster.lab_files import factory_toml
from schmelz.cluster.backends.slurm_accounts import Accounts

PROJECTS = 1_000
POOLS = ("eurohpc", "national")

QUERIES = """
from schmelz.cli import ready
ready.portal()
from django.db import connection
from django.test.utils import CaptureQueriesContext
from schmelz.operate.follow import current_plan
with CaptureQueriesContext(connection) as asked:
    current_plan(ready.system(None))
print(len(asked))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-coordinators", action="store_true")
    given = parser.parse_args()
    why = "; ".join(refusals(Settings(Path("/tmp/schmelz-bench-probe"))))
    if os.getuid() != 0:
        why = "; ".join(filter(None, ("only root can start a lab", why)))
    if why:
        print(f"THE FIGURES OF A REAL SLURM ARE MISSING: {why}")
        return
    with lab() as (place, _):
        begun = time.perf_counter()
        plain_load(place / "file")
        load = time.perf_counter() - begun
    print(f"{f'one sacctmgr load, {PROJECTS:,} accounts, {2 * PROJECTS:,} associations':56} {load:7.2f} s")
    with lab() as (place, running):
        policy = factory_toml(running.settings)
        if given.no_coordinators:
            policy = policy.replace("pi_coordinates = true", "pi_coordinates = false")
        (place / "factory.toml").write_text(policy)
        measure(place, load)


def measure(place: Path, load: float) -> None:
    told = {"SCHMELZ_DATA": str(place / "data"), "SCHMELZ_FACTORY": str(place / "factory.toml"), "SCHMELZ_AS": "gilles"}
    os.environ |= told | counting(place)

    def schmelz(what: str, *words: str, code: int = 0) -> None:
        say(what, *run((sys.executable, "-m", "schmelz.cli", *words), code), len(calls(place)), load)

    fill(PROJECTS)
    schmelz(f"plan + apply: {PROJECTS:,} projects, {2 * PROJECTS:,} members", "apply")
    say("one look", *min(look(place) for _ in range(3)), 3, load)
    schmelz("nothing to do: plan", "plan")
    schmelz("nothing to do: apply", "apply")
    decide("grant_gpu_s = grant_gpu_s + 3600 * id", 20)
    schmelz("20 budgets changed: apply", "apply")
    decide("grant_gpu_s = grant_gpu_s + 3600 * id", PROJECTS)
    schmelz(f"{PROJECTS:,} different budgets changed: apply", "apply")
    fill(2 * PROJECTS)
    say("one look", *min(look(place) for _ in range(3)), 3, load)
    schmelz(f"{2 * PROJECTS:,} projects, {PROJECTS:,} of them new: plan", "plan", code=3)
    done = subprocess.run((sys.executable, "-c", QUERIES), check=True, capture_output=True, text=True)
    print(f"{'  SQL queries of that plan':56} {done.stdout.strip():>7}")


def counting(place: Path) -> dict[str, str]:
    """A sacctmgr and the like that leave a mark for each call, before the real ones on PATH."""
    folder = place / "counting"
    folder.mkdir()
    for name in ("sacctmgr", "squeue", "sacct", "scontrol"):
        (folder / name).write_text(f'#!/bin/sh\necho x >> {folder}/calls\nexec {shutil.which(name)} "$@"\n')
        (folder / name).chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def calls(place: Path) -> list[str]:
    """The marks since the last time."""
    file = place / "counting/calls"
    found = file.read_text().split() if file.exists() else []
    file.unlink(missing_ok=True)
    return found


def run(command: Sequence[str], code: int = 0) -> tuple[float, float]:
    """Seconds, and seconds of CPU of the process itself."""
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) == code, f"{command} ended with {os.waitstatus_to_exitcode(status)}"
    return time.perf_counter() - begun, used.ru_utime + used.ru_stime


def look(place: Path) -> tuple[float, float]:
    """The three reads of a look side by side, and nothing else."""
    begun, cluster = time.perf_counter(), Accounts("schmelz")
    cluster.observe()
    calls(place)
    return time.perf_counter() - begun, 0.0


def fill(projects: int) -> None:
    script = Path(__file__).with_name("decided.py")
    subprocess.run((sys.executable, str(script), str(projects)), check=True)


def decide(values: str, projects: int) -> None:
    with closing(sqlite3.connect(Path(os.environ["SCHMELZ_DATA"]) / "schmelz.sqlite3")) as base, base:
        base.execute(f"UPDATE projects_project SET {values} WHERE id <= ?", (projects,))


def say(what: str, ours: float, cpu: float, processes: int, load: float) -> None:
    print(
        f"{what:56} {ours:7.2f} s   ratio {ours / load:6.3f}   CPU {cpu:5.2f} s   {processes} Slurm processes",
        flush=True,
    )


def plain_load(file: Path) -> None:
    """What one would write by hand, without a word more than the tree, the budgets and the people."""
    lines = ["Cluster - 'schmelz'", "Parent - 'root'", *(f"Account - '{pool}':Fairshare=50" for pool in POOLS)]
    for pool in range(2):
        lines.append(f"Parent - '{POOLS[pool]}'")
        lines += [f"Account - 'p{n:04}':GrpTRESMins=gres/gpu={1000 + n}" for n in range(pool, PROJECTS, 2)]
    for n in range(PROJECTS):
        lines.append(f"Parent - 'p{n:04}'")
        lines += [f"User - 'u{user % PROJECTS:04}'" for user in (n, n + 1)]
    file.write_text("\n".join(lines) + "\n")
    subprocess.run(("sacctmgr", "-i", "load", f"file={file}"), check=True, capture_output=True)


@contextmanager
def lab() -> Iterator[tuple[Path, Lab]]:
    """An empty Slurm that the commands find; gone afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="schmelz-bench-"))
    directory.chmod(0o755)
    running = Lab(Settings(directory / "lab", users=()))
    try:
        running.start()
        os.environ |= running.env() | {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
        yield directory, running
    finally:
        running.clean()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
