"""What every policy of the twin works on: a *workload* in, a *schedule* out; arrays of one length, one place per job.

Words: *estimate* = what the user said the job would take at most, and the planned length of its run; *size* = GPUs;
*owner* = whose job it is in the trace (tenant, account, queue, user); *pool* = the side of the split that the owner is on.
Invariants of a workload: sorted by submission, equal submissions in the order of the file; 1 <= run <= estimate;
1 <= size. `notes` are the rules that made it of the trace, `counts` how many jobs each one dropped or changed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from schmelz.faults import BadInput

Ints = npt.NDArray[np.int64]
Small = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]
Order = Literal["batch", "serial"]
ORDERS: tuple[Order, ...] = ("batch", "serial")
LONGEST = 2**31 - 1


@dataclass(frozen=True)
class Names:
    """A column of names: each job's number of its name, and the names."""

    code: Small
    names: tuple[str, ...]


@dataclass(frozen=True)
class Workload:
    """The jobs of a trace. `job` holds numbers where all names of the trace are numbers, else texts.

    `mode`: the access mode of each job, where that is known. `names`: all columns of names, for other maps.
    """

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
    counts: tuple[tuple[str, int], ...] = ()
    mode: Small | None = None
    modes: tuple[str, ...] = ()
    names: tuple[Names, ...] = ()

    def __len__(self) -> int:
        return len(self.submit)

    def chosen(self, jobs: "Ints | slice") -> "Workload":
        """The workload of these jobs alone, in their order."""
        columns = ("job", "submit", "run", "size", "estimate", "pool", "owner")
        return replace(
            self,
            **{name: getattr(self, name)[jobs] for name in columns},
            mode=None if self.mode is None else self.mode[jobs],
            names=tuple(Names(column.code[jobs], column.names) for column in self.names),
        )


@dataclass(frozen=True)
class Schedule:
    """When each job of the workload ran, in the same places; null where the policy knows no such thing.

    A job that was pre-empted has the start of its last run; `lost` is the GPU-seconds of the runs before it. A start of -1:
    the job never did. `size`: the GPUs that it ran on, where that is not what it asked for. `cuts`: the runs that were cut
    by pre-emption: job, start, end, site.
    """

    start: Ints
    end: Ints
    site: Small | None = None
    sites: tuple[str, ...] = ()
    borrowed: Bools | None = None
    lost: Ints | None = None
    figures: tuple[tuple[str, Any], ...] = ()
    size: Ints | None = None
    cuts: Sequence[tuple[int, int, int, int]] = ()


@dataclass(frozen=True)
class Options:
    """The machine and the order of events; policies with more to choose add their fields here, with defaults.

    A policy puts a function into `watch`: how many jobs are done with so far, for whoever looks on while it runs.
    """

    gpus: int
    order: Order = "batch"
    watch: list[Callable[[], int]] = field(default_factory=list, compare=False)


def checked(workload: Workload, options: Options) -> None:
    """Raises BadInput where a policy would have to count beyond what its integers hold, or jobs are too large."""
    if not len(workload):
        raise BadInput("the trace holds no job that could run")
    if int(workload.size.max()) > options.gpus:
        raise BadInput(f"--gpus {options.gpus}: a job of {int(workload.size.max())} GPUs can never start")
    last = int(workload.submit.max()) + int(workload.run.sum()) + int(workload.estimate.max())
    if (
        int(workload.estimate.max()) >= LONGEST
        or last << max(len(workload).bit_length(), options.gpus.bit_length()) >= 2**62
    ):
        raise BadInput("the trace spans too long a time; times are whole seconds, of one machine's years")


Policy = Callable[[Workload, Options], Schedule]
