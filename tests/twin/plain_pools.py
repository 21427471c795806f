"""The plain twin of the pools' kernel: dictionaries, Python numbers, `rules.queue.next_starts` at every event.

Batch order. Nothing is shared with the kernel but the rule and the words of the options; pre-emption is written anew.
"""

from dataclasses import dataclass, field

from schmelz.rules.queue import Running, State, Waiting, next_starts
from schmelz.rules.shares import dead_band, ranks, under_floor
from schmelz.twin.sharing import Sharing
from schmelz.twin.workload import Workload


@dataclass
class Job:
    number: int
    submit: int
    run: int
    size: int
    limit: int
    pool: str
    owner: int
    sites: tuple[str, ...]
    marked: bool
    start: int = -1
    site: str = ""


@dataclass
class Plain:
    workload: Workload
    sharing: Sharing
    sites: tuple[tuple[str, int], ...]
    weights: tuple[int, ...]
    now: int = 0
    waiting: dict[int, Job] = field(default_factory=dict)
    running: dict[int, Job] = field(default_factory=dict)
    held: dict[int, list[Job]] = field(default_factory=dict)
    cuts: list[tuple[int, int, int, int]] = field(default_factory=list)
    idle: int = 0

    def __post_init__(self) -> None:
        w, names = self.workload, [name for name, _ in self.sites]
        self.jobs = []
        for n in range(len(w)):
            bits = (1 << len(names)) - 1 if self.sharing.job_sites is None else int(self.sharing.job_sites[n])
            sites = tuple(name for i, name in enumerate(names) if bits >> i & 1)
            most = max((gpus for name, gpus in self.sites if name in sites), default=0)
            size = min(int(w.size[n]), most) if most else int(w.size[n])
            marked = bool(self.sharing.marked[n]) if self.sharing.marked is not None else False
            self.jobs.append(
                Job(
                    n, int(w.submit[n]), int(w.run[n]), size, int(w.estimate[n]),
                    w.pools[w.pool[n]], int(w.owner[n]), sites, marked,
                )
            )  # fmt: skip
        self.weight = dict(zip(w.pools, self.weights, strict=True))
        self.delivered = self.sharing.before[0]
        self.used = dict(zip(w.pools, self.sharing.before[1] or (0,) * len(w.pools), strict=True))
        budgets = self.sharing.budgets
        self.allowed = [int(x) for x in budgets.allowed] if budgets else []
        self.promised = [int(x) for x in budgets.promised] if budgets else []

    def up(self, site: str, moment: int) -> int:
        away = [a for a in self.sharing.away if a.site == site and a.start <= moment < a.end]
        return max(0, dict(self.sites)[site] - sum(a.gpus for a in away))

    def in_use(self, site: str | None = None, pool: str | None = None) -> int:
        return sum(j.size for j in self.running.values() if site in (None, j.site) and pool in (None, j.pool))

    def capacity(self) -> int:
        return sum(max(self.up(name, self.now), self.in_use(name)) for name, _ in self.sites)

    def deficits(self) -> dict[str, int]:
        whole = sum(self.weights)
        return {p: self.weight[p] * self.delivered - whole * self.used[p] for p in self.workload.pools}

    def events(self) -> list[int]:
        budgets = self.sharing.budgets
        return sorted(
            {j.submit for j in self.jobs}
            | {m for a in self.sharing.away for m in (a.start, a.end) if a.end > a.start}
            | ({int(t) for t in budgets.time} if budgets else set())
        )

    def run(self) -> "Plain":
        coming, wake = self.events(), None
        windows = sorted(self.sharing.windows)
        self.now = coming[0] if coming else 0
        windows = [x for x in windows if x > self.now]
        while True:
            ends = [j.start + j.run for j in self.running.values()]
            heads = [*coming[:1], *ends, *([wake] if wake else [])]
            if not heads or min(heads) >= self.sharing.until:
                return self
            self.book(min(heads), windows)
            coming = [x for x in coming if x > self.now]
            self.step()
            wake = self.take_back() if self.sharing.minimum_run is not None else None

    def book(self, now: int, windows: list[int]) -> None:
        since = self.now
        while windows and now >= windows[0]:
            since = windows.pop(0)
            self.delivered, self.used = 0, dict.fromkeys(self.used, 0)
        self.delivered += self.capacity() * (now - since)
        for pool in self.used:
            self.used[pool] += self.in_use(pool=pool) * (now - since)
        self.now = now

    def step(self) -> None:
        for job in [j for j in self.running.values() if j.start + j.run == self.now]:
            del self.running[job.number]
            if self.allowed:
                self.promised[job.owner] -= job.size * (job.limit - job.run)
                self.release(job.owner)
        budgets = self.sharing.budgets
        if budgets:
            renewed = [False] * len(budgets.time) if budgets.renewed is None else budgets.renewed
            for time, owner, then, again in zip(budgets.time, budgets.owner, budgets.then, renewed, strict=True):
                if time == self.now:
                    self.allowed[owner] = int(then) + (self.promised[owner] if again else 0)
                    self.release(int(owner))
        for job in self.jobs:
            if job.submit == self.now:
                self.submit(job)
        self.starts()

    def submit(self, job: Job) -> None:
        if self.sharing.mark_over:
            with_it = sum(self.weights) * (self.in_use(pool=job.pool) + job.size)
            job.marked = with_it > self.weight[job.pool] * self.capacity()
        if self.allowed:
            self.held.setdefault(job.owner, []).append(job)
            self.release(job.owner)
        else:
            self.waiting[job.number] = job

    def release(self, owner: int) -> None:
        queue = self.held.get(owner, [])
        while queue and self.promised[owner] + queue[0].size * queue[0].limit <= self.allowed[owner]:
            self.promised[owner] += queue[0].size * queue[0].limit
            job = queue.pop(0)
            self.waiting[job.number] = job

    def clear(self, job: Job, site: str) -> bool:
        return not any(
            a.announced and a.site == site and a.gpus >= dict(self.sites)[site]
            and a.end > a.start and self.now < a.start < self.now + job.limit
            for a in self.sharing.away
        )  # fmt: skip

    def state(self) -> State:
        band = sum(g for _, g in self.sites) * self.sharing.window_s * sum(self.weights)
        return State(
            self.now,
            self.capacity(),
            {name: self.up(name, self.now) - self.in_use(name) for name, _ in self.sites},
            tuple(
                Waiting(str(j.number), j.pool, j.size, j.limit, tuple(s for s in j.sites if self.clear(j, s)))
                for _, j in sorted(self.waiting.items())
            ),
            tuple(Running(str(j.number), j.pool, j.size, j.site, j.start + j.limit) for j in self.running.values()),
            self.deficits(),
            dead_band(band, self.sharing.dead_band_ppm),
            self.sharing.floor_percent,
        )

    def starts(self) -> None:
        for start in next_starts(self.state()):
            self.begin(self.waiting[int(start.job)], start.site)

    def begin(self, job: Job, site: str) -> None:
        del self.waiting[job.number]
        job.start, job.site = self.now, site
        self.running[job.number] = job

    # -- taking back

    def over(self, pool: str, gpus: int) -> bool:
        return sum(self.weights) * gpus > self.weight[pool] * self.capacity()

    def take_back(self) -> int | None:
        tried: set[str] = set()
        wanted = False
        while job := self.candidate(tried):
            if self.over(job.pool, self.in_use(pool=job.pool) + job.size):
                tried.add(job.pool)
            elif self.take_for(job):
                tried, wanted = set(), False
                self.starts()
            else:
                tried.add(job.pool)
                wanted = True
        ripe = [j.start + self.sharing.minimum_run for j in self.running.values() if j.marked]
        return min((r for r in ripe if r > self.now), default=None) if wanted else None

    def candidate(self, tried: set[str]) -> Job | None:
        state = self.state()
        rank = ranks(state.deficits, state.dead_band)
        heads: dict[str, Job] = {}
        for _, job in sorted(self.waiting.items()):
            if not job.marked and job.pool not in tried:
                heads.setdefault(job.pool, job)
        urgency = {
            pool: (
                not under_floor(self.in_use(pool=pool), state.capacity, state.floor_percent),
                rank[pool],
                job.number,
            )
            for pool, job in heads.items()
        }
        return heads[min(urgency, key=urgency.__getitem__)] if urgency else None

    def victims(self, job: Job, site: str) -> list[Job] | None:
        room = self.up(site, self.now) - self.in_use(site)
        taken: dict[str, int] = {}
        chosen: list[Job] = []
        ripe = [
            j for j in self.running.values()
            if j.marked and j.pool != job.pool and j.site == site and j.start + self.sharing.minimum_run <= self.now
        ]  # fmt: skip
        for victim in sorted(ripe, key=lambda j: (-j.start, -j.number)):
            if room >= job.size:
                break
            if self.over(victim.pool, self.in_use(pool=victim.pool) - taken.get(victim.pool, 0)):
                taken[victim.pool] = taken.get(victim.pool, 0) + victim.size
                room += victim.size
                chosen.append(victim)
        return chosen if room >= job.size else None

    def take_for(self, job: Job) -> bool:
        options = [
            (sum(v.size for v in found), number, found)
            for number, (site, _) in enumerate(self.sites)
            if site in job.sites and self.clear(job, site) and (found := self.victims(job, site)) is not None
        ]
        if not options:
            return False
        _, number, found = min(options, key=lambda o: o[:2])
        for victim in found:
            del self.running[victim.number]
            self.cuts.append((victim.number, victim.start, self.now, number))
            self.waiting[victim.number], victim.start = victim, -1
        self.begin(job, self.sites[number][0])
        return True


def plain(workload: Workload, sharing: Sharing, gpus: int) -> Plain:
    sites = sharing.sites or (("machine", gpus),)
    return Plain(workload, sharing, sites, sharing.weights or (1,) * len(workload.pools)).run()
