"""`make bench`: how fast the heavy parts are, each against a plain baseline in the same run, so that the machine cancels out.

Nothing here asserts a time: the figures are ratios to look at, best of three rounds.
"""

import csv
import io
import random
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from schmelz.metering.attribute import attribute
from schmelz.metering.pieces import pieces
from schmelz.metering.sacct import read
from schmelz.metering.split import split
from schmelz.metering.usage import usage
from schmelz.metering.windows import window
from schmelz.policy.load import load
from schmelz.policy.schema import Factory
from schmelz.rules.queue import Running, State, Waiting, next_starts

ROWS = 200_000
ROOT = Path(__file__).parent.parent
HEADER = "JobIDRaw|Account|User|Partition|State|Submit|Eligible|Start|End|ElapsedRaw|AllocTRES|NNodes|NodeList\n"


def records(rows: int) -> bytes:
    """A year of made-up `sacct -P` text."""
    chance, lines = random.Random(1), [HEADER]
    first = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
    for job in range(rows):
        start = first + job * 31_000_000 // rows
        run = min(172_800, int(chance.lognormvariate(7.6, 1.9)))
        nodes = chance.choice((1, 1, 1, 2, 4, 8))
        node = chance.randrange(1, 127 - nodes)
        where = f"{chance.choice(('mxb', 'mxt'))}[{node:03d}-{node + nodes - 1:03d}]"
        begin, end = (datetime.fromtimestamp(t, UTC).strftime("%Y-%m-%dT%H:%M:%S") for t in (start, start + run))
        account = f"{chance.choice(('ehpc', 'nat'))}-{chance.randrange(200):03d}"
        tres = f"cpu=1,gres/gpu={nodes * 4},node={nodes}"
        times = f"{begin}|{begin}|{begin}|{end}|{run}"
        lines.append(f"{job}|{account}|u{job % 997}|gpu|COMPLETED|{times}|{tres}|{nodes}|{where}\n")
    return "".join(lines).encode()


def plain(source: bytes) -> dict[tuple[str, str], int]:
    """The baseline: the csv module and a dictionary, GPU-seconds per account and UTC day."""
    sums: dict[tuple[str, str], int] = {}
    for row in csv.DictReader(io.StringIO(source.decode()), delimiter="|", quoting=csv.QUOTE_NONE):
        start = int(datetime.fromisoformat(row["Start"] + "+00:00").timestamp())
        end = start + int(row["ElapsedRaw"])
        gpus = next(int(part[9:]) for part in row["AllocTRES"].split(",") if part.startswith("gres/gpu="))
        while start < end:
            cut = min(end, (start // 86400 + 1) * 86400)
            key = (row["Account"], datetime.fromtimestamp(start, UTC).strftime("%Y-%m-%d"))
            sums[key] = sums.get(key, 0) + gpus * (cut - start)
            start = cut
    return sums


def metered(source: bytes, factory: Factory) -> pl.DataFrame:
    runs = read(source, system="meluxina-ai", cluster="local").runs
    return usage(pieces(attribute(runs, factory, {}), factory.zone, 2_000_000_000), ["project", "day"], None, None)


def best(work: Callable[[], object], rounds: int = 3) -> float:
    def once() -> float:
        begun = time.perf_counter()
        work()
        return time.perf_counter() - begun

    return min(once() for _ in range(rounds))


def queue_state(waiting: int) -> State:
    chance = random.Random(2)
    return State(
        now=0,
        capacity=1008,
        free={"bissen": 8, "bettembourg": 4},
        waiting=tuple(
            Waiting(str(n), chance.choice(("a", "b")), chance.choice((4, 8, 32, 128)), 3600, ("bissen", "bettembourg"))
            for n in range(waiting)
        ),
        running=tuple(
            Running(
                f"r{n}", chance.choice(("a", "b")), 4, chance.choice(("bissen", "bettembourg")), chance.randrange(9000)
            )
            for n in range(240)
        ),
        deficits={"a": 10, "b": 5},
        floor_percent=25,
    )


def main() -> None:
    factory, source = load(ROOT / "factory.toml"), records(ROWS)
    ours, theirs = best(lambda: metered(source, factory)), best(lambda: plain(source))
    total = metered(source, factory)["gpu_s"].sum()
    say(f"read and sum {ROWS:,} records", ours, theirs, "csv module")
    say("  the same total", float(total), float(sum(plain(source).values())), "GPU-seconds")
    frame = attribute(read(source, system="meluxina-ai", cluster="local").runs, factory, {})
    as_of = int(frame["end"].max() or 0)
    _, year = window(factory, "meluxina-ai", "2026", as_of)
    _, month = window(factory, "meluxina-ai", "2026-06", as_of)
    whole = best(lambda: split(factory, "meluxina-ai", frame, (), year, as_of))
    say(
        "split of a month, against the year",
        best(lambda: split(factory, "meluxina-ai", frame, (), month, as_of)),
        whole,
        "the year",
    )
    long, short = best(lambda: next_starts(queue_state(2000))), best(lambda: next_starts(queue_state(200)))
    say("a pass over 2,000 waiting jobs, against 200", long, short, "200 jobs")
    for part in ("meter", "ledger", "cluster", "twin_speed"):
        sys.stdout.flush()
        subprocess.run((sys.executable, str(ROOT / f"bench/{part}.py")), check=True)


def say(what: str, ours: float, theirs: float, named: str) -> None:
    print(f"{what:48} {ours:14.4f}  {theirs:14.4f} ({named})  ratio {ours / theirs:7.3f}", file=sys.stdout)


if __name__ == "__main__":
    main()
