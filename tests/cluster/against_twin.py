"""The same jobs through a real Slurm, steered as in production, and through the twin's deficit policy: how far they agree.

Two pools send sleeping jobs of 1, 2 and 4 GPUs in waves to 16 GPUs on two sites; the steering moves the caps under a signed
mandate. Slurm's own records then give the twin the submissions, sizes, run times and limits; nothing else. The twin knows
no *handover*: the seconds between the end of a job and the start of the next one on the same GPUs (the end is told, its node
cleaned up, the scheduler looks every second or two, caps move every two). Its mean is read off the records: what Slurm left
idle while jobs waited beyond what the twin left idle, for each GPU of a start. A second run of the twin, with every job
longer by that, shows what it explains.
For tests and for the bench.
"""

import random
import time
from dataclasses import dataclass
from statistics import mean, median

import numpy as np

from cluster.contest import Contest
from schmelz.operate import meter
from schmelz.operate.steer import Steerer
from schmelz.portal.projects.figures import attributed
from schmelz.twin.pool_segments import segments
from schmelz.twin.pools import deficit
from schmelz.twin.sharing import PoolOptions, Sharing
from schmelz.twin.workload import Schedule, Workload

WAVES = 12
BURST = 10  # jobs of one pool in one burst; each wave has one burst of each pool
BETWEEN = 7.0
SIZES = (1, 1, 2, 2, 4)
POOLS = ("eurohpc", "national")
LIMIT_S, LONGEST_S = 300, 230


@dataclass(frozen=True)
class Agreement:
    """How one simulated schedule agrees with the real one. Waits in seconds."""

    ordered: float
    within_pools: float
    rank: float
    mean_wait: float
    real_wait: float
    off_median: float
    by_pool: dict[str, tuple[float, float]]
    share: tuple[float, float]
    makespan: tuple[int, int]


def run(contest: Contest) -> Workload:
    """Send all jobs, steer until none is left, and read the records."""
    contest.mandate()
    chance, began = random.Random(3), time.monotonic()
    steerer, sent = Steerer(contest.system), 0
    while time.monotonic() - began < LONGEST_S:
        while sent < WAVES and time.monotonic() - began >= sent * BETWEEN:
            for pool in POOLS:
                contest.submit(
                    pool, [chance.choice(SIZES) for _ in range(BURST)], chance.randint(3, 7), limit=LIMIT_S // 60
                )
            sent += 1
        meter.read_cluster(contest.system)
        steerer.step()
        if sent == WAVES and not contest.use():
            break
        time.sleep(0.5)
    else:
        raise AssertionError(f"{contest.use()} is still there after {LONGEST_S} s")
    return records(contest, WAVES * BURST * len(POOLS))


def records(contest: Contest, jobs: int) -> Workload:
    """What Slurm's accounting says of the jobs, once it knows the end of each."""
    until = time.monotonic() + 30
    while True:
        meter.read_cluster(contest.system)
        runs = attributed(contest.system).filter(~attributed(contest.system)["end"].is_null()).sort("submit", "job")
        if runs.height >= jobs:
            break
        assert time.monotonic() < until, f"{runs.height} of {jobs} jobs are in the records"
        time.sleep(1)
    columns = {name: runs[name].to_numpy().astype(np.int64) for name in ("submit", "start", "end", "gpus")}
    pool = np.array([POOLS.index(name) for name in runs["pool"].cast(str).to_list()], np.int32)
    size, length = columns["gpus"], np.maximum(1, columns["end"] - columns["start"])
    names = runs["job"].to_numpy()
    return Workload(
        np.stack([np.arange(len(names)), columns["start"]], 1), columns["submit"], length, size,
        np.full(len(names), LIMIT_S), pool, POOLS, pool, POOLS,
    )  # fmt: skip


def real(work: Workload) -> Schedule:
    """The schedule that Slurm made."""
    start = work.job[:, 1]
    return Schedule(start, start + work.run)


def options(contest: Contest) -> PoolOptions:
    system = contest.system
    return PoolOptions(
        system.gpus(),
        sharing=Sharing(
            tuple(pool.weight for pool in system.pools),
            tuple((site, system.gpus(site)) for site in system.nodes),
            system.sharing.floor_percent,
            system.sharing.dead_band_ppm,
        ),
    )


