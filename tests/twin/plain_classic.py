"""The classic policies once more, in plain Python and word for word as they are defined: what the kernels must equal.

Every pass looks at the whole queue and at all that runs. Nothing here is shared with the kernels.

FCFS starts the head while it fits. EASY: then the head's reservation (shadow = the earliest planned end after which it fits,
extra = what is left over then); each later job in the order of the queue starts now if it fits now and (now + estimate <=
shadow, or size <= extra: then, if it ends after the shadow, extra shrinks by its size). sjbf: candidates are tried shortest
estimate first, ties by arrival. Conservative: every job gets at arrival the earliest place that delays no earlier
reservation; when a job ends early, queued jobs in arrival order are lifted out and put back at the earliest place, never
later than before. A job whose planned end is now counts as gone.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator

from schmelz.twin.workload import Options, Workload


class Plain:
    """First come, first served: the machine, its queue, and one pass. Others differ in what follows the head."""

    def __init__(self, workload: Workload, gpus: int) -> None:
        self.submit: list[int] = workload.submit.tolist()
        self.run: list[int] = workload.run.tolist()
        self.size: list[int] = workload.size.tolist()
        self.estimate: list[int] = workload.estimate.tolist()
        self.gpus = gpus
        self.starts: dict[int, int] = {}
        self.queue: list[int] = []
        self.running: list[int] = []

    def planned(self, job: int) -> int:
        return self.starts[job] + self.estimate[job]

    def free(self, now: int) -> int:
        """GPUs in nobody's hands; a job whose planned end is now counts as gone."""
        return self.gpus - sum(self.size[job] for job in self.running if self.planned(job) > now)

    def submitted(self, job: int, now: int) -> None:
        self.queue.append(job)

    def ended(self, job: int, now: int) -> None:
        self.running.remove(job)

    def start(self, job: int, now: int) -> None:
        self.queue.remove(job)
        self.running.append(job)
        self.starts[job] = now

    def moments(self) -> list[int]:
        """When something happens that is no submission."""
        return [self.starts[job] + self.run[job] for job in self.running]

    def scheduling_pass(self, now: int) -> None:
        free = self.free(now)
        while self.queue and self.size[self.queue[0]] <= free:
            free -= self.size[self.queue[0]]
            self.start(self.queue[0], now)
        if self.queue:
            self.behind_the_head(now, free)

    def behind_the_head(self, now: int, free: int) -> None:
        """Nobody overtakes."""


class Easy(Plain):
    def behind_the_head(self, now: int, free: int) -> None:
        if not free:
            return
        shadow, extra = self.reservation(now, free)
        for job in self.candidates():
            late = now + self.estimate[job] > shadow
            if self.size[job] <= free and (not late or self.size[job] <= extra):
                self.start(job, now)
                free -= self.size[job]
                extra -= self.size[job] if late else 0

    def reservation(self, now: int, free: int) -> tuple[int, int]:
        """The head's: walk the planned ends until it fits; all that end at one time are gone together."""
        need = self.size[self.queue[0]]
        ends = sorted((self.planned(job), self.size[job]) for job in self.running if self.planned(job) > now)
        for number, (end, size) in enumerate(ends):
            free += size
            if free >= need and (number + 1 == len(ends) or ends[number + 1][0] > end):
                return end, free - need
        raise AssertionError("the head fits when all have ended")

    def candidates(self) -> list[int]:
        return self.queue[1:]


class Sjbf(Easy):
    def candidates(self) -> list[int]:
        return sorted(self.queue[1:], key=lambda job: (self.estimate[job], job))


