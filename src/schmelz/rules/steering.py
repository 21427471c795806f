"""How many GPUs the guaranteed jobs of each pool may use at once: the deficit rule as caps, for a cluster that schedules.

A pool's *cap* is what it would get if it asked for everything, given what the others ask for now: in the order of the
ranks (`shares`) each pool takes what it asks for, pools of one rank by weight, and the floors of waiting pools further
down are left for them; below its floor a pool's first job goes first, however large. So a pool that nobody contends
with may use everything. No cap is below what runs and what `next_starts` would start now, those below their part first,
so no GPU idles that the rule would use. All lies inside the mandate's *range*, per cent of the GPUs that are up. A *move*
is made when it changes what can start: the last quarter of an hour's moves is kept for what cannot wait, an idle GPU or a
pool under its floor. What runs under a cap stays below it on average: a *short* pool, below its floor over many looks, has
room for a job more until that is made good. Source: the definitions page; docs/decisions/0009-steering.md.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from schmelz.rules.queue import State, next_starts
from schmelz.rules.shares import ranks, under_floor
from schmelz.units import HOUR, hours, split_by_weight

KEPT_PART = 4  # one of so many moves of an hour is kept for what cannot wait
LEAST_PART = 50  # a change under one of so many parts of the machine is noise, unless it cannot wait
PATIENCE = 8  # looks at which a pool may miss the least change of its floor before it is short


@dataclass(frozen=True)
class Range:
    """What the mandate allows: per cent of the GPUs that are up, moves in any hour, and how many of those are left."""

    lowest_percent: int
    highest_percent: int
    moves_per_hour: int
    moves_left: int


@dataclass(frozen=True)
class Facts:
    """What the rule looks at; `state.waiting` are the eligible guaranteed jobs, `state.running` all jobs.

    Per pool: `weights`; `own` = GPUs of running guaranteed jobs, which the cap counts; `lent` = GPUs of running borrowed
    jobs; `caps` = the present caps (None: no cap). `stuck`: jobs that the scheduler could not place although the sites
    they accept had the GPUs, in parts: they keep nobody else from starting. `short`: pools below their floor on average.
    """

    state: State
    weights: Mapping[str, int]
    own: Mapping[str, int] = field(default_factory=dict)
    lent: Mapping[str, int] = field(default_factory=dict)
    caps: Mapping[str, int | None] = field(default_factory=dict)
    stuck: frozenset[str] = frozenset()
    short: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Owed:
    """What pools miss of their floors: GPUs x looks, what they had above it taken off; and which of them are short."""

    gpus: Mapping[str, int] = field(default_factory=dict)
    short: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Decision:
    """`move`: set `caps`; `stay`: nothing would change; `spent`: it would, and the mandate has no move left for it."""

    verdict: Literal["move", "stay", "spent"]
    caps: Mapping[str, int]
    because: str


def decide(facts: Facts, mandate: Range) -> Decision:
    """What to do now, and why in plain words. The same facts give the same answer; after the move it is `stay`."""
    starts = starts_now(facts)
    caps = targets(facts, mandate, starts)
    because = _reason(facts, mandate, caps, starts)
    urgent = _blocks_a_start(facts, caps, starts) or _breaks_a_floor(facts, caps)
    if not urgent and not _matters(facts, caps):
        return Decision("stay", caps, because)
    if mandate.moves_left <= (0 if urgent else mandate.moves_per_hour // KEPT_PART):
        return Decision("spent", caps, because)
    return Decision("move", caps, because)


def targets(facts: Facts, mandate: Range, starts: Mapping[str, int]) -> dict[str, int]:
    """The cap of each pool."""
    up = facts.state.capacity
    lowest, highest = -(-up * mandate.lowest_percent // 100), up * mandate.highest_percent // 100
    claims = _claims(facts)
    wanted = {pool: max(_part(facts, pool), _with(facts, pool, starts), claims[pool]) for pool in facts.weights}
    return {pool: max(lowest, min(cap, highest)) for pool, cap in wanted.items()}


def owed(facts: Facts, before: Owed) -> Owed:
    """What the pools miss after this look. One that does not wait misses nothing; short is one until all is made good."""
    floor, least = floor_of(facts.state.capacity, facts.state.floor_percent), _least(facts)
    most = 2 * PATIENCE * least
    gpus = {
        pool: max(-most // 4, min(most, before.gpus.get(pool, 0) + min(floor, asked) - facts.own.get(pool, 0)))
        for pool, asked in _asked(facts).items()
    }
    short = {pool for pool, missed in gpus.items() if missed > (0 if pool in before.short else PATIENCE * least)}
    return Owed(gpus, frozenset(short))


def share_caps(capacity: int, weights: Mapping[str, int]) -> dict[str, int]:
    """The caps without steering: each pool's part of the GPUs, by largest remainder."""
    return dict(zip(weights, split_by_weight(capacity, list(weights.values())), strict=True))


