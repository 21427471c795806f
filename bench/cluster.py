"""The plan on a real Slurm: 1,000 projects and 2,000 members made, looked at, changed, against one plain `sacctmgr load`.

Starts two labs of its own on loopback, one for the baseline and one for us, so that both begin with an empty data base.
Every figure is a whole `apply`: look, plan, journal, commands, look again. Where no Slurm can run it says so and ends.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

sys.path.pop(0)  # this folder: the lab is the package `cluster` of the tests
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from cluster.lab import Lab, Settings
from cluster.lab_conf import refusals
from make import factory
from schmelz.cluster.apply import apply
from schmelz.cluster.backends.slurm import SlurmCluster
from schmelz.cluster.desired import Desired
from schmelz.cluster.journal import Journal
from schmelz.cluster.model import Account, Member, Qos
from schmelz.policy.system import System

PROJECTS = 1_000
POOLS = ("eurohpc", "national")


def main() -> None:
    why = "; ".join(refusals(Settings(Path("/tmp/schmelz-bench-probe"))))
    if os.getuid() != 0:
        why = "; ".join(filter(None, ("only root can start a lab", why)))
    if why:
        print(f"THE FIGURES OF A REAL SLURM ARE MISSING: {why}")
        return
    with lab() as place:
        load = seconds(lambda: plain_load(place / "file"))
    print(f"{f'one sacctmgr load, {PROJECTS:,} accounts, {2 * PROJECTS:,} associations':64} {load:8.2f} s")
    with lab() as place:
        measure(place, load)


def measure(place: Path, load: float) -> None:
    cluster, journal = SlurmCluster(system()), Journal(place / "journal")

    def become(what: str, wanted: Desired) -> None:
        say(what, seconds(lambda: apply(cluster, wanted, journal=journal)), load)

    first = desired()
    become(f"first apply: {PROJECTS:,} projects, {2 * PROJECTS:,} members", first)
    say("nothing to do: the look alone", min(seconds(cluster.observe) for _ in range(3)), load)
    become("nothing to do: apply", first)
    become("20 budgets changed", budgets(first, 20, 50_000))
    become(f"{PROJECTS:,} different budgets changed", budgets(first, PROJECTS, 90_000))
    say("a cap moved", seconds(lambda: cluster.cap({"national-own": 3})), load)


def say(what: str, ours: float, load: float) -> None:
    print(f"{what:64} {ours:8.2f} s   ratio {ours / load:6.3f}", flush=True)


def seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def desired() -> Desired:
    own = [Qos(f"{pool}-own", 1000, 8, ("eurohpc-borrow", "national-borrow")) for pool in POOLS]
    borrow = [Qos(f"{pool}-borrow", 1, None, (), preemptible=True, exempt=7200) for pool in POOLS]
    pools = [account(pool, "root", pool, None) for pool in POOLS]
    projects = [account(f"p{n:04}", POOLS[n % 2], POOLS[n % 2], 1000 + n) for n in range(PROJECTS)]
    members = {Member(f"u{user % PROJECTS:04}", f"p{n:04}") for n in range(PROJECTS) for user in (n, n + 1)}
    return Desired((*pools, *projects), tuple(sorted(members)), qos=tuple(sorted([*own, *borrow])))


def account(name: str, parent: str, pool: str, minutes: int | None) -> Account:
    qos = (f"{pool}-borrow", f"{pool}-own")
    return Account(name, parent, 1 if minutes else 50, minutes, qos=qos, default_qos=f"{pool}-own")


def budgets(old: Desired, number: int, first: int) -> Desired:
    """The last so many accounts with another budget each."""
    kept, changed = old.accounts[:-number], old.accounts[-number:]
    return replace(old, accounts=(*kept, *(replace(one, gpu_minutes=first + n) for n, one in enumerate(changed))))


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


def system() -> System:
    sites = {site: f"{node}[001-002]" for site, node in (("bissen", "mxb"), ("bettembourg", "mxt"))}
    return factory(sites=sites, cluster={"backend": "slurm", "name": "schmelz"}).systems[0]


@contextmanager
def lab() -> Iterator[Path]:
    """An empty Slurm that the commands find; gone afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="schmelz-bench-"))
    directory.chmod(0o755)
    running = Lab(Settings(directory / "lab", users=()))
    try:
        running.start()
        os.environ |= running.env() | {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
        yield directory
    finally:
        running.clean()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
