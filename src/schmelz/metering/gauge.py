"""Commercial use of a pool's share, against its ceiling: a part of the share's access time of the calendar year.

The access time of the year on that system is what was delivered so far and what is still to come (`coming`). *used* is
the use of the year, held GPUs included, of the pool's projects on the days on which they counted as commercial;
*committed* is all that they may still use of their grants within the year, so that jobs that run or wait are in it.
gauge = used + committed; the alarms stand at 80, 90 and 100 % of the ceiling: 16, 18 and 20 % of the share where the
ceiling is 20 %.
Source: the definitions page, "commercial"; Reg. (EU) 2021/1173, Art. 18.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from schmelz.metering.claims import Claim
from schmelz.policy.schema import Pool, System
from schmelz.units import PPM, Period

STEPS = (100, 90, 80)  # per cent of the ceiling


@dataclass(frozen=True)
class Gauge:
    """The commercial gauge of one pool in one calendar year. `alarm`: none, or the per cent of the share that are reached."""

    pool: str
    year: str
    share_gpu_s: int
    ceiling_gpu_s: int
    used_gpu_s: int
    committed_gpu_s: int
    gauge_gpu_s: int
    ppm_of_share: int
    alarm: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def room_gpu_s(self) -> int:
        """What can still be awarded."""
        return max(0, self.ceiling_gpu_s - self.gauge_gpu_s)


def gauge(
    system: System, pool: Pool, year: str, projected_gpu_s: int, used_gpu_s: int, claims: Iterable[Claim], rest: Period
) -> Gauge:
    """The gauge of a pool with a ceiling. `projected_gpu_s`: the system's access time of the whole year; `rest` of it."""
    percent = pool.commercial_ceiling_percent or 0
    share = projected_gpu_s * pool.weight // system.weight_sum
    ceiling = projected_gpu_s * pool.weight * percent // (system.weight_sum * 100)
    own = (claim for claim in claims if claim.commercial and claim.pool == pool.id)
    committed = sum(claim.within(rest, system.gpus()) for claim in own)
    both = used_gpu_s + committed
    return Gauge(
        pool.id,
        year,
        share,
        ceiling,
        used_gpu_s,
        committed,
        both,
        both * PPM // share if share else 0,
        _alarm(percent, both, ceiling),
    )


def _alarm(percent: int, both: int, ceiling: int) -> str:
    reached = next((step for step in STEPS if both > 0 and both * 100 >= ceiling * step), None)
    return "none" if reached is None else f"{percent * reached / 100:g}"
