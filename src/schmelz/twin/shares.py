"""The ledger of the simulation: what each pool is entitled to and has used in the current window, undecayed.

Deficits are kept in GPU-seconds x W (W = sum of the weights), so that nothing is rounded: w x delivered - W x used.
They begin at 0 with each window (calendar year, quarter or month of the factory's zone); nothing is carried over here.
Source: the definitions page (entitlement, deficit).
"""

from collections.abc import Mapping
from datetime import date
from zoneinfo import ZoneInfo

from schmelz.policy.schema import System
from schmelz.rules.shares import deficit
from schmelz.units import Period, day_start, local_date

MONTHS = {"year": 12, "quarter": 3, "month": 1}


def window(instant: int, kind: str, zone: ZoneInfo) -> Period:
    """The calendar year, quarter or month in which an instant lies."""
    day, months = local_date(instant, zone), MONTHS[kind]
    first = (day.month - 1) // months * months
    after = first + months
    return Period(
        day_start(date(day.year, first + 1, 1), zone), day_start(date(day.year + after // 12, after % 12 + 1, 1), zone)
    )


class Shares:
    """Delivered and used GPU-seconds since the window began, or since the simulation did."""

    def __init__(self, system: System, start: int, zone: ZoneInfo) -> None:
        self._weights = {pool.id: pool.weight for pool in system.pools}
        self._kind, self._zone, self._until = system.sharing.window, zone, start
        self.window = window(start, self._kind, zone)
        self._clear()

    def _clear(self) -> None:
        self._delivered, self._used = 0, dict.fromkeys(self._weights, 0)

    def advance(self, now: int, delivered: int, in_use: Mapping[str, int]) -> None:
        """Book the time until `now`, in which so many GPUs were delivered and so many were used by each pool."""
        while now >= self.window.end:
            self._until = self.window.end
            self.window = window(self.window.end, self._kind, self._zone)
            self._clear()
        seconds = now - self._until
        self._delivered += delivered * seconds
        for pool, gpus in in_use.items():
            self._used[pool] += gpus * seconds
        self._until = now

    def deficits(self) -> dict[str, int]:
        """Each pool's deficit, times the sum of the weights."""
        whole = sum(self._weights.values())
        return {
            pool: deficit(weight, whole, self._delivered, self._used[pool]) for pool, weight in self._weights.items()
        }

    def whole_window(self, gpus: int) -> int:
        """All that `gpus` GPUs could deliver in the window, in the same measure."""
        return gpus * self.window.seconds * sum(self._weights.values())
