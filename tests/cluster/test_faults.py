"""`schmelz apply` against a real Slurm, with everything broken on the way that can break: afterwards one more apply is enough.

Killed at any moment, two at once, daemons that die, commands that hang, lie or say nothing, a full disk, a clock that
jumps. What must hold each time: a word for a person and no traceback, nobody loses what was not taken from them, and
the next apply makes the cluster as decided. The tests share one cluster and stand in no order.
"""

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.lab import Lab
from cluster.lab_daemons import wait_until
from cluster.world import SYSTEM, World

KILLS, SEED = 20, 7
PROJECTS = tuple(f"p2000{number:02}" for number in range(1, 7))
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stage(own_slurm: Lab, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Six projects on the cluster, and an account of somebody else's."""
    world = World(tmp_path_factory.mktemp("faults"), own_slurm)
    own_slurm.run("sacctmgr", "-i", "add", "account", "chem", "organization=uni", "GrpTRESMins=gres/gpu=99")
    for number, code in enumerate(PROJECTS):
        world.project(code, 100 + number, "anna", "bruno")
    world.apply()
    return world


@pytest.fixture
def world(stage: World) -> Iterator[World]:
    """As decided after each test, by one more apply."""
    yield stage
    if None in stage.lab.status().values():
        stage.lab.start()
    stage.apply()
    whole(stage)


def whole(world: World) -> None:
    """As decided, with the foreign account as it was."""
    assert sorted(world.seen()) == sorted({*world.expected(), ("chem", "", "root", "gres/gpu=99")})


def move(world: World) -> None:
    """Decide something new: other amounts, one project more, a member less or back."""
    ((number,),) = world.sql("SELECT count(*) FROM projects_project")
    amounts(world)
    world.project(f"p21{number:04}", 10, "anna")
    (world.leave if number % 2 == len(PROJECTS) % 2 else world.join)(PROJECTS[0], "bruno")


def amounts(world: World) -> None:
    """Decide other amounts for the first projects: a command for each."""
    world.sql("UPDATE projects_project SET grant_gpu_s = grant_gpu_s + 3600 * id WHERE id <= ?", len(PROJECTS))


def test_killed_at_any_moment_the_next_apply_finishes(world: World) -> None:
    move(world)
    lasts = world.apply().seconds
    chance, ended = random.Random(SEED), 0
    for number in range(KILLS):  # the second of each pair is killed while it finishes what the first left
        if number % 2 == 0:
            before = set(world.expected())
            move(world)
        process = world.start("apply", "--allow-remove", "20")
        time.sleep(lasts * (number + chance.random()) / KILLS)
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if number % 4 < 2 else os.kill)(process.pid, signal.SIGKILL)  # with and without its commands
        ended += process.wait(10) == 0
        _keeps(world, before)
        if number % 2:
            world.apply()
            whole(world)
    assert ended < KILLS / 2, f"{ended} of {KILLS} applies had ended before they were killed"
    assert world.run("plan").code == 0
    ends = [path.read_bytes()[:-1].rsplit(b"\n")[-1].startswith(b'{"line":"end"') for path in entries(world)]
    assert (ends[-1], ends.count(False) >= KILLS / 4) == (True, True), (
        ends
    )  # killed ones stay as they were, without an end


def _keeps(world: World, before: set[tuple[str, str, str, str]]) -> None:
    """Half-way, nobody has lost a place that they had and shall have."""
    wanted, there = ({row[:2] for row in rows} for rows in (world.expected(), world.seen()))
    assert {row[:2] for row in before} & wanted - there == set()


def entries(world: World) -> list[Path]:
    return sorted(journal(world).glob("*.jsonl"))


def journal(world: World) -> Path:
    return world.data / "cluster" / SYSTEM / "journal"


@pytest.mark.parametrize("daemon", ["slurmdbd", "mariadbd", "slurmctld"])
def test_a_daemon_that_dies_in_the_middle(world: World, daemon: str) -> None:
    amounts(world)
    pid = world.lab.daemons.pid(daemon)
    mark = world.data / f"killed-{daemon}"
    changing = f'case "$*" in *modify*) [ -e {mark} ] || {{ : > {mark}; kill -9 {pid}; }};; esac'
    with world.shim("sacctmgr", f'{changing}\nexec $real "$@"') as env:
        done = world.run("apply", "--allow-remove", "20", SCHMELZ_PATIENCE="10", **env)
    assert world.lab.daemons.pid(daemon) is None
    assert done.code in (0, 1) if daemon == "slurmctld" else done.code == 1, done
    assert "Traceback" not in done.err
    again = world.run("apply", "--allow-remove", "20", SCHMELZ_PATIENCE="5")
    assert again.code in (0, 1) and "Traceback" not in again.err
    world.lab.start()
    assert wait_until(lambda: world.lab.run("sacctmgr", "-n", "show", "cluster").returncode == 0, 30)
    world.apply()
    whole(world)


