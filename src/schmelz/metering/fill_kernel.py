"""How many GPUs the rule `rules.queue.next_starts` would start jobs on, for many states in the order of time: compiled.

The same rule in scalar integers, for windows in which asking the plain one takes too long; the plain one is what the tests
hold against it. Everything that is compiled stands in this file, so that compiled code that is kept (by numba, beside this
file or in the user's cache) is never of another version. Jobs are rows: of those that wait, begin, stop, pool, GPUs, limit,
the only site (-1: any), whether it counts (1, 0) and an empty one; of those that run, begin, stop, pool (-1: none), GPUs,
site and planned end. A state is t, capacity, idle GPUs per site, when each site closes (FAR: never), deficit per pool.
A pass ends where no job that is left fits any site, as in the rule.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

from schmelz.rules import levels

Kernel = TypeVar("Kernel", bound=Callable[..., Any])
BEGIN, STOP, POOL, GPUS = range(4)  # columns of both
LIMIT, ONLY, COUNTS, TAKEN = 4, 5, 6, 7  # of those that wait; the last is for the kernel to write to
SITE, ENDS = 4, 5  # of those that run
NONE = -1
FAR = 2**62


def compiled(function: Kernel) -> Kernel:
    try:
        return cast(Kernel, numba.njit(function, cache=True))
    except RuntimeError:  # no place to keep it: compiled anew in every process
        return cast(Kernel, numba.njit(function))


beyond: Callable[..., Any] = compiled(levels.beyond)


def either_way(states: Any, asks: Any, runs: Any, sites: int, band: int, floor_percent: int) -> Any:
    """The smaller of what `filled` gives for jobs at their own sites, and for jobs that may run at any."""
    anywhere = asks.copy()
    anywhere[:, ONLY] = NONE
    rule = (sites, band, floor_percent)
    found = filled(states, asks, runs, *rule)
    some = found > 0
    found[some] = np.minimum(found[some], filled(states[some], anywhere, runs, *rule))
    return found


@compiled
def filled(states: Any, asks: Any, runs: Any, sites: int, band: int, floor_percent: int) -> Any:
    """For each state the GPUs that the rule would start jobs on that count."""
    pools = states.shape[1] - 2 - 2 * sites
    result = np.zeros(states.shape[0], np.int64)
    waiting, running = np.empty(asks.shape[0] + 1, np.int64), np.empty(runs.shape[0] + 1, np.int64)
    asked = begun = waits = run = 0
    for number in range(states.shape[0]):
        now = states[number, 0]
        asked, waits = admit(asks, asked, waiting, waits, now)
        begun, run = follow(runs, begun, running, run, now)
        free = states[number, 2 : 2 + sites].copy()
        if smallest(asks, waiting, waits) <= free.max():
            closes = states[number, 2 + sites : 2 + 2 * sites]
            deficits = states[number, 2 + 2 * sites :]
            rank = ranks(deficits, band)
            used = in_use(runs, running, run, pools)
            floor = floor_percent * states[number, 1]
            result[number] = started(asks, waiting[:waits], runs, running[:run], now, free, closes, rank, used, floor)
    return result


@compiled
def admit(asks: Any, asked: int, waiting: Any, waits: int, now: int) -> Any:
    """Who waits now, in the order of arrival: `asks` stand in it, and those of later arrival never come first."""
    kept = 0
    for place in range(waits):
        if asks[waiting[place], STOP] > now:
            waiting[kept] = waiting[place]
            kept += 1
    while asked < asks.shape[0] and asks[asked, BEGIN] <= now:
        if asks[asked, STOP] > now:
            waiting[kept] = asked
            kept += 1
        asked += 1
    return asked, kept


@compiled
def follow(runs: Any, begun: int, running: Any, run: int, now: int) -> Any:
    """Who runs now, in the order of the planned ends."""
    kept = 0
    for place in range(run):
        if runs[running[place], STOP] > now:
            running[kept] = running[place]
            kept += 1
    while begun < runs.shape[0] and runs[begun, BEGIN] <= now:
        if runs[begun, STOP] > now:
            place = kept
            while place > 0 and runs[running[place - 1], ENDS] > runs[begun, ENDS]:
                running[place] = running[place - 1]
                place -= 1
            running[place] = begun
            kept += 1
        begun += 1
    return begun, kept


@compiled
def smallest(asks: Any, waiting: Any, waits: int) -> int:
    least = FAR
    for place in range(waits):
        least = min(least, asks[waiting[place], GPUS])
    return least


@compiled
def in_use(runs: Any, running: Any, run: int, pools: int) -> Any:
    used = np.zeros(pools, np.int64)
    for place in range(run):
        pool = runs[running[place], POOL]
        if pool >= 0:
            used[pool] += runs[running[place], GPUS]
    return used


@compiled
def ranks(deficits: Any, band: int) -> Any:
    """Each pool's rank, 0 first; pools stand in the order of their names, which decides between equals."""
    rank = np.full(deficits.shape[0], NONE)
    last, leader = NONE, 0
    for _ in range(deficits.shape[0]):
        first = NONE
        for pool in range(deficits.shape[0]):
            if rank[pool] == NONE and (first == NONE or deficits[pool] > deficits[first]):
                first = pool
        if last == NONE or leader - deficits[first] > band:
            leader, last = deficits[first], last + 1
        rank[first] = last
    return rank


