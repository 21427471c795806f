"""The words between Schmelz and a cluster: accounts, members, jobs, and the small interface every backend has.

An *account* is a node of the cluster's tree: the pool's account below the root, a project's account below its pool.
A *member* is a person's right to use an account (an association, in Slurm's words); persons appear by Unix name.
A *QOS* is a quality of service: each pool has its own guaranteed one, and one for borrowed jobs that may be pre-empted.
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
    """A marked account: its place in the tree, shares among its siblings, budget in GPU-minutes (None: no limit).

    Not `open`: no new jobs, and none starts. `held`: jobs are taken, none starts. `qos` are the qualities of service its
    jobs may ask for, `default_qos` the one they get unasked ("": the cluster's). `coordinators` are Unix users.
    """

    name: str
    parent: str
    shares: int = 1
    gpu_minutes: int | None = None
    open: bool = True
    held: bool = False
    qos: tuple[str, ...] = ()
    default_qos: str = ""
    coordinators: tuple[str, ...] = ()


@dataclass(frozen=True, order=True)
class Member:
    """A Unix user's association with an account, in one partition ("": in all of them)."""

    user: str
    account: str
    partition: str = ""


@dataclass(frozen=True, order=True)
class Qos:
    """A marked quality of service.

    `gpus`: how many all its jobs may use at once (None: no cap). `preempts`: whose jobs it may take GPUs back from.
    `preemptible`: its jobs may be put back into the queue, after `exempt` seconds of run time.
    """

    name: str
    priority: int = 0
    gpus: int | None = None
    preempts: tuple[str, ...] = ()
    preemptible: bool = False
    exempt: int = 0


@dataclass(frozen=True)
class Observed:
    """What stands on the cluster: marked accounts, all members of those, and the names of accounts without our mark.

    `foreign_qos` are the qualities of service without our mark; `defaults` pairs each member's Unix user with the
    account that a job of theirs gets unasked. Who stops being a member while jobs of theirs are there is *leaving*: the
    cluster keeps a locked association that nothing new may use; once those jobs have ended it is *left* over.
    """

    cluster: str
    accounts: tuple[Account, ...]
    members: tuple[Member, ...]
    foreign: tuple[str, ...] = ()
    qos: tuple[Qos, ...] = ()
    foreign_qos: tuple[str, ...] = ()
    defaults: tuple[tuple[str, str], ...] = ()
    leaving: tuple[Member, ...] = ()
    left: tuple[Member, ...] = ()


@dataclass(frozen=True)
class JobRequest:
    """A job to submit: script text, account, the person's Unix user, size, limit, wished site, quality of service.

    `sites`: where jobs of the project may run (none: everywhere).
    """

    script: str
    account: str
    pool: str
    user: str
    gpus: int
    nodes: int
    limit: int
    site: str | None = None
    qos: str = ""
    sites: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """A job as the cluster sees it now. `reason` says in plain words why it waits or how it ended, `word` is the
    scheduler's own word for it. `tasks`: how many equal jobs of an array wait in its place, each of these GPUs."""

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
    qos: str = ""
    word: str = ""
    tasks: int = 1


@dataclass(frozen=True)
class Room:
    """The GPUs of a site whose nodes are up, and how many of them nobody has."""

    up: int
    free: int


@dataclass(frozen=True, order=True)
class Reservation:
    """Nodes that were set aside from `start` until `end`: for maintenance, or for whoever may use these accounts or QOS."""

    name: str
    nodes: tuple[str, ...]
    start: int
    end: int | None
    maintenance: bool
    accounts: tuple[str, ...] = ()
    qos: tuple[str, ...] = ()


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

    def create(self, accounts: Sequence[Account], members: Sequence[Member], qos: Sequence[Qos] = ()) -> None:
        """Make what is not there: QOS, then accounts, parents before children, then members. Being there is no error."""
        ...

    def change(
        self, accounts: Sequence[Account], qos: Sequence[Qos] = (), defaults: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Set every field of accounts and QOS that are there, and the default account of users (user, account)."""
        ...

    def remove(self, members: Sequence[Member]) -> None:
        """Take associations away, locked ones too that are left over; running jobs are left alone."""
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

    def live(self) -> tuple[Job, ...]:
        """Waiting and running jobs, in the order of submission: the scheduler is asked, and nobody else."""
        ...

    def caps(self) -> Mapping[str, int | None]:
        """The GPUs that jobs of each QOS may use at once; None where there is no cap."""
        ...

    def output(self, job: str) -> str:
        """What the job printed so far (the last 64 KiB)."""
        ...

    def records(self, since: int, jobs: Sequence[str] = ()) -> bytes:
        """Job records that changed at or after `since`, as `sacct -P` text in UTC; waiting and running jobs always.

        `jobs`: of these jobs alone (by number).
        """
        ...

    def node_events(self, since: int) -> tuple[NodeEvent, ...]:
        """When nodes were down or drained after `since`, in the order of time."""
        ...

    def reservations(self, since: int) -> tuple[Reservation, ...]:
        """Reservations of nodes that had begun and not ended before `since`, as they are told now, in their order."""
        ...

    def rooms(self) -> Mapping[str, Room]:
        """The GPUs of each site: up and free."""
        ...

    def cap(self, caps: Mapping[str, int | None]) -> None:
        """Set how many GPUs the jobs of a QOS may use at once (None: no cap). Acts within a second."""
        ...

    def tick(self, now: int, steering: Steering) -> None:
        """A scheduling cycle, where the engine is ours; nothing on a cluster that schedules by itself."""
        ...
