"""The deficit rule with one reservation and backfill: what must hold for every state, and a few states by hand.

The oracle is slow and written anew: it walks the order, keeps the first job that cannot start a place, and compares.
"""

from collections.abc import Iterable
from dataclasses import replace

from hypothesis import given, strategies as st

from schmelz.rules.queue import Running, Start, State, Waiting, next_starts
from schmelz.rules.shares import ranks

NOW = 1_000
POOLS = ("a", "b", "c")
SITES = ("east", "west")


@st.composite
def states(draw: st.DrawFn, floor: bool = True) -> State:
    installed = {site: draw(st.integers(0, 20)) for site in SITES}
    running, free = [], dict(installed)
    for number in range(draw(st.integers(0, 8))):
        site = draw(st.sampled_from(SITES))
        if free[site]:
            gpus = draw(st.integers(1, free[site]))
            free[site] -= gpus
            ends = NOW + draw(st.integers(-3, 12))
            running.append(Running(f"r{number}", draw(st.sampled_from(POOLS)), gpus, site, ends))
    waiting = tuple(
        Waiting(
            f"w{number}",
            draw(st.sampled_from(POOLS)),
            draw(st.integers(1, 14)),
            draw(st.integers(1, 12)),
            tuple(draw(st.lists(st.sampled_from(SITES), min_size=1, max_size=2, unique=True))),
        )
        for number in range(draw(st.integers(0, 10)))
    )
    deficits = {pool: draw(st.integers(-20, 20)) for pool in POOLS}
    return State(
        NOW,
        sum(installed.values()),
        free,
        waiting,
        tuple(running),
        deficits,
        draw(st.integers(0, 10)),
        draw(st.sampled_from((0, 25, 33))) if floor else 0,
    )


def after(state: State, starts: Iterable[Start]) -> State:
    """The state once these jobs have started."""
    jobs = {job.job: job for job in state.waiting}
    for start in starts:
        job = jobs.pop(start.job)
        state = replace(
            state,
            waiting=tuple(w for w in state.waiting if w.job != job.job),
            free={**state.free, start.site: state.free[start.site] - job.gpus},
            running=(*state.running, Running(job.job, job.pool, job.gpus, start.site, NOW + job.limit)),
        )
    return state


def earliest(state: State, job: Waiting) -> tuple[int, str] | None:
    """When and where the job fits first if all that runs ends on time (of equals, where it prefers); None for never."""
    times = sorted({NOW, *(max(r.ends, NOW) for r in state.running)})
    return next(((t, site) for t in times for site in job.sites if room_at(state, site, t) >= job.gpus), None)


def room_at(state: State, site: str, time: int) -> int:
    return state.free[site] + sum(r.gpus for r in state.running if r.site == site and max(r.ends, NOW) <= time)


def in_order(state: State) -> list[Waiting]:
    """The order where no floors are set: by rank, then by arrival."""
    rank = ranks(state.deficits, state.dead_band)
    return sorted(state.waiting, key=lambda job: rank[job.pool])


@given(states())
def test_no_site_gives_more_than_it_has_and_no_job_spans_sites(state: State) -> None:
    starts = next_starts(state)
    jobs = {job.job: job for job in state.waiting}
    assert len({start.job for start in starts}) == len(starts)
    assert all(start.site in jobs[start.job].sites for start in starts)
    for site in SITES:
        taken = sum(jobs[s.job].gpus for s in starts if s.site == site)
        assert taken <= state.free[site]


@given(states())
def test_it_is_deterministic_and_asking_again_gives_nothing(state: State) -> None:
    starts = next_starts(state)
    assert next_starts(state) == starts
    assert next_starts(after(state, starts)) == ()


@given(states(floor=False))
def test_the_first_blocked_job_keeps_its_place_and_nothing_idles_that_would_not_delay_it(state: State) -> None:
    starts = next_starts(state)
    end = after(state, starts)
    order = in_order(state)
    blocked = next((job for job in order if job in end.waiting and earliest(end, job)), None)
    earlier = order if blocked is None else order[: order.index(blocked)]
    first = after(state, [start for start in starts if start.job in {job.job for job in earlier}])
    kept = earliest(first, blocked) if blocked else None
    assert blocked is None or all(first.free[site] < blocked.gpus for site in blocked.sites)
    assert blocked is None or earliest(end, blocked) == kept
    for job in end.waiting:
        for site in (site for site in job.sites if end.free[site] >= job.gpus):
            assert blocked and kept and site == kept[1], f"{job} fits at {site}, nothing is in its way"
            assert room_at(after(end, [Start(job.job, site)]), site, kept[0]) < blocked.gpus


