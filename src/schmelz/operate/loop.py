"""The duties: small jobs over the database's state, each at its own pace, in one process. Nothing is queued anywhere.

A duty looks at the state and does what is due (level-triggered), so a missed beat or a killed process loses nothing.
One process runs them: a lock in the data directory. A failing duty is reported and tried again; the others go on.
"""

import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from django.conf import settings
from django.db import close_old_connections

from schmelz.cluster.model import Steering
from schmelz.faults import BadInput
from schmelz.operate import cluster, drift, meter, notify
from schmelz.operate.reconcile import reconcile
from schmelz.operate.steer import Steerer
from schmelz.policy.schema import System
from schmelz.portal.policy import version
from schmelz.portal.usage import actions as records
from schmelz.units import DAY

log = logging.getLogger("schmelz.duties")
STEERING_SECONDS = 15
RETRY_SECONDS = 15
DRIFT_SECONDS = 300


@dataclass
class Duty:
    """Something to do every `every` seconds; `last` is the monotonic time of its last beat."""

    name: str
    every: float
    do: Callable[[], object]
    last: float = float("-inf")


@contextmanager
def only_one() -> Iterator[bool]:
    """Whether this process is the one that runs the duties for this data directory."""
    path = Path(settings.DATA) / "duties.lock"
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True


class Steer:
    """The scheduling cycle of one system, with deficits that are worked out anew every few seconds, not every cycle."""

    def __init__(self, system: System) -> None:
        self.system, self.rule, self.known = system, Steering(), float("-inf")

    def __call__(self) -> None:
        if time.monotonic() - self.known > STEERING_SECONDS:
            self.rule, self.known = cluster.steering(self.system), time.monotonic()
        cluster.cycle(self.system, self.rule)


def duties() -> list[Duty]:
    """What this factory has to do on a clock."""
    found = [Duty("letters", 10, notify.send_waiting), Duty("sweep", 3600, records.sweep)]
    for system in cluster.running_systems():
        if system.cluster.backend == "local":
            found.append(Duty(f"schedule {system.id}", 0.5, Steer(system)))
        if system.cluster.backend == "slurm" and system.steering:
            found.append(Duty(f"steer {system.id}", system.steering.step, Steerer(system).step))
        if system.cluster.backend == "slurm":
            found.append(Duty(f"second path {system.id}", DAY, partial(reconcile, system)))
        every = 2 if system.cluster.backend == "local" else 30
        found.append(Duty(f"meter {system.id}", every, partial(meter.read_cluster, system)))
        found.append(Duty(f"drift {system.id}", DRIFT_SECONDS, partial(drift.look, system)))
    return found


def beat(all_duties: list[Duty]) -> None:
    """Do what is due now."""
    for duty in all_duties:
        if time.monotonic() - duty.last >= duty.every:
            duty.last = time.monotonic()
            try:
                duty.do()
            except Exception as error:
                duty.last += max(0.0, RETRY_SECONDS - duty.every)
                log.warning("%s failed and will be tried again: %s: %s", duty.name, type(error).__name__, error)


def _changed(policy: str) -> bool:
    """Whether the policy file now says something else; while it is faulty, the duties go on as before."""
    try:
        return version() != policy
    except BadInput:
        return False


def run(parent: int | None = None) -> None:
    """Run the duties until the parent process is gone or the policy changes (then whoever started us starts us again).

    Returns at once when another process runs them.
    """
    with only_one() as mine:
        if not mine:
            log.warning("another process runs the duties of %s", settings.DATA)
            return
        policy, all_duties = version(), duties()
        while (parent is None or os.getppid() == parent) and not _changed(policy):
            close_old_connections()
            beat(all_duties)
            time.sleep(0.25)