@compiled
def started(
    asks: Any, waiting: Any, runs: Any, running: Any, now: int, free: Any, closes: Any, rank: Any, used: Any, floor: int
) -> int:
    """Sweeps over the queue until nothing starts: the GPUs of what started and counts."""
    pools, waits = rank.shape[0], waiting.shape[0]
    gone = np.zeros(waits, np.bool_)
    fresh, count = np.empty(waits, np.int64), 0
    head, least = np.empty(pools, np.int64), np.empty((pools, waits + 1), np.int64)
    total, before = 0, NONE
    while before < count:
        before = count
        sizes(asks, waiting, gone, least)
        for pool in range(pools):
            head[pool] = following(asks, waiting, gone, pool, 0)
        kept_site, kept_time, kept_extra = NONE, 0, 0
        while True:
            pool = turn(least, head, free.max(), kept_site != NONE, rank, used, floor)
            if pool == NONE:
                break
            place = head[pool]
            head[pool] = following(asks, waiting, gone, pool, place + 1)
            job = waiting[place]
            gpus, ends = asks[job, GPUS], now + asks[job, LIMIT]
            site = placed(asks, job, free, closes, ends, kept_site, ends > kept_time and gpus > kept_extra)
            if site != NONE:
                gone[place] = True
                fresh[count] = place
                count += 1
                total += gpus * asks[job, COUNTS]
                free[site] -= gpus
                used[pool] += gpus
                if site == kept_site and ends > kept_time:
                    kept_extra -= gpus
                asks[job, TAKEN] = site
            elif kept_site == NONE:
                kept_site, kept_time, kept_extra = reservation(
                    asks, job, waiting, fresh[:count], runs, running, now, free, closes
                )
    return total


@compiled
def sizes(asks: Any, waiting: Any, gone: Any, least: Any) -> None:
    """Per pool and place in the queue, the smallest job from it to the end."""
    waits = waiting.shape[0]
    for pool in range(least.shape[0]):
        least[pool, waits] = FAR
        for place in range(waits - 1, -1, -1):
            least[pool, place] = least[pool, place + 1]
            if not gone[place] and asks[waiting[place], POOL] == pool:
                least[pool, place] = min(least[pool, place], asks[waiting[place], GPUS])


@compiled
def following(asks: Any, waiting: Any, gone: Any, pool: int, place: int) -> int:
    """The place of the pool's next job from here on; the length of the queue when there is none."""
    while place < waiting.shape[0] and (gone[place] or asks[waiting[place], POOL] != pool):
        place += 1
    return place


