"""Metering on a real Slurm: what is kept of each run is what sacct says of it, to the second, and nothing is there twice.

The first test runs the jobs (about a minute, most of it one job's time limit); the others look at what they left.
"""

import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cluster.contest import ACCOUNTS, Contest, policy, stage
from cluster.lab import Lab
from schmelz.operate import meter
from schmelz.operate.reconcile import reconcile
from schmelz.portal.projects import figures
from schmelz.portal.usage.models import NodeOutage
from schmelz.portal.usage.queries import outages, runs
from schmelz.units import DAY, HOUR

FREE = "mxt002"  # no job goes there
GPUS = 4
pytestmark = pytest.mark.slow


@pytest.fixture
def factory_file(own_slurm: Lab, tmp_path: Path) -> Path:
    path = tmp_path / "factory.toml"
    text = policy(own_slurm)
    assert 'charge = "node"' in text
    path.write_text(text.replace('charge = "node"', 'charge = "gpu"'))  # our jobs share nodes
    return path


@pytest.fixture
def contest(own_slurm: Lab, portal, monkeypatch: pytest.MonkeyPatch) -> Iterator[Contest]:
    """A new portal for each test, which has read nothing yet, over the same cluster."""
    for name, value in own_slurm.env().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
    return stage(own_slurm, portal)


def until(found: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.2)


