"""The compiled rule starts what `rules.queue.next_starts` starts: when, where, in every detail of the options."""

import csv
import gzip

import numba
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from schmelz.rules.shares import ranks
from schmelz.twin.building import build
from schmelz.twin.deficit import give_ranks
from schmelz.twin.pool_tables import DELIVERED, RANK, USED
from schmelz.twin.pools import deficit
from schmelz.twin.sharing import PoolOptions, Sharing
from schmelz.twin.workload import Workload
from twin.made import scenes, workload
from twin.plain_pools import plain
from twin.traces import path_of


def same(work: Workload, sharing: Sharing, gpus: int) -> int:
    """Compare start by start; how many runs were pre-empted."""
    ours, theirs = deficit(work, PoolOptions(gpus, sharing=sharing)), plain(work, sharing, gpus)
    sites = [ours.sites[number] if number >= 0 else "" for number in ours.site]
    assert ours.start.tolist() == [job.start for job in theirs.jobs]
    assert [s for s, start in zip(sites, ours.start, strict=True) if start >= 0] == [
        job.site for job in theirs.jobs if job.start >= 0
    ]
    assert ours.borrowed.tolist() == [job.marked for job in theirs.jobs]
    assert list(ours.cuts) == theirs.cuts
    return len(ours.cuts)


@settings(max_examples=5 * settings.default.max_examples, suppress_health_check=[HealthCheck.too_slow])
@given(scenes())
def test_equal_start_by_start(scene: tuple[Workload, Sharing, int]) -> None:
    same(*scene)


@pytest.mark.parametrize("beat", [1, 20])
def test_equal_on_long_queues_with_pre_emption(beat: int) -> None:
    """With a beat, many jobs end at one time, and the ledger begins anew while they wait."""
    cut = 0
    for seed in range(4):
        chance = np.random.default_rng(seed)

        def times(most: int, chance: np.random.Generator = chance) -> list[int]:
            return (chance.integers(1, most // beat + 2, 400) * beat).tolist()

        rows = [
            (submit, run, int(chance.choice((1, 2, 4, 8, 16))), run + more - beat, int(chance.integers(3)))
            for submit, run, more in zip(times(1200), times(90), times(60), strict=True)
        ]
        sharing = Sharing(
            (50, 30, 20), (("n", 16), ("s", 12)), minimum_run=beat or None, mark_over=seed > 0, window_s=2000,
            windows=(900, 2100),
        )  # fmt: skip
        cut += same(workload(rows, "abc"), sharing, 28)
    assert cut > 50


def test_equal_on_a_real_log() -> None:
    """A slice of the Philly log, its virtual clusters on two sides."""
    path = path_of("philly-early.csv.gz")
    with gzip.open(path, "rt") as file:
        rows = list(csv.DictReader(file))[20_000:20_800]
    clusters = sorted({row["vc"] for row in rows})
    jobs = [
        (int(row["submit_s"]), run, int(row["gpus"]), 2 * run, clusters.index(row["vc"]) % 2)
        for row in rows
        if (run := int(float(row["run_s"]))) > 0
    ]
    same(workload(jobs), Sharing(sites=(("n", 96), ("s", 64))), 160)


RANKS = numba.njit(give_ranks.py_func)  # itself it is only for kernels to call


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 10**9)), min_size=1, max_size=8), st.integers(0, 10**9))
def test_ranks_are_those_of_the_rule(pools: list[tuple[int, int]], delivered: int) -> None:
    names, weights = [f"p{n}" for n in range(len(pools))], tuple(weight for weight, _ in pools)
    sharing = Sharing(weights, half_life=0, dead_band_ppm=1000)
    twin, _, _ = build(workload([(0, 1, 1)], names), sharing, (("m", 8),), weights)
    twin.pools[:, USED] = [used for _, used in pools]
    twin.facts[DELIVERED] = delivered
    RANKS(twin)
    whole = sum(weights)
    deficits = {n: w * delivered - whole * u for n, (w, u) in zip(names, pools, strict=True)}
    band = 8 * sharing.window_s * whole // 1000
    assert dict(zip(names, twin.pools[:, RANK].tolist(), strict=True)) == ranks(deficits, band)
