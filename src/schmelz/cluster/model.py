"""The words between Schmelz and a cluster: accounts, members, jobs, and the small interface every backend has.

An *account* is a node of the cluster's tree: the pool's account below the root, a project's account below its pool.
A *member* is a person's right to use an account (an association, in Slurm's words); persons appear by Unix name.
Only objects that carry our *mark* are ours; all others are reported as foreign and left alone.
*Observed* is what stands on the cluster now; *Desired* (see `desired`) is what the decisions ask for. Times are UTC
epoch seconds, budgets whole GPU-minutes (what GrpTRESMins counts in; a grant is rounded down, never up).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

MARK = "schmelz"
NodeEvent = tuple[str, Literal["down", "drained"], int, int | None, str]
"""When a node was away: its name, how, from, until (None: still), and the reason. UTC epoch seconds."""
JobState = Literal["PENDING", "RUNNING", "COMPLETED", "FAILED", "TIMEOUT", "CANCELLED", "NODE_FAIL"]


@dataclass(frozen=True, order=True)
class Account:
    """A marked account: its place in the tree, shares among its siblings, budget in GPU-minutes (None: no limit)."""

    name: str
    parent: str
    shares: int = 1
    gpu_minutes: int | None = None
    open: bool = True


@dataclass(frozen=True, order=True)
class Member:
    """A Unix user's association with an account."""

    user: str
    account: str


@dataclass(frozen=True)
class Observed:
    """What stands on the cluster: marked accounts, all members of those, and the names of accounts without our mark."""

    cluster: str
    accounts: tuple[Account, ...]
    members: tuple[Member, ...]
    foreign: tuple[str, ...] = ()


@dataclass(frozen=True)
class JobRequest:
    """A job to submit: script text, account, the person's Unix user (and portal name), size, limit, wished site."""

    script: str
    account: str
    pool: str
    user: str
    gpus: int
    nodes: int
    limit: int
    site: str | None = None


@dataclass(frozen=True)
class Job:
    """A job as the cluster sees it now. `reason` says in plain words why it waits or how it ended."""

    job: str
    account: str
    user: str
    state: JobState
    gpus: int
    nodes: int
    limit: int
    submitted: int
    started: int | None
    ended: int | None
    site: str | None
    node_list: str
    reason: str
    exit_code: int | None = None


@dataclass(frozen=True)
class Steering:
    """What the deficit rule needs from the ledger: deficits in GPU-seconds per pool, the dead band, the floor."""

    deficits: Mapping[str, int] = field(default_factory=dict)
    dead_band: int = 0
    floor_percent: int = 0


class ClusterError(RuntimeError):
    """The cluster did not answer, or not as expected: the run stops, nothing is taken for gone."""


class Backend(Protocol):
    """A cluster. Every method may raise ClusterError; none takes an empty answer for an empty cluster."""

    def observe(self) -> Observed:
        """Read accounts and members in a fixed number of calls."""
        ...

    def create(self, accounts: Sequence[Account], members: Sequence[Member]) -> None:
        """Make what is not there, parents before children; making what is there already is no error."""
        ...

    def change(self, accounts: Sequence[Account]) -> None:
        """Set parent, shares, budget and openness of accounts that are there."""
        ...

    def remove(self, members: Sequence[Member]) -> None:
        """Take associations away; running jobs are left alone."""
        ...

    def submit(self, request: JobRequest) -> str:
        """Queue a job as the person's own user; the job's id."""
        ...

    def cancel(self, job: str) -> None:
        """Ask for the end of a waiting or running job. Raises Refused when it has ended."""
        ...

    def jobs(self) -> tuple[Job, ...]:
        """Waiting, running and recently ended jobs, in the order of submission."""
        ...

    def output(self, job: str) -> str:
        """What the job printed so far (the last 64 KiB)."""
        ...

    def records(self, since: int) -> bytes:
        """Job records that changed at or after `since`, as `sacct -P` text in UTC; waiting and running jobs always."""
        ...

    def node_events(self, since: int) -> tuple[NodeEvent, ...]:
        """When nodes were down or drained after `since`, in the order of time."""
        ...

    def tick(self, now: int, steering: Steering) -> None:
        """A scheduling cycle, where the engine is ours; nothing on a cluster that schedules by itself."""
        ...
