"""Two sums by two paths: every difference between our records and Slurm's rollup has a name, or is told."""

from pathlib import Path

import make
from schmelz.cluster.backends.slurm_rollup import last_hour, rows
from schmelz.metering.reservations import pool_for
from schmelz.metering.second_path import Line, compare, differing
from schmelz.units import Period

TAPES = Path(__file__).parent.parent / "tapes/slurm-22.05"
HOURS = Period(0, 7200)


def line(*runs: dict[str, object], theirs: int, rolled_to: int = 7200, gone: tuple[tuple[str, int], ...] = ()) -> Line:
    (found,) = compare(make.runs(*runs), [("eurohpc-1", "anna", theirs)], HOURS, rolled_to, gone)
    return found


def test_the_same_by_both_paths() -> None:
    found = line({"start": 100, "elapsed": 60, "gpus": 4}, theirs=240)
    assert (found.ours, found.difference, found.causes, found.unexplained) == (240, 0, {}, 0)


def test_a_difference_without_a_cause_is_told() -> None:
    found = line({"start": 100, "elapsed": 60, "gpus": 4}, theirs=180)
    assert (found.difference, found.causes, found.unexplained) == (-60, {}, -60)
    assert list(differing([found])) == [found]


def test_suspended_time_is_in_slurms_sums() -> None:
    run = {"start": 100, "elapsed": 60, "end": 200, "gpus": 4}
    assert line(run, theirs=400).causes == {"suspended": 160}
    assert line(run, theirs=401).unexplained == 1


def test_what_runs_was_read_before_the_rollup() -> None:
    run = {"job": "7", "submit": 5, "start": 7000, "elapsed": 50, "gpus": 2, "state": "RUNNING"}
    assert line(run, theirs=400).causes == {"running": 300}
    assert line(run, theirs=400, gone=(("7", 5),)).causes == {"runaway": 300}
    assert line(run, theirs=400, gone=(("7", 4),)).causes == {"running": 300}


def test_what_is_not_rolled_up_yet() -> None:
    run = {"start": 3000, "elapsed": 3000, "gpus": 1}
    assert line(run, theirs=600, rolled_to=3600) == Line("eurohpc-1", 3000, 600, {"not rolled up yet": -2400})
    assert line(run, theirs=0, rolled_to=0).unexplained == 0


def test_only_what_lies_in_the_period_counts() -> None:
    found = compare(
        make.runs({"start": 0, "elapsed": 99_999, "gpus": 1}, {"start": 7200, "account": "x"}, {"start": None}),
        [("eurohpc-1", "anna", 3600)],
        Period(3600, 7200),
        7200,
    )
    assert found == (Line("eurohpc-1", 3600, 3600, {}),)


def test_accounts_that_one_path_knows_alone() -> None:
    found = compare(
        make.runs({"account": "b", "elapsed": 10, "gpus": 1}), [("a", "anna", 5), ("z", "root", 0)], HOURS, 7200
    )
    assert [(one.account, one.unexplained) for one in found] == [("a", 5), ("b", -10)]


def test_what_slurm_charged_without_a_job_is_idle_reservation() -> None:
    rollup = [("root", "", 90), ("eurohpc", "", 90), ("eurohpc-1", "", 90), ("eurohpc-1", "anna", 40)]
    *_, idle = compare(make.runs({"elapsed": 10, "gpus": 4}), rollup, HOURS, 7200)
    assert (idle.account, idle.theirs, idle.causes, idle.unexplained) == ("(no job)", 50, {"reservation idle": 50}, 0)


def test_the_recorded_rollup() -> None:
    found = rows((TAPES / "rollup.txt").read_bytes(), "schmelz")
    assert [row for row in found if row[1]] == [
        ("root", "root", 0),
        ("p200001", "anna", 320),
        ("p200002", "bruno", 4500),
    ]
    assert last_hour((TAPES / "statistics.txt").read_bytes()) == 1_795_500_000
    assert last_hour(b"no word of it") is None


def test_for_whom_nodes_are_reserved() -> None:
    system = make.factory().systems[0]
    for accounts, qos, pool in (
        (("eurohpc",), (), "eurohpc"),
        (("eurohpc-7", "p1"), (), "eurohpc"),
        (("eurohpc", "national"), (), None),
        (("stranger",), (), None),
        ((), ("national-own",), "national"),
        (("eurohpc",), ("national-own",), None),
        ((), (), None),
    ):
        assert pool_for(system, accounts, qos, {"p1": "eurohpc"}) == pool
