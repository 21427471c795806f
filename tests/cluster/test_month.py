"""What the calendar does to a real Slurm: a new month, the end of a project, a member who leaves. Jobs are real, the portal's
clock is moved; each test has a project of its own and cancels what it started."""

from calendar import monthrange
from collections.abc import Callable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from cluster.lab import Lab
from cluster.lab_daemons import wait_until
from cluster.world import World

ZONE = ZoneInfo("Europe/Luxembourg")
MINUTES_A_DAY = 10
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def world(own_slurm: Lab, tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("month"), own_slurm)


def this_month() -> tuple[datetime, datetime, int, int]:
    """The first days of this month and of the one after the next, and the days of this and of the next month."""
    first = datetime.now(ZONE).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    days = monthrange(first.year, first.month)[1]
    second = (first + timedelta(days=32)).replace(day=1)
    more = monthrange(second.year, second.month)[1]
    return first, (second + timedelta(days=32)).replace(day=1), days, more


def two_months(world: World, code: str, *members: str, **changes: object) -> str:
    """A paced project over this month and the next: ten GPU-minutes for each day. The next month's second day, for the clock."""
    first, after, days, more = this_month()
    span = {"start": int(first.timestamp()), "end": int(after.timestamp())}
    world.project(code, 0, *members, grant_gpu_s=(days + more) * MINUTES_A_DAY * 60, pacing="monthly", **span | changes)
    return (first + timedelta(days=days + 1)).strftime("%Y-%m-%dT12:00:00Z")


def sent(world: World, code: str, minutes: int, script: str = "sleep 300") -> str:
    """A job of Anna's over a whole node."""
    words = ("sbatch", "--parsable", "-A", code, "--gpus=4", "--exclusive", f"--time={minutes}", "--wrap", script)
    done = world.lab.run(*words, user=world.anna)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def state(world: World, job: str) -> str:
    return world.lab.run("squeue", "-h", "-j", job, "--states=all", "-o", "%T %r").stdout.strip()


def until(world: World, job: str, wanted: str, seconds: float = 30) -> None:
    assert wait_until(lambda: state(world, job).startswith(wanted), seconds), state(world, job)


def budget(world: World, code: str) -> str:
    return next(row[3] for row in world.seen() if row[:2] == (code, ""))


def accounted(world: World, code: str) -> Callable[[], bool]:
    return lambda: "COMPLETED" in world.lab.run("sacct", "-aXnP", "-A", code, "--format=State").stdout


def refused(world: World, code: str) -> str:
    done = world.lab.run("sbatch", "-A", code, "--gpus=1", "--time=1", "--wrap", "true", user=world.anna)
    assert done.returncode != 0
    return done.stderr


def test_a_new_month_adds_its_budget_to_what_was_used(world: World) -> None:
    _, _, days, more = this_month()
    later = two_months(world, "p200001", "anna")
    world.apply()
    assert budget(world, "p200001") == f"gres/gpu={days * MINUTES_A_DAY}"
    sent(world, "p200001", 5, "sleep 20")
    assert wait_until(accounted(world, "p200001"), 60)
    world.ready("meter")
    elapsed = int(world.lab.run("sacct", "-aXnP", "-A", "p200001", "--format=ElapsedRaw").stdout)
    world.apply()
    assert budget(world, "p200001") == f"gres/gpu={days * MINUTES_A_DAY}"  # use alone changes nothing
    world.apply(SCHMELZ_NOW=later)
    assert budget(world, "p200001") == f"gres/gpu={4 * elapsed // 60 + more * MINUTES_A_DAY}"
    assert world.run("plan", SCHMELZ_NOW=later).code == 0


def test_a_job_over_the_months_end_goes_on_and_the_next_starts_then(world: World) -> None:
    """`safe`: the running job's whole time limit is reserved in the old month, so the next one has no room before the new."""
    _, _, days, more = this_month()
    later = two_months(world, "p200002", "anna")
    world.apply()
    month = days * MINUTES_A_DAY
    first = sent(world, "p200002", (month // 4) * 2 // 3)
    until(world, first, "RUNNING")
    second = sent(world, "p200002", (month // 4) // 2)
    until(world, second, "PENDING AssocGrpGRESMinutes")
    world.ready("meter")
    world.apply(SCHMELZ_NOW=later)
    assert state(world, first).startswith("RUNNING")
    reserved = 4 * ((month // 4) * 2 // 3) + 4 * ((month // 4) // 2)
    if reserved <= more * MINUTES_A_DAY:
        until(world, second, "RUNNING")
    else:  # the reserve of the first is counted in the new month, too
        until(world, second, "PENDING AssocGrpGRESMinutes", 5)
    world.lab.run("scancel", first)
    until(world, second, "RUNNING")
    world.lab.run("scancel", second)


def test_the_end_of_a_project(world: World) -> None:
    """No new jobs, running ones go on; the members leave when no job can run any more."""
    two_months(world, "p200003", "anna")
    world.apply()
    job = sent(world, "p200003", 60)
    until(world, job, "RUNNING")
    waiting = world.lab.run(
        "sbatch", "--parsable", "-H", "-A", "p200003", "--gpus=1", "--wrap", "true", user=world.anna
    )
    end = this_month()[1]
    world.apply(SCHMELZ_NOW=(end + timedelta(hours=1)).isoformat())
    world.lab.run("scontrol", "release", waiting.stdout.strip())
    assert "AssocGrpSubmitJobsLimit" in refused(world, "p200003")
    until(world, waiting.stdout.strip(), "PENDING AssocGrpJobsLimit")
    assert state(world, job).startswith("RUNNING")
    assert ("p200003", world.anna, "", "") in world.seen()
    after = (end + timedelta(days=2, hours=1)).isoformat()
    done = world.run("apply", SCHMELZ_NOW=after)
    assert (done.code, "--allow-remove" in done.err) == (4, True), done
    world.apply(SCHMELZ_NOW=after)
    assert state(world, job).startswith("RUNNING")
    world.lab.run("scancel", job, waiting.stdout.strip())
    until(world, job, "CANCELLED")


def test_a_member_who_leaves_while_a_job_runs(world: World) -> None:
    """The job ends as it would have; the place in Slurm goes with the next apply, which takes nothing away."""
    two_months(world, "p200004", "bruno", "anna")
    world.apply()
    go = world.lab.settings.directory / "go"
    job = sent(world, "p200004", 10, f"while [ ! -e {go} ]; do sleep 0.2; done")
    until(world, job, "RUNNING")
    world.leave("p200004", "anna")
    assert world.run("apply").code == 4
    world.apply()
    still = world.run("plan")
    assert (still.code, f"! p200004: {world.anna} left while jobs were there" in still.out) == (0, True), still
    assert "AssocMaxSubmitJobLimit" in refused(world, "p200004")
    go.touch()
    until(world, job, "COMPLETED")
    assert wait_until(lambda: world.run("plan").code == 3, 60)
    assert "1 locked association cleared away; 0 accounts closed, 0 members lose access" in world.run("plan").out
    assert world.run("apply").code == 0  # without --allow-remove
    assert world.run("plan").code == 0
    there = [row for row in world.seen() if row[0] == "p200004" and row[1]]
    assert there == [("p200004", world.bruno, "", "")]
