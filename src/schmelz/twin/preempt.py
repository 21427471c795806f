"""Taking back: marked jobs of a pool over its share give up their GPUs to a pool that is under its own. Compiled.

After a pass, pool by pool in the order of urgency: its first unmarked waiting job, where the pool stays within its
instantaneous share with it. At the site where the fewest GPUs are taken (the first of equals), marked running jobs of
pools over their share that have run for the minimum run are pre-empted, the last one started first, until the job fits;
then it starts and the pass is run again. Nothing is pre-empted where that does not suffice. A pre-empted job goes back
to its old place in the queue and begins anew.
"""

from schmelz.twin.compiled import part
from schmelz.twin.deficit import delivered, job_at, most_urgent, run_pass, start, withdraw
from schmelz.twin.pool_queue import first_of
from schmelz.twin.pool_tables import (
    CLEAR,
    COUNT,
    CUT,
    FIRST,
    FREE,
    HEAD,
    IN_USE,
    JOB,
    KEPT_SITE,
    LIMIT,
    LOST,
    MARKED,
    MINIMUM_RUN,
    NEVER,
    NEXT,
    NOBODY,
    POOL,
    SITE,
    SITES,
    SIZE,
    START,
    WAITING,
    WEIGHT,
    WHOLE,
    Twin,
)


@part
def is_over(twin: Twin, pool: int, gpus: int, capacity: int) -> bool:
    """Whether a pool that uses so many GPUs is over its instantaneous share."""
    return bool(twin.facts[WHOLE] * gpus > twin.pools[pool, WEIGHT] * capacity)


@part
def last_started(twin: Twin, site: int, pool: int, now: int, before: int, after: int, capacity: int) -> int:
    """Of the marked jobs of other pools over their share, the last to start earlier than (before, after); -1 for none."""
    best, begun = -1, -1
    for slot in range(twin.sites[site, COUNT]):
        job = twin.running[site, slot, JOB]
        since, owner = twin.jobs[job, START], twin.traits[job, POOL]
        if not twin.traits[job, MARKED] or owner == pool or since + twin.facts[MINIMUM_RUN] > now:
            continue
        if since > before or (since == before and job >= after) or since < begun or (since == begun and job < best):
            continue
        if is_over(twin, owner, twin.pools[owner, IN_USE], capacity):
            best, begun = job, since
    return best


@part
def cut(twin: Twin, job: int, now: int) -> None:
    """Pre-empt a running job."""
    began, site = twin.jobs[job, START], twin.traits[job, SITE]
    twin.jobs[job, LOST] += twin.jobs[job, SIZE] * (now - began)
    withdraw(twin, job)
    row = twin.cuts[twin.facts[CUT]]
    row[0], row[1], row[2], row[3] = job, began, now, site
    twin.facts[CUT] += 1


@part
def to_take(twin: Twin, job: int, site: int, now: int, capacity: int) -> int:
    """The GPUs that must be taken at the site so that the job fits; -1 where that cannot be done."""
    size, pool, free = twin.jobs[job, SIZE], twin.traits[job, POOL], twin.sites[site, FREE]
    if not twin.traits[job, SITES] >> site & 1 or now + twin.jobs[job, LIMIT] > twin.sites[site, CLEAR]:
        return -1
    room, before, after = free, now, NOBODY
    taken = twin.pools[:, NEXT]  # what each pool gives; the places there are not needed now
    taken[:] = 0
    while room < size:
        found = last_started(twin, site, pool, now, before, after, capacity)
        if found < 0:
            return -1
        before, after, owner = twin.jobs[found, START], found, twin.traits[found, POOL]
        if is_over(twin, owner, twin.pools[owner, IN_USE] - taken[owner], capacity):
            taken[owner] += twin.jobs[found, SIZE]
            room += twin.jobs[found, SIZE]
    return int(room - free)


@part
def candidate(twin: Twin, capacity: int, tried: int) -> int:
    """The first unmarked waiting job of the most urgent pool that was not tried; -1 for none."""
    pools = twin.pools
    for pool in range(len(pools)):
        pools[pool, NEXT] = -1
        if tried >> pool & 1:
            continue
        place = first_of(twin.tree, pools, pool, pools[pool, HEAD])
        while place >= 0 and twin.traits[twin.order[pools[pool, FIRST] + place], MARKED]:
            place = first_of(twin.tree, pools, pool, place + 1)
        pools[pool, NEXT] = place
    pool = most_urgent(twin, capacity)
    return -1 if pool < 0 else job_at(twin, pool)


@part
def take_for(twin: Twin, job: int, now: int, capacity: int) -> bool:
    """Pre-empt for this job and start it, if that can be done."""
    best, fewest = -1, 0
    for site in range(len(twin.sites)):
        gpus = to_take(twin, job, site, now, capacity)
        if gpus >= 0 and (best < 0 or gpus < fewest):
            best, fewest = site, gpus
    if best < 0:
        return False
    before, after = now, NOBODY
    while twin.sites[best, FREE] < twin.jobs[job, SIZE]:
        found = last_started(twin, best, twin.traits[job, POOL], now, before, after, capacity)
        before, after = twin.jobs[found, START], found
        cut(twin, found, now)
    twin.facts[KEPT_SITE] = -1
    start(twin, job, best, now)
    return True


@part
def take_back(twin: Twin, now: int) -> int:
    """Take back what can be taken; when to look again: as soon as a marked job has run for the minimum run."""
    tried, wanted = 0, False
    while twin.facts[WAITING]:
        capacity = delivered(twin.sites)
        job = candidate(twin, capacity, tried)
        if job < 0:
            break
        pool = twin.traits[job, POOL]
        if is_over(twin, pool, twin.pools[pool, IN_USE] + twin.jobs[job, SIZE], capacity):
            tried |= 1 << pool
        elif take_for(twin, job, now, capacity):
            tried, wanted = 0, False
            run_pass(twin, now)
        else:
            tried |= 1 << pool
            wanted = True
    return next_ripe(twin, now) if wanted else NEVER


@part
def next_ripe(twin: Twin, now: int) -> int:
    """The first time after now at which a marked running job has run for the minimum run."""
    first = NEVER
    for site in range(len(twin.sites)):
        for slot in range(twin.sites[site, COUNT]):
            job = twin.running[site, slot, JOB]
            ripe = twin.jobs[job, START] + twin.facts[MINIMUM_RUN]
            if twin.traits[job, MARKED] and now < ripe < first:
                first = ripe
    return first
