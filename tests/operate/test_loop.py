"""The duties: each at its own pace, a failing one waits and the others go on, one process at a time."""

from pathlib import Path

from schmelz.operate import loop
from schmelz.operate.loop import RETRY_SECONDS, Duty, beat, duties, only_one


def test_a_failing_duty_waits_and_the_others_go_on() -> None:
    done: list[str] = []

    def fail() -> None:
        done.append("failed")
        raise OSError("no such cluster")

    both = [Duty("bad", 0.0, fail), Duty("good", 0.0, lambda: done.append("good"))]
    for _ in range(3):
        beat(both)
    assert done == ["failed", "good", "good", "good"]
    both[0].last -= RETRY_SECONDS
    beat(both)
    assert done[-2:] == ["failed", "good"]


def test_one_process_runs_them(portal, tmp_path: Path) -> None:
    with only_one() as first, only_one() as second:
        assert (first, second) == (True, False)
    with only_one() as again:
        assert again


def test_every_system_with_a_cluster_has_its_duties(portal) -> None:
    names = [duty.name for duty in duties()]
    running = [s.id for s in portal.systems if s.cluster.backend == "local"]
    assert names == ["letters", "sweep", *(f"{what} {s}" for s in running for what in ("schedule", "meter", "drift"))]


def test_a_changed_policy_ends_the_loop_and_a_faulty_one_does_not(portal, settings, tmp_path: Path) -> None:
    settings.FACTORY = tmp_path / "factory.toml"
    text = Path(__file__).parent.parent.parent.joinpath("factory.toml").read_text()
    settings.FACTORY.write_text(text)
    before = loop.version()
    settings.FACTORY.write_text("faulty")
    assert not loop._changed(before)
    settings.FACTORY.write_text(text.replace("floor_percent = 25", "floor_percent = 20", 1))
    assert loop._changed(before)
