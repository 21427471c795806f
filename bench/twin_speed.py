"""The twin: jobs per second of every policy, against a plain loop with a heap and lists in the same run.

Compiling is shown apart: once into an empty place, then as the next process finds it. Figures are of a process of its own,
best and median of three; seconds of the processor (cpu) are the steadier figure where others use the machine, too. The
plain loops run fewer jobs, for they are slow.
"""

import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from heapq import heappop, heappush
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from schmelz.twin.generator import generated, tiny  # noqa: E402
from schmelz.twin.policies import POLICIES  # noqa: E402
from schmelz.twin.pool_results import pool_results  # noqa: E402
from schmelz.twin.results import summary  # noqa: E402
from schmelz.twin.sharing import PoolOptions, Sharing  # noqa: E402
from schmelz.twin.workload import Workload  # noqa: E402
from twin.plain_pools import plain as plain_pools  # noqa: E402

POOLS = ("eurohpc", "national")
MACHINE = Sharing((50, 50), (("bissen", 504), ("bettembourg", 504)))
M = 1_000_000


def plain(work: Workload, gpus: int, *, easy: bool) -> list[int]:
    """FCFS or EASY as one writes them down: a heap of ends, a list of who waits, sorted planned ends. Batch order."""
    submit, run, size, estimate = (c.tolist() for c in (work.submit, work.run, work.size, work.estimate))
    start, queue, ends, sent, free = [0] * len(work), [], [], 0, gpus
    running: dict[int, int] = {}
    while sent < len(submit) or ends:
        now = min(ends[0][0] if ends else 2**62, submit[sent] if sent < len(submit) else 2**62)
        while ends and ends[0][0] == now:
            job = heappop(ends)[1]
            free += size[job]
            del running[job]
        while sent < len(submit) and submit[sent] == now:
            queue.append(sent)
            sent += 1
        shadow, extra, waiting = None, 0, []
        for number, job in enumerate(queue):
            late = shadow is not None and now + estimate[job] > shadow
            if size[job] <= free and (not late or size[job] <= extra):
                start[job], running[job] = now, now + estimate[job]
                free, extra = free - size[job], extra - size[job] * late
                heappush(ends, (now + run[job], job))
                continue
            if shadow is None:
                if not easy or not free:
                    waiting += queue[number:]
                    break
                shadow, extra = reservation(running, size, free, size[job])
            waiting.append(job)
        queue = waiting
    return start


def reservation(running: dict[int, int], size: list[int], free: int, need: int) -> tuple[int, int]:
    shadow, extra = 2**62, 0
    for job, end in sorted(running.items(), key=lambda one: one[1]):
        if end > shadow:
            break
        free += size[job]
        if free >= need:
            shadow, extra = end, free - need
    return shadow, extra


def say(what: str, jobs: int, seconds: list[float], cpu: list[float], baseline: float | None = None) -> float:
    """One line; jobs per second of the best round, by the processor's clock."""
    best = jobs / min(cpu)
    ratio = f"  {best / baseline:7.0f} x the plain loop" if baseline else ""
    clock = f"{min(seconds):7.3f} s best {statistics.median(seconds):7.3f} s median"
    print(f"{what:52} {clock} {min(cpu):7.3f} s cpu {best / M:9.4f} M jobs/s{ratio}", flush=True)
    return best


def measured(what: str, jobs: int, work: Callable[[], object], rounds: int = 3, baseline: float | None = None) -> float:
    seconds, cpu = [], []
    for _ in range(rounds):
        begun, clock = time.perf_counter(), time.process_time()
        work()
        seconds.append(time.perf_counter() - begun)
        cpu.append(time.process_time() - clock)
    return say(what, jobs, seconds, cpu, baseline)


def policy(name: str, work: Workload, options: PoolOptions) -> Callable[[], object]:
    return lambda: POLICIES[name](work, options)


def load_kernels() -> None:
    for name in ("fcfs", "easy", "conservative", "deficit"):
        begun, clock = time.perf_counter(), time.process_time()
        POLICIES[name](tiny(POOLS), PoolOptions(8))
        print(
            f"    {name:48} {time.perf_counter() - begun:7.2f} s {time.process_time() - clock:21.2f} s cpu", flush=True
        )


