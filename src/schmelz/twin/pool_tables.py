"""The tables that the pools' kernel works on: few arrays of integers, columns by name, rows by number.

Jobs, pools, sites and owners are numbers. A *place* is a job's number within its pool, in the order of arrival. Few and
plain, because each array that goes from function to function costs time, in compiling and in running.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Table = npt.NDArray[np.int64]
Small = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]

NEVER = 2**62
NOBODY = 2**31 - 1

# `jobs`: START is -1 while a job does not run; LOST are GPU-seconds of runs that were cut
SUBMIT, RUN, LIMIT, SIZE, START, LOST = range(6)
# `traits`: SITES are those a job may use, as bits; NEXT_HELD is the owner's next job that waits for budget
POOL, PLACE, OWNER, SITES, MARKED, SITE, NEXT_HELD = range(7)
# `tree`: of each node, among the jobs that wait below it
SMALLEST, SHORTEST = range(2)
# `pools`: USED in the window; NEXT is the place that the pass looks at; ROOT and FIRST are where the pool's part of
# `tree` and of `order` begins, LEAVES is a power of two; nobody waits before HEAD
WEIGHT, IN_USE, USED, RANK, NEXT, ROOT, LEAVES, FIRST, HEAD = range(9)
# `sites`: GPUs that are UP; FREE, below 0 when GPUs that are to go are in use; jobs must end by CLEAR; COUNT jobs run
UP, FREE, CLEAR, COUNT = range(4)
# `running` per site, by planned end, with the GPUs each job holds; `due`, a heap of all by real end, whose top is row 1
ENDS, JOB, HELD = range(3)
# `owners`: what may be used in all, what is used or promised, the first and last job that wait for budget
ALLOWED, PROMISED, FIRST_HELD, LAST_HELD = range(4)
# `facts`: the rule's numbers (MINIMUM_RUN -1: nobody is pre-empted; MARKS: marked by the rule; HALF_LIFE 0: deficits),
# the ledger's clock, the reservation (KEPT_SITE -1: none), how many wait and run; how many jobs were SENT and changes and
# budgets done, when to WAKE for pre-emption, how many runs were CUT: so that a run can be stopped and go on
WHOLE, BAND, FLOOR, MINIMUM_RUN, MARKS, HALF_LIFE, UNTIL = range(7)
CLOCK, DELIVERED, WINDOW, KEPT_SITE, KEPT_TIME, KEPT_EXTRA, WAITING, DUE, SENT, CHANGED, PACED, WAKE, CUT = range(7, 20)
# `changes` of sites, and `budgets` of owners, at known times; RENEWED: on top of what is promised by then
TIME, OF_SITE, GPUS, CLEAR_THEN = range(4)
OF_OWNER, ALLOWED_THEN, RENEWED = range(1, 4)


class Twin(NamedTuple):
    """All of it."""

    jobs: Table
    traits: Small
    tree: Small
    order: Small
    pools: Table
    sites: Table
    running: npt.NDArray[np.int64]
    due: Table
    owners: Table
    facts: npt.NDArray[np.int64]
    decayed: Floats
    cuts: Table


class Steps(NamedTuple):
    """What changes at known times: sites, budgets; and when the ledger begins anew."""

    changes: Table
    budgets: Table
    windows: npt.NDArray[np.int64]


class Told(NamedTuple):
    """A finished schedule, to be gone through: the jobs by start, when and where each starts. Empty: none.

    `filled`: when it changed how many GPUs the rule would have filled, and to how many; `at`: jobs started, rows filled.
    """

    order: Small
    start: npt.NDArray[np.int64]
    site: Small
    filled: Table
    at: npt.NDArray[np.int64]
