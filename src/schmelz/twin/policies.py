"""The policies by name, and how long the compiled part of one takes apart from compiling it.

Each is a function of a workload and options and gives a schedule; the command, the bench and the tests take them from
here. *compile* is the first call on two small jobs: it loads the compiled kernel from the cache, or makes it.
"""

import time
from dataclasses import dataclass

from schmelz.twin.avoidable import avoidable
from schmelz.twin.classic import easy, fcfs, sjbf
from schmelz.twin.compiled import kept_by_another
from schmelz.twin.conservative import conservative
from schmelz.twin.generator import tiny
from schmelz.twin.pools import deficit, fairshare, partition
from schmelz.twin.sharing import PoolOptions, Sharing, sharing_of
from schmelz.twin.workload import Options, Order, Policy, Schedule, Workload

CLASSIC = ("fcfs", "easy", "conservative", "sjbf")
POLICIES: dict[str, Policy] = {
    "fcfs": fcfs,
    "easy": easy,
    "conservative": conservative,
    "sjbf": sjbf,
    "partition": partition,
    "fairshare": fairshare,
    "deficit": deficit,
}


@dataclass(frozen=True)
class Timed:
    """A schedule, and the seconds that compiling and running it took."""

    schedule: Schedule
    compile_s: float
    kernel_s: float


def warm(policy: str, order: Order = "batch", taking: bool = False) -> None:
    """Compile, or load, all that a policy needs, and the audit of its schedules."""
    jobs = tiny(("a", "b"))
    options = PoolOptions(8, order, sharing=Sharing(minimum_run=0 if taking else None))
    avoidable(policy, jobs, POLICIES[policy](jobs, options), options)


def timed(policy: str, workload: Workload, options: Options) -> Timed:
    """Run a policy, compiled beforehand."""
    began = time.perf_counter()
    taking = sharing_of(options).minimum_run is not None
    kept_by_another(
        f"{policy}-{options.order}-{taking}",
        f"from {__name__} import warm; warm({policy!r}, {options.order!r}, {taking})",
    )
    warm(policy, options.order, taking)
    compiled = time.perf_counter()
    schedule = POLICIES[policy](workload, options)
    return Timed(schedule, compiled - began, time.perf_counter() - compiled)