def figures() -> None:
    load_kernels()
    half, busy = generated(20_000, 2048, load=0.9, pools=POOLS), generated(4000, 2048, load=1.3, pools=POOLS)
    baselines = {
        "fcfs": measured("plain fcfs, 20,000 jobs", 20_000, lambda: plain(half, 2048, easy=False), 1),
        "easy": measured("plain easy, 20,000 jobs, load 0.9", 20_000, lambda: plain(half, 2048, easy=True), 1),
        "full": measured("plain easy, 4,000 jobs, load 1.3", 4000, lambda: plain(busy, 2048, easy=True), 1),
        "deficit": measured("plain next_starts, 1,000 jobs, load 0.9", 1000, lambda: asked(1000), 1),
    }
    options = PoolOptions(2048)
    work = generated(M, 2048, load=0.9, pools=POOLS)
    for name, baseline in (("fcfs", "fcfs"), ("easy", "easy"), ("sjbf", "easy"), ("deficit", "deficit")):
        measured(f"{name}, 1 M jobs, 2,048 GPUs, load 0.9", M, policy(name, work, options), 3, baselines[baseline])
    work = generated(M, 2048, load=1.3, pools=POOLS)
    for name, baseline in (("easy", "full"), ("sjbf", "full"), ("deficit", "deficit")):
        measured(
            f"{name}, 1 M jobs, 2,048 GPUs, saturated (1.3)", M, policy(name, work, options), 1, baselines[baseline]
        )
    for load in (0.9, 1.2):
        work = generated(M // 2, 1008, load=load, pools=POOLS)
        measured(f"deficit, a year of 500,000 jobs, two sites, load {load}", M // 2, policy("deficit", work, year()))
    work = generated(100_000, 2048, load=0.9, pools=POOLS)
    measured("conservative, 100,000 jobs, 2,048 GPUs, load 0.9", 100_000, policy("conservative", work, options), 1)
    adversaries()


def year() -> PoolOptions:
    return PoolOptions(1008, sharing=MACHINE)


def asked(jobs: int) -> object:
    return plain_pools(generated(jobs, 2048, load=0.9, pools=POOLS), Sharing(), 2048)


def adversaries() -> None:
    """Where an index would be of no use, or rows would be moved about: many equal times, all at once, wide machines."""
    from twin.made import workload

    chance = random.Random(1)
    many, wide = 100_000, 93_312
    cases = {
        "all at once": (2048, [(0, chance.randrange(1, 5000), chance.randrange(1, 512)) for _ in range(many)]),
        "all of the machine's size": (2048, [(chance.randrange(M), 7, 2048) for _ in range(many)]),
        "all of one size, ends together": (2048, [(n // 9, 100, 1 + n % 64) for n in range(many)]),
        "93,312 processors, one each": (wide, [(n // 10, chance.randrange(10**4, 10**5), 1) for n in range(many)]),
    }
    for what, (gpus, rows) in cases.items():
        work = workload(rows)
        for name in ("easy", "sjbf", "deficit"):
            measured(f"{name}, 100,000 jobs: {what}", many, policy(name, work, PoolOptions(gpus)), 1)


def peak(name: str) -> None:
    """A process that reads nothing, runs a million jobs through one policy, and makes all figures of it."""
    work, options = generated(M, 2048, load=0.9, pools=POOLS), PoolOptions(2048)
    done = POLICIES[name](work, options)
    ran = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    summary(work, done, options)
    pool_results(work, done, options)
    whole = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{f'peak memory, {name}, 1 M jobs':52} {ran:7.0f} MiB running {whole:7.0f} MiB with all figures", flush=True)


def main() -> None:
    if "--load" in sys.argv:
        load_kernels()
        return
    if "--peak" in sys.argv:
        peak(sys.argv[-1])
        return
    if "--figures" in sys.argv:
        figures()
        return
    with tempfile.TemporaryDirectory() as empty:
        env = {**os.environ, "SCHMELZ_CACHE": empty}
        print("the twin: compile into an empty place, then find it there", flush=True)
        subprocess.run((sys.executable, __file__, "--load"), check=True, env=env)
        subprocess.run((sys.executable, __file__, "--figures"), check=True, env=env)
        for name in ("fcfs", "easy", "deficit"):
            subprocess.run((sys.executable, __file__, "--peak", name), check=True, env=env)


if __name__ == "__main__":
    main()
