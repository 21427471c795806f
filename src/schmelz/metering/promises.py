"""Over-commitment: what a pool has promised, against what its share can give until then.

For every date at which a project of the pool ends: what the projects that end by then have left, against the share of what
the machine delivers until then, plus the deficit of the present window, as long as that lasts. The date at which the first
is largest against the second is the *tightest*; above 1 the pool is over-committed, and only what is lent to it can help.
Integers, in GPU-seconds. Words as on the definitions page: deficit, delivered.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from schmelz.metering.claims import Claim
from schmelz.metering.coming import Coming
from schmelz.units import PPM, iso


@dataclass(frozen=True)
class Promise:
    """One pool: everything it has promised; and at the tightest date what must be used by then, what the share gives."""

    pool: str
    projects: int
    promised_gpu_s: int
    by: int | None
    due_gpu_s: int
    share_gpu_s: int

    @property
    def over_gpu_s(self) -> int:
        """What is promised beyond the share."""
        return max(0, self.due_gpu_s - self.share_gpu_s)

    @property
    def ratio_ppm(self) -> int | None:
        """Promised against share; None where there is no share left to compare with."""
        return self.due_gpu_s * PPM // self.share_gpu_s if self.share_gpu_s > 0 else None

    def as_dict(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "by": None if self.by is None else iso(self.by),
            "over_gpu_s": self.over_gpu_s,
            "ratio_ppm": self.ratio_ppm,
        }


def promise(
    pool: str, weight: int, weights: int, claims: Iterable[Claim], coming: Coming, deficit: int, window_end: int
) -> Promise:
    """What one pool has promised. `coming`: what the machine delivers from now on; `deficit` counts until `window_end`."""
    mine = sorted(
        (claim for claim in claims if claim.pool == pool and claim.left_gpu_s > 0), key=lambda claim: claim.end
    )
    tightest, due = Promise(pool, len(mine), sum(c.left_gpu_s for c in mine), None, 0, 0), 0
    for place, claim in enumerate(mine):
        due += claim.left_gpu_s
        if place + 1 < len(mine) and mine[place + 1].end == claim.end:
            continue
        share = coming.until(claim.end) * weight // weights + (deficit if claim.end <= window_end else 0)
        found = Promise(pool, len(mine), tightest.promised_gpu_s, claim.end, due, max(0, share))
        tightest = found if tightest.by is None or _tighter(found, tightest) else tightest
    return tightest


def _tighter(one: Promise, other: Promise) -> bool:
    return one.due_gpu_s * other.share_gpu_s > other.due_gpu_s * one.share_gpu_s


def steps(gpus: Sequence[tuple[str, int]], away: Iterable[tuple[str, int, int, int]], start: int, end: int) -> Coming:
    """What sites of so many GPUs deliver in [start, end) when parts are away: (site, GPUs, from, to)."""
    gone = list(away)
    inside = sorted({start, end, *(t for _, _, a, b in gone for t in (a, b) if start < t < end)})
    found = []
    for begin, stop in pairwise(inside):
        up = sum(
            max(0, there - sum(n for site, n, a, b in gone if site == name and a <= begin < b)) for name, there in gpus
        )
        found.append((begin, stop - begin, up))
    return Coming(found)
