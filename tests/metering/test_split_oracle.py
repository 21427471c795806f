"""The split against a slow one in fractions, on random small factories, runs and outages; and laws that always hold."""

from dataclasses import replace
from datetime import date

import polars as pl
from hypothesis import given, settings, strategies as st

import make
from metering.oracle import Job, Oracle
from schmelz.metering.attribute import attribute
from schmelz.metering.split import FIGURES, Split, split
from schmelz.metering.supply import Outage
from schmelz.policy.schema import Factory
from schmelz.units import Period, day_start, split_by_weight

POOLS = ({"a": 50, "b": 50}, {"a": 50, "b": 35, "c": 15}, {"a": 100})
DAYS = (date(2026, 3, 29), date(2026, 10, 25), date(2026, 6, 1))  # 23, 25 and 24 hours in Luxembourg
NODES = ("n01", "n02", "s01", "s02")
HOURS = 3600


@st.composite
def factories(draw: st.DrawFn) -> Factory:
    pools = draw(st.sampled_from(POOLS))
    overhead = {"accounts": ["health"], "cap_percent": draw(st.sampled_from((0, 10, 50))), "booked_to": "a"}
    return make.factory(
        pools=pools, charge=draw(st.sampled_from(("gpu", "node"))), overhead=draw(st.sampled_from((None, overhead)))
    )


def jobs(factory: Factory, begin: int) -> st.SearchStrategy[Job]:
    pools = [pool.id for pool in factory.systems[0].pools] + ["unassigned"]
    pools += ["overhead"] if factory.systems[0].overhead else []
    moments = st.integers(begin - 30 * HOURS, begin + 60 * HOURS)

    @st.composite
    def one(draw: st.DrawFn) -> Job:
        pool = draw(st.sampled_from(pools))
        project = {"unassigned": "nobody", "overhead": "health"}.get(pool, f"{pool}-{draw(st.integers(1, 2))}")
        nodes = tuple(sorted(draw(st.sets(st.sampled_from(NODES), min_size=1))))
        start = draw(st.none() | moments)
        eligible = draw(moments) if start is None else start - draw(st.sampled_from((0, 1, 7 * HOURS)))
        return Job(
            pool,
            project,
            nodes,
            draw(st.integers(0, 4 * len(nodes))),
            start,
            0 if start is None else draw(st.integers(0, 40 * HOURS)),
            eligible,
            draw(st.sampled_from((None, 1, 7 * HOURS))),
            draw(st.booleans()) if start is None else False,
        )

    return one()


def outages(factory: Factory, begin: int) -> st.SearchStrategy[Outage]:
    moments = st.integers(begin - 30 * HOURS, begin + 60 * HOURS)
    pools = [None, *(pool.id for pool in factory.systems[0].pools)]

    @st.composite
    def one(draw: st.DrawFn) -> Outage:
        kind = draw(st.sampled_from(("down", "maintenance", "drained", "reserved")))
        start = draw(moments)
        end = draw(st.none() | st.integers(start, start + 50 * HOURS))
        return Outage(
            make.SYSTEM,
            draw(st.sampled_from(NODES)),
            kind,
            start,
            end,
            draw(st.sampled_from(pools)) if kind == "reserved" else None,
        )

    return one()


@st.composite
def situations(draw: st.DrawFn) -> tuple[Factory, list[Job], list[Outage], Period, int]:
    factory = draw(factories())
    begin = day_start(draw(st.sampled_from(DAYS)), factory.zone)
    length = draw(st.integers(0, 54 * HOURS))
    found = draw(st.lists(jobs(factory, begin), max_size=7))
    return (
        factory,
        found,
        draw(st.lists(outages(factory, begin), max_size=4)),
        Period(begin, begin + length),
        begin + draw(st.integers(0, 60 * HOURS)),
    )


def frame(found: list[Job]) -> pl.DataFrame:
    rows = [
        {
            "account": job.project,
            "nodes": ",".join(job.nodes),
            "gpus": job.gpus,
            "start": job.start,
            "elapsed": job.elapsed,
            "eligible": job.eligible,
            "limit_s": job.limit,
            "submit": number,
            "state": "PENDING" if job.pending else ("CANCELLED" if job.start is None else "COMPLETED"),
        }
        for number, job in enumerate(found)
    ]
    return make.runs(*rows)


LEFT = {"a-1": 10**9, "b-1": 1000, "c-1": 10**9, "c-2": 1}


def the_split(factory: Factory, found: list[Job], away: list[Outage], period: Period, as_of: int) -> Split:
    return split(
        factory,
        make.SYSTEM,
        attribute(frame(found), factory, {}),
        away,
        period,
        as_of,
        grants_left=LEFT,
        carry={"a": 5000},
    )


