"""One scheduling pass of the deficit rule, compiled: the same starts as `rules.queue.next_starts`, in the same order.

First the pools' heads by urgency (under its floor, rank, arrival) while they fit; the first that does not fit gets the
reservation; then every job that fits and does not delay it, again by urgency. A job that does not fit once does not fit
later in the same sweep, because a sweep only takes: so the next one that fits may be looked up in the tree. When starts
have changed who is under the floor, the queue is swept again. Source: `rules.queue`; its scalar functions are compiled.
"""

from schmelz.rules.queue import delays as plain_delays
from schmelz.rules.shares import apart as plain_apart, deficit as plain_deficit, under_floor as plain_under_floor
from schmelz.twin.compiled import inlined, part
from schmelz.twin.pool_queue import find, first_of, least, put
from schmelz.twin.pool_running import begin, earliest, forget, leave
from schmelz.twin.pool_tables import (
    BAND,
    CLEAR,
    DELIVERED,
    FIRST,
    FLOOR,
    FREE,
    HALF_LIFE,
    HEAD,
    IN_USE,
    KEPT_EXTRA,
    KEPT_SITE,
    KEPT_TIME,
    LEAVES,
    LIMIT,
    NEXT,
    NOBODY,
    PLACE,
    POOL,
    RANK,
    SITE,
    SITES,
    SIZE,
    START,
    UP,
    USED,
    WAITING,
    WEIGHT,
    WHOLE,
    Table,
    Twin,
)

apart, deficit = inlined(plain_apart), inlined(plain_deficit)
delays, under_floor = inlined(plain_delays), inlined(plain_under_floor)


@inlined
def most_free(sites: Table) -> int:
    """The free GPUs of the site that has most of them."""
    room = 0
    for site in range(len(sites)):
        room = max(room, sites[site, FREE])
    return room


@inlined
def delivered(sites: Table) -> int:
    """GPUs that are up, and those that are to go but still in use."""
    gpus = 0
    for site in range(len(sites)):
        gpus += sites[site, UP] + max(0, -sites[site, FREE])
    return gpus


@inlined
def owed(twin: Twin, pool: int) -> int:
    """The pool's deficit times the sum of the weights."""
    facts = twin.facts
    return deficit(twin.pools[pool, WEIGHT], facts[WHOLE], facts[DELIVERED], twin.pools[pool, USED])


@inlined
def behind(twin: Twin, pool: int, other: int) -> bool:
    """Whether the pool has got less than the other: a larger deficit, or less decayed use for its weight."""
    if twin.facts[HALF_LIFE]:
        pools = twin.pools
        return bool(twin.decayed[pool] * pools[other, WEIGHT] < twin.decayed[other] * pools[pool, WEIGHT])
    return owed(twin, pool) > owed(twin, other)


@inlined
def give_ranks(twin: Twin) -> None:
    """Each pool's rank, as `rules.shares.ranks` gives it; without a dead band under fair share."""
    pools = twin.pools
    pools[:, RANK] = -1
    leader, number = -1, -1
    for _ in range(len(pools)):
        best = -1
        for pool in range(len(pools)):
            if pools[pool, RANK] < 0 and (best < 0 or behind(twin, pool, best)):
                best = pool
        if leader < 0:
            further = True
        elif twin.facts[HALF_LIFE]:
            further = behind(twin, leader, best)
        else:
            further = apart(owed(twin, leader), owed(twin, best), twin.facts[BAND])
        if further:
            leader, number = best, number + 1
        pools[best, RANK] = number


@inlined
def floors(twin: Twin, capacity: int) -> int:
    """The pools under their floor, as bits."""
    bits = 0
    for pool in range(len(twin.pools)):
        if under_floor(twin.pools[pool, IN_USE], capacity, twin.facts[FLOOR]):
            bits |= 1 << pool
    return bits


@inlined
def job_at(twin: Twin, pool: int) -> int:
    """The job that the pass looks at next in this pool's queue."""
    return int(twin.order[twin.pools[pool, FIRST] + twin.pools[pool, NEXT]])


@inlined
def most_urgent(twin: Twin, capacity: int) -> int:
    """The pool whose next job goes first: under its floor, rank, arrival; -1 when no pool has a next one."""
    pools, best, best_key, best_job = twin.pools, -1, 0, 0
    for pool in range(len(pools)):
        if pools[pool, NEXT] < 0:
            continue
        above = not under_floor(pools[pool, IN_USE], capacity, twin.facts[FLOOR])
        key, job = above * len(pools) + pools[pool, RANK], job_at(twin, pool)
        if best < 0 or key < best_key or (key == best_key and job < best_job):
            best, best_key, best_job = pool, key, job
    return best


@inlined
def site_for(twin: Twin, job: int, now: int) -> int:
    """The site with the least room that takes the job now and delays no reservation; -1 for none."""
    sites, facts, size = twin.sites, twin.facts, twin.jobs[job, SIZE]
    ends, best = now + twin.jobs[job, LIMIT], -1
    for site in range(len(sites)):
        if not twin.traits[job, SITES] >> site & 1 or sites[site, FREE] < size or ends > sites[site, CLEAR]:
            continue
        if site == facts[KEPT_SITE] and delays(ends, size, facts[KEPT_TIME], facts[KEPT_EXTRA]):
            continue
        if best < 0 or sites[site, FREE] < sites[best, FREE]:
            best = site
    return best


