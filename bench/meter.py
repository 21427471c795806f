"""Metering a year of records, as whole processes, against plain polars that does the same sums in the same run.

Read cold, the sums by pool, project, site and day, both again, and 20,000 new records in a process that is already there; time,
ratio and peak memory. The baseline drops repeated keys, cuts at midnight and adds up by account, site and day; it keeps nothing,
checks nothing and writes nothing. Its total must be ours. SCHMELZ_MAKE_SACCT names a generator (--rows, --seed, -o) to use in
place of our own text. `python bench/meter.py --rows 10000000` for more; nothing here asserts a time.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COLUMNS = "JobIDRaw|JobName|User|Account|Partition|QOS|State|Submit|Eligible|Start|End|Elapsed|AllocTRES|NNodes|ExitCode|NodeList"
NEWS = 20_000
YEAR = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
BASELINE = """
import sys, polars as pl
col, I = pl.col, pl.Int64
use = ["JobIDRaw", "Account", "Submit", "Start", "Elapsed", "AllocTRES", "NodeList"]
jobs = pl.scan_csv(sys.argv[1], separator="|", quote_char=None, infer_schema=False).select(use).collect()
jobs = jobs.unique(["JobIDRaw", "Submit"], keep="last").lazy()
e = col("Elapsed")
jobs = jobs.filter((col("AllocTRES") != "") & col("Start").str.head(1).is_in(["1", "2"])).select(
    col("Account").alias("a"), col("NodeList").str.head(3).alias("s"), col("AllocTRES").alias("t"),
    col("Start").str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit="ms").dt.epoch("s").alias("b"),
    (e.str.slice(-8, 2).cast(I) * 3600 + e.str.slice(-5, 2).cast(I) * 60 + e.str.slice(-2, 2).cast(I)
     + pl.when(e.str.len_bytes() > 8).then(e.str.head(-9)).otherwise(pl.lit("0")).cast(I) * 86400).alias("n"),
).filter(col("n") > 0).collect()
gpus = jobs.select(col("t").unique())
gpus = gpus.with_columns(col("t").str.extract(r"(?:^|,)gres/gpu=(\\d+)").cast(I).fill_null(0).alias("g"))
pieces = jobs.lazy().join(gpus.lazy(), on="t").with_columns(
    pl.int_ranges(col("b") // 86400, (col("b") + col("n") - 1) // 86400 + 1).alias("d")).explode("d").with_columns(
    (pl.min_horizontal(col("b") + col("n"), (col("d") + 1) * 86400) - pl.max_horizontal("b", col("d") * 86400)).alias("p"))
sums = pieces.group_by("d", "a", "s").agg((col("g") * col("p")).sum().alias("gpu_s")).sort("d", "a", "s").collect()
print(sums.write_json() if len(sys.argv) > 2 else sums["gpu_s"].sum())
"""


def records(rows: int, first: int = 0, seed: int = 1) -> str:
    """A year of `sacct -X -P` text: two owners, two sites, typed and untyped GPUs, one in a hundred requeued or running."""
    chance, lines = random.Random(seed), [COLUMNS]
    accounts = [f"{owner}-{number:03d}" for owner in ("ehpc", "nat") for number in range(200)]
    for job in range(first, first + rows):
        submit = YEAR + (job - first) * 31_000_000 // rows
        start, elapsed = submit + int(chance.expovariate(1 / 5400)), min(172_800, int(chance.lognormvariate(7.6, 1.9)))
        nodes, dc = chance.choice((1, 1, 1, 2, 4, 8)), chance.choice(("dc1", "dc2"))
        gpus = nodes * 4 if nodes > 1 else chance.choice((1, 2, 4))
        low = chance.randrange(1, 480 - nodes)
        where = f"{dc}g{low:04d}" if nodes == 1 else f"{dc}g[{low:04d}-{low + nodes - 1:04d}]"
        typed = f"gres/gpu:h200={gpus}," if chance.random() < 0.6 else ""
        tres = f"billing={gpus * 18},cpu={gpus * 18},{typed}gres/gpu={gpus},mem={gpus * 120}G,node={nodes}"
        state = chance.choice(("COMPLETED",) * 80 + ("FAILED",) * 12 + ("TIMEOUT",) * 5 + ("CANCELLED by 1001",) * 3)
        times = "|".join(_text(t) for t in (submit, submit, start, start + elapsed))
        ran = f"{elapsed // 86400}-" * (elapsed >= 86400) + time.strftime("%H:%M:%S", time.gmtime(elapsed % 86400))
        lines.append(
            f"{job}|train {job % 7}|u{job % 997}|{chance.choice(accounts)}|gpu|normal|{state}|"
            f"{times}|{ran}|{tres}|{nodes}|0:0|{where}"
        )
    return "\n".join(lines) + "\n"


def _text(instant: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(instant))


class Bench:
    """One data directory, and the environment of its commands."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("SCHMELZ_")}
        self.env |= {"SCHMELZ_DATA": str(place / "data"), "SCHMELZ_FACTORY": str(ROOT / "bench/factory.toml")}

    def run(self, *command: str) -> tuple[float, int, str]:
        """Seconds, peak memory in MiB, and what it printed."""
        with (self.place / "out").open("w+b") as out:
            began = time.perf_counter()
            process = subprocess.Popen((sys.executable, *command), env=self.env, stdout=out)
            _, status, used = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - began
            process.returncode = os.waitstatus_to_exitcode(status)
            assert process.returncode in (0, 3), command
            out.seek(0)
            return seconds, used.ru_maxrss // 1024, out.read().decode()

    def schmelz(self, *words: str) -> tuple[float, int, str]:
        return self.run("-m", "schmelz.cli", *words)

    def fresh(self) -> None:
        """An empty data directory that has its tables: making those is no part of metering."""
        shutil.rmtree(self.place / "data", ignore_errors=True)
        self.schmelz("person", "list")


def best(
    work: Callable[[], tuple[float, int, str]], rounds: int, before: Callable[[], None] = lambda: None
) -> tuple[float, int, str]:
    found = []
    for _ in range(rounds):
        before()
        found.append(work())
    return min(found)


def measure(bench: Bench, rows: int, rounds: int) -> None:
    source, usage = str(bench.place / "jobs.txt"), ("usage", "--by", "pool,project,site,day", "--json")
    base = best(lambda: bench.run("-c", BASELINE, source, "json"), rounds)
    cold = best(lambda: bench.schmelz("meter", "--from", source, "--json"), rounds, bench.fresh)
    first = bench.schmelz(*usage)
    say(f"polars baseline, {rows:,} records", base, base)
    say("schmelz meter, cold", cold, base)
    say("schmelz usage, first", first, base)
    say("  both together", (cold[0] + first[0], max(cold[1], first[1]), ""), base)
    say(
        "schmelz meter, the same again",
        again := best(lambda: bench.schmelz("meter", "--from", source, "--json"), rounds),
        base,
    )
    say("schmelz usage, again", best(lambda: bench.schmelz(*usage), rounds), base)
    assert json.loads(again[2])["added"] == json.loads(again[2])["replaced"] == 0
    ours, theirs = (sum(row["gpu_s"] for row in json.loads(text)) for text in (first[2], base[2]))
    print(
        f"{'  the same total':48} {ours:14,} = {theirs:,} GPU-seconds"
        if ours == theirs
        else f"TOTALS DIFFER: {ours} {theirs}"
    )
    os.environ |= bench.env
    print(f"{f'{NEWS:,} new records, in process':48} {news(rows):11.3f} s")


def news(rows: int) -> float:
    """Seconds for one increment in a process that is already there."""
    from schmelz.cli import ready

    ready.portal()
    from schmelz.operate.meter import read_text
    from schmelz.portal.policy import factory

    text, system = records(NEWS, first=10**9 + rows, seed=2).encode(), factory().systems[0]
    read_text(records(1, first=10**9, seed=3).encode(), "warm", system)
    began = time.perf_counter()
    assert read_text(text, "news", system).added == NEWS
    return time.perf_counter() - began


def say(what: str, found: tuple[float, int, str], base: tuple[float, int, str]) -> None:
    print(f"{what:48} {found[0]:11.3f} s   {found[0] / base[0]:6.2f} x baseline   {found[1]:6,} MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="schmelz-meter-"))
    try:
        if generator := os.environ.get("SCHMELZ_MAKE_SACCT"):
            made = ("--rows", str(given.rows), "--seed", "1", "-o", str(place / "jobs.txt"))
            subprocess.run((sys.executable, generator, *made), check=True)
        else:
            (place / "jobs.txt").write_text(records(given.rows))
        measure(Bench(place), given.rows, given.rounds)
    finally:
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main()