@given(states(floor=False))
def test_jobs_before_the_first_blocked_one_all_start(state: State) -> None:
    started = {start.job for start in next_starts(state)}
    free = dict(state.free)
    for job in in_order(state):
        fits = [site for site in job.sites if free[site] >= job.gpus]
        if not fits:
            break
        assert job.job in started
        free[min(fits, key=lambda site: free[site])] -= job.gpus


def job(name: str, pool: str, gpus: int, limit: int = 10, sites: tuple[str, ...] = ("east",)) -> Waiting:
    return Waiting(name, pool, gpus, limit, sites)


def names(state: State) -> list[str]:
    return [start.job for start in next_starts(state)]


def test_the_larger_deficit_goes_first_and_inside_the_dead_band_the_earlier_arrival() -> None:
    state = State(NOW, 4, {"east": 4}, (job("first", "a", 4), job("second", "b", 4)), (), {"a": 1, "b": 9})
    assert names(state) == ["second"]
    assert names(replace(state, dead_band=8)) == ["first"]


def test_a_pool_under_its_floor_goes_first_whatever_the_deficits_say() -> None:
    running = (Running("r", "a", 4, "east", NOW + 9),)
    state = State(NOW, 8, {"east": 4}, (job("rich", "a", 4), job("poor", "b", 4)), running, {"a": 90, "b": -90})
    assert names(state) == ["rich"]
    assert names(replace(state, floor_percent=25)) == ["poor"]


def test_what_one_pool_does_not_ask_for_is_lent() -> None:
    state = State(NOW, 8, {"east": 8}, (job("more", "a", 8),), (), {"a": -100, "b": 100}, floor_percent=25)
    assert names(state) == ["more"]


def test_backfill_starts_what_ends_in_time_or_takes_what_is_over() -> None:
    running = (Running("r", "a", 6, "east", NOW + 10),)
    waiting = (job("large", "a", 8), job("long", "a", 3, 11), job("short", "a", 3, 10), job("extra", "a", 1, 99))
    state = State(NOW, 9, {"east": 3}, waiting, running, {})
    assert names(state) == ["short"]
    assert names(replace(state, waiting=(waiting[0], waiting[3], waiting[1]))) == ["extra"]
    assert names(replace(state, waiting=(waiting[0], waiting[3], job("no more extra", "a", 1, 99)))) == ["extra"]


def test_the_place_is_kept_for_the_best_job_even_if_its_pool_has_nothing_that_fits_now() -> None:
    running = (Running("r", "a", 6, "east", NOW + 10),)
    waiting = (job("long", "a", 3, 11), job("large", "b", 8), job("short", "a", 3, 10))
    assert names(State(NOW, 9, {"east": 3}, waiting, running, {"a": 0, "b": 5})) == ["short"]


def test_a_job_that_can_never_fit_holds_no_place() -> None:
    state = State(NOW, 4, {"east": 4}, (job("huge", "a", 99), job("small", "a", 4, 99)), (), {})
    assert names(state) == ["small"]


def test_the_fuller_site_is_filled_first_and_preference_decides_between_equals() -> None:
    both = State(NOW, 12, {"east": 8, "west": 4}, (job("one", "a", 4, 9, ("east", "west")),), (), {})
    assert next_starts(both) == (Start("one", "west"),)
    assert next_starts(replace(both, free={"east": 8, "west": 8})) == (Start("one", "east"),)


def test_a_site_that_the_machine_does_not_have_takes_nothing() -> None:
    nowhere = State(NOW, 0, {}, (job("none", "a", 0, 5, ("east",)), job("one", "a", 1)), (), {})
    assert next_starts(nowhere) == ()


def test_a_backfill_that_lifts_a_pool_over_its_floor_hands_the_turn_over_at_once() -> None:
    """`a` is under its floor and has the place; its small job lifts it over, then `b`, deeper in deficit, leads."""
    running = (Running("r", "b", 6, "east", NOW + 10),)
    waiting = (job("a-large", "a", 11, 5), job("a-small", "a", 3, 5), job("b-long", "b", 3, 99))
    state = State(NOW, 12, {"east": 6}, waiting, running, {"a": 0, "b": 50}, floor_percent=25)
    assert names(state) == ["a-small", "b-long"]
    assert next_starts(after(state, next_starts(state))) == ()


def test_a_job_past_its_limit_is_expected_to_end_now() -> None:
    running = (Running("late", "a", 4, "east", NOW - 50), Running("later", "a", 4, "east", NOW - 10))
    state = State(NOW, 10, {"east": 2}, (job("next", "a", 6), job("small", "a", 2, 5)), running, {})
    assert names(state) == ["small"], "ten come free now, six are kept, four are over"