LIES = {
    "exec sleep 60": "gave no answer in 2 s",
    '$real "$@" | head -c 700': "cut off",
    "exit 0": "the answer is empty",
    '$real "$@" | head -n 1': "the answer has none",
    "echo 'sacctmgr: error: slurm_persist_conn_open: failed' >&2; exit 1": "slurm_persist_conn_open: failed",
}


def test_a_cluster_that_hangs_lies_or_says_nothing_is_not_taken_for_an_empty_one(world: World) -> None:
    amounts(world)
    before = sorted(world.seen())
    for script, said in LIES.items():
        with world.shim("sacctmgr", script) as env:
            done = world.run("apply", "--allow-remove", "20", SCHMELZ_PATIENCE="2", **env)
        assert (done.code, "Traceback" in done.err, said in done.err) == (1, False, True), done
        assert "ClusterError" not in done.err
        assert done.seconds < 20
    assert sorted(world.seen()) == before


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("exec sleep 60", "gave no answer in 2 s"),
        ("echo ' Modified account associations...'", "differences remain"),
    ],
    ids=["hangs", "lies"],
)
def test_a_command_that_hangs_or_lies_in_the_middle(world: World, script: str, said: str) -> None:
    amounts(world)
    before = set(world.seen())
    with world.shim("sacctmgr", f'case "$*" in *modify*) {script};; *) exec $real "$@";; esac') as env:
        done = world.run("apply", "--allow-remove", "20", SCHMELZ_PATIENCE="2", **env)
    assert (done.code, "Traceback" in done.err, said in done.err) == (1, False, True), done
    assert done.seconds < 30
    _keeps(world, before)


def test_two_at_once_one_is_refused_in_words(world: World) -> None:
    amounts(world)
    slow = 'case "$*" in *modify*) [ "$n" -gt 9 ] || sleep 3;; esac; exec $real "$@"'
    with world.shim("sacctmgr", slow) as env:
        first = world.start("apply", "--allow-remove", "20", **env)
        assert wait_until(lambda: str(first.pid) in (journal(world) / "lock").read_text(), 20)
        second = world.run("apply", "--allow-remove", "20")
        assert (second.code, first.wait(60)) == (4, 0), second
    assert "refused: gilles has been applying a plan since" in second.err


@contextlib.contextmanager
def small_disk(where: Path, left: int) -> Iterator[None]:
    """A disk of a few pages over the journal, with the entries that are there and so many bytes left."""
    entries = {path.name: path.read_bytes() for path in where.iterdir() if path.is_file()}
    pages = sum(-(-len(content) // 4096) for content in entries.values()) + -(-left // 4096) + 1
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={4096 * pages},mode=0700", "tmpfs", where], check=True)
    try:
        for name, content in entries.items():
            (where / name).write_bytes(content)
        yield
    finally:
        subprocess.run(["umount", where], check=True)


@pytest.mark.parametrize("begins", [False, True], ids=["before the first command", "in the middle"])
def test_a_full_disk_for_the_journal(world: World, begins: bool) -> None:
    *older, last = entries(world)
    for old in older:
        old.unlink()
    head = sum(len(line) for line in last.read_bytes().splitlines(keepends=True)[:2])  # what an entry begins with
    move(world)
    before = sorted(world.seen())
    with small_disk(journal(world), head if begins else 0):
        done = world.run("apply", "--allow-remove", "20")
    assert (done.code, "Traceback" in done.err) == (1, False), done
    assert "journal" in done.err and "No space left" in done.err
    assert (sorted(world.seen()) == before) is not begins


def test_a_clock_that_jumps(world: World) -> None:
    """Two years ahead every project has ended: nothing goes without being allowed. Back again, all is as before."""
    world.apply()
    before = sorted(world.seen())
    refused = world.run("apply", SCHMELZ_NOW="2031-01-01T00:00:00Z")
    assert (refused.code, "--allow-remove" in refused.err) == (4, True), refused
    assert sorted(world.seen()) == before
    there = world.run("apply", "--allow-remove", "999", SCHMELZ_NOW="2031-01-01T00:00:00Z")
    assert there.code in (0, 4), there  # more than one operator may do alone: a second one has to approve
    early = world.run("apply", "--allow-remove", "999", SCHMELZ_NOW="2020-01-01T00:00:00Z")  # before every start
    assert early.code in (0, 4), early
    world.apply()
    assert sorted(world.seen()) == before
    names = [path.stem for path in entries(world)]
    assert [int(name[:6]) for name in names] == list(range(int(names[0][:6]), int(names[0][:6]) + len(names)))
