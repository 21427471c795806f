"""From a workload and a sharing to the tables of the pools' kernel.

A job larger than the largest site that it may use could never start: its size is cut to that, and counted.
"""

import numpy as np

from schmelz.faults import BadInput
from schmelz.rules.shares import dead_band
from schmelz.twin import pool_tables
from schmelz.twin.pool_tables import NEVER, NOBODY, Small, Steps, Table, Told, Twin
from schmelz.twin.sharing import Budgets, Sharing, steps
from schmelz.twin.workload import Ints, Schedule, Workload

ROOM = 100_000
Sites = tuple[tuple[str, int], ...]


def build(workload: Workload, sharing: Sharing, sites: Sites, weights: tuple[int, ...]) -> tuple[Twin, Steps, int]:
    """The twin before its first event, the changes to come, and how many jobs were cut to the size of a site.

    Raises BadInput where deficits would go beyond what an integer holds.
    """
    last = int(workload.submit.max(initial=0)) + int(workload.run.sum()) + int(workload.estimate.max(initial=0))
    if last * sum(count for _, count in sites) * sum(weights) >= NEVER:
        raise BadInput("the trace spans too long a time for so many GPUs and so large weights; give smaller weights")
    gpus = np.array([count for _, count in sites], np.int64)
    changes, clear = steps(sharing, sites)
    pools, order, place = _pools(workload, weights, sharing)
    traits = _traits(workload, sharing, place, len(sites))
    jobs, clipped = _jobs(workload, traits, gpus)
    return (
        Twin(
            jobs,
            traits,
            np.full((int(2 * pools[:, pool_tables.LEAVES].sum()), 2), NOBODY, np.int32),
            order,
            pools,
            np.stack([gpus, gpus, clear, np.zeros_like(gpus)], 1),
            np.zeros((len(gpus), min(int(gpus.max()), len(workload)) + 1, 3), np.int64),
            np.zeros((min(int(gpus.sum()), len(workload)) + 2, 2), np.int64),
            _owners(sharing.budgets),
            _facts(workload, sharing, changes, int(gpus.sum()), sum(weights)),
            np.zeros(len(weights), np.float64),
            np.zeros((4 * most_cuts(workload, sharing, sites) + 1, 4), np.int64),
        ),
        changes,
        clipped,
    )


def most_cuts(workload: Workload, sharing: Sharing, sites: Sites) -> int:
    """The runs that can be cut at one event: no more than run at once."""
    return 0 if sharing.minimum_run is None else min(sum(gpus for _, gpus in sites), len(workload))


def nothing_told() -> Told:
    """No schedule: the rule decides."""
    nobody = np.zeros(0, np.int32)
    return Told(nobody, np.zeros(0, np.int64), nobody, np.zeros((0, 2), np.int64), np.zeros(2, np.int64))


def told(schedule: Schedule) -> Told:
    """A schedule to be gone through. Room for a change at each event, of which hardly any is ever written to."""
    jobs = len(schedule.start)
    order = np.argsort(schedule.start, kind="stable").astype(np.int32)[int(np.count_nonzero(schedule.start < 0)) :]
    site = np.zeros(jobs, np.int32) if schedule.site is None else schedule.site
    return Told(order, schedule.start, site, np.zeros((3 * jobs + ROOM, 2), np.int64), np.zeros(2, np.int64))


def _pools(workload: Workload, weights: tuple[int, ...], sharing: Sharing) -> tuple[Table, Small, Small]:
    """The pools' table, the jobs pool by pool, and each job's place in its pool."""
    numbers = np.bincount(workload.pool, minlength=len(weights)).astype(np.int64)
    leaves = np.array([1 << max(0, int(number) - 1).bit_length() for number in numbers], np.int64)
    order = np.argsort(workload.pool, kind="stable").astype(np.int32)
    first, place = np.cumsum(numbers) - numbers, np.empty(len(workload), np.int32)
    place[order] = np.arange(len(workload)) - first[workload.pool[order]]
    table = np.zeros((len(weights), 9), np.int64)
    table[:, pool_tables.WEIGHT], table[:, pool_tables.USED] = weights, sharing.before[1] or 0
    table[:, pool_tables.ROOT], table[:, pool_tables.LEAVES] = np.cumsum(2 * leaves) - 2 * leaves, leaves
    table[:, pool_tables.FIRST] = first
    return table, order, place


def _traits(workload: Workload, sharing: Sharing, place: Small, sites: int) -> Small:
    table = np.full((len(workload), 7), -1, np.int32)
    table[:, pool_tables.POOL], table[:, pool_tables.PLACE], table[:, pool_tables.OWNER] = (
        workload.pool,
        place,
        workload.owner,
    )
    table[:, pool_tables.SITES] = (1 << sites) - 1 if sharing.job_sites is None else sharing.job_sites
    table[:, pool_tables.MARKED] = 0 if sharing.marked is None else sharing.marked
    return table


def _jobs(workload: Workload, traits: Small, gpus: Ints) -> tuple[Table, int]:
    table = np.zeros((len(workload), 6), np.int64)
    table[:, pool_tables.SUBMIT], table[:, pool_tables.RUN] = workload.submit, workload.run
    table[:, pool_tables.LIMIT], table[:, pool_tables.START] = workload.estimate, -1
    most = np.zeros(len(workload), np.int64)
    for site, count in enumerate(gpus):
        np.maximum(most, np.where(traits[:, pool_tables.SITES] >> site & 1, count, 0), out=most)
    table[:, pool_tables.SIZE] = np.where(most > 0, np.minimum(workload.size, most), workload.size)
    return table, int(np.count_nonzero(table[:, pool_tables.SIZE] != workload.size))


def _owners(budgets: Budgets | None) -> Table:
    if budgets is None:
        return np.zeros((0, 4), np.int64)
    table = np.full((len(budgets.allowed), 4), -1, np.int64)
    table[:, pool_tables.ALLOWED], table[:, pool_tables.PROMISED] = budgets.allowed, budgets.promised
    return table


def _facts(workload: Workload, sharing: Sharing, changes: Steps, gpus: int, weights: int) -> Ints:
    times = (workload.submit, changes.changes[:, pool_tables.TIME], changes.budgets[:, pool_tables.TIME])
    begins = min((int(column[0]) for column in times if len(column)), default=0)
    window = int(np.searchsorted(changes.windows, begins, "right"))
    band = dead_band(gpus * sharing.window_s * weights, sharing.dead_band_ppm)
    least = -1 if sharing.minimum_run is None else sharing.minimum_run
    rule = (weights, band, sharing.floor_percent, least, sharing.mark_over, sharing.half_life, sharing.until)
    return np.array((*rule, begins, sharing.before[0], window, -1, *(0,) * 7, pool_tables.NEVER, 0), np.int64)
