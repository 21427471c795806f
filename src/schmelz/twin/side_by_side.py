"""One workload under several policies: the same figures of each, and how share and queue went over time.

The figures are those of a forecast of one draw (see `foreseen`), over the whole time of the workload: from its first
submission to the last end under any of the policies. A classic policy knows one machine without sites.
"""

from collections.abc import Mapping
from dataclasses import replace

from schmelz.twin.foreseen import Forecast, Frame, drawn_figures, gathered
from schmelz.twin.sharing import PoolOptions, sharing_of
from schmelz.twin.workload import Schedule, Workload
from schmelz.units import Period

Ran = Mapping[str, tuple[Schedule, PoolOptions]]


def compare(work: Workload, ran: Ran) -> dict[str, Forecast]:
    """The figures of each policy, in the order given. At least one job."""
    begin = int(work.submit[0])
    end = max(int(done.end.max(initial=begin + 1)) for done, _ in ran.values())
    return {name: _one(name, work, done, options, Period(begin, end)) for name, (done, options) in ran.items()}


def _one(name: str, work: Workload, done: Schedule, options: PoolOptions, window: Period) -> Forecast:
    sharing = sharing_of(options)
    weights = sharing.weights or (1,) * len(work.pools)
    sites = sharing.sites or (("machine", options.gpus),)
    told = replace(sharing, weights=weights, sites=sites, window_s=window.seconds)
    frame = Frame(window.start, window, options.gpus, told, 0, (0,) * len(work.pools))
    return gathered(work.pools, frame.moments, [drawn_figures(frame, work, done, options, name)])