@compiled
def turn(least: Any, head: Any, room: int, kept: bool, rank: Any, used: Any, floor: int) -> int:
    """The pool whose job is next: under its floor, by rank, by arrival. None when no job left is small enough."""
    waits, best, fits = least.shape[1] - 1, NONE, False
    for pool in range(rank.shape[0]):
        if head[pool] == waits:
            continue
        small = least[pool, head[pool]] <= room
        fits = fits or small
        if kept and not small:
            continue
        if best == NONE or first(pool, best, head, rank, used, floor):
            best = pool
    return best if fits else NONE


@compiled
def first(one: int, other: int, head: Any, rank: Any, used: Any, floor: int) -> bool:
    mine, theirs = used[one] * 100 < floor, used[other] * 100 < floor
    if mine != theirs:
        return bool(mine)
    if rank[one] != rank[other]:
        return bool(rank[one] < rank[other])
    return bool(head[one] < head[other])


@compiled
def placed(asks: Any, job: int, free: Any, closes: Any, ends: int, kept_site: int, late: bool) -> int:
    """The fullest site that takes the job and delays no reservation; of equals the first."""
    best = NONE
    for site in range(free.shape[0]):
        allowed = accepts(asks, job, site, closes, ends) and not (late and site == kept_site)
        if allowed and free[site] >= asks[job, GPUS] and (best == NONE or free[site] < free[best]):
            best = site
    return best


@compiled
def accepts(asks: Any, job: int, site: int, closes: Any, ends: int) -> bool:
    """Whether the job may run there, and would end before the site closes."""
    return bool((asks[job, ONLY] == NONE or asks[job, ONLY] == site) and ends <= closes[site])


@compiled
def reservation(
    asks: Any, job: int, waiting: Any, fresh: Any, runs: Any, running: Any, now: int, free: Any, closes: Any
) -> Any:
    """Site, time and what is over there, where the job fits earliest; of equals the first site."""
    best, time, extra = NONE, FAR, 0
    for site in range(free.shape[0]):
        if accepts(asks, job, site, closes, now + asks[job, LIMIT]):
            at, over = earliest(asks, asks[job, GPUS], waiting, fresh, runs, running, now, site, free[site])
            if at < time:
                best, time, extra = site, at, over
    return best, time, extra


@compiled
def earliest(
    asks: Any, gpus: int, waiting: Any, fresh: Any, runs: Any, running: Any, now: int, site: int, room: int
) -> Any:
    """When so many GPUs are free at the site if all end as planned, and how many are over then; FAR: never."""
    place, time = 0, now - 1
    while room < gpus or time < now:
        soonest = fresh_end(asks, waiting, fresh, now, site, time)
        while place < running.shape[0] and runs[running[place], SITE] != site:
            place += 1
        if place < running.shape[0]:
            soonest = min(soonest, max(now, runs[running[place], ENDS]))
        if soonest == FAR:
            return FAR, 0
        while place < running.shape[0] and (
            runs[running[place], SITE] != site or runs[running[place], ENDS] <= soonest
        ):
            if runs[running[place], SITE] == site:
                room += runs[running[place], GPUS]
            place += 1
        for other in fresh:
            row = waiting[other]
            if asks[row, TAKEN] == site and now + asks[row, LIMIT] == soonest:
                room += asks[row, GPUS]
        time = soonest
    return time, room - gpus


@compiled
def fresh_end(asks: Any, waiting: Any, fresh: Any, now: int, site: int, after: int) -> int:
    """When the first of the jobs that were just started there ends, after a moment."""
    soonest = FAR
    for other in fresh:
        ends = now + asks[waiting[other], LIMIT]
        if asks[waiting[other], TAKEN] == site and ends > after:
            soonest = min(soonest, ends)
    return soonest
