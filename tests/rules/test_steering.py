"""The caps that steering asks for: who gets what, that nothing idles, the floor, the range, and when a move is worth it."""

from dataclasses import replace

from hypothesis import example, given, settings, strategies as st

from schmelz.rules.queue import Running, State, Waiting, next_starts
from schmelz.rules.steering import PATIENCE, Facts, Owed, Range, decide, owed, share_caps, starts_now
from schmelz.units import HOUR

WIDE = Range(25, 100, 240, 240)


def jobs(pool: str, *sizes: int, site: str | None = None) -> tuple[Waiting, ...]:
    sites = (site,) if site else ("north", "south")
    return tuple(Waiting(f"{pool}{number}", pool, gpus, 3600, sites) for number, gpus in enumerate(sizes))


def facts(
    *waiting: Waiting,
    a: int = 0,
    b: int = 0,
    lead: int = 0,
    borrowed: dict[str, int] | None = None,
    caps: tuple[int | None, int | None] = (8, 8),
    **values,
) -> Facts:
    """16 GPUs at two sites; `a` and `b` have running guaranteed jobs of so many GPUs, `a` leads by `lead`."""
    runs = [("a", a), ("b", b), *(borrowed or {}).items()]
    running = tuple(Running(f"r{n}", pool, gpus, "north", 3600) for n, (pool, gpus) in enumerate(runs) if gpus)
    free = 16 - sum(job.gpus for job in running)
    state = State(
        now=0,
        capacity=16,
        free={"north": min(8, free), "south": free - min(8, free)},
        waiting=waiting,
        running=running,
        deficits={"a": lead, "b": 0},
        dead_band=100,
        floor_percent=25,
    )
    found = Facts(state, {"a": 50, "b": 50}, {"a": a, "b": b}, borrowed or {}, dict(zip("ab", caps, strict=True)))
    return replace(found, **values)


MANY_A, MANY_B = jobs("a", *[1] * 40), jobs("b", *[1] * 40)


def caps(found: Facts, mandate: Range = WIDE) -> tuple[int, int]:
    asked = decide(found, mandate).caps
    return asked["a"], asked["b"]


def test_who_is_alone_may_use_everything() -> None:
    decision = decide(facts(*MANY_A, a=8), WIDE)
    assert (decision.verdict, decision.caps["a"]) == ("move", 16)
    assert decision.because == "only a asks for GPUs: it may use all of them"
    assert caps(facts()) == (16, 16)
    assert decide(facts(caps=(16, None)), WIDE).verdict == "stay"


def test_pools_that_are_even_have_their_shares() -> None:
    assert caps(facts(*MANY_A, *MANY_B, a=12, b=4, caps=(16, 16))) == (8, 8)
    assert caps(facts(*MANY_A, *MANY_B, a=12, b=4, weights={"a": 75, "b": 25})) == (12, 4)


def test_the_leader_gets_all_but_the_floors_of_those_who_wait() -> None:
    found = facts(*MANY_A, *MANY_B, a=8, b=8, lead=1234 * HOUR)
    assert caps(found) == (12, 4)
    said = decide(found, WIDE).because
    assert said == "a leads by 1\u202f234 GPU-hours; b keeps its floor of 4 GPUs"
    assert caps(replace(found, state=replace(found.state, deficits={"a": 0, "b": 101}))) == (4, 12)
    assert caps(replace(found, state=replace(found.state, deficits={"a": 0, "b": 100}))) == (8, 8), "the dead band"


def test_below_the_floor_the_first_job_goes_first_however_large() -> None:
    large = facts(*MANY_A, *jobs("b", 8, 1, 1), a=12, b=3, lead=1000, caps=(12, 4))
    decision = decide(large, WIDE)
    assert dict(decision.caps) == {"a": 5, "b": 11}
    assert decision.because.endswith("b is under its floor, so its next job of 8 GPUs goes first")
    assert caps(facts(*MANY_A, *jobs("b", 8, 1, 1), a=12, b=4, lead=1000)) == (12, 4), "not once it has its floor"


