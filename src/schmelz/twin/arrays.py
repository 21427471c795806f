"""The arrays that the pools' kernel works on. Plain tuples of arrays: what numba can take apart.

Jobs, pools, sites and owners are numbers. A *place* is a job's number within its pool, in the order of arrival. `sites`
is a set of sites as bits. A pool's waiting jobs are the leaves of a binary tree (`waiting`), the running jobs of a site
are kept by their planned ends (`running`).
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from schmelz.twin.workload import Bools, Ints, Small

Table = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

NEVER = 2**62
NOBODY = 2**31 - 1


class Jobs(NamedTuple):
    """What is known of each job, in the order of arrival; `place` is its number within its pool."""

    submit: Ints
    run: Ints
    limit: Ints
    size: Ints
    pool: Small
    place: Small
    owner: Small
    sites: Small
    marked: Bools


class Rule(NamedTuple):
    """The numbers of the rule. `minimum_run` < 0: nobody is pre-empted; `half_life` > 0: fair share instead of deficits.

    `marks`: jobs are marked by the rule when they are submitted, not by the workload.
    """

    weights: Ints
    whole: int
    band: int
    floor: int
    minimum_run: int
    marks: bool
    half_life: float
    until: int


class Steps(NamedTuple):
    """Changes at known times: GPUs of a site (with the time by which its jobs must end), and what an owner may use."""

    time: Ints
    site: Ints
    gpus: Ints
    clear: Ints
    budget_time: Ints
    owner: Ints
    allowed: Ints
    windows: Ints


class Machine(NamedTuple):
    """GPUs: per site those that are up, free (below 0: in use, but to go) and the time by which jobs must end.

    Per pool: in use, used GPU-seconds of the window, decayed use. `clock`: last instant, delivered GPU-seconds, window.
    """

    up: Ints
    free: Ints
    clear: Ints
    in_use: Ints
    used: Ints
    decayed: Floats
    rank: Ints
    clock: Ints


class Queue(NamedTuple):
    """Per pool the waiting jobs, by place: `smallest` and `shortest` of each node of its tree, `job` of each place.

    `root` and `first` are where a pool's tree and its places begin, `leaves` is a power of two, `head` is a place before
    which nobody waits. `count` has one number: how many wait.
    """

    root: Ints
    leaves: Ints
    first: Ints
    head: Ints
    smallest: Small
    shortest: Small
    job: Small
    count: Ints


class Running(NamedTuple):
    """Per site the running jobs by planned end, and a heap of all by the time at which they really end."""

    count: Ints
    ends: Table
    job: npt.NDArray[np.int32]
    due: Ints
    due_job: Small
    dues: Ints


class Budget(NamedTuple):
    """Per owner what it may use in all, what is used or promised to its jobs, and those that wait for the budget."""

    allowed: Ints
    promised: Ints
    first: Ints
    last: Ints
    next: Small


class Outcome(NamedTuple):
    """Per job: start and end (-1: never started), site, whether it was marked, GPU-seconds lost by pre-emption."""

    start: Ints
    end: Ints
    site: Small
    marked: Bools
    lost: Ints