def send(contest: Contest, pool: str, gpus: int, seconds: int, *words: str, borrow: bool = False) -> str:
    qos = f"{ACCOUNTS[pool]}-{'borrow' if borrow else 'own'}"
    done = contest.lab.run(
        "sbatch", "--parsable", "-A", contest.projects[pool], f"--qos={qos}", "-N1", f"--gpus={gpus}", "-o", "/dev/null",
        *words, "--wrap", f"sleep {seconds}", user=contest.users[pool],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def states(lab: Lab, job: str) -> list[str]:
    """The states of all runs of a job, in the order of submission."""
    said = lab.run("sacct", "-aXDnP", "-j", job, "-o", "Submit,State").stdout.split()
    return [line.split("|")[1] for line in sorted(line for line in said if "|" in line)]


def scontrol(lab: Lab, *words: str) -> None:
    done = lab.run("scontrol", *words)
    assert done.returncode == 0, done.stderr


def by_sacct(lab: Lab) -> dict[tuple[str, int], tuple[str, int]]:
    """(job, submit) -> (state, GPU-seconds) of every run, from a call of our own."""
    command = [
        "sacct",
        "-aXDnP",
        "-S",
        "2020-01-01",
        "-E",
        "now+1day",
        "-o",
        "JobIDRaw,Submit,State,ElapsedRaw,AllocTRES",
    ]
    done = subprocess.run(
        command, env={**lab.env(), "PATH": "/usr/bin", "TZ": "UTC"}, capture_output=True, text=True, check=True
    )
    found = {}
    for line in done.stdout.splitlines():
        job, submit, state, elapsed, tres = line.split("|")
        gpus = next((int(part[9:]) for part in tres.split(",") if part.startswith("gres/gpu=")), 0)
        found[job, epoch(submit)] = (state.split()[0], int(elapsed) * gpus)
    assert len(found) == len(done.stdout.splitlines())
    return found


def epoch(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def kept() -> dict[tuple[str, int], tuple[str, int]]:
    rows = runs().select("job", "submit", "state", "elapsed", "gpus", "start").rows()
    found = {
        (job, submit): (state, elapsed * gpus if start else 0) for job, submit, state, elapsed, gpus, start in rows
    }
    assert len(found) == len(rows), "no run twice"
    return found


def ended(found: dict[tuple[str, int], tuple[str, int]]) -> dict[tuple[str, int], tuple[str, int]]:
    return {key: value for key, value in found.items() if value[0] not in ("RUNNING", "PENDING")}


def told(lab: Lab, what: str, columns: str) -> list[list[str]]:
    """Rows of sacctmgr, from a call of our own."""
    command = ["sacctmgr", "-nP", "show", what, "start=2020-01-01", f"format={columns}"]
    done = subprocess.run(
        command, env={**lab.env(), "PATH": "/usr/bin", "TZ": "UTC"}, capture_output=True, text=True, check=True
    )
    return [line.split("|") for line in done.stdout.splitlines()]


def seconds(rows: list[list[str]], name: str) -> int:
    """How long what has this name was there."""
    return sum(epoch(end) - epoch(start) for one, start, end in rows if one == name)


def reserve(contest: Contest, name: str, *words: str) -> None:
    """A reservation of the free node that is taken back after three seconds; while it lasts, its end is the planned one."""
    lab, system = contest.lab, contest.system
    create = (
        "scontrol",
        "create",
        "reservation",
        f"ReservationName={name}",
        "StartTime=now",
        "Duration=1",
        f"Nodes={FREE}",
    )
    until(lambda: lab.run(*create, *words).returncode == 0)
    time.sleep(3)
    meter.read_supply(system, 0)
    assert (NodeOutage.objects.get(reservation=name).end or 0) > time.time() + 30
    scontrol(lab, "delete", f"ReservationName={name}")
    until(
        lambda: meter.read_supply(system, 0) >= 0 and (NodeOutage.objects.get(reservation=name).end or 0) <= time.time()
    )


def test_every_run_is_metered_as_slurm_says(contest: Contest) -> None:
    lab = contest.lab
    too_long = send(contest, "eurohpc", 1, 600, "-w", "mxt001", "-p", "bettembourg", "-t", "1")
    goes_on = send(contest, "national", 2, 600, "-w", "mxt001", "-p", "bettembourg", "-t", "30")
    send(contest, "eurohpc", 1, 3, "-w", "mxt001", "-p", "bettembourg")
    lent = [send(contest, "national", 4, 20, "-p", "bissen", borrow=True) for _ in range(2)]
    later = send(contest, "national", 3, 20, "--begin=now+1hour")
    until(lambda: all(states(lab, job) == ["RUNNING"] for job in (too_long, goes_on, *lent)))
    scontrol(lab, "update", f"nodename={FREE}", "state=down", "reason=ECC")
    assert meter.read_cluster(contest.system).added >= 5
    assert ended(kept()).keys() <= ended(by_sacct(lab)).keys()
    lab.run("scancel", later)
    time.sleep(10)  # borrowed GPUs are safe for that long
    own = send(contest, "eurohpc", 4, 3, "-p", "bissen")
    scontrol(lab, "update", f"nodename={FREE}", "state=resume")
    until(lambda: states(lab, own) == ["COMPLETED"])
    reserve(contest, "works", "Users=root", "Flags=MAINT,IGNORE_JOBS")
    reserve(contest, "course", "Accounts=eurohpc")
    stopped = send(contest, "eurohpc", 1, 600, "-w", "mxt001", "-p", "bettembourg")
    until(lambda: states(lab, stopped) == ["RUNNING"])
    time.sleep(2)
    lab.run("scancel", stopped)
    meter.read_cluster(contest.system)
    until(lambda: Counter(state for job in lent for state in states(lab, job)) == {"COMPLETED": 2, "PREEMPTED": 1}, 90)
    until(lambda: states(lab, too_long) == ["TIMEOUT"], 90)
    meter.read_cluster(contest.system)
    told = by_sacct(lab)
    assert ended(kept()) == ended(told)
    assert Counter(state for state, _ in ended(told).values()) >= Counter(
        {"COMPLETED": 4, "PREEMPTED": 1, "CANCELLED": 2, "TIMEOUT": 1}
    )
    ((key, (_, so_far)),) = ((key, value) for key, value in kept().items() if value[0] == "RUNNING")
    assert key[0] == goes_on and 0 < so_far <= by_sacct(lab)[key][1]
    used = figures.usage(["project"])
    assert used["gpu_s"].sum() == sum(gpu_s for _, gpu_s in kept().values())
    lab.run("scancel", goes_on)
    until(lambda: states(lab, goes_on)[0].startswith("CANCELLED"))
    meter.read_cluster(contest.system)
    assert kept() == by_sacct(lab)
    again = meter.read_cluster(contest.system)
    assert (again.added, again.replaced) == (0, 0)


def test_a_portal_that_reads_everything_at_once_has_the_same(contest: Contest) -> None:
    meter.read_cluster(contest.system)
    assert kept() == by_sacct(contest.lab)


def test_supply_is_as_slurm_says(contest: Contest) -> None:
    """Maintenance is for nobody; what the accounts of a pool reserve, and do not use, is the pool's."""
    lab, system = contest.lab, contest.system
    meter.read_cluster(system)
    split = figures.split(system, "month")
    events, reservations = told(lab, "event", "nodename,start,end"), told(lab, "reservation", "name,start,end")
    away = (seconds(events, FREE), seconds(reservations, "works"), seconds(reservations, "course"))
    assert min(away) >= 3
    assert (split.supply.down, split.supply.maintenance, split.supply.reserved_idle) == tuple(
        GPUS * one for one in away
    )
    assert {(one.kind, one.node, one.pool) for one in outages(system.id)} == {
        ("down", FREE, None), ("maintenance", FREE, None), ("reserved", FREE, "eurohpc"),
    }  # fmt: skip
    assert (split.supply.installed, split.supply.excess) == (split.installed_gpu_s, 0)
    assert sum(site.supply.installed for site in split.sites) == split.installed_gpu_s


# -- what Slurm itself adds up, and what it loses


def base(lab: Lab, *commands: str) -> str:
    """Straight into Slurm's data base: what no command of Slurm's can do, to move the past."""
    socket = lab.settings.directory / "run/db.sock"
    done = lab.run("mariadb", f"--socket={socket}", "slurm_accounting", "-Ne", "; ".join(commands))
    assert done.returncode == 0, done.stderr
    return done.stdout


def roll_up(lab: Lab) -> None:
    """slurmdbd makes its sums when it starts; they stand there soon after."""
    lab.daemons.end("slurmdbd")
    lab.start()
    hour = int(time.time()) // HOUR * HOUR
    until(lambda: base(lab, "select min(hourly_rollup) from schmelz_last_ran_table").strip() == str(hour))


def test_slurms_own_sums_are_ours_or_the_difference_has_a_name(contest: Contest) -> None:
    lab = contest.lab
    job = send(contest, "eurohpc", 2, 8)
    until(lambda: states(lab, job) == ["RUNNING"])
    scontrol(lab, "suspend", job)
    time.sleep(3)
    scontrol(lab, "resume", job)
    until(lambda: states(lab, job) == ["COMPLETED"])
    back, times = 4 * HOUR, ("time_submit", "time_eligible", "time_start", "time_end")
    base(
        lab, "set sql_mode=''",
        f"update schmelz_job_table set {', '.join(f'{name}=if({name}>{back}, {name}-{back}, {name})' for name in times)}",
        f"update schmelz_suspend_table set time_start=time_start-{back}, time_end=time_end-{back}",
        f"update schmelz_event_table set time_start=time_start-{2 * back} where node_name=''",
        f"update schmelz_last_ran_table set hourly_rollup=hourly_rollup-{2 * back}",
    )  # fmt: skip
    roll_up(lab)
    meter.read_cluster(contest.system)
    found = reconcile(contest.system)
    lines = {line.account: line for line in found.lines}
    mine = lines[contest.projects["eurohpc"]]
    assert mine.causes == {"suspended": mine.difference} and mine.difference >= 2 * 2
    assert (lines[contest.projects["national"]].difference, found.unexplained) == (0, ())
    assert {name: line.ours for name, line in lines.items()} == dict(
        figures.usage(["project"]).select("project", "gpu_s").rows()
    )
    base(
        lab,
        "update schmelz_assoc_usage_hour_table set alloc_secs=alloc_secs+7 where alloc_secs>0 and id_tres=1001 limit 1",
    )
    assert sum(line.unexplained for line in reconcile(contest.system).unexplained) == 7


def test_a_runaway_is_told_until_slurm_ends_it(contest: Contest) -> None:
    """A record whose end was lost: the controller does not know its job, its time goes on. Slurm itself ends it, in the past."""
    lab, system = contest.lab, contest.system
    meter.read_cluster(system)
    assert meter.runaways(system).is_empty()
    base(
        lab, "create temporary table lost select * from schmelz_job_table where state=3 limit 1",
        f"update lost set job_db_inx=990001, id_job=990001, state=1, time_end=0, time_start=time_start-{3 * DAY}, "
        f"time_submit=time_submit-{3 * DAY}, time_eligible=time_eligible-{3 * DAY}",
        "insert into schmelz_job_table select * from lost",
    )  # fmt: skip
    meter.read_cluster(system)
    assert meter.runaways(system).select("job", "state").rows() == [("990001", "RUNNING")]
    assert next(gpu_s for (job, _), (_, gpu_s) in kept().items() if job == "990001") > 3 * DAY
    assert lab.run("sacctmgr", "-i", "show", "runawayjobs").returncode == 0
    assert meter.read_cluster(system).replaced == 1
    assert meter.runaways(system).is_empty() and kept() == by_sacct(lab)
    assert next(gpu_s for (job, _), (_, gpu_s) in kept().items() if job == "990001") == 0
