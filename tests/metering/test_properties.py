"""Whatever the order, the batches, the repetitions and the files: the same runs, the same pieces, the same manifest."""

import io
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import make
from schmelz.metering import store, sums
from schmelz.metering.attribute import with_places
from schmelz.metering.pieces import pieces
from schmelz.metering.sacct import parts
from schmelz.units import day_period, day_start

ZONE = ZoneInfo("Europe/Luxembourg")
FACTORY = make.factory(charge="node")
SPRING, AUTUMN = day_start(date(2026, 3, 28), ZONE), day_start(date(2026, 10, 24), ZONE)
JOBS = st.lists(
    st.tuples(
        st.sampled_from((SPRING, AUTUMN)),
        st.integers(0, 3 * 86400),
        st.integers(0, 200_000),
        st.integers(0, 9),
        st.sampled_from(("eurohpc-1", "national-1", "x")),
        st.sampled_from(("n01", "n[01-02]", "n01,s01", "s02", "")),
    ),
    max_size=6,
)


def line(number: int, job: tuple[int, int, int, int, str, str], seen: int | None = None) -> str:
    """The record of a job; `seen`: as it stood so many seconds after its start, while it still ran."""
    day, after, elapsed, gpus, account, nodes = job
    start = day + after
    return make.record_line(
        JobIDRaw=str(number),
        Account=account,
        Submit=str(start - 60),
        Start=str(start),
        End="Unknown" if seen is not None else str(start + elapsed),
        Elapsed=str(elapsed if seen is None else min(seen, elapsed)),
        AllocTRES=f"gres/gpu={gpus}",
        NodeList=nodes,
        State="COMPLETED" if seen is None else "RUNNING",
    )


def kept(place: Path, files: Sequence[Sequence[str]], size: int) -> dict[str, str]:
    """The manifest after these files were read one after the other, part by part."""
    manifest: dict[str, str] = {}
    for lines in files:
        batches = store.Batches(place)
        for part in parts(io.BytesIO(make.record_text(*lines)), system="anvil", cluster="anvil-c", size=size):
            assert part.faults == ()
            batches.add(part.runs)
        manifest = store.merge(place, manifest, batches).manifest
    return manifest


@settings(
    max_examples=settings.default.max_examples // 2,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.data(), JOBS)
def test_the_way_in_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, jobs: list[tuple[int, int, int, int, str, str]]
) -> None:
    one, other = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("other")
    straight = [line(number, job) for number, job in enumerate(jobs)]
    stale = [line(number, job, seen) for number, job in enumerate(jobs) for seen in (0, 500)]
    lines = data.draw(st.permutations(straight + stale + straight))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(lines)), max_size=3)))
    files = [lines[a:b] for a, b in zip((0, *cuts), (*cuts, len(lines)), strict=True)]
    whole = kept(one, [straight], 10**6)
    there = kept(other, [*files, *files[:1]], data.draw(st.sampled_from((1, 300, 10**6))))
    assert there == whole
    assert store.load(other, there).equals(store.load(one, whole))
    assert sums.load(other, there, FACTORY).equals(sums.load(one, whole, FACTORY))


@given(JOBS)
def test_pieces_add_up_to_run_time_times_gpus_on_days_of_23_and_25_hours(
    jobs: list[tuple[int, int, int, int, str, str]],
) -> None:
    rows = [
        {"start": day + after, "elapsed": elapsed, "gpus": gpus, "account": account, "nodes": nodes}
        for day, after, elapsed, gpus, account, nodes in jobs
    ]
    runs = make.runs(*rows)
    cut = pieces(with_places(runs, FACTORY), ZONE)
    assert cut["gpu_s"].sum() == sum(row["gpus"] * row["elapsed"] for row in rows)  # type: ignore[operator]
    assert cut["started"].sum() == len(rows)
    for day, seconds in cut.select("day", "time_s").rows():
        assert 0 <= seconds <= day_period(day, ZONE).seconds
    added = sums.sums(runs, FACTORY)
    by_day = cut.group_by("day").agg(pl.col("gpu_s").sum()).sort("day")
    assert added.group_by("day").agg(pl.col("gpu_s").sum()).sort("day").equals(by_day)


def test_the_two_days_are_in_it() -> None:
    lengths = {day_period(day, ZONE).seconds // 3600 for day in (date(2026, 3, 29), date(2026, 10, 25))}
    assert lengths == {23, 25}
