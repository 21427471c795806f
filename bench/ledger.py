"""The figures of the ledger: the split, its carry, avoidable idle, the outlook, against a plain sweep in Python.

The sweep walks over the same runs in the same process and adds up entitlement and use per pool and nothing else; it is
given the smaller case, and costs per run are compared, so that the machine cancels out. Nothing here asserts a time.
"""

import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import polars as pl
from run import best, records

from schmelz.metering.attribute import attribute
from schmelz.metering.avoidable import avoidable
from schmelz.metering.carry import carried
from schmelz.metering.feasibility import feasibility
from schmelz.metering.sacct import read
from schmelz.metering.split import split, window
from schmelz.policy.load import load
from schmelz.policy.schema import System
from schmelz.units import Period

SMALL, LARGE = 20_000, 1_000_000
ROOT = Path(__file__).parent.parent
SYSTEM = "meluxina-ai"


def main() -> None:
    factory = load(ROOT / "factory.toml")
    system = factory.system(SYSTEM)
    small, large = (
        attribute(read(records(rows), system=SYSTEM, cluster="local").runs, factory, {}) for rows in (SMALL, LARGE)
    )
    as_of = int(large["end"].max() or 0)
    _, year = window(factory, SYSTEM, "2026", as_of)
    _, month = window(factory, SYSTEM, "2026-06", as_of)
    _, after = window(factory, SYSTEM, "2027", year.end)

    found = split(factory, SYSTEM, small, (), year, as_of)
    ours = {pool.pool: pool.used_gpu_s for pool in found.pools}
    print(f"the same use as the plain sweep: {ours == plain(system, small, Period(year.start, found.period.end))}")
    base = best(lambda: plain(system, small, Period(year.start, found.period.end))) / SMALL

    def say(what: str, rows: int, work: Callable[[], object], rounds: int = 3) -> None:
        seconds = best(work, rounds)
        print(f"{what:52} {seconds * 1000:9.1f} ms   ratio per run {seconds / rows / base:7.3f} (plain sweep)")

    say(f"split of a year of {SMALL:,} runs", SMALL, lambda: split(factory, SYSTEM, small, (), year, as_of))
    say(f"split of a year of {LARGE:,} runs", LARGE, lambda: split(factory, SYSTEM, large, (), year, as_of))
    say(f"split of a month of {LARGE:,} runs", LARGE // 12, lambda: split(factory, SYSTEM, large, (), month, as_of))
    say("carry out of a year", LARGE, lambda: carried(factory, SYSTEM, large, (), after))
    # every job has one GPU and waits for up to two hours though most are free: each change is put to the rule
    late = pl.col("start") - pl.col("job").cast(pl.Int64) * 977 % 7200
    waited = large.with_columns(eligible=late, gpus=pl.lit(1, pl.Int64))
    avoidable(system, factory.zone, waited, (), month, window_s=month.seconds)  # compiled once
    for name, rows, span in (("month", LARGE // 12, month), ("year", LARGE, Period(year.start, min(year.end, as_of)))):
        say(
            f"avoidable idle of a {name}, all jobs waiting",
            rows,
            lambda span=span: avoidable(system, factory.zone, waited, (), span, window_s=span.seconds),
            rounds=3 if name == "month" else 1,
        )
    say("feasibility of every pool", LARGE, lambda: feasibility(system, factory.zone, found, year.end, ()))


def plain(system: System, runs: pl.DataFrame, span: Period) -> dict[str, int]:
    """The baseline: sort what begins and ends, walk through it, add up."""
    events: dict[int, dict[str, int]] = {span.start: {}, span.end: {}}
    columns = runs.select("pool", "start", "elapsed", pl.col("gpus") + pl.col("held_gpus"))
    for pool, start, elapsed, gpus in columns.iter_rows():
        for moment, change in ((start, gpus), (start + elapsed, -gpus)):
            at = events.setdefault(min(max(moment, span.start), span.end), {})
            at[pool] = at.get(pool, 0) + change
    now = {pool.id: 0 for pool in system.pools}
    used, entitled = dict(now), dict.fromkeys(now, 0)
    for begin, end in pairwise(sorted(events)):
        for pool, change in events[begin].items():
            now[pool] = now.get(pool, 0) + change
        for pool in system.pools:
            used[pool.id] += now[pool.id] * (end - begin)
            entitled[pool.id] += pool.weight * system.gpus() * (end - begin)
    return used


if __name__ == "__main__":
    sys.exit(main())