def _part(facts: Facts, asking: str) -> int:
    """What `asking` gets if it asks for everything: rank by rank, the floors of those who come later left alone."""
    wants, claims, rank = _wants(facts), _claims(facts), _ranks(facts)
    wants[asking] = pot = facts.state.capacity
    for tier in range(rank[asking] + 1):
        later = sum(claim for pool, claim in claims.items() if rank[pool] > tier)
        tied = [pool for pool in facts.weights if rank[pool] == tier]
        got = _fill(max(0, pot - later), tied, wants, facts.weights)
        pot -= sum(got.values())
    return got[asking]


def _fill(pot: int, pools: Iterable[str], wants: Mapping[str, int], weights: Mapping[str, int]) -> dict[str, int]:
    """Share `pot` by weight; what one does not want is for the others."""
    got: dict[str, int] = {}
    hungry = list(pools)
    while hungry:
        parts = dict(zip(hungry, split_by_weight(pot, [weights[pool] for pool in hungry]), strict=True))
        sated = [pool for pool in hungry if wants[pool] <= parts[pool]]
        if not sated:
            return got | parts
        got |= {pool: wants[pool] for pool in sated}
        pot -= sum(wants[pool] for pool in sated)
        hungry = [pool for pool in hungry if pool not in sated]
    return got


def _asked(facts: Facts) -> dict[str, int]:
    """Of each pool that waits: what it uses under its cap and what its waiting jobs ask for."""
    asked: dict[str, int] = {}
    for job in facts.state.waiting:
        asked[job.pool] = asked.get(job.pool, facts.own.get(job.pool, 0)) + job.gpus
    return asked


def _wants(facts: Facts) -> dict[str, int]:
    """What a pool takes from the others by its rank: what it asks for, and what its borrowed jobs have."""
    asked = _asked(facts)
    return {pool: asked.get(pool, 0) + facts.lent.get(pool, 0) for pool in facts.weights}


def _claims(facts: Facts) -> dict[str, int]:
    """What a waiting pool gets whatever its rank: its floor, or what its first job needs that ends its being below."""
    floor, asked, first = floor_of(facts.state.capacity, facts.state.floor_percent), _asked(facts), _first(facts)
    claims = dict.fromkeys(facts.weights, 0)
    for pool, all_of_it in asked.items():
        used, more = facts.own.get(pool, 0), _more(facts, pool, first)
        claims[pool] = max(min(floor + more, all_of_it), used + first[pool] if used < floor else 0)
    return claims


def _more(facts: Facts, pool: str, first: Mapping[str, int]) -> int:
    """What a short pool gets beyond its floor: room for its next job."""
    return max(_least(facts), first.get(pool, 0)) if pool in facts.short else 0


def _first(facts: Facts) -> dict[str, int]:
    """The size of each pool's first waiting job."""
    return {job.pool: job.gpus for job in reversed(facts.state.waiting)}


