"""The contended hour in minutes: two pools on a real Slurm of 32 pretended GPUs, steered in three ways, against the rule.

`static`: each pool's cap is its share, nothing moves. `priority`: no caps, the priority of the leader's QOS is raised.
`caps`: `schmelz steer` in a process of its own, under a signed mandate. The same jobs (1 to 4 GPUs, 20 to 40 seconds, by
two Unix users) in four scenes: one pool alone; both, even; both, one leads; the leader's queue is gone. `by the rule` is
the yardstick: `next_starts` on the same nodes with the jobs of the last way, as they arrived and as long as they ran, by
a scheduler that needs no time. One run of each way: sizes, not statistics. Give the names of the ways to run only some.
"""

import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.pop(0)  # this folder: the lab is the package `cluster` of the tests
sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
sys.path.append(str(Path(__file__).parent))

from steering_table import FLOOR, GPUS, NODES, SECONDS, Way, over_time, show, yardstick

from cluster.lab import Lab, Settings
from cluster.lab_conf import refusals
from cluster.replay import Trial

EU, LU = "eurohpc-own", "luxembourg-own"


def main() -> None:
    why = "; ".join(refusals(Settings(Path("/tmp/schmelz-bench-probe"))))
    if os.getuid() != 0:
        why = "; ".join(filter(None, ("only root can start a lab", why)))
    if why:
        print(f"THE FIGURES OF A REAL SLURM ARE MISSING: {why}")
        return
    names = [name for name in WAYS if name in (sys.argv[1:] or WAYS)]
    ways = {name: run(name) for name in names}
    rule, last = yardstick(ways[names[-1]]), ways[names[-1]]
    show({"by the rule": rule} | ways)
    over_time(last, rule)


def run(name: str) -> Way:
    """One way in a lab and a portal of its own, in a process of its own."""
    path = Path(tempfile.gettempdir()) / f"schmelz-bench-{name}-{os.getpid()}"
    child = os.fork()
    if not child:
        with lab() as one:
            way = tell(name, one)
        path.write_text(way.as_json())
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        raise SystemExit(f"the way {name} failed; what it said stands above")
    way = Way.from_json(path.read_text())
    path.unlink()
    return way


