"""The classic policies once more, in plain Python and word for word as they are defined: what the kernels must equal.

Slow on purpose: every pass looks at the whole queue and at all that runs. Nothing here is shared with the kernels.
Definitions: docs/decisions/0012-twin-kernel.md.
"""

from collections.abc import Callable, Iterable, Iterator

from schmelz.twin.workload import Options, Workload


class _Plain:
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

    def scheduling_pass(self, now: int) -> None:
        while self.queue and self.size[self.queue[0]] <= self.free(now):
            self.start(self.queue[0], now)
        if self.queue:
            self.behind_the_head(now)

    def behind_the_head(self, now: int) -> None:
        """Nobody overtakes."""


class _Easy(_Plain):
    def behind_the_head(self, now: int) -> None:
        need = self.size[self.queue[0]]
        ends = sorted(self.planned(job) for job in self.running if self.planned(job) > now)
        shadow = next(end for end in ends if self.free(end) >= need)
        extra = self.free(shadow) - need
        for job in self.candidates():
            late = now + self.estimate[job] > shadow
            if self.size[job] <= self.free(now) and (not late or self.size[job] <= extra):
                self.start(job, now)
                extra -= self.size[job] if late else 0

    def candidates(self) -> list[int]:
        return self.queue[1:]


class _Sjbf(_Easy):
    def candidates(self) -> list[int]:
        return sorted(self.queue[1:], key=lambda job: (self.estimate[job], job))


class _Conservative(_Plain):
    """Every waiting job has a place: its planned start. `early`: a job has ended before its planned end."""

    def __init__(self, workload: Workload, gpus: int) -> None:
        super().__init__(workload, gpus)
        self.places: dict[int, int] = {}
        self.early = False

    def ended(self, job: int, now: int) -> None:
        super().ended(job, now)
        self.early |= self.planned(job) > now

    def scheduling_pass(self, now: int) -> None:
        for job in [*self.queue]:
            if job not in self.places or (self.early and self.places[job] > now):
                before = self.places.pop(job, None)
                self.places[job] = self.earliest(job, now)
                assert before is None or self.places[job] <= before
        self.early = False
        for job in [job for job in self.queue if self.places[job] <= now]:
            assert self.places.pop(job) == now
            self.start(job, now)

    def earliest(self, job: int, now: int) -> int:
        """The first time from which on the job fits for its whole estimate, beside all that runs or has a place."""
        taken = [(self.starts[other], self.planned(other), self.size[other]) for other in self.running]
        taken += [(start, start + self.estimate[other], self.size[other]) for other, start in self.places.items()]
        for start in sorted({now, *(end for _, end, _ in taken if end > now)}):
            end = start + self.estimate[job]
            moments = {start, *(begin for begin, _, _ in taken if start < begin < end)}
            if all(self.size[job] <= self.gpus - _in_use(taken, moment) for moment in moments):
                return start
        raise AssertionError("a job fits when all others have ended")


def _in_use(taken: Iterable[tuple[int, int, int]], moment: int) -> int:
    return sum(size for start, end, size in taken if start <= moment < end)


ORACLES: dict[str, type[_Plain]] = {"fcfs": _Plain, "easy": _Easy, "sjbf": _Sjbf, "conservative": _Conservative}


def starts(policy: str, workload: Workload, options: Options) -> list[int]:
    """When each job starts."""
    machine = ORACLES[policy](workload, options.gpus)
    events = _serial if options.order == "serial" else _batch
    arrivals = list(range(len(workload)))[::-1]
    while arrivals or machine.running:
        ends = [machine.starts[job] + machine.run[job] for job in machine.running]
        now = min([*ends, *(machine.submit[job] for job in arrivals[-1:])])
        events(machine, now, list(_arriving(machine, arrivals, now)))
    return [machine.starts[job] for job in range(len(workload))]


def _arriving(machine: _Plain, arrivals: list[int], now: int) -> Iterator[int]:
    while arrivals and machine.submit[arrivals[-1]] == now:
        yield arrivals.pop()


def _ending(machine: _Plain, now: int) -> list[int]:
    """The jobs that end now, in the order of their starts."""
    return [job for job in machine.running if machine.starts[job] + machine.run[job] == now]


def _batch(machine: _Plain, now: int, arriving: list[int]) -> None:
    _each(machine.ended, _ending(machine, now), now)
    _each(machine.submitted, arriving, now)
    machine.scheduling_pass(now)


def _serial(machine: _Plain, now: int, arriving: list[int]) -> None:
    ending = _ending(machine, now)
    for happened, jobs in ((machine.submitted, arriving), (machine.ended, ending)):
        for job in jobs:
            happened(job, now)
            machine.scheduling_pass(now)


def _each(happened: Callable[[int, int], None], jobs: Iterable[int], now: int) -> None:
    for job in jobs:
        happened(job, now)
