"""Workloads that are made up: for benchmarks, for trying things out, and the two small jobs that warm a kernel up.

Sizes are powers of two with the weights of SIZES; run times are log-normal (median half an hour, at most two days);
estimates are the run times times 1 to 5, rounded up to a quarter of an hour, at most two days; arrivals are a Poisson
process whose rate makes the offered *load*: GPU-seconds asked for against those that the machine has in that time.
The same seed gives the same jobs; `as_swf` writes them as a trace.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from schmelz.twin.workload import Workload

SIZES = {1: 30, 2: 12, 4: 20, 8: 16, 16: 10, 32: 6, 64: 4, 128: 1.5, 256: 0.5}
MEDIAN_RUN, SPREAD, LONGEST = 1800, 1.6, 172_800
QUARTER = 900
ROWS = 100_000


def generated(jobs: int, gpus: int, *, load: float = 0.9, seed: int = 1, pools: Sequence[str] = ("all",)) -> Workload:
    """So many jobs for so many GPUs; pools take turns at random, with equal weights."""
    chance = np.random.default_rng(seed)
    usable = [size for size in SIZES if size <= gpus]
    weights = np.array([SIZES[size] for size in usable])
    size = chance.choice(np.array(usable, np.int64), jobs, p=weights / weights.sum())
    run = np.clip(chance.lognormal(np.log(MEDIAN_RUN), SPREAD, jobs), 1, LONGEST).astype(np.int64)
    asked = np.ceil(run * chance.uniform(1, 5, jobs) / QUARTER).astype(np.int64) * QUARTER
    gaps = chance.exponential(float((run * size).mean()) / (load * gpus), jobs)
    pool = chance.integers(0, len(pools), jobs, dtype=np.int32)
    submit = np.cumsum(gaps).astype(np.int64)
    note = f"made up: {jobs} jobs, offered load {load:g}, seed {seed}"
    numbers = np.arange(1, jobs + 1)
    return Workload(
        numbers, submit, run, size, np.minimum(asked, LONGEST), pool, tuple(pools), pool, tuple(pools), (note,)
    )


def as_swf(workload: Workload) -> Iterator[str]:
    """The lines of a trace in the Standard Workload Format; the group is the number of the pool, the first one 1."""
    yield from (f"; {note}\n" for note in workload.notes)
    yield from (f"; group {number}: {pool}\n" for number, pool in enumerate(workload.pools, 1))
    for first in range(0, len(workload), ROWS):
        part = slice(first, first + ROWS)
        columns = (workload.job, workload.submit, workload.run, workload.size, workload.estimate, workload.pool)
        for job, submit, run, size, estimate, pool in zip(*(column[part].tolist() for column in columns), strict=True):
            sizes = f"{size} -1 -1 {size} {estimate}"
            yield f"{job} {submit} -1 {run} {sizes} -1 1 -1 {pool + 1} -1 -1 -1 -1 -1\n"


def tiny(pools: Sequence[str]) -> Workload:
    """Two jobs of one GPU and one second."""
    ones, owner = np.ones(2, np.int64), np.zeros(2, np.int32)
    return Workload(np.arange(1, 3), ones - 1, ones, ones, ones, owner, tuple(pools), owner, tuple(pools))
