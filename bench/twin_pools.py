"""The twin's deficit rule with pools: jobs per second against a plain loop that asks `rules.queue.next_starts`.

Compiling is shown apart; the figures are of a second process, which finds the compiled code in its place, so that the
peak of memory is that of running.
"""

import resource
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from schmelz.twin.generator import generated, tiny  # noqa: E402
from schmelz.twin.pools import deficit  # noqa: E402
from schmelz.twin.sharing import PoolOptions, Sharing  # noqa: E402
from twin.plain_pools import plain  # noqa: E402

POOLS = ("eurohpc", "national")
MACHINE = Sharing((50, 50), (("bissen", 504), ("bettembourg", 504)))


def compile_s() -> float:
    begun = time.perf_counter()
    deficit(tiny(POOLS), PoolOptions(8))
    return time.perf_counter() - begun


def measured(what: str, jobs: int, options: PoolOptions, load: float) -> float:
    """Jobs per second, best of three."""
    work = generated(jobs, options.gpus, load=load, pools=POOLS)
    seconds = []
    for _ in range(3):
        begun = time.perf_counter()
        deficit(work, options)
        seconds.append(time.perf_counter() - begun)
    print(f"{what:48} {min(seconds):14.2f} s  {jobs / min(seconds) / 1e6:14.3f} million jobs/s")
    return jobs / min(seconds)


def main() -> None:
    if "--run" not in sys.argv:
        print(f"{'compile the deficit rule, or load it':48} {compile_s():14.2f} s", flush=True)
        subprocess.run((sys.executable, __file__, "--run"), check=True)
        return
    print(f"{'  loaded from where it is kept':48} {compile_s():14.2f} s")
    ours = measured("deficit, 1 M jobs, 2,048 GPUs, load 0.9", 1_000_000, PoolOptions(2048), 0.9)
    measured("deficit, 0.5 M jobs, 1,008 GPUs at 2 sites, 0.9", 500_000, PoolOptions(1008, sharing=MACHINE), 0.9)
    measured("deficit, 0.5 M jobs, 2,048 GPUs, load 1.3", 500_000, PoolOptions(2048), 1.3)
    print(f"{'peak memory':48} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:14.0f} MiB")
    work = generated(1000, 2048, load=0.9, pools=POOLS)
    begun = time.perf_counter()
    plain(work, Sharing(), 2048)
    theirs = 1000 / (time.perf_counter() - begun)
    print(f"{'against a plain loop (1,000 jobs)':48} {theirs:14.0f} jobs/s  ratio {ours / theirs:10.0f}")


if __name__ == "__main__":
    main()
