"""Claims: what projects may still use of their grants, from when until when.

A claim holds until the project's end; in a span of time it is worth at most all GPUs of the system for the time that the
two have in common. Integers, in GPU-seconds. Source: the definitions page, "feasibility", "commercial".
"""

from dataclasses import dataclass

from schmelz.units import Period


@dataclass(frozen=True)
class Claim:
    """What a project has left: its grant less all that its runs have used so far, running ones included."""

    project: str
    pool: str
    commercial: bool
    left_gpu_s: int
    start: int
    end: int

    def within(self, span: Period, gpus: int) -> int:
        """What of it can be used in the span on so many GPUs."""
        both = min(self.end, span.end) - max(self.start, span.start)
        return min(self.left_gpu_s, gpus * max(0, both))
