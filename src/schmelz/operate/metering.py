"""How the metering of each system stands: how fresh its records are, what lies in quarantine, what is closed, what is open.

*Lag* is how old the newest news of the cluster's own records is: the time since the last reading. *Pending* is what the
records say about closed months beyond what is frozen and booked; the next closing books it. *Drift* is the last comparison
of our sums with Slurm's own, kept when `schmelz reconcile` was run. From the database and the records; no cluster is asked.
"""

from dataclasses import dataclass

from schmelz.policy.schema import System
from schmelz.portal.clock import now
from schmelz.portal.usage.models import Reading, SecondPath
from schmelz.units import DAY


@dataclass(frozen=True)
class Metered:
    """One system: its last reading (None: none yet), when a run last came, open runs, bad lines, drift."""

    system: System
    reading: Reading | None
    newest: int | None
    running: int
    quarantined: int
    drift: SecondPath | None

    @property
    def lag(self) -> int | None:
        return None if self.reading is None else max(0, now() - self.reading.at)

    @property
    def late(self) -> bool:
        return self.lag is None or self.lag > DAY
