"""One scheduling cycle of the local cluster, as a pure function: which waiting jobs start where, and why others wait.

The order is `rules.queue.next_starts`; this module gives it the state and turns its answer into places. When several
jobs of one project start, each must still fit the budget; so starts are taken as long as they do, then the rule is
asked again. Invariant: after the cycle the rule would start nothing more.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from schmelz.cluster.backends.admission import Rights, hold, places, rights
from schmelz.cluster.backends.slots import Slots, charged, choose, free_slots, room
from schmelz.cluster.backends.spool import Entry, Launch, Wait
from schmelz.cluster.model import Account, Member, Steering
from schmelz.policy.system import System
from schmelz.rules.queue import Running, Start, State, Waiting, next_starts


@dataclass(frozen=True)
class Cycle:
    """What a cycle decided: jobs to start with their places, in order, and the waiting jobs whose reason changed."""

    launches: tuple[tuple[str, Launch], ...]
    waits: tuple[tuple[str, Wait], ...]


def cycle(
    system: System,
    accounts: Mapping[str, Account],
    members: Collection[Member],
    entries: Iterable[Entry],
    now: int,
    steering: Steering,
) -> Cycle:
    """Decide a cycle at `now`."""
    scene = _Scene(system, accounts, rights(members), now, steering)
    for entry in entries:
        scene.take_in(entry)
    launches = []
    while batch := scene.batch():
        launches += batch
    waits = ((entry.job, scene.wait(entry)) for entry in scene.waiting.values())
    return Cycle(tuple(launches), tuple(wait for wait in waits if scene.waiting[wait[0]].wait != wait[1]))


@dataclass
class _Scene:
    """What changes during a cycle: who waits, who runs, what each account used or reserved, when slots came free."""

    system: System
    accounts: Mapping[str, Account]
    members: Rights
    now: int
    steering: Steering
    waiting: dict[str, Entry] = field(default_factory=dict)
    running: dict[str, Entry] = field(default_factory=dict)
    used: dict[str, int] = field(default_factory=dict)
    freed: dict[tuple[str, int], int] = field(default_factory=dict)

    def take_in(self, entry: Entry) -> None:
        launch, end = entry.launch, entry.end
        if launch is None:
            if end is None:
                self.waiting[entry.job] = entry
            return
        if end is None:
            self.running[entry.job] = entry
            self._use(entry, max(entry.request.limit, self.now - launch.start))
            return
        self._use(entry, end.end - launch.start)
        for slot in _each(launch.slots):
            self.freed[slot] = max(end.end, self.freed.get(slot, 0))

    def _use(self, entry: Entry, seconds: int) -> None:
        assert entry.launch
        account = entry.request.account
        self.used[account] = self.used.get(account, 0) + entry.launch.charged * seconds

    def held(self, entry: Entry) -> str:
        account = entry.request.account
        used = self.used.get(account, 0)
        return hold(entry.request, self.system, self.accounts.get(account), self.members, used)

    def wait(self, entry: Entry) -> Wait:
        """Why a job waits now, and since when it could have run."""
        if because := self.held(entry):
            return Wait(because, None)
        gpus = charged(self.system, entry.request.gpus, entry.request.nodes)
        where = f" at {entry.request.site}" if entry.request.site else ""
        return Wait(
            f"waits until {gpus} GPU{'s are' if gpus > 1 else ' is'} free{where} and it is its turn",
            self._eligible(entry),
        )

    def _eligible(self, entry: Entry) -> int:
        if entry.wait is None:
            return entry.submitted
        return self.now if entry.wait.eligible is None else entry.wait.eligible

    def batch(self) -> list[tuple[str, Launch]]:
        """Start what the rule starts, up to the first job that the budget does not cover any more."""
        free = free_slots(self.system, [e.launch.slots for e in self.running.values() if e.launch])
        launches: list[tuple[str, Launch]] = []
        for start in next_starts(self._state(free)):
            entry = self.waiting[start.job]
            if self.held(entry):
                break
            launch = self._launch(entry, start, free)
            launches.append((start.job, launch))
            self.running[start.job] = replace(self.waiting.pop(start.job), launch=launch)
            self._use(self.running[start.job], entry.request.limit)
        return launches

    def _launch(self, entry: Entry, start: Start, free: dict[str, Slots]) -> Launch:
        gpus = charged(self.system, entry.request.gpus, entry.request.nodes)
        slots = choose(free[start.site], gpus)
        free[start.site] = {
            node: rest
            for node, had in free[start.site].items()
            if (rest := tuple(s for s in had if s not in slots.get(node, ())))
        }
        # never before the slots' last job ended, whatever the clock says: the ledger counts each GPU-second once
        begin = max([self.now, *(self.freed.get(slot, 0) for slot in _each(slots))])
        return Launch(start.site, slots, gpus, begin, self._eligible(entry))

    def _state(self, free: Mapping[str, Slots]) -> State:
        return State(
            self.now,
            self.system.gpus(),
            {site: room(slots) for site, slots in free.items()},
            tuple(self._waiting(e) for e in self.waiting.values() if not self.held(e)),
            tuple(_running(e, e.launch) for e in self.running.values() if e.launch),
            self.steering.deficits,
            self.steering.dead_band,
            self.steering.floor_percent,
        )

    def _waiting(self, entry: Entry) -> Waiting:
        request = entry.request
        gpus = charged(self.system, request.gpus, request.nodes)
        return Waiting(entry.job, request.pool, gpus, request.limit, places(request, self.system, self.members))


def _running(entry: Entry, launch: Launch) -> Running:
    ends = launch.start + entry.request.limit
    return Running(entry.job, entry.request.pool, launch.charged, launch.site, ends)


def _each(slots: Slots) -> list[tuple[str, int]]:
    return [(node, number) for node, numbers in slots.items() for number in numbers]