def _least(facts: Facts) -> int:
    """The smallest change that is not noise."""
    return max(1, facts.state.capacity // LEAST_PART)


def floor_of(capacity: int, floor_percent: int) -> int:
    """The fewest GPUs that are not under the floor."""
    return -(-capacity * floor_percent // 100)


def _ranks(facts: Facts) -> dict[str, int]:
    deficits = {pool: facts.state.deficits.get(pool, 0) for pool in facts.weights}
    return ranks(deficits, facts.state.dead_band)


def starts_now(facts: Facts) -> dict[str, int]:
    """GPUs that the rule would give to each pool now: first to the one that is furthest below its part.

    In another order another job gets the reservation; where that would start nothing, the order of the deficits decides.
    """
    state = replace(facts.state, waiting=tuple(job for job in facts.state.waiting if job.job not in facts.stuck))
    room = {pool: _part(facts, pool) - facts.own.get(pool, 0) for pool in facts.weights}
    started = next_starts(replace(state, deficits=room, dead_band=0)) or next_starts(state)
    sizes = {job.job: job for job in state.waiting}
    found: dict[str, int] = {}
    for start in started:
        job = sizes[start.job]
        found[job.pool] = found.get(job.pool, 0) + job.gpus
    return found


def _with(facts: Facts, pool: str, starts: Mapping[str, int]) -> int:
    return facts.own.get(pool, 0) + starts[pool] if starts.get(pool) else 0


def _cap(facts: Facts, pool: str) -> int:
    """The present cap; no cap is all that is up."""
    cap = facts.caps.get(pool)
    return facts.state.capacity if cap is None else cap


def _blocks_a_start(facts: Facts, caps: Mapping[str, int], starts: Mapping[str, int]) -> bool:
    """Whether a present cap keeps a GPU idle that the rule would use, and the new one does not."""
    return any(_cap(facts, pool) < min(caps[pool], _with(facts, pool, starts)) for pool in facts.weights)


def _breaks_a_floor(facts: Facts, caps: Mapping[str, int]) -> bool:
    """Whether a pool waits under its floor while another may still take more than its new cap."""
    state, asked = facts.state, _asked(facts)
    poor = {p for p in asked if under_floor(facts.own.get(p, 0), state.capacity, state.floor_percent)}
    return any(
        poor - {pool} and asked.get(pool, 0) > caps[pool] < _cap(facts, pool) and pool not in poor
        for pool in facts.weights
    )


def _matters(facts: Facts, caps: Mapping[str, int]) -> bool:
    """Whether a pool that waits would feel it; when nobody waits, whether anything is still held back."""
    asked, least = _asked(facts), _least(facts)
    felt = [
        pool
        for pool in facts.weights
        if abs(caps[pool] - _cap(facts, pool)) >= least
        and asked.get(pool, 0 if asked else facts.state.capacity) > min(caps[pool], _cap(facts, pool))
    ]
    return bool(felt)


def _reason(facts: Facts, mandate: Range, caps: Mapping[str, int], starts: Mapping[str, int]) -> str:
    said = [_who_goes_first(facts), *_below(facts), *_made_good(facts, caps), *_lifted(facts, caps, starts)]
    up = facts.state.capacity
    if any(cap == up * mandate.highest_percent // 100 < up for cap in caps.values()):
        said.append(f"the mandate ends at {mandate.highest_percent} %")
    return "; ".join(said)


def _who_goes_first(facts: Facts) -> str:
    wants, rank = _wants(facts), _ranks(facts)
    ask = sorted((pool for pool in facts.weights if wants[pool]), key=lambda pool: (rank[pool], pool))
    if not ask:
        return "nobody waits: nothing is held back"
    if len(ask) == 1:
        return f"only {ask[0]} asks for GPUs: it may use all of them"
    first = [pool for pool in ask if rank[pool] == rank[ask[0]]]
    if first == ask:
        return f"{_listed(ask)} are even: each may use its share"
    behind = ask[len(first) :]
    lead = facts.state.deficits.get(first[0], 0) - facts.state.deficits.get(behind[0], 0)
    floor = floor_of(facts.state.capacity, facts.state.floor_percent)
    keep = f"keeps its floor of {floor} GPUs" if len(behind) == 1 else f"keep their floors of {floor} GPUs"
    return f"{_listed(first)} {'leads' if len(first) == 1 else 'lead'} by {_amount(lead)}; {_listed(behind)} {keep}"


def _below(facts: Facts) -> list[str]:
    """The pools whose first job goes first because they are below their floor, and would cross it."""
    floor, claims, first = floor_of(facts.state.capacity, facts.state.floor_percent), _claims(facts), _first(facts)
    return [
        f"{pool} is under its floor, so its next job of {first[pool]} GPUs goes first"
        for pool in facts.weights
        if claims[pool] > floor + _more(facts, pool, first)
    ]


def _made_good(facts: Facts, caps: Mapping[str, int]) -> list[str]:
    """The pools that claim more than the floor, as they were below it on average."""
    first, claims = _first(facts), _claims(facts)
    return [
        f"{pool} was under its floor on average, so {_more(facts, pool, first)} more are kept for it"
        for pool in facts.weights
        if pool in facts.short and caps[pool] == claims[pool]
    ]


def _lifted(facts: Facts, caps: Mapping[str, int], starts: Mapping[str, int]) -> list[str]:
    """The pools that may use more than their part, because nobody ahead of them can use it now."""
    parts, claims = {pool: _part(facts, pool) for pool in facts.weights}, _claims(facts)
    floor = floor_of(facts.state.capacity, facts.state.floor_percent)
    return [
        f"{pool} may use {caps[pool]}, as nobody ahead of it can use them now"
        for pool in facts.weights
        if caps[pool] > max(parts[pool], floor, claims[pool]) and starts.get(pool)
    ]


def _listed(pools: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(pools[:-1]), pools[-1])))


def _amount(gpu_seconds: int) -> str:
    return f"{hours(gpu_seconds)} GPU-hours" if gpu_seconds >= 10 * HOUR else f"{gpu_seconds} GPU-seconds"
