"""How the metering of each system stands: how fresh its records are, what runs, what is closed, what is not yet booked.

*Lag* is the time since the last reading, *newest* the latest end or start that a record tells. *Pending* are the rows that
the next closing books about closed months. *Second path* is the last comparison with Slurm's own sums, by the daily duty or
`schmelz reconcile`. From the database and the record files; no cluster is asked.
"""

from dataclasses import dataclass

import polars as pl

from schmelz.operate.closing import pending
from schmelz.operate.reconcile import Compared, compared
from schmelz.policy.schema import System
from schmelz.portal.clock import now
from schmelz.portal.ledger.models import Closing
from schmelz.portal.policy import factory
from schmelz.portal.projects.figures import attributed
from schmelz.portal.usage.models import Reading
from schmelz.units import DAY


@dataclass(frozen=True)
class Metered:
    """One system; None where nothing was read, or nothing was compared."""

    system: System
    reading: Reading | None
    newest: int | None
    running: int
    waiting: int
    unknown_gpu_s: int
    second_path: Compared | None

    @property
    def late(self) -> bool:
        return self.reading is None or now() - self.reading.at > DAY


def metered() -> list[Metered]:
    """The systems that have records, or should have."""
    systems = [s for s in factory().systems if s.gpus() and s.state != "retired"]
    found = [_metered(system) for system in systems]
    return [one for one in found if one.reading or one.system.cluster.backend != "none"]


def _metered(system: System) -> Metered:
    runs = attributed(system).filter(pl.col("part") == 0)
    open_now = runs.filter(pl.col("state").cast(pl.String).is_in(["RUNNING", "PENDING", "SUSPENDED"]))
    newest = runs.select(pl.max_horizontal(pl.col("end").max(), (pl.col("start") + pl.col("elapsed")).max())).item()
    nobodys = runs.filter(pl.col("pool").cast(pl.String) == "unassigned")
    return Metered(
        system,
        Reading.objects.filter(system=system.id).first(),
        newest,
        open_now.filter(pl.col("start").is_not_null()).height,
        open_now.filter(pl.col("start").is_null()).height,
        int(nobodys.select((pl.col("gpus") * pl.col("elapsed")).sum()).item()),
        compared(system),
    )


@dataclass(frozen=True)
class Books:
    """The last closed month, how many have signed it, and how many corrections wait for the next closing."""

    month: str | None
    signed: int
    signers: int
    pending: int


def books() -> Books:
    last = Closing.objects.prefetch_related("signatures").last()
    if last is None:
        return Books(None, 0, 0, 0)
    return Books(last.month, last.signatures.count(), len(last.signers), pending().height)