def test_a_pool_that_was_below_its_floor_on_average_gets_room_for_one_job_more() -> None:
    """A cap of exactly the floor is a ceiling: between two jobs less is used."""
    found, missed, looks = facts(*MANY_A, *jobs("b", 2, 2, 2, 2), a=12, b=3, lead=1000, caps=(12, 4)), Owed(), 0
    while not missed.short:
        missed, looks = owed(found, missed), looks + 1
    assert (looks, missed.short, missed.gpus["b"]) == (PATIENCE + 1, {"b"}, PATIENCE + 1), "one GPU at each look"
    short = replace(facts(*MANY_A, *jobs("b", 2, 2), a=12, b=4, lead=1000, caps=(12, 4)), short=missed.short)
    decision = decide(short, WIDE)
    assert (decision.verdict, dict(decision.caps)) == ("move", {"a": 10, "b": 6})
    assert decision.because.endswith("b was under its floor on average, so 2 more are kept for it")
    above, back = facts(*MANY_A, *jobs("b", 2, 2), a=10, b=6, lead=1000), 0
    while missed.short:
        missed, back = owed(above, missed), back + 1
    assert back == -(-(PATIENCE + 1) // 2), "until what it has above its floor makes it good"
    for _ in range(1000):
        missed = owed(above, missed)
    assert missed.gpus["b"] == -PATIENCE // 2, "old plenty does not count for long"
    assert owed(facts(*MANY_A, a=12, b=0, lead=1000), owed(found, Owed())) == owed(facts(*MANY_A, a=12), Owed())


def test_what_the_leader_does_not_ask_for_is_for_the_others() -> None:
    assert caps(facts(*jobs("a", 2), *MANY_B, a=3, b=13, lead=1000)) == (12, 11)
    assert caps(facts(*MANY_B, a=3, b=13, lead=1000)) == (12, 16), "one who does not wait takes nothing"


def test_no_gpu_idles_that_the_rule_would_use() -> None:
    """The leader's job fits nowhere yet; short jobs of the other pool that do not delay it may run meanwhile."""
    short = tuple(replace(job, limit=60) for job in jobs("b", 1, 1, 1, 1, 1, 1))
    found = facts(*jobs("a", 8, 8, 8), *short, a=0, b=10, lead=1000, caps=(12, 4))
    found = replace(found, state=replace(found.state, free={"north": 3, "south": 3}))
    decision = decide(found, WIDE)
    assert (decision.verdict, decision.caps["b"]) == ("move", 16)
    assert "b may use 16, as nobody ahead of it can use them now" in decision.because


def test_free_gpus_are_first_for_the_pool_below_its_part() -> None:
    """Both are even and the older jobs are those of the pool that has its share already."""
    found = facts(*MANY_A, *MANY_B, a=8, b=4)
    assert (caps(found), decide(found, WIDE).verdict) == ((8, 8), "stay")
    assert caps(facts(*MANY_A, *jobs("b", 1), a=8, b=4)) == (11, 8), "what is left is for the other"


def test_a_job_that_only_fits_in_parts_keeps_nobody_waiting() -> None:
    """The scheduler tried and could not place it, although the site has as many GPUs: one here, three there."""
    found = facts(*jobs("a", 4, site="north"), *MANY_B, a=4, b=8, lead=1000, caps=(12, 4))
    found = replace(found, state=replace(found.state, free={"north": 4, "south": 0}))
    assert decide(found, WIDE).caps["b"] == 8
    assert decide(replace(found, stuck=frozenset({"a0"})), WIDE).caps["b"] == 12


def test_borrowed_jobs_of_a_pool_that_leads_are_not_taken_back() -> None:
    borrowing = facts(*MANY_A, a=4, borrowed={"b": 12}, caps=(8, 8))
    assert caps(borrowing) == (8, 8), "even: back to one's share, not further"
    leads = replace(borrowing, state=replace(borrowing.state, deficits={"a": 0, "b": 1000}))
    assert caps(leads)[0] == 4, "the other takes back its own"
    assert caps(facts(*MANY_A, a=4, borrowed={"b": 12}, lead=1000))[0] == 16, "the leader takes back its own"


def test_the_mandates_range_is_kept() -> None:
    narrow = Range(40, 60, 240, 240)
    assert caps(facts(*MANY_A, *MANY_B, lead=1000), narrow) == (9, 7)
    decision = decide(facts(*MANY_A), narrow)
    assert decision.caps["a"] == 9 and "the mandate ends at 60 %" in decision.because


def test_moves_that_change_nothing_are_not_made() -> None:
    even = facts(*MANY_A, *MANY_B, a=8, b=8)
    assert decide(even, WIDE).verdict == "stay"
    idle_b = facts(*MANY_A, a=16, lead=-1000, caps=(16, 4))
    assert decide(idle_b, WIDE).verdict == "stay", "the cap of a pool that does not wait can wait, too"
    large = replace(even.state, capacity=1000, free={"north": 0}, running=(), waiting=(*MANY_A, *jobs("b", *[30] * 60)))
    small = Facts(large, {"a": 501, "b": 499}, {"a": 490, "b": 500}, {}, {"a": 510, "b": 500})
    assert decide(small, WIDE).verdict == "stay", "one GPU of a thousand is noise"


def test_the_last_moves_are_kept_for_what_cannot_wait() -> None:
    lead = facts(*MANY_A, *MANY_B, a=8, b=8, lead=1000)
    assert decide(lead, replace(WIDE, moves_left=60)).verdict == "spent"
    assert decide(lead, replace(WIDE, moves_left=61)).verdict == "move"
    idle = facts(*MANY_A, a=8)
    assert decide(idle, replace(WIDE, moves_left=1)).verdict == "move", "GPUs would idle"
    assert decide(idle, replace(WIDE, moves_left=0)).verdict == "spent"
    poor = facts(*MANY_A, *MANY_B, a=14, b=2, caps=(16, 16))
    assert decide(poor, replace(WIDE, moves_left=1)).verdict == "move", "b is under its floor"


def test_shares_add_up() -> None:
    assert share_caps(1008, {"a": 50, "b": 35, "c": 15}) == {"a": 504, "b": 353, "c": 151}


@st.composite
def situations(draw) -> tuple[Facts, Range]:
    pools = ("a", "b", "c")[: draw(st.integers(2, 3))]
    weights = dict.fromkeys(pools, 1) if draw(st.booleans()) else dict(zip(pools, (50, 30, 20), strict=False))
    up = {"north": draw(st.integers(0, 12)), "south": draw(st.integers(0, 12))}
    free, running, own, lent = dict(up), [], {}, {}
    for number in range(draw(st.integers(0, 8))):
        site, pool, mine = draw(st.sampled_from(sorted(up))), draw(st.sampled_from(pools)), draw(st.booleans())
        if gpus := min(free[site], draw(st.integers(1, 4))):
            free[site] -= gpus
            running.append(Running(f"r{number}", pool, gpus, site, draw(st.integers(0, 500))))
            used = own if mine else lent
            used[pool] = used.get(pool, 0) + gpus
    waiting = tuple(
        Waiting(
            f"w{number}",
            draw(st.sampled_from(pools)),
            draw(st.integers(1, 8)),
            draw(st.integers(1, 500)),
            draw(st.sampled_from((("north",), ("south",), ("north", "south")))),
        )
        for number in range(draw(st.integers(0, 12)))
    )
    deficits = {pool: draw(st.integers(-300, 300)) for pool in pools}
    whole = sum(up.values())
    state = State(0, whole, free, waiting, tuple(running), deficits, draw(st.sampled_from((0, 100))), 15)
    caps = {pool: draw(st.none() | st.integers(0, 24)) for pool in pools}
    left, short = draw(st.integers(0, 20)), draw(st.frozensets(st.sampled_from(pools)))
    return Facts(state, weights, own, lent, caps, short=short), Range(15, draw(st.sampled_from((60, 100))), 20, left)


@settings(max_examples=5 * settings.default.max_examples)
@given(situations())
@example((facts(*MANY_A, *MANY_B, lead=1000), WIDE))
def test_what_holds_always(case: tuple[Facts, Range]) -> None:
    found, mandate = case
    decision = decide(found, mandate)
    up = found.state.capacity
    lowest, highest = -(-up * mandate.lowest_percent // 100), up * mandate.highest_percent // 100
    assert set(decision.caps) == set(found.weights)
    for pool, cap in decision.caps.items():
        assert cap * 100 >= found.state.floor_percent * up, "the floor"
        assert lowest <= cap <= max(lowest, highest), "the range"
        starting = starts_now(found).get(pool, 0)
        assert not starting or cap >= min(highest, found.own.get(pool, 0) + starting), "the starts of the rule"
    assert starts_now(found) or not next_starts(found.state), "another order, but never nothing"
    if decision.verdict == "move":
        assert mandate.moves_left > 0 and any(decision.caps[pool] != found.caps[pool] for pool in found.weights)
        again = decide(replace(found, caps=decision.caps), mandate)
        assert (again.verdict, again.caps) == ("stay", decision.caps)
