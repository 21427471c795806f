"""What every policy of the twin works on: a *workload* in, a *schedule* out; arrays of one length, one place per job.

Words: *estimate* = what the user said the job would take at most, and the planned length of its run; *size* = GPUs;
*owner* = whose job it is in the trace (tenant, account, queue, user); *pool* = the side of the split that the owner is on.
Invariants of a workload: sorted by submission, equal submissions in the order of the file; 1 <= run <= estimate;
1 <= size. `notes` are the rules that made it of the trace, with what each one dropped or changed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Small = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]
Order = Literal["batch", "serial"]
ORDERS: tuple[Order, ...] = ("batch", "serial")


@dataclass(frozen=True)
class Workload:
    """The jobs of a trace. `job` holds numbers where all names of the trace are numbers, else texts."""

    job: npt.NDArray[Any]
    submit: Ints
    run: Ints
    size: Ints
    estimate: Ints
    pool: Small
    pools: tuple[str, ...]
    owner: Small
    owners: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.submit)


@dataclass(frozen=True)
class Schedule:
    """When each job of the workload ran, in the same places; null where the policy knows no such thing.

    A job that was pre-empted has the start of its last run; `lost` is the GPU-seconds of the runs before it.
    """

    start: Ints
    end: Ints
    site: Small | None = None
    sites: tuple[str, ...] = ()
    borrowed: Bools | None = None
    lost: Ints | None = None
    figures: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Options:
    """The machine and the order of events; policies with more to choose add their fields here, with defaults."""

    gpus: int
    order: Order = "batch"


Policy = Callable[[Workload, Options], Schedule]
