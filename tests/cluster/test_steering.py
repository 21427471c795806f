"""Steering on a real Slurm: caps move within a second, nobody's floor is broken, only borrowed jobs are taken back.

The tests stand in the order of a day and share one lab; each begins with an empty queue.
"""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cluster.contest import Contest, policy, stage
from cluster.lab import Lab
from schmelz.cluster.model import ClusterError
from schmelz.operate import follow, meter
from schmelz.operate.steer import Steerer, Step
from schmelz.portal.clock import at, now
from schmelz.portal.clusters.models import Move
from schmelz.portal.ledger.models import Event


@pytest.fixture
def factory_file(own_slurm: Lab, tmp_path: Path) -> Path:
    path = tmp_path / "factory.toml"
    path.write_text(policy(own_slurm))
    return path


@pytest.fixture
def contest(own_slurm: Lab, portal, monkeypatch: pytest.MonkeyPatch) -> Iterator[Contest]:
    """A new portal for each test over the same cluster; its plan finds everything there already, caps at the shares."""
    for name, value in own_slurm.env().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
    made = stage(own_slurm, portal)
    assert set(made.caps().values()) == {"gres/gpu=8"}
    yield made
    made.clear()


def until(found: Callable[[], bool], seconds: float = 20) -> float:
    """How long it took."""
    began = time.monotonic()
    while not found():
        assert time.monotonic() - began < seconds, "it did not happen in time"
        time.sleep(0.1)
    return time.monotonic() - began


def stepped(contest: Contest) -> Step:
    until(lambda: meter.read_cluster(contest.system).lines > 0)  # the accounting is a second or two late
    return Steerer(contest.system).step()


def test_lent_at_once_and_taken_back_as_jobs_end(contest: Contest) -> None:
    contest.mandate()
    contest.submit("eurohpc", [4] * 16, 8)
    until(lambda: contest.use().get("eurohpc-own") == 8)
    step = stepped(contest)
    assert step.moved and step.because == "only eurohpc asks for GPUs: it may use all of them"
    lent = until(lambda: contest.use().get("eurohpc-own") == 16, 5)
    assert contest.caps()["eurohpc-own"] == "gres/gpu=16"
    contest.submit("national", [4] * 6, 20)
    step = stepped(contest)
    assert (step.moved, dict(step.after)) == (True, {"eurohpc-own": 8, "luxembourg-own": 8}), step
    assert step.because == "eurohpc and national are even: each may use its share"
    back = until(lambda: contest.use().get("luxembourg-own") == 8)
    assert contest.use().get("eurohpc-own", 0) <= 8, "nobody was taken back; jobs ended"
    assert [move.because for move in Move.objects.all()][-1].startswith("only eurohpc")
    assert Event.objects.filter(kind="steering.move").count() == Move.objects.count() == 2
    assert not follow.current_plan(contest.system).changes, "the plan leaves the caps of the mandate alone"
    print(f"\nlent {lent:.1f} s after the move, taken back {back:.1f} s after the move (jobs of 8 s)")


def test_the_leader_goes_first_and_the_other_keeps_its_floor(contest: Contest) -> None:
    contest.mandate()
    contest.ahead("national", 100)
    for pool in ("eurohpc", "national"):
        contest.submit(pool, [2] * 24, 8)
    step = stepped(contest)
    assert dict(step.after) == {"eurohpc-own": 4, "luxembourg-own": 12}, step
    assert step.because.startswith("national leads by 100 GPU-hours; eurohpc keeps its floor of 4 GPUs")
    until(lambda: contest.use().get("luxembourg-own") == 12, 40)
    seen = [contest.use() for _ in range(8) if time.sleep(0.5) is None]
    assert max(use.get("eurohpc-own", 0) for use in seen) == 4
    assert sum(use.get("eurohpc-own", 0) for use in seen) >= 3 * len(seen), f"the floor: {seen}"


def test_only_borrowed_jobs_are_taken_back_and_only_after_their_time(contest: Contest) -> None:
    own = contest.submit("national", [4], 60)
    lent = contest.submit("national", [4] * 3, 60, borrow=True)
    until(lambda: contest.use() == {"luxembourg-own": 4, "luxembourg-borrow": 12})
    began = time.monotonic()
    contest.submit("eurohpc", [4] * 2, 30)
    until(lambda: contest.use().get("eurohpc-own") == 8)
    took = time.monotonic() - began
    assert took > 6, "the exempt time is ten seconds"
    said = contest.lab.run("squeue", "-h", "-O", "JobID:|,StateCompact:|,Restarts:|,RequeueReason:|").stdout
    rows = dict(line.strip("|").split("|", 1) for line in contest.lab.run(
        "squeue", "-h", "-j", ",".join(own + lent), "-o", "%i|%t").stdout.splitlines())  # fmt: skip
    assert rows[own[0]] == "R" and sorted(rows[job] for job in lent) == ["PD", "PD", "R"], (rows, said)
    print(f"\ntaken back after {took:.1f} s; they wait again: {rows}")


def test_while_the_controller_is_down_nothing_moves_and_nothing_is_written(contest: Contest) -> None:
    contest.mandate()
    contest.submit("eurohpc", [4] * 8, 6)
    assert stepped(contest).moved
    contest.submit("national", [4] * 8, 6)
    contest.lab.daemons.end("slurmctld")
    try:
        with pytest.raises(ClusterError):
            Steerer(contest.system).step()
    finally:
        contest.lab.start()
    assert Move.objects.count() == Event.objects.filter(kind="steering.move").count() == 1
    assert contest.caps()["eurohpc-own"] == "gres/gpu=16", "the last cap stays"
    step = stepped(contest)
    assert step.moved and step.before["eurohpc-own"] == 16 and step.after["luxembourg-own"] == 8, step


def test_without_steering_slurm_goes_on_and_the_plan_brings_the_shares_back(contest: Contest) -> None:
    mandate = contest.mandate()
    contest.submit("eurohpc", [4] * 12, 3)
    assert stepped(contest).moved
    with at(now() + 31):
        stopped = Steerer(contest.system).step()
    assert (stopped.word, stopped.moved) == ("stale", False)
    assert json.loads(Event.objects.get(kind="steering.stopped").data)["word"] == "stale"
    until(lambda: not contest.use(), 30)
    assert contest.caps()["eurohpc-own"] == "gres/gpu=16", "nobody steered, the last value stays, every job ran"
    with at(mandate.expires):
        assert Steerer(contest.system).step().word == "expired"
        assert contest.caps()["eurohpc-own"] == "gres/gpu=16"
        changed = [(c.kind, c.name) for c in follow.current_plan(contest.system).changes]
        assert ("qos", "eurohpc-own") in changed
        follow.apply_plan(contest.gilles, contest.system, expected_hash=None, allow_remove=100)
    assert set(contest.caps().values()) == {"gres/gpu=8"}
