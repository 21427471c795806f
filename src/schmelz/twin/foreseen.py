"""The figures of a forecast: of each draw, and over the draws their median, lowest and highest.

For each pool: waits of the jobs that come in the window, what it used and was entitled to at the window's end, its part of
the use, and the moment from which its share was out of reach: the first at which its deficit is larger than what the
machine can still deliver in the window less the floors of the others. For the machine: use, and idle GPUs while jobs wait.
By size of jobs: waits; a class is named by its smallest job (1, 2, 4, 8 ... GPUs). Over time: each pool's part of the use
so far, and its jobs that wait, on average of each step. Integers; null where there is nothing to say.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from schmelz.twin.avoidable import avoidable
from schmelz.twin.pool_segments import Segments, segments
from schmelz.twin.results import percentile
from schmelz.twin.sharing import PoolOptions, Sharing
from schmelz.twin.workload import Bools, Ints, Schedule, Workload
from schmelz.units import DAY, PPM, Period

STEPS_AT_MOST = 60
Table = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Frame:
    """What the figures are told against: the window, the machine, and the ledger of the window before the forecast."""

    now: int
    window: Period
    gpus: int
    sharing: Sharing
    delivered: int
    used: tuple[int, ...]

    @property
    def start(self) -> int:
        """From when the forecast counts: now, or the window's begin if it is still to come."""
        return max(self.now, self.window.start)

    @property
    def moments(self) -> tuple[int, ...]:
        """The ends of the steps of the series: whole days, at most STEPS_AT_MOST of them, the last one the window's end."""
        days = -(-(self.window.end - self.start) // DAY)
        step = max(1, -(-days // STEPS_AT_MOST)) * DAY
        return (*range(self.start + step, self.window.end, step), self.window.end)


@dataclass(frozen=True)
class Range:
    """Median, lowest and highest of the draws that know the figure, and how many do."""

    median: int | None
    low: int | None
    high: int | None
    seeds: int

    def as_dict(self) -> dict[str, int | None]:
        return asdict(self)


Figures = dict[str, int | None]
Ranges = Mapping[str, Range]


@dataclass(frozen=True)
class Draw:
    """One draw's figures: by pool, of the machine, by class of size; the series by step and pool (-1: nothing to say)."""

    pools: tuple[Figures, ...]
    machine: Figures
    classes: Mapping[int, Figures]
    share: Table
    queue: Table


@dataclass(frozen=True)
class Forecast:
    """The same over all draws. The series hold one range for each moment and pool."""

    seeds: int
    pools: Mapping[str, Ranges]
    machine: Ranges
    classes: Mapping[int, Ranges]
    moments: tuple[int, ...]
    share: Mapping[str, tuple[Range, ...]]
    queue: Mapping[str, tuple[Range, ...]]


def drawn_figures(frame: Frame, work: Workload, done: Schedule, options: PoolOptions, policy: str = "deficit") -> Draw:
    """The figures of one draw."""
    ran = (done.start >= 0).any() and bool((done.start[done.start >= 0] < frame.window.end).any())
    found = _inside(segments(work, done, options), frame) if ran else None
    found = found if found is not None and len(found.t) else None
    mine = work.submit >= frame.start
    pools = tuple(_of_pool(frame, work, done, found, number, mine) for number in range(len(work.pools)))
    size = work.size if done.size is None else done.size
    least = 1 << np.floor(np.log2(np.maximum(1, size))).astype(np.int64)
    classes = {int(one): _waits(work, done, mine & (least == one)) for one in np.unique(least[mine])}
    idle = avoidable(policy, work, done, options, Period(frame.start, frame.window.end)) if found else 0
    machine = {**_of_machine(frame, work, done, found, mine), "avoidable_idle_gpu_s": idle}
    return Draw(pools, machine, classes, *_series(frame, found, len(work.pools)))


def _inside(found: Segments, frame: Frame) -> Segments:
    """The segments that begin in the part of the window to come; one that began before is left out: it is a job's event."""
    keep = (found.t >= frame.start) & (found.t < frame.window.end)
    return Segments(*(column[keep] for column in (found.t, found.dt, found.use, found.wait, found.at, found.capacity)))


def _waits(work: Workload, done: Schedule, chosen: Bools) -> Figures:
    started = chosen & (done.start >= 0)
    wait = np.sort((done.start - work.submit)[started])
    return {
        "jobs": int(np.count_nonzero(chosen)),
        "never_started": int(np.count_nonzero(chosen & ~started)),
        "wait_mean_s": int(wait.mean()) if len(wait) else None,
        "wait_p50_s": percentile(wait, 50),
        "wait_p95_s": percentile(wait, 95),
    }


def _of_pool(frame: Frame, work: Workload, done: Schedule, found: Segments | None, pool: int, mine: Bools) -> Figures:
    used, delivered = _used(frame, found)
    whole, weights = sum(used), frame.sharing.weights
    return {
        **_waits(work, done, mine & (work.pool == pool)),
        "used_gpu_s": used[pool],
        "entitlement_gpu_s": weights[pool] * delivered // sum(weights),
        "share_ppm": used[pool] * PPM // whole if whole else None,
        "unreachable_from": _unreachable(frame, found, pool),
    }


def _of_machine(frame: Frame, work: Workload, done: Schedule, found: Segments | None, mine: Bools) -> Figures:
    if found is None:
        return {
            **_waits(work, done, mine),
            "delivered_gpu_s": frame.delivered + _quiet(frame, frame.start, frame.window.end),
            "utilisation_ppm": None,
            "idle_while_waiting_gpu_s": 0,
        }
    used, delivered = int((found.use * found.dt[:, None]).sum()), int((found.capacity * found.dt).sum())
    came = delivered + _lead(frame, found) + _rest(frame, found)
    idle = (found.capacity - found.use.sum(1)) * found.dt
    return {
        **_waits(work, done, mine),
        "delivered_gpu_s": frame.delivered + came,
        "utilisation_ppm": used * PPM // came if came else None,
        "idle_while_waiting_gpu_s": int(idle[found.wait.any(1)].sum()),
    }


def _quiet(frame: Frame, begin: int, end: int) -> int:
    """What is delivered in a span in which nothing runs: all GPUs that are not away."""
    sharing = frame.sharing
    steps = (moment for one in sharing.away for moment in (one.start, one.end) if begin < moment < end)
    edges = sorted({begin, max(begin, end), *steps})
    up = 0
    for at, stop in pairwise(edges):
        for name, gpus in sharing.sites:
            away = sum(one.gpus for one in sharing.away if one.site == name and one.start <= at < one.end)
            up += max(0, gpus - away) * (stop - at)
    return up


def _lead(frame: Frame, found: Segments) -> int:
    """What is delivered before the first event."""
    return _quiet(frame, frame.start, int(found.t[0]))


def _rest(frame: Frame, found: Segments) -> int:
    """What is delivered between the last event and the window's end."""
    return _quiet(frame, found.end, frame.window.end)


def _used(frame: Frame, found: Segments | None) -> tuple[list[int], int]:
    """What each pool has used at the window's end, and what was delivered; nothing runs after the last job's end."""
    if found is None:
        return list(frame.used), frame.delivered + _quiet(frame, frame.start, frame.window.end)
    used = (found.use * found.dt[:, None]).sum(0)
    used_by = [int(own) + int(more) for own, more in zip(frame.used, used, strict=True)]
    return used_by, frame.delivered + _lead(frame, found) + int((found.capacity * found.dt).sum()) + _rest(frame, found)


def _unreachable(frame: Frame, found: Segments | None, pool: int) -> int | None:
    """The first moment from which the pool cannot come to its share any more, as things go in this draw."""
    if found is None:
        return None
    sharing, weights = frame.sharing, frame.sharing.weights
    whole = sum(weights)
    came = frame.delivered + _lead(frame, found) + np.concatenate([(0,), np.cumsum(found.capacity * found.dt)])
    used = frame.used[pool] + np.concatenate([(0,), np.cumsum(found.use[:, pool] * found.dt)])
    left = came[-1] - came + _rest(frame, found)
    most = max(0, 100 - sharing.floor_percent * (len(weights) - 1))
    band = sharing.window_s * frame.gpus * sharing.dead_band_ppm // PPM
    lost = 100 * (weights[pool] * came - whole * (used + band)) > most * whole * left
    return int(np.append(found.t, found.end)[np.argmax(lost)]) if lost.any() else None


def _series(frame: Frame, found: Segments | None, pools: int) -> tuple[Table, Table]:
    """At the end of each step the pool's part of the use so far, in ppm; its waiting jobs on average of the step."""
    moments = np.array(frame.moments, np.int64)
    if found is None:
        return np.full((len(moments), pools), -1, np.int64), np.zeros((len(moments), pools), np.int64)
    edges = np.concatenate([(frame.start,), moments])
    used = np.array(frame.used, np.int64) + _until(found, edges, found.use)[1:]
    whole = used.sum(1, keepdims=True)
    share = np.where(whole > 0, used * PPM // np.maximum(1, whole), -1)
    waited = np.diff(_until(found, edges, found.wait), axis=0) // np.maximum(1, np.diff(edges))[:, None]
    return share, waited


def _until(found: Segments, moments: Ints, level: Table) -> Table:
    """The sum of level x time up to each moment; nothing goes on after the last event."""
    sums = np.concatenate([np.zeros((1, level.shape[1]), np.int64), np.cumsum(level * found.dt[:, None], axis=0)])
    at = np.clip(np.searchsorted(found.t, moments, "right") - 1, 0, len(found.t) - 1)
    within = np.clip(moments - found.t[at], 0, found.dt[at])
    return np.asarray(sums[at] + level[at] * within[:, None])


# -- over the draws


def gathered(pools: Sequence[str], moments: tuple[int, ...], draws: Sequence[Draw]) -> Forecast:
    """All draws as one forecast."""
    classes = sorted({least for draw in draws for least in draw.classes})
    return Forecast(
        len(draws),
        {pool: _ranges(draw.pools[number] for draw in draws) for number, pool in enumerate(pools)},
        _ranges(draw.machine for draw in draws),
        {least: _ranges(draw.classes[least] for draw in draws if least in draw.classes) for least in classes},
        moments,
        _lines(pools, [draw.share for draw in draws]),
        _lines(pools, [draw.queue for draw in draws]),
    )


def _ranges(figures: Iterable[Figures]) -> dict[str, Range]:
    rows = list(figures)
    return {name: _range([row[name] for row in rows]) for name in (rows[0] if rows else ())}


def _range(values: Iterable[int | None]) -> Range:
    known = np.sort(np.array([value for value in values if value is not None], np.int64))
    if not len(known):
        return Range(None, None, None, 0)
    return Range(percentile(known, 50), int(known[0]), int(known[-1]), len(known))


def _lines(pools: Sequence[str], tables: Sequence[Table]) -> dict[str, tuple[Range, ...]]:
    stacked = np.stack(tables)
    return {
        pool: tuple(_range(int(v) if v >= 0 else None for v in column) for column in stacked[:, :, number].T)
        for number, pool in enumerate(pools)
    }
