"""FCFS, EASY, shortest-first and conservative: start by start what plain Python does, and the numbers that were published."""

import json
from itertools import product

import numpy as np
import pytest
from hypothesis import given, strategies as st

from schmelz.faults import BadInput
from schmelz.twin.policies import CLASSIC, POLICIES
from schmelz.twin.workload import ORDERS, Options, Order, Workload
from twin.made import jobs, workload
from twin.plain_classic import starts
from twin.traces import GPUS, path_of, real


def same(policy: str, work: Workload, gpus: int, order: Order) -> None:
    options = Options(gpus, order)
    assert POLICIES[policy](work, options).start.tolist() == starts(policy, work, options)


@given(jobs(pools=1, largest=9, most=40), st.sampled_from((1, 2, 7)))
def test_equal_to_plain_python(rows: list[tuple[int, ...]], beat: int) -> None:
    """With a beat, many jobs come and end at one time."""
    rows = [(submit // beat * beat, run * beat, size, limit * beat) for submit, run, size, limit, _, _ in rows]
    for policy, order in product(CLASSIC, ORDERS):
        same(policy, workload(rows, "a"), 9, order)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("policy", CLASSIC)
def test_equal_on_long_queues(policy: str, order: Order) -> None:
    """Many wait, in more than one block of the index, with more sizes than it has classes."""
    chance = np.random.default_rng(3)
    run = chance.integers(1, 400, 250) * 5
    columns = chance.integers(0, 320, 250) * 5, run, chance.integers(1, 200, 250), run + chance.integers(0, 100, 250)
    same(policy, workload(np.stack(columns, 1).tolist(), "a"), 256, order)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("policy", CLASSIC)
@pytest.mark.parametrize("log", GPUS)
def test_equal_on_the_first_jobs_of_real_logs(log: str, policy: str, order: Order) -> None:
    same(policy, real(log, 1500), GPUS[log], order)


@pytest.mark.slow
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("policy", CLASSIC)
@pytest.mark.parametrize("log", GPUS)
def test_equal_on_real_logs(log: str, policy: str, order: Order) -> None:
    same(policy, real(log), GPUS[log], order)


# Published for EASY: the results of the study for which the log was prepared (SC'15) print the slowdown and the
# utilisation; the others are those of its simulator's equal, which README.md of the traces tells of.
PUBLISHED = {
    "fcfs": {"mean_wait_s": 353_776.4091, "mean_bounded_slowdown": 6814.97331018, "utilisation": 0.685240},
    "easy": {
        "mean_wait_s": 6836.8721,
        "mean_bounded_slowdown": 92.5765397336,
        "utilisation": 0.685613241362,
        "max_wait_s": 262_194,
    },
    "conservative": {"mean_wait_s": 7310.5512, "mean_bounded_slowdown": 88.99727497, "utilisation": 0.685613},
    "sjbf": {"mean_bounded_slowdown": 69.4054005803},
}


def test_published_numbers(run) -> None:
    log = path_of("kth-sp2-sc15.swf.gz")
    words = ("--policy", ",".join(PUBLISHED), "--order", "serial", "--json")
    code, out, _ = run(log, "--gpus", "100", *words)
    assert code == 0
    for result in json.loads(out)["policies"]:
        assert result["jobs"] == 28_481
        for name, value in PUBLISHED[result["policy"]].items():
            digits = len(str(value).partition(".")[2])
            assert round(result[name], digits) == pytest.approx(value, abs=1.01 * 10**-digits if digits else 0)


@pytest.mark.parametrize("policy", CLASSIC)
def test_what_cannot_be_run_is_said(policy: str) -> None:
    with pytest.raises(BadInput, match="can never start"):
        POLICIES[policy](workload([(0, 1, 9)], "a"), Options(8))
    with pytest.raises(BadInput, match="too long a time"):
        POLICIES[policy](workload([(0, 1, 1, 2**40)], "a"), Options(8))
    with pytest.raises(BadInput, match="no job"):
        POLICIES[policy](workload([], "a"), Options(8))
