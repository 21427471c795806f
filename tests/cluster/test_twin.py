"""The twin against the real thing: 240 jobs of two pools through a steered Slurm and through the twin."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.against_twin import agreement, handover, run, simulated, told
from cluster.contest import Contest, policy, stage
from cluster.lab import Lab


@pytest.fixture
def factory_file(own_slurm: Lab, tmp_path: Path) -> Path:
    path = tmp_path / "factory.toml"
    path.write_text(policy(own_slurm))
    return path


@pytest.fixture
def contest(own_slurm: Lab, portal, monkeypatch: pytest.MonkeyPatch) -> Iterator[Contest]:
    for name, value in own_slurm.env().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
    made = stage(own_slurm, portal)
    yield made
    made.clear()


def test_the_twin_agrees_with_slurm_on_order_and_waits(contest: Contest) -> None:
    work = run(contest)
    print("", *told(work, contest), sep="\n")
    assert len(work) >= 200 and set(work.pool.tolist()) == {0, 1}
    gap = handover(work, contest)
    plain, held = (agreement(work, simulated(work, contest, longer)) for longer in (0.0, gap))
    assert gap < 3, f"{gap:.1f} s between two jobs: this machine is too busy to compare anything"
    assert min(plain.ordered, held.ordered) > 0.85 and min(plain.within_pools, held.within_pools) > 0.88, (plain, held)
    assert abs(held.mean_wait - held.real_wait) < 0.3 * held.real_wait, held
    assert abs(held.share[0] - held.share[1]) < 0.1, held
