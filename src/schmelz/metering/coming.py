"""What a system will deliver in a span of time to come: installed, less planned maintenance, less the cap of overhead.

Nodes that are down today are taken to be back: nothing else is known about the future. The cap of the overhead is taken
off whole, so that the figure is rather too small than too large. Source: the definitions page, "delivered".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import polars as pl

from schmelz.metering.segments import NEEDED, segments
from schmelz.policy.schema import System
from schmelz.units import Period

NOBODY = pl.DataFrame(
    schema={
        name: pl.Categorical if name in ("pool", "project", "site", "nodes", "state") else pl.Int64 for name in NEEDED
    }
)


@dataclass(frozen=True)
class Coming:
    """Capacity step by step: from when, for how many seconds, how many GPUs."""

    steps: Sequence[tuple[int, int, int]]

    @property
    def total(self) -> int:
        return sum(seconds * gpus for _, seconds, gpus in self.steps)

    def until(self, moment: int) -> int:
        """What is delivered before `moment`."""
        return sum(min(seconds, max(0, moment - begin)) * gpus for begin, seconds, gpus in self.steps)

    def reached(self, amount: int) -> int | None:
        """The first second by which so much (more than 0) is delivered; None when it never is."""
        for begin, seconds, gpus in self.steps:
            if amount <= seconds * gpus:
                return begin + -(-amount // gpus)
            amount -= seconds * gpus
        return None


def coming(system: System, zone: ZoneInfo, span: Period) -> Coming:
    """The capacity of a span in which nothing has happened yet."""
    cap = system.gpus() * (system.overhead.cap_percent if system.overhead else 0) // 100
    frame = segments(system, zone, NOBODY, (), span).select("t", "dt", pl.max_horizontal(0, pl.col("capacity") - cap))
    return Coming(frame.rows())