class Conservative(Plain):
    """Every waiting job has a place: its planned start.

    `changes`: when so many GPUs will be taken (< 0) or given back, by what runs and what has a place; what lies before now
    is in `level`, the GPUs that are free.
    """

    def __init__(self, workload: Workload, gpus: int) -> None:
        super().__init__(workload, gpus)
        self.places: dict[int, int] = {}
        self.changes: list[tuple[int, int]] = []
        self.level = gpus
        self.early = False

    def ended(self, job: int, now: int) -> None:
        super().ended(job, now)
        if self.planned(job) > now:
            self.forget(self.planned(job), self.size[job])
            self.level += self.size[job]
            self.early = True

    def scheduling_pass(self, now: int) -> None:
        self.come_to(now)
        if self.early:
            for job in self.queue:
                if self.places.get(job, now) > now:
                    self.put_back(job, now)
        self.early = False
        for job in self.queue:
            if job not in self.places:
                self.put(job, self.earliest(job, now))
        self.come_to(now)
        for job in [job for job in self.queue if self.places[job] <= now]:
            assert self.places.pop(job) == now
            self.start(job, now)

    def moments(self) -> list[int]:
        """The ends, and the places: one may come when no job ends."""
        return [*super().moments(), *self.places.values()]

    def come_to(self, now: int) -> None:
        while self.changes and self.changes[0][0] <= now:
            self.level += self.changes.pop(0)[1]
        assert 0 <= self.level <= self.gpus

    def put_back(self, job: int, now: int) -> None:
        before = self.places.pop(job)
        self.forget(before, -self.size[job])
        self.forget(before + self.estimate[job], self.size[job])
        self.put(job, self.earliest(job, now))
        assert self.places[job] <= before
        self.come_to(now)

    def put(self, job: int, start: int) -> None:
        self.places[job] = start
        insort(self.changes, (start, -self.size[job]))
        insort(self.changes, (start + self.estimate[job], self.size[job]))

    def forget(self, time: int, gpus: int) -> None:
        at = bisect_left(self.changes, (time, gpus))
        assert self.changes.pop(at) == (time, gpus)

    def earliest(self, job: int, now: int) -> int:
        """The first time from which on the job fits for its whole estimate, beside all that runs or has a place."""
        size, free, start = self.size[job], self.level, now
        fits, at = free >= size, 0
        while at < len(self.changes):
            time = self.changes[at][0]
            if fits and time >= start + self.estimate[job]:
                return start
            while at < len(self.changes) and self.changes[at][0] == time:
                free += self.changes[at][1]
                at += 1
            if free >= size and not fits:
                start = time
            fits = free >= size
        assert fits
        return start


ORACLES: dict[str, type[Plain]] = {"fcfs": Plain, "easy": Easy, "sjbf": Sjbf, "conservative": Conservative}


def starts(policy: str, workload: Workload, options: Options) -> list[int]:
    """When each job starts."""
    machine = ORACLES[policy](workload, options.gpus)
    events = _serial if options.order == "serial" else _batch
    arrivals = list(range(len(workload)))[::-1]
    while arrivals or machine.moments():
        now = min([*machine.moments(), *(machine.submit[job] for job in arrivals[-1:])])
        events(machine, now, list(_arriving(machine, arrivals, now)))
    return [machine.starts[job] for job in range(len(workload))]


def _arriving(machine: Plain, arrivals: list[int], now: int) -> Iterator[int]:
    while arrivals and machine.submit[arrivals[-1]] == now:
        yield arrivals.pop()


def _ending(machine: Plain, now: int) -> list[int]:
    """The jobs that end now, in the order of their starts."""
    return [job for job in machine.running if machine.starts[job] + machine.run[job] == now]


def _batch(machine: Plain, now: int, arriving: list[int]) -> None:
    for job in _ending(machine, now):
        machine.ended(job, now)
    for job in arriving:
        machine.submitted(job, now)
    machine.scheduling_pass(now)


def _serial(machine: Plain, now: int, arriving: list[int]) -> None:
    ending = _ending(machine, now)
    if not ending and not arriving:
        machine.scheduling_pass(now)
    for happened, jobs in ((machine.submitted, arriving), (machine.ended, ending)):
        for job in jobs:
            happened(job, now)
            machine.scheduling_pass(now)
