"""The avoidable idle of a window, kept with the moment up to which it was counted.

Counting it asks the queue's rule anew at every change of a window, which takes seconds for a year of a large machine; so
pages take what was counted in the last hour, and say when. The command line counts anew. What is kept can be
removed at any time (`portal.kept`).
"""

import hashlib
import json
from dataclasses import asdict, dataclass

from schmelz.metering.avoidable import avoidable
from schmelz.metering.grants import left
from schmelz.metering.split import Split
from schmelz.metering.windows import name_of, shared
from schmelz.policy.schema import System
from schmelz.portal import kept as kept_answers
from schmelz.portal.clock import now
from schmelz.portal.policy import factory, version
from schmelz.portal.projects import figures
from schmelz.portal.projects.models import Project
from schmelz.portal.usage.queries import manifest, outages
from schmelz.units import HOUR, Period

KEYS = frozenset({"gpu_s", "until", "at", "facts"})


@dataclass(frozen=True)
class Idle:
    """GPU-seconds that were idle and need not have been, from the window's begin up to `until`."""

    gpu_s: int
    until: int


def count(system: System, found: Split) -> Idle:
    """Counted anew for a split of a window so far."""
    frame = figures.attributed(system)
    grants = dict(Project.objects.filter(system=system.id).values_list("code", "grant_gpu_s"))
    spent = frozenset(code for code, rest in left(grants, frame, found.as_of).items() if rest == 0)
    whole = shared(factory(), system.id, found.period.start)
    gpu_s = avoidable(
        system,
        factory().zone,
        frame,
        outages(system.id),
        found.period,
        window_s=whole.seconds,
        spent=spent,
        carry=_behind(system, found, whole),
    )
    return Idle(gpu_s, found.period.end)


def _behind(system: System, found: Split, whole: Period) -> dict[str, int]:
    """The deficits with which the rule went into the period: those of the window that the system shares by."""
    before = figures.split(system, name_of(whole, factory().zone), found.period.start)
    return {pool.pool: pool.deficit_gpu_s for pool in before.pools}


def kept(system: System, found: Split) -> Idle:
    """What was counted in the last hour, or of the same records up to the same moment; else counted and kept."""
    name, moment = f"{system.id}-{found.window.replace('/', '--')}", now()
    facts = _digest(version(), sorted(manifest().items()), sorted(map(str, outages(system.id))))
    known = kept_answers.read("idle", name, KEYS)
    if known and known["until"] <= found.period.end:
        same = (known["facts"], known["until"]) == (facts, found.period.end)
        if same or (found.as_of == moment and 0 <= moment - known["at"] < HOUR):
            return Idle(known["gpu_s"], known["until"])
    idle = count(system, found)
    kept_answers.write("idle", name, {**asdict(idle), "at": moment, "facts": facts})
    return idle


def _digest(*facts: object) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
