"""Small workloads for the tests of the twin, and Hypothesis strategies for them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from schmelz.twin.sharing import Away, Budgets, Sharing
from schmelz.twin.workload import Workload


def workload(rows: Sequence[Sequence[int]], pools: Sequence[str] = ("a", "b"), owners: int = 1) -> Workload:
    """Rows of submit, run, size, estimate, pool and owner; the last ones may be left out (estimate = run, first pool)."""
    full = [(*row, *(row[1], 0, 0)[len(row) - 3 :]) for row in sorted(rows, key=lambda row: row[0])]
    columns = np.array(full, np.int64).reshape(-1, 6).T
    submit, run, size, estimate, pool, owner = (np.ascontiguousarray(column) for column in columns)
    names = tuple(f"o{number}" for number in range(owners))
    small = np.int32
    numbers = np.arange(len(submit))
    return Workload(numbers, submit, run, size, estimate, pool.astype(small), tuple(pools), owner.astype(small), names)


def jobs(pools: int = 2, largest: int = 8, owners: int = 1, span: int = 60, most: int = 30) -> st.SearchStrategy[Any]:
    """Rows for `workload`: an estimate is the run or up to twice as long."""
    run = st.integers(1, 30)
    row = st.tuples(
        st.integers(0, span), run, st.integers(1, largest), st.integers(0, 30),
        st.integers(0, pools - 1), st.integers(0, owners - 1),
    ).map(lambda r: (r[0], r[1], r[2], r[1] + max(0, r[3] - 10), r[4], r[5]))  # fmt: skip
    return st.lists(row, min_size=1, max_size=most)


@st.composite
def scenes(draw: st.DrawFn) -> tuple[Workload, Sharing, int]:
    """A workload, a sharing with everything that there is, and the GPUs of its sites."""
    pools, owners = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    sites = tuple((f"s{n}", gpus) for n, gpus in enumerate(draw(st.lists(st.integers(1, 8), min_size=1, max_size=3))))
    rows = draw(jobs(pools, 9, owners))
    away = [
        Away(name, draw(st.integers(1, gpus)), start, start + draw(st.integers(0, 40)), draw(st.booleans()))
        for name, gpus in sites
        if (start := draw(st.one_of(st.none(), st.integers(0, 60)))) is not None
    ]
    one_of = st.sampled_from
    many = {"min_size": len(rows), "max_size": len(rows)}
    sharing = Sharing(
        weights=tuple(draw(st.lists(st.integers(1, 60), min_size=pools, max_size=pools))),
        sites=sites,
        floor_percent=draw(one_of((0, 25))),
        dead_band_ppm=draw(one_of((0, 1000, 200_000))),
        window_s=draw(one_of((1, 1000))),
        windows=tuple(draw(st.lists(st.integers(0, 120), max_size=2))),
        minimum_run=draw(one_of((None, 0, 5))),
        mark_over=draw(st.booleans()),
        marked=np.array(draw(st.lists(st.booleans(), **many))),
        job_sites=np.array(draw(st.lists(st.integers(1, 2 ** len(sites) - 1), **many)), np.int32),
        away=tuple(away),
        budgets=draw(st.one_of(st.none(), budgets(owners))),
        before=draw(one_of(((0, ()), (90, tuple(range(10, 10 + pools)))))),
    )
    return workload(rows, "abc"[:pools], owners), sharing, sum(gpus for _, gpus in sites)


def budgets(owners: int) -> st.SearchStrategy[Budgets]:
    amount = st.integers(0, 500)
    step = st.tuples(st.integers(0, 90), st.integers(0, owners - 1), amount, st.booleans())

    def made(first: list[int], steps: list[tuple[int, int, int, bool]]) -> Budgets:
        columns = np.array(sorted(steps, key=lambda one: one[0]), np.int64).reshape(-1, 4).T
        return Budgets(np.array(first), np.zeros(owners, np.int64), *columns[:3], columns[3] > 0)

    return st.builds(made, st.lists(amount, min_size=owners, max_size=owners), st.lists(step, max_size=4))
