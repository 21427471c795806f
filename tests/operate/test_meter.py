"""Increments: only news are asked for, open runs always, and a crash between any two steps loses and doubles nothing."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl
import pytest

from make import record_line, record_text
from schmelz.cluster.model import Job, NodeEvent, Reservation
from schmelz.operate import meter
from schmelz.portal.usage import actions
from schmelz.portal.usage.models import NodeOutage, Reading, RecordFile, Watermark
from schmelz.portal.usage.queries import outages, records_directory, runs, watermark

NOW = int(time.time())


@dataclass
class Cluster:
    """A cluster of records: what was asked of it stands in `asked`. It answers as sacct does: what ended since, and all open."""

    lines: dict[str, dict[str, int | str]] = field(default_factory=dict)
    asked: list[tuple[int, tuple[str, ...]]] = field(default_factory=list)
    events: tuple[NodeEvent, ...] = ()
    reserved: tuple[Reservation, ...] = ()
    queue: tuple[str, ...] = ()

    def put(self, job: str, start: int, elapsed: int, state: str = "COMPLETED", end: int | None = None) -> None:
        ended = start + elapsed if end is None else end
        self.lines[job] = {
            "start": start,
            "elapsed": elapsed,
            "state": state,
            "end": ended if state != "RUNNING" else 0,
        }

    def records(self, since: int, jobs: Sequence[str] = ()) -> bytes:
        self.asked.append((since, tuple(jobs)))
        chosen = [
            record_line(
                JobIDRaw=job, Cluster=self.name, Submit=str(one["start"]), Start=str(one["start"]), State=str(one["state"]),
                End=str(one["end"] or "Unknown"), Elapsed=str(one["elapsed"]),
            )
            for job, one in self.lines.items()
            if (not jobs or job in jobs) and (not one["end"] or int(one["end"]) >= since)
        ]  # fmt: skip
        return record_text(*chosen)

    def node_events(self, since: int) -> tuple[NodeEvent, ...]:
        return self.events

    def reservations(self, since: int) -> tuple[Reservation, ...]:
        return self.reserved

    def jobs(self) -> tuple[Job, ...]:
        return tuple(Job(job, "a", "u", "RUNNING", 4, 1, 60, 0, 0, None, None, "", "") for job in self.queue)

    name = "anvil-c"


@pytest.fixture
def cluster(cast, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    made = Cluster()
    made.name = cast.system.cluster.name
    monkeypatch.setattr(meter, "backend", lambda system: made)
    return made


def known() -> dict[str, tuple[str, int]]:
    return {row["job"]: (row["state"], row["elapsed"]) for row in runs().to_dicts()}


def test_only_what_ended_since_is_asked_for(cast, cluster: Cluster) -> None:
    cluster.put("1", NOW - 900, 100)
    cluster.put("2", NOW - 700, 200)
    assert meter.read_cluster(cast.system).added == 2
    cluster.put("3", NOW - 300, 50)
    assert meter.read_cluster(cast.system).added == 1
    again = meter.read_cluster(cast.system)
    assert (again.added, again.replaced) == (0, 0)
    assert cluster.asked == [(0, ()), (NOW - 500, ()), (NOW - 250, ())]
    meter.read_cluster(cast.system, since=5)
    assert cluster.asked[-1] == (5, ()) and watermark(cast.system.id) == NOW - 250
    assert Reading.objects.count() == 2, "a reading without news leaves no row of its own"


def test_an_open_run_is_asked_for_until_it_ends(cast, cluster: Cluster) -> None:
    """Also one that ended long ago, by a correction that puts its end before the last known one."""
    cluster.put("1", NOW - 9000, 100, "RUNNING")
    cluster.put("2", NOW - 700, 200)
    meter.read_cluster(cast.system)
    cluster.put("1", NOW - 9000, 0, "COMPLETED")
    assert meter.read_cluster(cast.system).replaced == 1
    assert cluster.asked[1:] == [(NOW - 500, ()), (0, ("1",))]
    assert known()["1"] == ("COMPLETED", 0)
    meter.read_cluster(cast.system)
    assert len(cluster.asked) == 4, "it has ended: nobody asks again"


def test_a_file_does_not_move_the_mark(cast, cluster: Cluster) -> None:
    cluster.put("1", NOW - 900, 100)
    meter.read_text(cluster.records(0), "a file", cast.system)
    assert watermark(cast.system.id) == 0
    meter.read_cluster(cast.system)
    assert watermark(cast.system.id) == NOW - 800


def test_a_clock_that_went_back_is_not_trusted(cast, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.put("1", NOW - 900, 100)
    meter.read_cluster(cast.system)
    monkeypatch.setenv("SCHMELZ_NOW", "2020-01-01T00:00:00Z")
    meter.read_cluster(cast.system)
    assert cluster.asked[-1] == (0, ())


STEPS = (
    (meter, "keep_outages"),
    (meter, "keep_reservations"),
    (meter.store, "Batches"),
    (actions.store, "merge"),
    (actions.store, "_put"),
    (actions.store, "_sync"),
    (actions.Watermark.objects, "update_or_create"),
    (actions.RecordFile.objects, "update_or_create"),
    (actions.Quarantined.objects, "bulk_create"),
    (actions, "record"),
)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", range(len(STEPS)), ids=[name for _, name in STEPS])
def test_a_crash_at_any_step(step: int, after: bool, cast, cluster: Cluster) -> None:
    """The second reading runs into it; the third finds everything, once."""
    cluster.put("1", NOW - 900, 100)
    cluster.put("2", NOW - 800, 10, "RUNNING")
    meter.read_cluster(cast.system)
    before, mark = known(), watermark(cast.system.id)
    cluster.put("2", NOW - 800, 300)
    cluster.put("3", NOW - 400, 100)
    where, name = STEPS[step]
    true = getattr(where, name)

    def crash(*given: object, **named: object) -> object:
        if after:
            true(*given, **named)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(where, name, crash)
        with pytest.raises(KeyboardInterrupt):
            meter.read_cluster(cast.system)
    assert (known(), watermark(cast.system.id)) == (before, mark)
    reading = meter.read_cluster(cast.system)
    assert (reading.added, reading.replaced) == (1, 1)
    assert known() == {"1": ("COMPLETED", 100), "2": ("COMPLETED", 300), "3": ("COMPLETED", 100)}
    assert Watermark.objects.get().ended == NOW - 300
    named_files = set(RecordFile.objects.values_list("file", flat=True))
    assert named_files <= {path.name for path in records_directory().iterdir()}


def test_a_runaway_is_told_and_not_ended(cast, cluster: Cluster) -> None:
    cluster.put("1", NOW - 900, 100, "RUNNING")
    cluster.put("2", NOW - 900, 100, "RUNNING")
    cluster.put("3", NOW - 900, 100)
    meter.read_cluster(cast.system)
    cluster.queue = ("2",)
    assert meter.runaways(cast.system).select("job", "state").rows() == [("1", "RUNNING")]
    del cluster.lines["1"]
    meter.read_cluster(cast.system)
    assert meter.runaways(cast.system)["job"].to_list() == ["1"], "gone from the accounting, too: still nobody ended it"
    assert known()["1"] == ("RUNNING", 100)
    cluster.put("1", NOW - 900, 0)
    meter.read_cluster(cast.system)
    assert meter.runaways(cast.system).is_empty()


def test_reservations_are_kept_as_they_are_told_now(cast, cluster: Cluster) -> None:
    pool, nodes = cast.system.pools[0], next(iter(cast.system.node_names.values()))[:2]

    def told(
        name: str, start: int, end: int | None, accounts: tuple[str, ...] = (), maintenance: bool = False
    ) -> Reservation:
        return Reservation(name, nodes, NOW + start, None if end is None else NOW + end, maintenance, accounts)

    def seen() -> set[tuple[str, int, int | None, str | None]]:
        return {
            (one.kind, one.start - NOW, None if one.end is None else one.end - NOW, one.pool)
            for one in outages(cast.system.id)
        }

    cluster.reserved = (told("a", -600, 600, (pool.account,)), told("b", -60, None, (), True), told("c", 600, 900))
    meter.read_cluster(cast.system)
    assert seen() == {("reserved", -600, 600, pool.id), ("maintenance", -60, None, None)}
    assert NodeOutage.objects.count() == 4, "node by node, and only what has begun"
    cluster.reserved = (told("a", -600, -10, (pool.account,)),)
    meter.read_cluster(cast.system)
    assert seen() == {("reserved", -600, -10, pool.id)}, "one ended early, one was withdrawn"
    assert meter.read_supply(cast.system, 0) == 0


def test_without_any_end_there_is_no_mark(cast, cluster: Cluster) -> None:
    """A cluster whose records all run has no mark yet: everything is asked again."""
    cluster.put("1", NOW - 900, 100, "RUNNING")
    meter.read_cluster(cast.system)
    meter.read_cluster(cast.system)
    assert [since for since, _ in cluster.asked] == [0, 0]
    assert runs().select(pl.len()).item() == 1
