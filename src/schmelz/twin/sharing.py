"""What a policy with pools may be told beside the number of GPUs: sites, weights, the rule's numbers, outages, budgets.

*sites*: names and GPUs; a job never spans two. *away*: GPUs of a site that nobody gets from `start` to `end`: free ones
at once, others when their job has ended; before an announced outage that takes a whole site no job starts there that
could reach into it. *windows*: the instants at which the ledger begins anew; `window_s` is what the dead band is measured
against. *before*: what was delivered, and what each pool used, in the window before the first event.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from schmelz.faults import BadInput
from schmelz.twin.pool_tables import NEVER, Steps
from schmelz.twin.workload import Bools, Ints, Options, Small
from schmelz.units import DAY

POOLS_AT_MOST, SITES_AT_MOST = 60, 30


@dataclass(frozen=True)
class Away:
    """GPUs of a site that leave at `start` and are back at `end`."""

    site: str
    gpus: int
    start: int
    end: int
    announced: bool = False


@dataclass(frozen=True)
class Budgets:
    """What each owner of the workload may use in all: at first, and from known times on; what it used or has running.

    Where a step is `renewed`, its amount is on top of what is used or promised by then: what a month left is lost.
    """

    allowed: Ints
    promised: Ints
    time: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    owner: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    then: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    renewed: Bools | None = None


@dataclass(frozen=True)
class Sharing:
    """The pools' rule and the machine in detail. Empty: equal weights, one site.

    `lend`: what a pool does not ask for is lent; if not, every pool has its part of each site for itself.
    `minimum_run`: marked jobs may be pre-empted after it; None: never. `mark_over`: a job is marked when its pool is over
    its share with it at submission; else `marked` says which jobs are. `job_sites`: for each job its sites, as bits.
    """

    weights: tuple[int, ...] = ()
    sites: tuple[tuple[str, int], ...] = ()
    floor_percent: int = 25
    dead_band_ppm: int = 1000
    window_s: int = 365 * DAY
    windows: tuple[int, ...] = ()
    before: tuple[int, tuple[int, ...]] = (0, ())
    lend: bool = True
    minimum_run: int | None = None
    mark_over: bool = False
    marked: Bools | None = None
    half_life: int = 7 * DAY
    job_sites: Small | None = None
    away: tuple[Away, ...] = ()
    budgets: Budgets | None = None
    until: int = NEVER


@dataclass(frozen=True)
class PoolOptions(Options):
    """Options of the policies that know pools."""

    sharing: Sharing = Sharing()


def sharing_of(options: Options) -> Sharing:
    """The sharing of any options: of those that say nothing of it, equal weights on one site."""
    return options.sharing if isinstance(options, PoolOptions) else Sharing()


def sites_of(options: Options) -> tuple[tuple[str, int], ...]:
    """The sites and their GPUs."""
    return sharing_of(options).sites or (("machine", options.gpus),)


def checked(options: Options, pools: int) -> tuple[Sharing, tuple[tuple[str, int], ...], tuple[int, ...]]:
    """The sharing, its sites and the weights of so many pools. Raises BadInput."""
    if options.order != "batch":
        raise BadInput("--order: policies with pools work in batch order only; write --order batch")
    sharing, sites = sharing_of(options), sites_of(options)
    weights = sharing.weights or (1,) * pools
    faults = [
        (len(weights) != pools, f"weights: {len(weights)} for {pools} pools; one for each pool"),
        (min(weights, default=0) < 1, "weights: 1 or more for each pool"),
        (pools > POOLS_AT_MOST, f"pools: {pools} are too many; at most {POOLS_AT_MOST}"),
        (len(sites) > SITES_AT_MOST, f"sites: {len(sites)} are too many; at most {SITES_AT_MOST}"),
        (sum(gpus for _, gpus in sites) != options.gpus, f"sites: their GPUs must add up to {options.gpus}"),
        (min(gpus for _, gpus in sites) < 1, "sites: each must have 1 GPU or more"),
        (not 0 <= sharing.floor_percent <= 100, "floor: 0 to 100 per cent"),
        (not {one.site for one in sharing.away} <= {name for name, _ in sites}, "outage: at a site that is not there"),
    ]
    if found := [text for wrong, text in faults if wrong]:
        raise BadInput(found)
    return sharing, sites, weights


def steps(sharing: Sharing, sites: Sequence[tuple[str, int]]) -> tuple[Steps, Ints]:
    """Every change at a known time, in order; and until when jobs of each site may run at first."""
    rows = [row for number, (name, gpus) in enumerate(sites) for row in _of_site(sharing.away, number, name, gpus)]
    rows.sort()
    first = [_clear(sharing.away, name, gpus, -NEVER) for name, gpus in sites]
    table = np.zeros((0, 4), np.int64)
    if paced := sharing.budgets:
        renewed = np.zeros(len(paced.time), np.bool_) if paced.renewed is None else paced.renewed
        table = np.stack([paced.time, paced.owner, paced.then, renewed], 1).astype(np.int64)
        table = table[np.argsort(table[:, 0], kind="stable")]
    changes = np.array(rows, np.int64).reshape(-1, 4)
    return Steps(changes, table, np.array(sorted(sharing.windows), np.int64)), np.array(first, np.int64)


def _of_site(away: Sequence[Away], number: int, name: str, gpus: int) -> list[tuple[int, int, int, int]]:
    """Time, site, change of its GPUs, and the time by which its jobs must end from then on."""
    here = [one for one in away if one.site == name and one.end > one.start]
    moments = sorted({moment for one in here for moment in (one.start, one.end)})
    rows, up = [], gpus
    for moment in moments:
        there = max(0, gpus - sum(one.gpus for one in here if one.start <= moment < one.end))
        rows.append((moment, number, there - up, _clear(away, name, gpus, moment)))
        up = there
    return rows


def _clear(away: Sequence[Away], name: str, gpus: int, moment: int) -> int:
    """The start of the next announced outage of the whole site after this moment."""
    whole = (
        one.start for one in away if one.site == name and one.announced and one.gpus >= gpus and one.end > one.start
    )
    return min((start for start in whole if start > moment), default=NEVER)
