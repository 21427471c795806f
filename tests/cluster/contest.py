"""Two pools contend for a lab's GPUs: a factory around the lab, projects put there by the plan, a signed mandate, jobs.

The jobs sleep; every one is submitted by a Unix user with sbatch and runs as that user. For tests and for the bench.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from django.db import transaction

from cluster.lab import Lab
from cluster.lab_files import factory_toml
from schmelz.operate import follow, meter
from schmelz.policy.schema import Factory
from schmelz.policy.system import System
from schmelz.portal.clock import now
from schmelz.portal.clusters import mandates
from schmelz.portal.clusters.models import Mandate
from schmelz.portal.people.actions import add_person
from schmelz.portal.people.models import Organisation, Person
from schmelz.portal.projects.actions import open_project
from schmelz.portal.projects.models import Project
from schmelz.units import DAY, HOUR

ACCOUNTS = {"eurohpc": "eurohpc", "national": "luxembourg"}
FAST = {
    "dead_band_ppm = 1000 ": "dead_band_ppm = 100 ",
    'minimum_run = "2h" ': 'minimum_run = "10s" ',
    'step = "15s" ': 'step = "2s" ',
    'stale_after = "15m" ': 'stale_after = "30s" ',
}


def policy(lab: Lab) -> str:
    """The factory with the lab as its machine, and spans of seconds where the real ones are hours."""
    text = factory_toml(lab.settings)
    for ours, fast in FAST.items():
        assert ours in text, ours
        text = text.replace(ours, fast, 1)
    return text


@dataclass
class Contest:
    """A pool's project belongs to one of the lab's two Unix users."""

    lab: Lab
    factory: Factory
    system: System
    gilles: Person
    owners: list[Person]
    users: dict[str, str]
    projects: dict[str, str]

    def mandate(self, *, lowest: int = 25, highest: int = 100, moves_per_hour: int = 3600) -> Mandate:
        made = mandates.propose(
            self.factory, self.system, self.owners[0], lowest=lowest, highest=highest,
            moves_per_hour=moves_per_hour, days=1, because="A contest.",
        )  # fmt: skip
        for owner in self.owners[1:]:
            made = mandates.sign(self.factory, made.code, owner)
        return made

    def submit(
        self, pool: str, sizes: Iterable[int], seconds: int, *, borrow: bool = False, limit: int = 5
    ) -> list[str]:
        """One job per size. Both sites will do for each."""
        qos = f"{ACCOUNTS[pool]}-{'borrow' if borrow else 'own'}"
        loop = (
            f"for gpus in {' '.join(map(str, sizes))}; do sbatch --parsable -A {self.projects[pool]} --qos={qos} "
            f"-N1 --gpus=$gpus -p bissen,bettembourg -t {limit} -o /dev/null --wrap 'sleep {seconds}' || exit 1; done"
        )
        done = self.lab.run("sh", "-c", loop, user=self.users[pool], timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    def use(self) -> dict[str, int]:
        """GPUs of running jobs by QOS, and of waiting ones under `QOS waits`."""
        said = self.lab.run("squeue", "-h", "-t", "R,CG,PD", "-O", "QOS:|,StateCompact:|,tres-alloc:|").stdout
        found: dict[str, int] = {}
        for line in said.splitlines():
            qos, state, tres = line.strip("|").split("|")
            gpus = int(tres.rpartition("gres/gpu=")[2].partition(",")[0])
            found[name] = found.get(name := qos if state != "PD" else f"{qos} waits", 0) + gpus
        return found

    def caps(self) -> dict[str, str]:
        """GrpTRES by QOS, as Slurm's own data base says."""
        rows = self.lab.run("sacctmgr", "-nP", "show", "qos", "format=name,grptres").stdout.split()
        return {name: tres for name, tres in (row.split("|") for row in rows) if name.endswith("-own")}

    def ahead(self, pool: str, gpu_hours: int) -> None:
        """Give the *other* pool a past: a job that used so many GPU-hours long ago, so that `pool` leads."""
        other = next(name for name in self.projects if name != pool)
        begin = now() - 60 * DAY
        spans = [time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(t)) for t in (begin, begin + gpu_hours * HOUR // 4)]
        head = "JobIDRaw|Cluster|User|Account|Partition|QOS|State|Submit|Eligible|Start|End|ElapsedRaw|AllocTRES|NNodes|NodeList"
        node = self.lab.settings.node_names[0]
        line = (f"1{gpu_hours}|{self.lab.settings.name}|anna|{self.projects[other]}|bissen|own|COMPLETED|{spans[0]}|{spans[0]}|"
                f"{spans[0]}|{spans[1]}|{gpu_hours * HOUR // 4}|gres/gpu=4,node=1|1|{node}")  # fmt: skip
        meter.read_text(f"{head}\n{line}\n".encode(), "past", self.system)

    def clear(self) -> None:
        """Cancel every job, and wait until nothing runs."""
        self.lab.run("scancel", "--state=PENDING")
        self.lab.run("scancel", "--state=RUNNING")
        while self.use():
            self.lab.run("scancel", "--state=PENDING")
            time.sleep(0.3)


def stage(lab: Lab, factory: Factory) -> Contest:
    """People, a project for each pool, and the plan applied: what stands on the cluster was decided and planned."""
    system = next(s for s in factory.systems if s.cluster.backend == "slurm")
    home = Organisation.objects.create(name="Quartz Voice", country="LU", category="startup", founded=2025)

    def person(handle: str, unix: str | None = None, *roles: str) -> Person:
        return add_person(factory, handle=handle, name=handle.title(), email=f"{handle}@example.org", roles=roles,
                          unix_name=unix, organisation=home if unix else None)  # fmt: skip

    gilles = person("gilles", None, f"{system.operator}:operator")
    assert system.steering
    owners = [person(f"owner{n}", None, role) for n, role in enumerate(system.steering.signers)]
    users = dict(zip(ACCOUNTS, lab.settings.users, strict=False))
    projects = {pool: _project(factory, system, pool, person(f"pi{n}", users[pool])) for n, pool in enumerate(ACCOUNTS)}
    follow.apply_plan(gilles, system, expected_hash=None, allow_remove=100)
    return Contest(lab, factory, system, gilles, owners, users, projects)


@transaction.atomic
def _project(factory: Factory, system: System, pool: str, leader: Person) -> str:
    mode = next(m for m in factory.modes if m.pool == pool and system.id in m.systems)
    project = Project(
        title="Contest", system=system.id, pool=pool, mode=mode.id, application=f"a-{pool[:8]}", organisation="Quartz Voice",
        category="startup", country="LU", commercial=True, grant_gpu_s=10**6 * HOUR, start=now() - DAY, end=now() + 100 * DAY,
    )  # fmt: skip
    return open_project(factory, project, leader).code