@given(situations())
def test_the_split_is_the_slow_split(situation: tuple[Factory, list[Job], list[Outage], Period, int]) -> None:
    factory, found, away, period, as_of = situation
    ours = the_split(factory, found, away, period, as_of)
    span = Period(period.start, min(period.end, as_of))
    oracle = Oracle(factory, found, away)
    weights = list(oracle.weights.values())
    carry = {"a": ours.pools[0].entitlement_gpu_s - split_by_weight(ours.delivered_gpu_s, weights)[0]}
    exact = oracle.total(span, carry)

    assert {site.site: vars(site.supply) for site in ours.sites} == exact.supply
    assert (ours.delivered_gpu_s, ours.overhead_gpu_s) == (exact.delivered, exact.overhead)
    entitled = split_by_weight(exact.delivered, weights)
    for pool, entitlement in zip(ours.pools, entitled, strict=True):
        sums = exact.pools[pool.pool]
        entitlement += carry.get(pool.pool, 0)
        demand = sums["used"] + oracle.demand(pool.pool, span.end, LEFT)
        short = max(0, min(demand, entitlement, int(sums["reach"])) - sums["used"])
        assert (pool.used_gpu_s, pool.entitlement_gpu_s, pool.demand_gpu_s) == (sums["used"], entitlement, demand)
        assert pool.shortfall_gpu_s == short
        assert pool.late_gpu_s == max(0, min(demand, entitlement) - sums["used"]) - short
        cut = span.seconds // 50 if exact.excess else 0  # over is cut to whole GPUs x W: up to one off per second
        for name in ("own", "returned", "borrowed", "lent"):
            assert abs(getattr(pool, f"{name}_gpu_s") - sums[name]) < 2 + cut


@settings(max_examples=30)
@given(situations())
def test_what_always_adds_up(situation: tuple[Factory, list[Job], list[Outage], Period, int]) -> None:
    factory, *rest = situation
    ours = the_split(factory, *rest)
    for one in (*ours.days, *ours.sites, *(site for day in ours.days for site in day.sites), ours):
        assert one.supply.installed == one.installed_gpu_s
    for one in (*ours.days, ours):
        lost = one.supply.down + one.supply.maintenance + one.supply.drained
        assert one.delivered_gpu_s == one.installed_gpu_s - lost - one.overhead_gpu_s
        assert sum(pool.lent_gpu_s for pool in one.pools) == sum(p.borrowed_gpu_s + p.returned_gpu_s for p in one.pools)
        for pool in one.pools:
            assert pool.own_gpu_s + pool.returned_gpu_s + pool.borrowed_gpu_s == pool.used_gpu_s
    carried = ours.pools[0].entitlement_gpu_s - sum(day.pools[0].entitlement_gpu_s for day in ours.days)
    assert sum(pool.entitlement_gpu_s for pool in ours.pools) == ours.delivered_gpu_s + carried
    for day in ours.days:
        assert sum(pool.entitlement_gpu_s for pool in day.pools) == day.delivered_gpu_s
    for number, pool in enumerate(ours.pools):
        for name in FIGURES[1:]:
            assert sum(getattr(day.pools[number], name) for day in ours.days) == getattr(pool, name)


@settings(max_examples=15)
@given(situations(), st.randoms(use_true_random=False))
def test_the_order_of_runs_and_outages_does_not_matter(situation, random) -> None:
    factory, found, away, period, as_of = situation
    before = the_split(factory, found, away, period, as_of)
    shuffled = attribute(frame(found).sample(fraction=1, shuffle=True, seed=random.randint(0, 99)), factory, {})
    after = split(
        factory,
        make.SYSTEM,
        shuffled,
        random.sample(away, len(away)),
        period,
        as_of,
        grants_left=LEFT,
        carry={"a": 5000},
    )
    assert after == before


@settings(max_examples=15)
@given(situations(), st.integers(1, 30 * HOURS))
def test_a_boundary_at_which_nothing_changes_changes_nothing(situation, moment: int) -> None:
    """One run, or the same work as two runs end to end: segments are cut there, every figure stays (without excess)."""
    factory, found, away, period, as_of = situation
    first = Job("a", "a-1", ("n01", "n02"), 5, period.start, moment, period.start, None, False)
    second = replace(first, start=period.start + moment, eligible=period.start + moment, elapsed=3 * HOURS)
    whole = the_split(factory, [*found, replace(first, elapsed=moment + 3 * HOURS)], away, period, as_of)
    if not whole.supply.excess:
        assert the_split(factory, [*found, first, second], away, period, as_of) == whole