def tell(name: str, one: Lab) -> Way:
    """The four scenes."""
    contest, way = stage(one), Way()
    chance = random.Random(7)
    sent: dict[str, tuple[str, int, int]] = {}

    def more(pool: str, jobs: int) -> None:
        for _ in range(jobs // 10):
            sizes, seconds = [chance.choice((1, 1, 2, 4)) for _ in range(10)], chance.randint(20, 40)
            numbers = contest.submit(pool, sizes, seconds, limit=1)
            sent.update({job: (pool, gpus, seconds) for job, gpus in zip(numbers, sizes, strict=True)})

    with metering(contest), WAYS[name](contest) as change:
        more("eurohpc", 120)
        watch(contest, way, "alone", lambda: None)
        more("national", 120)
        watch(contest, way, "even", lambda: more("eurohpc", 60))
        contest.ahead("national", 1000)
        change("national")
        watch(contest, way, "leads", lambda: (more("national", 120), more("eurohpc", 60)))
        contest.lab.run("scancel", "--state=PENDING", f"--user={contest.users['national']}")
        change("eurohpc")
        watch(contest, way, "gone", lambda: None)
        taken_back(contest, way)
    from schmelz.portal.clusters.models import Move

    way.moves, way.jobs = Move.objects.count(), trials(contest, sent, way.begin("gone"))
    if os.environ.get("STORY"):
        for move in reversed(Move.objects.all()):
            print(time.strftime("%H:%M:%S", time.gmtime(move.at)), move.after, move.because)
    return way


def taken_back(contest, way: Way) -> None:
    """The leader has one guaranteed job and borrows the rest; then the other pool asks for its floor."""
    contest.clear()
    contest.submit("national", [4], 60)
    contest.submit("national", [4] * 7, 60, borrow=True)
    wait(lambda: contest.use() == {LU: 4, LU.replace("own", "borrow"): GPUS - 4})
    contest.submit("eurohpc", [4] * 2, 10)
    way.back = wait(lambda: contest.use().get(EU, 0) == FLOOR)
    said = contest.lab.run(
        "squeue", "-h", "-o", "%q %r", "-t", "PD"
    ).stdout  # a job that was put back waits for its time
    gone = [qos for qos, reason in (line.split() for line in said.splitlines()) if reason == "BeginTime"]
    way.preempted = {qos: gone.count(qos) for qos in sorted(set(gone))}


def wait(reached: Callable[[], bool]) -> float | None:
    """How long it took; None when a minute was not enough."""
    began = time.time()
    while not reached():
        if time.time() - began > 60:
            return None
        time.sleep(0.2)
    return time.time() - began


def trials(contest, sent: dict[str, tuple[str, int, int]], leaves: int) -> list[Trial]:
    """The jobs as Slurm's accounting tells of them: when they came, and how long those ran that came to their end."""
    found, columns = [], "format=JobIDRaw,Submit,ElapsedRaw,State"
    said = contest.lab.run("env", "SLURM_TIME_FORMAT=%s", "sacct", "-aXnP", f"--{columns}").stdout
    for job, submit, elapsed, state in (line.split("|") for line in said.splitlines()):
        if job in sent:
            pool, gpus, seconds = sent[job]
            ran = int(elapsed) if state == "COMPLETED" else seconds
            found.append(Trial(job, pool, gpus, ran, 60, int(submit), leaves if pool == "national" else None))
    return found


def watch(contest, way: Way, scene: str, begin: Callable[[], object]) -> None:
    """Look every half second; `begin` runs beside, so that the queue is fed while we look."""
    feeding = threading.Thread(target=begin)
    feeding.start()
    rows = way.samples[scene] = []
    end = time.time() + SECONDS[scene]
    while time.time() < end:
        use = contest.use()
        rows.append((round(time.time(), 2), use.get(EU, 0), use.get(LU, 0)))
        if os.environ.get("STORY") and len(rows) % 4 == 0:
            print(scene, use, contest.caps(), flush=True)
        time.sleep(0.5)
    feeding.join()


# -- the ways


@contextmanager
def static(contest) -> Iterator[Callable[[str], None]]:
    yield lambda leader: None


@contextmanager
def priority(contest) -> Iterator[Callable[[str], None]]:
    """No caps; a new priority for the leader acts at Slurm's own tick, once a minute."""

    def change(leader: str) -> None:
        first, other = (LU, EU) if leader == "national" else (EU, LU)
        contest.lab.run("sacctmgr", "-i", "modify", "qos", "where", f"name={first}", "set", "Priority=1000")
        contest.lab.run("sacctmgr", "-i", "modify", "qos", "where", f"name={other}", "set", "Priority=500")

    contest.lab.run("sacctmgr", "-i", "modify", "qos", "where", f"name={EU},{LU}", "set", "GrpTRES=gres/gpu=-1")
    yield change


@contextmanager
def caps(contest) -> Iterator[Callable[[str], None]]:
    """`schmelz steer` as it is run in earnest; killed at the end, after which nothing may change."""
    from schmelz.portal.clusters import mandates

    contest.mandate()
    command = [sys.executable, "-m", "schmelz.cli", "steer"]
    quiet = None if os.environ.get("STORY") else subprocess.DEVNULL
    steering = subprocess.Popen(command, stdout=quiet, stderr=quiet)
    while not mandates.last_word(contest.system.id):
        time.sleep(0.2)  # it has not looked yet
    yield lambda leader: None
    steering.kill()
    steering.wait()
    before, waiting = contest.caps(), contest.use().get(f"{EU} waits", 0)
    time.sleep(12)
    after = contest.use().get(f"{EU} waits", 0)
    print(
        f"steering killed (-9): caps before {before}, 12 s later {contest.caps()}; GPUs that wait {waiting} -> {after}"
    )


WAYS = {"static": static, "priority": priority, "caps": caps}


# -- the ground


@contextmanager
def lab(nodes: int = NODES) -> Iterator[Lab]:
    place = Path(tempfile.mkdtemp(prefix="schmelz-bench-"))
    place.chmod(0o755)
    tag = place.name.rpartition("-")[2].lower()
    one = Lab(Settings(place / "lab", nodes=nodes, users=(f"anna-{tag}", f"bruno-{tag}")))
    try:
        one.start()
        yield one
    finally:
        one.clean()
        shutil.rmtree(place, ignore_errors=True)


def stage(one: Lab):  # a Contest; its module needs Django to be set up first
    place = one.settings.directory.parent
    os.environ |= one.env() | {
        "SCHMELZ_DATA": str(place / "data"),
        "SCHMELZ_FACTORY": str(place / "factory.toml"),
        "DJANGO_SETTINGS_MODULE": "schmelz.portal.settings",
        "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin",
    }
    from cluster.lab_files import factory_toml

    (place / "factory.toml").write_text(factory_toml(one.settings))
    from schmelz.cli import ready

    ready.portal()
    from cluster.contest import policy, stage as set_up

    (place / "factory.toml").write_text(policy(one))
    return set_up(one, ready.factory())


@contextmanager
def metering(contest) -> Iterator[None]:
    """Job records are read every five seconds."""
    from schmelz.operate import meter

    over = threading.Event()

    def read() -> None:
        while not over.wait(5):
            meter.read_cluster(contest.system)

    reading = threading.Thread(target=read)
    reading.start()
    try:
        yield
    finally:
        over.set()
        reading.join()


if __name__ == "__main__":
    main()
