"""Our sums of use against Slurm's own, account by account, for whole hours that both know.

The period ends at the last full hour up to which our records are read; where Slurm does not say up to when it has rolled up
(after its data base daemon was started anew), it is taken to be up to date. Nothing is changed on either side; what came
out is kept for the health page and for monitoring.
"""

from dataclasses import asdict, dataclass, fields

import polars as pl

from schmelz.cluster.backends.slurm import SlurmCluster
from schmelz.faults import BadInput, Refused
from schmelz.metering import store
from schmelz.metering.second_path import Line, compare, differing
from schmelz.operate.cluster import backend
from schmelz.operate.meter import runaways
from schmelz.policy.schema import System
from schmelz.portal import kept
from schmelz.portal.clock import now
from schmelz.portal.usage.queries import manifest, read_until, records_directory
from schmelz.units import DAY, HOUR, Period, iso

WEEK = 7 * DAY


@dataclass(frozen=True)
class Reconciled:
    """Both paths over a period; `rolled_up_to`: how far Slurm says its own sums go (None: it does not say)."""

    period: Period
    rolled_up_to: int | None
    lines: tuple[Line, ...]

    @property
    def unexplained(self) -> tuple[Line, ...]:
        return tuple(differing(self.lines))


@dataclass(frozen=True)
class Compared:
    """The last comparison: when, of which period, and what no cause explains: accounts, GPU-seconds."""

    at: int
    start: int
    end: int
    accounts: int
    gpu_s: int


def reconcile(system: System, start: int | None = None, end: int | None = None) -> Reconciled:
    """Compare the hours from `start` (default: a week before) to `end` (default: as far as both know)."""
    engine = backend(system)
    if not isinstance(engine, SlurmCluster):
        raise Refused(f"the cluster of {system.id} is no Slurm; it has no sums of its own.", "There is one path only.")
    period = _period(system, start, end)
    rolled_to = engine.rolled_up_to()
    gone = runaways(system).select("job", "submit").rows()
    frame = store.load(records_directory(), manifest()).filter(pl.col("cluster") == system.cluster.name)
    sums = engine.rollup(period.start, period.end)
    lines = compare(frame, sums, period, period.end if rolled_to is None else rolled_to, gone)
    found = Reconciled(period, rolled_to, lines)
    kept.write("second-path", system.id, asdict(_compared(found)))
    return found


def compared(system: System) -> Compared | None:
    """The last comparison, if there was one."""
    said = kept.read("second-path", system.id, frozenset(field.name for field in fields(Compared)))
    return None if said is None else Compared(**said)


def _compared(found: Reconciled) -> Compared:
    unexplained = found.unexplained
    return Compared(
        now(), found.period.start, found.period.end, len(unexplained), sum(x.unexplained for x in unexplained)
    )


def _period(system: System, start: int | None, end: int | None) -> Period:
    read = read_until(system.id, now())
    if read is None:
        raise Refused(f"no records of {system.id} were read yet.", "`schmelz meter` reads them.")
    last = min(read if end is None else end, read) // HOUR * HOUR
    first = (last - WEEK if start is None else start) // HOUR * HOUR
    if first >= last:
        raise BadInput(f"--from: {iso(first)} leaves no full hour before {iso(last)}, as far as records are read")
    return Period(first, last)