@inlined
def reserve(twin: Twin, job: int, now: int) -> None:
    """Keep the site and time for a job where it fits earliest, if it fits anywhere."""
    facts = twin.facts
    for site in range(len(twin.sites)):
        if twin.traits[job, SITES] >> site & 1 and now + twin.jobs[job, LIMIT] <= twin.sites[site, CLEAR]:
            time, extra = earliest(twin, site, twin.jobs[job, SIZE])
            if time >= 0 and (facts[KEPT_SITE] < 0 or time < facts[KEPT_TIME]):
                facts[KEPT_SITE], facts[KEPT_TIME], facts[KEPT_EXTRA] = site, time, extra


@inlined
def start(twin: Twin, job: int, site: int, now: int) -> None:
    """Start a waiting job."""
    facts, size, pool = twin.facts, twin.jobs[job, SIZE], int(twin.traits[job, POOL])
    put(twin.tree, twin.pools, pool, int(twin.traits[job, PLACE]), NOBODY, NOBODY)
    facts[WAITING] -= 1
    twin.sites[site, FREE] -= size
    twin.pools[pool, IN_USE] += size
    twin.jobs[job, START], twin.traits[job, SITE] = now, site
    begin(twin, job, site)
    if site == facts[KEPT_SITE] and now + twin.jobs[job, LIMIT] > facts[KEPT_TIME]:
        facts[KEPT_EXTRA] -= size


@part
def withdraw(twin: Twin, job: int) -> None:
    """A running job goes back to its old place in the queue."""
    size, pool = twin.jobs[job, SIZE], int(twin.traits[job, POOL])
    leave(twin, job)
    forget(twin, job)
    twin.sites[twin.traits[job, SITE], FREE] += size
    twin.pools[pool, IN_USE] -= size
    twin.jobs[job, START] = -1
    put(twin.tree, twin.pools, pool, int(twin.traits[job, PLACE]), size, min(twin.jobs[job, LIMIT], NOBODY - 1))
    twin.facts[WAITING] += 1


@part
def run_pass(twin: Twin, now: int) -> None:
    """Start everything that the rule starts now."""
    if twin.facts[WAITING] == 0 or least(twin.tree, twin.pools) > most_free(twin.sites):
        return
    capacity = delivered(twin.sites)
    give_ranks(twin)
    while sweep(twin, now, capacity):
        pass


@inlined
def sweep(twin: Twin, now: int, capacity: int) -> bool:
    """One walk down the queue. Whether another may start more: when starts behind the reservation changed the floors."""
    pools, tree, facts = twin.pools, twin.tree, twin.facts
    facts[KEPT_SITE] = -1
    for pool in range(len(pools)):
        place = first_of(tree, pools, pool, pools[pool, HEAD])
        pools[pool, NEXT], pools[pool, HEAD] = place, place if place >= 0 else pools[pool, LEAVES]
    while facts[KEPT_SITE] < 0:
        pool = most_urgent(twin, capacity)
        if pool < 0 or least(tree, pools) > most_free(twin.sites):
            return False
        job = job_at(twin, pool)
        site = site_for(twin, job, now)
        if site >= 0:
            start(twin, job, site, now)
        else:
            reserve(twin, job, now)
        pools[pool, NEXT] = first_of(tree, pools, pool, pools[pool, NEXT] + 1)
    before = floors(twin, capacity)
    return backfill(twin, now, capacity) and floors(twin, capacity) != before


@inlined
def backfill(twin: Twin, now: int, capacity: int) -> bool:
    """Start, by urgency, what fits beside the reservation; whether anything did."""
    sites, facts, any_started = twin.sites, twin.facts, False
    while True:
        most = sites[facts[KEPT_SITE], FREE]
        size = min(most, facts[KEPT_EXTRA])
        for site in range(len(sites)):
            if site != facts[KEPT_SITE]:
                size = max(size, sites[site, FREE])
        if least(twin.tree, twin.pools) > max(size, most):
            return any_started
        for pool in range(len(twin.pools)):
            look(twin, pool, now, size, most)
        pool = most_urgent(twin, capacity)
        if pool < 0:
            return any_started
        job = job_at(twin, pool)
        start(twin, job, site_for(twin, job, now), now)
        any_started = True


@inlined
def look(twin: Twin, pool: int, now: int, size: int, most: int) -> None:
    """Move on to the pool's next job that fits beside the reservation."""
    pools, limit = twin.pools, twin.facts[KEPT_TIME] - now
    while pools[pool, NEXT] >= 0:
        pools[pool, NEXT] = find(twin.tree, pools, pool, pools[pool, NEXT], size, most, limit)
        if pools[pool, NEXT] < 0 or site_for(twin, job_at(twin, pool), now) >= 0:
            return
        pools[pool, NEXT] += 1
