"""The split done slowly: fractions, one segment after the other, asking every run and every node what it does then.

It shares nothing with the product but `split_by_weight`. A job is a plain row: times, GPUs, nodes, pool, project.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import Any

from schmelz.policy.schema import Factory
from schmelz.units import Period, days, split_by_weight

PER_NODE = 4
AWAY = ("down", "maintenance", "drained")


@dataclass(frozen=True)
class Job:
    """A run as the oracle sees it."""

    pool: str
    project: str
    nodes: tuple[str, ...]
    gpus: int
    start: int | None
    elapsed: int
    eligible: int
    limit: int | None
    pending: bool

    def runs(self, t: int) -> bool:
        return self.start is not None and self.start <= t < self.start + self.elapsed

    def waits(self, t: int) -> bool:
        return self.gpus > 0 and self.eligible <= t and (self.pending if self.start is None else t < self.start)


@dataclass
class Totals:
    """Exact sums over the window."""

    supply: dict[str, dict[str, int]]
    delivered: int = 0
    overhead: int = 0
    pools: dict[str, dict[str, Fraction]] = field(default_factory=dict)
    excess: int = 0


class Oracle:
    """One system, its jobs and outages."""

    def __init__(self, factory: Factory, jobs: Sequence[Job], outages: Sequence[Any]) -> None:
        self.zone, self.system = factory.zone, factory.systems[0]
        self.jobs, self.outages = jobs, outages
        self.site = {node: site for site, nodes in self.system.node_names.items() for node in nodes}
        self.weights = {pool.id: pool.weight for pool in self.system.pools}

    def total(self, span: Period, carry: Mapping[str, int]) -> Totals:
        names = ("used", "held", *AWAY, "reserved_idle", "idle", "excess")
        result = Totals({site: dict.fromkeys(names, 0) for site in self.system.nodes})
        result.pools = {
            pool: dict.fromkeys(("used", "own", "returned", "borrowed", "lent", "reach"), Fraction(0))
            for pool in self.weights
        }
        deficit = {pool: Fraction(carry.get(pool, 0)) for pool in self.weights}
        for start, end in self.segments(span):
            self.add(result, deficit, start, end - start)
        return result

    def segments(self, span: Period) -> list[tuple[int, int]]:
        times = {span.start, span.end, *(part.start for _, part in days(span, self.zone))}
        for job in self.jobs:
            times |= {job.eligible} | ({job.start, job.start + job.elapsed} if job.start is not None else set())
        for outage in self.outages:
            times |= {outage.start, span.end if outage.end is None else outage.end}
        inside = sorted(t for t in times if span.start <= t <= span.end)
        return list(pairwise(inside))

    def parts(self, job: Job) -> dict[str, tuple[int, int, list[str]]]:
        """Per site: GPUs, held GPUs, nodes."""
        sites = [site for site in self.system.nodes if any(self.site[node] == site for node in job.nodes)]
        nodes = [[node for node in job.nodes if self.site[node] == site] for site in sites]
        gpus = split_by_weight(job.gpus, [len(some) for some in nodes])
        whole = self.system.charge == "node"
        return {
            site: (g, max(0, PER_NODE * len(some) - g) if whole else 0, some)
            for site, g, some in zip(sites, gpus, nodes, strict=True)
        }

    def busy(self, node: str, t: int) -> int:
        """GPUs of a node that jobs have at `t`."""
        taken = 0
        for job in self.jobs:
            if node in job.nodes and job.runs(t):
                gpus, _, nodes = self.parts(job)[self.site[node]]
                even = split_by_weight(gpus, [1] * len(nodes))[nodes.index(node)]
                taken += PER_NODE if self.system.charge == "node" else even
        return min(PER_NODE, taken)

    def line(self, node: str, t: int) -> tuple[str, str | None] | None:
        """What takes an unused GPU of the node at `t`: kind and pool."""
        kinds = (*AWAY, "reserved")
        order = [*self.weights, None]
        found = [o for o in self.outages if o.node == node and o.start <= t and (o.end is None or t < o.end)]
        if not found:
            return None
        first = min(found, key=lambda o: (kinds.index(o.kind), order.index(o.pool)))
        return first.kind, first.pool

    def add(self, result: Totals, deficit: dict[str, Fraction], t: int, dt: int) -> None:
        use = dict.fromkeys((*self.weights, "overhead", "unassigned"), 0)
        lost = 0
        for site in self.system.nodes:
            here = [(job.pool, self.parts(job)[site]) for job in self.jobs if job.runs(t) and site in self.parts(job)]
            used, held = sum(part[0] for _, part in here), sum(part[1] for _, part in here)
            for pool, (gpus, extra, _) in here:
                use[pool] += gpus + extra
            room = self.system.gpus(site) - used - held
            lines = {"used": used, "held": held, "excess": max(0, -room)}
            room = max(0, room)
            wishes = [(self.line(node, t), PER_NODE - self.busy(node, t)) for node in self.system.node_names[site]]
            for kind, pool in [*((kind, None) for kind in AWAY), *(("reserved", p) for p in [*self.weights, None])]:
                taken = min(room, sum(free for what, free in wishes if what == (kind, pool)))
                room -= taken
                name = "reserved_idle" if kind == "reserved" else kind
                lines[name] = lines.get(name, 0) + taken
                lost += taken if kind in AWAY else 0
                if kind == "reserved" and pool:
                    use[pool] += taken
            for name, gpus in {**lines, "idle": room}.items():
                result.supply[site][name] += gpus * dt
            result.excess += lines["excess"] * dt
        self.flow(result, deficit, use, lost, t, dt)

    def flow(
        self, result: Totals, deficit: dict[str, Fraction], use: dict[str, int], lost: int, t: int, dt: int
    ) -> None:
        overhead = self.system.overhead
        cap = self.system.gpus() * overhead.cap_percent // 100 if overhead else 0
        within = min(use["overhead"], cap, self.system.gpus() - lost)
        if overhead:
            use[overhead.booked_to] += use["overhead"] - within
        capacity = self.system.gpus() - lost - within
        result.delivered += capacity * dt
        result.overhead += within * dt
        share = {pool: Fraction(weight * capacity, sum(self.weights.values())) for pool, weight in self.weights.items()}
        over = {pool: max(Fraction(0), use[pool] - share[pool]) for pool in share}
        under = {pool: max(Fraction(0), share[pool] - use[pool]) for pool in share}
        if sum(over.values()) > sum(under.values()):
            over = {pool: above * sum(under.values()) / sum(over.values()) for pool, above in over.items()}
        waiting = {pool: any(job.pool == pool and job.waits(t) for job in self.jobs) for pool in share}
        for pool, sums in result.pools.items():
            returned = min(over[pool] * dt, max(Fraction(0), deficit[pool]))
            sums["used"] += use[pool] * dt
            sums["own"] += (use[pool] - over[pool]) * dt
            sums["returned"] += returned
            sums["borrowed"] += over[pool] * dt - returned
            if any(under.values()):
                sums["lent"] += sum(over.values()) * dt * under[pool] / sum(under.values())
            floors = self.system.sharing.floor_percent * sum(waiting[other] for other in share if other != pool)
            if use[pool] or waiting[pool]:
                sums["reach"] += Fraction(capacity * (100 - floors) * dt, 100)
        for pool in share:
            deficit[pool] += (share[pool] - use[pool]) * dt

    def demand(self, pool: str, now: int, left: Mapping[str, int]) -> int:
        """What the waiting jobs of a pool ask for, beside its use."""
        wanted: dict[str, int] = {}
        for job in self.jobs:
            if job.pool == pool and job.waits(now):
                wanted[job.project] = wanted.get(job.project, 0) + job.gpus * (job.limit or 0)
        return sum(min(seconds, left.get(project, 0)) for project, seconds in wanted.items())
