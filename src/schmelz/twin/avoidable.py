"""The avoidable idle of a finished schedule: GPUs that stood idle for longer than a cycle though the policy's own rule
would have filled them.

The schedule is gone through event by event, as it stands: jobs start when and where it says, and at each event the
policy's own rule is asked what it would start on what is idle then; nothing of that is started. A GPU counts from the end
of the first scheduling cycle on, for as long as the rule would fill so many (`rules.levels`). The classic rules are those
of one machine; fixed parts are asked part by part. Not told (None): conservative, whose places come of all that went
before and not of what is there; and pre-emption, which undoes what the schedule says.
"""

from dataclasses import replace

import numpy as np

from schmelz.rules.levels import beyond
from schmelz.twin.building import build, told
from schmelz.twin.classic_audit import filled as filled_by_classic
from schmelz.twin.pool_kernel import simulate
from schmelz.twin.pools import Sites, part_of
from schmelz.twin.sharing import Sharing, checked, sharing_of
from schmelz.twin.workload import Ints, Options, Schedule, Workload
from schmelz.units import Period

CYCLE = 60
NOT_TOLD = "avoidable idle is not told for conservative and with pre-emption: the rule starts by more than the state of a moment"


def avoidable(
    policy: str, workload: Workload, schedule: Schedule, options: Options, span: Period | None = None
) -> int | None:
    """GPU-seconds of the span, or of the whole schedule; None where the rule cannot be asked."""
    sharing = sharing_of(options)
    if policy in ("fcfs", "easy", "sjbf"):
        return _counted(filled_by_classic(policy, workload, schedule, options), span)
    apart = policy == "partition" or (policy == "deficit" and not sharing.lend)
    if policy == "conservative" or (sharing.minimum_run is not None and not apart):
        return None
    sharing, sites, weights = checked(options, len(workload.pools))
    if apart:
        counted = 0
        for number in range(len(weights)):
            jobs, alone, own, places = part_of(workload, sharing, sites, weights, number)
            counted += _counted(_filled(alone, own, places, (1,), _of(schedule, jobs)), span)
        return counted
    own = replace(sharing, half_life=0) if policy == "deficit" else replace(sharing, floor_percent=0)
    return _counted(_filled(workload, own, sites, weights, schedule), span)


def _of(schedule: Schedule, jobs: Ints) -> Schedule:
    """These jobs alone."""
    return Schedule(schedule.start[jobs], schedule.end[jobs], None if schedule.site is None else schedule.site[jobs])


def _filled(workload: Workload, sharing: Sharing, sites: Sites, weights: tuple[int, ...], schedule: Schedule) -> Ints:
    twin, changes, _ = build(workload, sharing, sites, weights)
    through = told(schedule)
    simulate(twin, changes, through)
    return through.filled[: through.at[1]]


def _counted(filled: Ints, span: Period | None) -> int:
    """Rows of when the height changed, and to what."""
    if not len(filled):
        return 0
    moments = filled[:, 0] if span is None else np.clip(filled[:, 0], span.start, span.end)
    seconds = [*np.diff(moments).tolist(), 0]
    return beyond([0] * len(filled), seconds, filled[:, 1].tolist(), CYCLE)
