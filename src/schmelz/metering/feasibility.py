"""Whether a pool can still come to its share in the window, until when, and how many GPU-hours to call for.

The most that a pool can still get is (1 - floors of the others) x C x time left; its share is out of reach when its
deficit is larger. *now* is this moment, *ahead* 90 days later (at the latest the end of the window), when the pool goes
on to use the part of what is delivered that it has used so far; *unreachable_from* is the first second from which the
share is out of reach if the pool uses nothing until then. What to call for is what is left of the share in the whole
window when the claims of its projects are used up. The alarm leaves out what is smaller than the dead band.
Source: the definitions page, "feasibility".
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from zoneinfo import ZoneInfo

from schmelz.metering.claims import Claim
from schmelz.metering.coming import Coming, coming
from schmelz.metering.split import PoolSplit, Split
from schmelz.policy.schema import System
from schmelz.rules.shares import dead_band
from schmelz.units import DAY, HOUR, Period, iso, split_by_weight

AHEAD = 90 * DAY


@dataclass(frozen=True)
class Outlook:
    """Deficit, time left and the most that can still be had, at a moment."""

    at: str
    deficit_gpu_s: int
    time_left_s: int
    most_gpu_s: int
    reachable: bool

    def missing(self, band: int) -> bool:
        """Whether the share is out of reach by more than the dead band."""
        return self.deficit_gpu_s - self.most_gpu_s > band


@dataclass(frozen=True)
class Feasibility:
    """One pool's way to its share. `alarm`: none, ahead or lost."""

    pool: str
    now: Outlook
    ahead: Outlook
    unreachable_from: str | None
    unused_gpu_s: int
    claimed_gpu_s: int
    call_for_gpu_hours: int
    alarm: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def feasibility(
    system: System, zone: ZoneInfo, found: Split, end: int, claims: Iterable[Claim]
) -> tuple[Feasibility, ...]:
    """The outlook of each pool at `found.as_of`, in a window that ends at `end`."""
    left = Period(found.period.end, max(found.period.end, end))
    future = coming(system, zone, left)
    whole = split_by_weight(found.delivered_gpu_s + future.total, [pool.weight for pool in system.pools])
    band = dead_band(system.gpus() * (end - found.period.start), system.sharing.dead_band_ppm)
    most_percent = max(0, 100 - system.sharing.floor_percent * (len(system.pools) - 1))
    every = list(claims)
    return tuple(
        _of_pool(system, pool, _Path(found, pool, most_percent, future, left), share, band, every)
        for pool, share in zip(found.pools, whole, strict=True)
    )


@dataclass(frozen=True)
class _Path:
    """What the rest of the window holds for a pool."""

    found: Split
    pool: PoolSplit
    most_percent: int
    future: Coming
    left: Period

    @property
    def weights(self) -> int:
        return sum(pool.weight for pool in self.found.pools)

    def outlook(self, moment: int) -> Outlook:
        """At `moment`, when the pool's part of the use stays what it was in the window so far."""
        came, delivered = self.future.until(moment), self.found.delivered_gpu_s
        used = came * self.pool.used_gpu_s // delivered if delivered else came * self.pool.weight // self.weights
        deficit = self.pool.deficit_gpu_s + came * self.pool.weight // self.weights - used
        most = (self.future.total - came) * self.most_percent // 100
        return Outlook(iso(moment), deficit, self.left.end - moment, most, deficit <= most)

    def lost_from(self) -> str | None:
        """The first second at which deficit + w x came / W > most x (total - came): where came is large enough."""
        limit = self.most_percent * self.weights * self.future.total - 100 * self.weights * self.pool.deficit_gpu_s
        came = limit // (100 * self.pool.weight + self.most_percent * self.weights) + 1
        moment = self.left.start if came <= 0 else self.future.reached(came)
        return None if moment is None else iso(moment)


def _of_pool(
    system: System, pool: PoolSplit, path: _Path, share: int, band: int, claims: Sequence[Claim]
) -> Feasibility:
    now = path.outlook(path.left.start)
    ahead = path.outlook(min(path.left.start + AHEAD, path.left.end))
    unused = share + pool.carry_gpu_s - pool.used_gpu_s
    claimed = sum(claim.within(path.left, system.gpus()) for claim in claims if claim.pool == pool.pool)
    return Feasibility(
        pool.pool,
        now,
        ahead,
        path.lost_from(),
        unused,
        claimed,
        max(0, -(-(unused - claimed) // HOUR)),
        "lost" if now.missing(band) else ("ahead" if ahead.missing(band) else "none"),
    )
