"""The policies that know pools: `deficit`, `fairshare` and `partition`. Batch order; a job never spans sites.

`deficit` is the rule of production (`rules.queue`). `fairshare` is the same queue in the order of decayed use by weight,
without floor and dead band. `partition` cuts every site into fixed parts by the weights, and each pool's jobs have theirs
alone, first come first served with backfill; nothing is lent. A job larger than the largest place it may use is cut to
that size and counted.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from schmelz.twin.building import build, most_cuts, nothing_told
from schmelz.twin.pool_kernel import simulate, simulate_taking
from schmelz.twin.pool_tables import CUT, LOST, MARKED, SENT, SITE, SIZE, START
from schmelz.twin.sharing import Sharing, checked
from schmelz.twin.workload import Ints, Options, Schedule, Workload
from schmelz.units import split_by_weight

Sites = tuple[tuple[str, int], ...]
Watch = list[Callable[[], int]]


def deficit(workload: Workload, options: Options) -> Schedule:
    """The deficit rule, as in production; without lending, fixed parts."""
    sharing, sites, weights = checked(options, len(workload.pools))
    if not sharing.lend:
        return partition(workload, options)
    return run(workload, replace(sharing, half_life=0), sites, weights, options.watch)


def fairshare(workload: Workload, options: Options) -> Schedule:
    """Decayed use by weight decides who goes first."""
    sharing, sites, weights = checked(options, len(workload.pools))
    return run(workload, replace(sharing, floor_percent=0), sites, weights, options.watch)


def partition(workload: Workload, options: Options) -> Schedule:
    """Fixed parts by weight."""
    sharing, sites, weights = checked(options, len(workload.pools))
    parts = []
    for number in range(len(workload.pools)):
        jobs, alone, own, places = part_of(workload, sharing, sites, weights, number)
        parts.append((jobs, run(alone, own, places, (1,), options.watch)))
    start, end, size = np.full((3, len(workload)), -1, np.int64)
    site = np.full(len(workload), -1, np.int32)
    for jobs, done in parts:
        assert done.site is not None and done.size is not None
        start[jobs], end[jobs], site[jobs], size[jobs] = done.start, done.end, done.site, done.size
    figures = tuple(
        (name, sum(dict(done.figures)[name] for _, done in parts)) for name in ("cut_to_site", "never_started")
    )
    nothing = np.zeros(len(workload), np.bool_), np.zeros(len(workload), np.int64)
    return Schedule(start, end, site, tuple(name for name, _ in sites), *nothing, figures, size)


def part_of(
    workload: Workload, sharing: Sharing, sites: Sites, weights: tuple[int, ...], number: int
) -> tuple[Ints, Workload, Sharing, Sites]:
    """One pool alone on its part of each site: which jobs these are, their workload, sharing and sites."""
    jobs = np.flatnonzero(workload.pool == number)
    parts = tuple((name, split_by_weight(gpus, weights)[number]) for name, gpus in sites)
    share = dict(sites)
    away = tuple(replace(one, gpus=-(-one.gpus * dict(parts)[one.site] // share[one.site])) for one in sharing.away)
    alone = replace(workload.chosen(jobs), pool=np.zeros(len(jobs), np.int32), pools=(workload.pools[number],))
    places = None if sharing.job_sites is None else sharing.job_sites[jobs]
    own = replace(
        sharing,
        away=away,
        job_sites=places,
        marked=None,
        minimum_run=None,
        floor_percent=0,
        before=(0, ()),
        half_life=0,
        weights=(1,),
        sites=parts,
    )
    return jobs, alone, own, parts


def run(workload: Workload, sharing: Sharing, sites: Sites, weights: tuple[int, ...], watch: Watch) -> Schedule:
    """Run the kernel."""
    twin, changes, clipped = build(workload, sharing, sites, weights)
    facts = twin.facts  # the rest of the twin goes when the run is over
    watch.append(lambda: int(facts[SENT]))
    if sharing.minimum_run is None:
        simulate(twin, changes, nothing_told())
    while sharing.minimum_run is not None and not simulate_taking(twin, changes, most_cuts(workload, sharing, sites)):
        twin = twin._replace(cuts=np.concatenate([twin.cuts, np.zeros_like(twin.cuts)]))
    cuts = [tuple(row) for row in twin.cuts[: twin.facts[CUT]].tolist()]
    start, site = twin.jobs[:, START].copy(), twin.traits[:, SITE].copy()
    end = np.where(start < 0, -1, start + workload.run)
    size = twin.jobs[:, SIZE].copy()
    marked, lost = twin.traits[:, MARKED].astype(np.bool_), twin.jobs[:, LOST].copy()
    never = int(np.count_nonzero(start < 0))
    figures = (("cut_to_site", clipped), ("never_started", never), ("pre_empted", len(cuts)))
    return Schedule(start, end, site, tuple(name for name, _ in sites), marked, lost, figures, size, cuts)
