"""The same jobs without Slurm: what a rule of starts gives on the same nodes, second by second. The yardstick of steering.

`next_starts` itself is the rule. `Capped` is a scheduler under the caps that `decide` moves, as Slurm is: it takes jobs
in the order of arrival, passes over those at the cap of their pool, and keeps one place. Neither needs time to start or
to end a job, so both are what a real cluster could reach at best. A node is a site here: each job fits on one.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from schmelz.rules.queue import Running, Start, State, Waiting, next_starts
from schmelz.rules.steering import Facts, Owed, Range, decide, owed, share_caps

Sample = tuple[float, Mapping[str, int]]
Starts = Callable[[State], Sequence[Start]]


@dataclass(frozen=True)
class Trial:
    """A job that arrives, waits and runs for `seconds`; one that still waits at `leaves` is cancelled."""

    job: str
    pool: str
    gpus: int
    seconds: int
    limit: int
    arrives: int = 0
    leaves: int | None = None


@dataclass
class Replay:
    """A machine of `nodes` (GPUs by node) on which `starts` decides; `deficits` says who leads at a second.

    GPUs can be taken again `pause` seconds after a job's end.
    """

    nodes: Mapping[str, int]
    starts: Starts
    deficits: Callable[[int], Mapping[str, int]]
    pause: int = 0
    floor_percent: int = 25
    waiting: list[Trial] = field(default_factory=list)
    running: dict[str, tuple[Trial, str, int]] = field(default_factory=dict)

    def run(self, trials: Iterable[Trial], first: int, last: int) -> list[Sample]:
        """GPUs in use by pool at each second from `first` to before `last`."""
        coming = sorted(trials, key=lambda trial: trial.arrives, reverse=True)
        rows: list[Sample] = []
        for second in range(first, last):
            while coming and coming[-1].arrives <= second:
                self.waiting.append(coming.pop())
            self._second(second)
            rows.append((second, used(self._at_work(second))))
        return rows

    def _second(self, second: int) -> None:
        self.waiting = [trial for trial in self.waiting if trial.leaves is None or trial.leaves > second]
        self.running = {job: run for job, run in self.running.items() if run[2] + run[0].seconds + self.pause > second}
        trials = {trial.job: trial for trial in self.waiting}
        for start in self.starts(self.state(second)):
            self.running[start.job] = trials[start.job], start.site, second
        self.waiting = [trial for trial in self.waiting if trial.job not in self.running]

    def _at_work(self, second: int) -> tuple[Running, ...]:
        return tuple(
            Running(job, trial.pool, trial.gpus, node, began + trial.limit)
            for job, (trial, node, began) in self.running.items()
            if began + trial.seconds > second
        )

    def state(self, second: int) -> State:
        running = self._at_work(second)
        places = tuple(self.nodes)
        waiting = tuple(Waiting(t.job, t.pool, t.gpus, t.limit, places) for t in self.waiting)
        free = dict(self.nodes)
        for trial, node, _ in self.running.values():
            free[node] -= trial.gpus
        whole = sum(self.nodes.values())
        return State(second, whole, free, waiting, running, self.deficits(second), 100, self.floor_percent)


@dataclass
class Capped:
    """A scheduler that knows caps and nothing of pools, under caps that the rule looks at every `step` seconds."""

    weights: Mapping[str, int]
    mandate: Range
    step: int = 2
    caps: dict[str, int | None] = field(default_factory=dict)
    moves: int = 0
    owed: Owed = field(default_factory=Owed)

    def __call__(self, state: State) -> list[Start]:
        if not self.caps:
            self.caps |= share_caps(state.capacity, self.weights)
        started = list(self._starts(state))
        if state.now % self.step == 0:
            for start in started:
                state = after(state, start)
            self._steer(state)
        return started

    def _steer(self, state: State) -> None:
        facts = Facts(state, self.weights, used(state.running), {}, self.caps)
        self.owed = owed(facts, self.owed)
        decision = decide(replace(facts, short=self.owed.short), self.mandate)
        if decision.verdict == "move":
            self.caps, self.moves = dict(decision.caps), self.moves + 1

    def _starts(self, state: State) -> Iterable[Start]:
        """One start after the other, as each changes what stands under its cap."""
        blind = replace(state, deficits={}, floor_percent=0)
        while started := next_starts(replace(blind, waiting=self._allowed(blind)))[:1]:
            yield started[0]
            blind = after(blind, started[0])

    def _allowed(self, state: State) -> tuple[Waiting, ...]:
        in_use = used(state.running)
        return tuple(job for job in state.waiting if in_use.get(job.pool, 0) + job.gpus <= (self.caps[job.pool] or 0))


def after(state: State, start: Start) -> State:
    """The state with one job more that runs."""
    job = next(job for job in state.waiting if job.job == start.job)
    run = Running(job.job, job.pool, job.gpus, start.site, state.now + job.limit)
    free = {**state.free, start.site: state.free[start.site] - job.gpus}
    left = tuple(other for other in state.waiting if other is not job)
    return replace(state, free=free, waiting=left, running=(*state.running, run))


def used(running: Iterable[Running]) -> dict[str, int]:
    """GPUs in use by pool."""
    found: dict[str, int] = {}
    for run in running:
        found[run.pool] = found.get(run.pool, 0) + run.gpus
    return found
