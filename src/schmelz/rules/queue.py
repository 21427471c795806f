"""Which waiting jobs start now: the deficit rule with one reservation and backfill. No GPU idles that a job could use.

The order: a waiting pool under its floor first, then the pool with the larger deficit (ranks with a dead band), inside
a rank the order of arrival. Jobs start in this order while they fit; the first that does not fit gets a *reservation*
at the site and time where it fits earliest, and later jobs start only where they do not delay it (EASY backfill).
A job never spans sites. What one pool does not ask for is lent at once: deficits order jobs, they never hold a GPU
back. Jobs that may not run (held, dependent, over budget) are not given here. Sizes are GPUs as they are charged.
Source: the design's deficit rule (4.5); the definitions page (deficit, floor breach, avoidable idle).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from schmelz.rules.shares import ranks, under_floor


@dataclass(frozen=True)
class Waiting:
    """A job that could start: its GPUs, time limit in seconds, and the sites it accepts, in order of preference.

    The fuller site goes first, so that room for large jobs stays together; preference decides between equals.
    """

    job: str
    pool: str
    gpus: int
    limit: int
    sites: tuple[str, ...]


@dataclass(frozen=True)
class Running:
    """A job that holds GPUs at a site until, at the latest, `ends` (UTC epoch seconds)."""

    job: str
    pool: str
    gpus: int
    site: str
    ends: int


@dataclass(frozen=True)
class State:
    """All that the rule looks at. `capacity` and `free` are GPUs that are up; `waiting` is in the order of arrival."""

    now: int
    capacity: int
    free: Mapping[str, int]
    waiting: tuple[Waiting, ...]
    running: tuple[Running, ...]
    deficits: Mapping[str, int]
    dead_band: int = 0
    floor_percent: int = 0


@dataclass(frozen=True)
class Start:
    """The instruction to start `job` at `site` now."""

    job: str
    site: str


@dataclass(frozen=True)
class Reservation:
    """The place kept for the first job that does not fit: its site, the time it starts there, what is over then."""

    site: str
    time: int
    extra: int


class _Queued(NamedTuple):
    """A waiting job in its pool's queue, with the size of the smallest job from it to the queue's end."""

    arrival: int
    job: Waiting
    smallest: int


@dataclass
class _Pass:
    """What changes during one scheduling pass."""

    state: State
    free: dict[str, int]
    in_use: dict[str, int]
    ends: list[tuple[int, str, int]]
    starts: list[Start] = field(default_factory=list)
    kept: Reservation | None = None

    def room(self) -> int:
        """The free GPUs of the site that has most of them."""
        return max(self.free.values(), default=-1)

    def place(self, job: Waiting) -> str | None:
        """The site with the least room that takes the job and delays no reservation, of equals the one preferred."""
        fits = [site for site in job.sites if self.free.get(site, -1) >= job.gpus and not self._delays(job, site)]
        return min(fits, key=self.free.__getitem__, default=None)

    def _delays(self, job: Waiting, site: str) -> bool:
        kept = self.kept
        if kept is None or site != kept.site:
            return False
        return delays(self.state.now + job.limit, job.gpus, kept.time, kept.extra)

    def start(self, job: Waiting, site: str) -> None:
        ends = self.state.now + job.limit
        self.starts.append(Start(job.job, site))
        self.free[site] -= job.gpus
        self.in_use[job.pool] = self.in_use.get(job.pool, 0) + job.gpus
        self.ends.append((ends, site, job.gpus))
        if self.kept and site == self.kept.site and ends > self.kept.time:
            self.kept = Reservation(site, self.kept.time, self.kept.extra - job.gpus)


def delays(ends: int, gpus: int, kept_time: int, kept_extra: int) -> bool:
    """Whether a job that ends then, on so many GPUs of the reservation's site, would delay the reservation."""
    return ends > kept_time and gpus > kept_extra


def next_starts(state: State) -> tuple[Start, ...]:
    """The jobs to start now, in order. The same state gives the same answer; starting them and asking again gives none.

    Backfill can lift a pool over its floor, and then another pool goes first: the queue is swept until nothing starts.
    """
    ends = [(max(r.ends, state.now), r.site, r.gpus) for r in state.running]
    now = _Pass(state, dict(state.free), _in_use(state), ends)
    waiting: Sequence[Waiting] = state.waiting
    started = -1
    while started < len(now.starts):
        started = len(now.starts)
        waiting = _sweep(now, waiting)
    return tuple(now.starts)


def _sweep(now: _Pass, waiting: Sequence[Waiting]) -> Sequence[Waiting]:
    """Start what starts in one walk down the queue; the jobs that still wait."""
    now.kept = None
    started: set[str] = set()
    for job in _in_order(now, waiting):
        site = now.place(job)
        if site is not None:
            now.start(job, site)
            started.add(job.job)
        elif now.kept is None:
            now.kept = _reservation(now, job)
    return [job for job in waiting if job.job not in started] if started else waiting


def _in_use(state: State) -> dict[str, int]:
    used: dict[str, int] = {}
    for job in state.running:
        used[job.pool] = used.get(job.pool, 0) + job.gpus
    return used


def _in_order(now: _Pass, waiting: Sequence[Waiting]) -> Iterator[Waiting]:
    """The waiting jobs, best first; the floor is looked at anew before each, because starts change it.

    Ends when no job left is small enough for any site; once there is a reservation, it passes over the pools of which
    that is true, because what they have left can neither start nor be given a reservation.
    """
    state = now.state
    rank = ranks(state.deficits, state.dead_band)
    queues = _queues(waiting)

    def urgency(pool: str) -> tuple[bool, int, int]:
        floor = under_floor(now.in_use.get(pool, 0), state.capacity, state.floor_percent)
        return not floor, rank.get(pool, len(rank)), queues[pool][-1].arrival

    while fitting := [pool for pool, queue in queues.items() if queue and queue[-1].smallest <= now.room()]:
        pool = min(fitting if now.kept else [pool for pool, queue in queues.items() if queue], key=urgency)
        yield queues[pool].pop().job


def _queues(waiting: Sequence[Waiting]) -> dict[str, list[_Queued]]:
    """Each pool's jobs as a stack, the first to arrive on top."""
    queues: dict[str, list[_Queued]] = {}
    for arrival in range(len(waiting) - 1, -1, -1):
        job = waiting[arrival]
        queue = queues.setdefault(job.pool, [])
        queue.append(_Queued(arrival, job, min(job.gpus, queue[-1].smallest) if queue else job.gpus))
    return queues


def _reservation(now: _Pass, job: Waiting) -> Reservation | None:
    """The earliest time and site at which `job` fits when every running job ends at its planned end."""
    found = [place for site in job.sites if (place := _earliest(now, job, site)) is not None]
    return min(found, key=lambda place: place.time, default=None)


def _earliest(now: _Pass, job: Waiting, site: str) -> Reservation | None:
    room = now.free.get(site, 0)
    freed: dict[int, int] = {}
    for ends, where, gpus in now.ends:
        if where == site:
            freed[ends] = freed.get(ends, 0) + gpus
    for ends in sorted(freed):
        room += freed[ends]
        if room >= job.gpus:
            return Reservation(site, ends, room - job.gpus)
    return None
