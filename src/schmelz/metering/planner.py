"""How many GPU-hours a pool should call for, and when: what its projects will use against what its share will give.

Projects are taken to use what they have left evenly until they end. A pool's *need* until some day is its share of what is
delivered until then; in the present window with what it is behind the other pools, as far as the floors leave that to be
had (what all are behind alike stood idle, and nobody can give it back). So the needs of all pools together are never more
than what is delivered. What projects do not cover of it is to be called for. The pool *runs dry* on the first day by whose
end its projects would have used less than the need. The window's own figures are those of `feasibility`.
Integers, GPU-seconds. Source: the definitions page, "feasibility".
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from schmelz.metering.claims import Claim
from schmelz.metering.coming import Coming
from schmelz.metering.feasibility import AHEAD, Feasibility
from schmelz.units import DAY, HOUR, iso

YEAR, STEP = 365 * DAY, 30 * DAY


@dataclass(frozen=True)
class Month:
    """Thirty days to come: what the projects will use, and what the share gives."""

    start: int
    expected_gpu_s: int
    share_gpu_s: int


@dataclass(frozen=True)
class CallPlan:
    """One pool: the next 90 days, when its projects run dry, the months to come, and the outlook of the window."""

    pool: str
    projects: int
    left_gpu_s: int
    need_gpu_s: int
    expected_gpu_s: int
    runs_dry: int | None
    months: tuple[Month, ...]
    window: Feasibility | None

    @property
    def call_for_gpu_hours(self) -> int:
        """What is to be called for, to be used in the next 90 days."""
        return max(0, -(-(self.need_gpu_s - self.expected_gpu_s) // HOUR))

    def as_dict(self) -> dict[str, Any]:
        return {
            "pool": self.pool,
            "projects": self.projects,
            "left_gpu_s": self.left_gpu_s,
            "need_gpu_s": self.need_gpu_s,
            "expected_gpu_s": self.expected_gpu_s,
            "call_for_gpu_hours": self.call_for_gpu_hours,
            "runs_dry": None if self.runs_dry is None else iso(self.runs_dry),
            "months": [asdict(month) | {"start": iso(month.start)} for month in self.months],
            "window": None if self.window is None else self.window.as_dict(),
        }


@dataclass(frozen=True)
class Scene:
    """What all pools are planned by: `coming` reaches a year ahead; the deficits are those of the window until `end`."""

    now: int
    end: int
    coming: Coming
    weights: int
    most_percent: int
    deficits: int

    def need(self, weight: int, deficit: int, until: int) -> int:
        """What a pool needs until a moment. `deficits` is the sum over all pools."""
        inside = min(until, self.end)
        behind = deficit - self.deficits * weight // self.weights
        came = self.coming.until(inside)
        later = (self.coming.until(until) - came) * weight // self.weights
        return min(max(0, came * weight // self.weights + behind), came * self.most_percent // 100) + later


def plan(
    scene: Scene, pool: str, weight: int, deficit: int, claims: Sequence[Claim], window: Feasibility | None
) -> CallPlan:
    """The plan of one pool."""
    mine = [claim for claim in claims if claim.pool == pool and claim.left_gpu_s > 0]

    def share(until: int) -> int:
        return scene.coming.until(until) * weight // scene.weights

    def expected(until: int) -> int:
        return sum(used_by(claim, scene.now, until) for claim in mine)

    months = tuple(
        Month(at, expected(at + STEP) - expected(at), share(at + STEP) - share(at))
        for at in range(scene.now, scene.now + YEAR - STEP + 1, STEP)
    )
    days = range(scene.now + DAY, scene.now + YEAR + 1, DAY)
    dry = next((day for day in days if expected(day) < scene.need(weight, deficit, day)), None)
    return CallPlan(
        pool,
        len(mine),
        sum(claim.left_gpu_s for claim in mine),
        scene.need(weight, deficit, scene.now + AHEAD),
        expected(scene.now + AHEAD),
        None if dry is None else dry - DAY,
        months,
        window,
    )


def used_by(claim: Claim, now: int, until: int) -> int:
    """What a project uses until a moment when it uses what it has left evenly until its end."""
    begin = max(claim.start, now)
    passed = min(until, claim.end) - begin
    return claim.left_gpu_s * max(0, passed) // max(1, claim.end - begin)
