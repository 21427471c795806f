"""Job records of the local cluster in the shape of `sacct -P`, and jobs as the portal shows them. Pure.

Times are UTC, `Unknown` where nothing happened yet; a waiting job that is held has no `Eligible`. The partition is the
site. AllocTRES names the GPUs a job asked for, also while it waits; `billing` is what it is charged for.
"""

from collections.abc import Iterable

from schmelz.cluster.backends.slots import charged
from schmelz.cluster.backends.spool import Entry
from schmelz.cluster.model import Job, JobState
from schmelz.policy.system import System
from schmelz.units import iso

HEADER = (
    "JobIDRaw|Cluster|User|Account|Partition|QOS|State|Submit|Eligible|Start|End|ElapsedRaw|TimelimitRaw|"
    "AllocTRES|NNodes|ExitCode|NodeList"
)


def records(entries: Iterable[Entry], system: System, since: int, now: int) -> bytes:
    """Waiting and running jobs, and those whose end was noted at or after `since`, in the order of submission."""
    rows = [_row(entry, system, now) for entry in entries if entry.end is None or entry.changed >= since]
    return "\n".join([HEADER, *rows, ""]).encode()


def _row(entry: Entry, system: System, now: int) -> str:
    request, launch, end = entry.request, entry.launch, entry.end
    head = [
        entry.job,
        system.cluster.name,
        request.user,
        request.account,
        launch.site if launch else request.site or ",".join(system.node_names),
        request.qos or "normal",
        state(entry),
    ]
    times = [
        _time(entry.submitted),
        _time(_eligible(entry)),
        _time(launch.start if launch else None),
        _time(end.end if end else None),
    ]
    elapsed = max(0, (end.end if end else now) - launch.start) if launch else 0
    place = [
        str(len(launch.slots) if launch else request.nodes),
        f"{end.code}:{end.signal}" if end else "0:0",
        node_list(entry) or "None assigned",
    ]
    return "|".join([*head, *times, str(elapsed), str(-(-request.limit // 60)), _tres(entry, system), *place])


def _tres(entry: Entry, system: System) -> str:
    """The resources a job has or waits for; nothing for one that ended without ever having any."""
    gpus, nodes = entry.request.gpus, entry.request.nodes
    if entry.launch:
        return f"billing={entry.launch.charged},gres/gpu={gpus},node={len(entry.launch.slots)}"
    return "" if entry.end else f"billing={charged(system, gpus, nodes)},gres/gpu={gpus},node={nodes}"


def _time(instant: int | None) -> str:
    return iso(instant).rstrip("Z") if instant is not None else "Unknown"


def _eligible(entry: Entry) -> int | None:
    if entry.launch:
        return entry.launch.eligible
    return entry.wait.eligible if entry.wait else entry.submitted


def state(entry: Entry) -> JobState:
    if entry.end:
        return entry.end.state
    return "RUNNING" if entry.launch else "PENDING"


def node_list(entry: Entry) -> str:
    return ",".join(entry.launch.slots) if entry.launch else ""


def as_job(entry: Entry) -> Job:
    """The job as the cluster's interface shows it."""
    request, launch, end = entry.request, entry.launch, entry.end
    return Job(
        entry.job,
        request.account,
        request.user,
        state(entry),
        request.gpus,
        len(launch.slots) if launch else request.nodes,
        request.limit,
        entry.submitted,
        launch.start if launch else None,
        end.end if end else None,
        launch.site if launch else request.site,
        node_list(entry),
        _reason(entry),
        (end.code or (end.signal and 128 + end.signal)) if end else None,
        request.qos,
    )


def _reason(entry: Entry) -> str:
    if entry.end:
        return _ENDED[entry.end.state].format(limit=entry.request.limit, code=entry.end.code, signal=entry.end.signal)
    if entry.launch:
        return "is being cancelled" if entry.cancelled else "runs"
    return entry.wait.reason if entry.wait else "waits for the next scheduling cycle"


_ENDED = {
    "COMPLETED": "ended well",
    "FAILED": "ended with exit code {code} and signal {signal}",
    "TIMEOUT": "was stopped at its time limit of {limit} s",
    "CANCELLED": "was cancelled",
    "NODE_FAIL": "was lost: the machine or the job's keeper went away",
}