def handover(work: Workload, contest: Contest) -> float:
    """Seconds between a job and the next: idle GPU-seconds while jobs waited, beyond the twin's, for each GPU of a start."""
    real_idle, made_idle = (_idle(work, made, contest) for made in (real(work), simulated(work, contest)))
    return max(0.0, (real_idle - made_idle) / float(work.size.sum()))


def _idle(work: Workload, made: Schedule, contest: Contest) -> float:
    found = segments(work, made, options(contest))
    return float(((found.capacity - found.use.sum(1)) * found.dt)[found.wait.any(1)].sum())


def simulated(work: Workload, contest: Contest, longer: float = 0.0) -> Schedule:
    """The twin's schedule of the same jobs, each `longer` by so many seconds; counted in tenths of a second."""
    more = round(10 * longer)
    held = Workload(
        np.arange(len(work)), work.submit * 10, work.run * 10 + more, work.size, work.estimate * 10 + more,
        work.pool, work.pools, work.owner, work.owners,
    )  # fmt: skip
    made = deficit(held, options(contest))
    start = made.start // 10
    return Schedule(start, start + work.run)


def agreement(work: Workload, twin: Schedule) -> Agreement:
    """Order of starts and waits of the twin against those of Slurm."""
    seen, made = real(work).start, twin.start
    waits, real_waits = made - work.submit, seen - work.submit
    mine = [work.pool == number for number in range(len(POOLS))]
    same = np.zeros(2, np.int64)
    for chosen in mine:
        same += _ordered(seen[chosen], made[chosen])
    ordered, pairs = _ordered(seen, made)
    half = int(np.median(seen))
    return Agreement(
        ordered / max(1, pairs),
        same[0] / max(1, same[1]),
        float(np.corrcoef(_ranks(seen), _ranks(made))[0, 1]),
        mean(waits.tolist()),
        mean(real_waits.tolist()),
        median(np.abs(waits - real_waits).tolist()),
        {pool: (float(waits[c].mean()), float(real_waits[c].mean())) for pool, c in zip(POOLS, mine, strict=True)},
        (_share(work, made, half), _share(work, seen, half)),
        (int((made + work.run).max() - work.submit.min()), int((seen + work.run).max() - work.submit.min())),
    )


def _ordered(seen: np.ndarray, made: np.ndarray) -> np.ndarray:
    """Of the pairs that start at different seconds in both, how many start in the same order, and how many there are."""
    one, other = np.sign(seen[:, None] - seen[None]), np.sign(made[:, None] - made[None])
    above = np.triu(np.ones_like(one, bool), 1) & (one != 0) & (other != 0)
    return np.array([int((one == other)[above].sum()), int(above.sum())], np.int64)


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks, equal values sharing theirs."""
    ordered = np.sort(values)
    return (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")) / 2


def _share(work: Workload, start: np.ndarray, until: int) -> float:
    """The first pool's part of the GPU-seconds used until a moment."""
    used = work.size * np.clip(until - start, 0, work.run)
    return float(used[work.pool == 0].sum() / max(1, used.sum()))


def told(work: Workload, contest: Contest) -> list[str]:
    """The comparison in lines."""
    gap = handover(work, contest)
    lines = [f"{len(work)} jobs of {len(POOLS)} pools on {contest.system.gpus()} GPUs, handover {gap:.1f} s"]
    for words, longer in (("the twin", 0.0), (f"with a handover of {gap:.1f} s", gap)):
        found = agreement(work, simulated(work, contest, longer))
        pools = ", ".join(f"{pool} {made:.1f} / {seen:.1f}" for pool, (made, seen) in found.by_pool.items())
        lines += [
            f"{words}:",
            f"  pairs in the same order {100 * found.ordered:.1f} %, within a pool {100 * found.within_pools:.1f} %",
            f"  rank correlation of the starts {found.rank:.3f}",
            f"  mean wait {found.mean_wait:.1f} s, real {found.real_wait:.1f} s (by pool {pools})",
            f"  median difference of a job's wait {found.off_median:.1f} s",
            f"  eurohpc's part half-way {100 * found.share[0]:.1f} %, real {100 * found.share[1]:.1f} %",
            f"  all done after {found.makespan[0]} s, real {found.makespan[1]} s",
        ]
    return lines
