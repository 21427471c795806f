"""A cluster under Slurm, driven by Slurm's own commands; nothing of Slurm is replaced or patched.

Accounts, members and qualities of service are the part of `slurm_accounts`; jobs, records and nodes are here. Jobs are
submitted and read with their owner's rights, and only when the controller and the data base that Slurm's commands reach
are those of our cluster.
"""

import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime

from schmelz.cluster.backends import (
    slurm_nodes as nodes,
    slurm_queue as queue,
    slurm_rollup as rollup,
    slurm_submit as submit,
)
from schmelz.cluster.backends.admission import check, sites
from schmelz.cluster.backends.slurm_accounts import Accounts
from schmelz.cluster.backends.slurm_call import LONG_PATIENCE, TIME_FORMAT, Answer, Recorder, as_person, ask, recorded
from schmelz.cluster.model import (
    Account,
    ClusterError,
    Job,
    JobRequest,
    Member,
    NodeEvent,
    Observed,
    Qos,
    Reservation,
    Room,
    Steering,
)
from schmelz.faults import BadInput, Refused
from schmelz.policy.system import System
from schmelz.units import DAY

OVERLAP = DAY  # records reach the data base later than they say: re-read a day, a second reading changes nothing
LAST_BYTES = 65_536

QUEUE_FIELDS = (
    "JobID", "Cluster", "Account", "UserName", "State", "Partition", "qos", "NumNodes", "tres-alloc", "NodeList", "Reason",
    "SubmitTime", "StartTime", "EndTime", "TimeLimit", "exit_code", "ArrayTaskID",
)  # fmt: skip
QUEUE = ("squeue", "--all", "--states=all", "-O", ",".join(f"{field}:|" for field in QUEUE_FIELDS))
ENDED = ("sacct", "-a", "-X", "-P", "--noconvert", f"--format={','.join(queue.ENDED)}")
RECORDS = ("sacct", "-a", "-D", "-X", "-P", "--noconvert", "-E", "now+52weeks", f"--format={','.join(queue.RECORDS)}")
EVENTS = ("sacctmgr", "-P", "show", "event", "format=cluster,nodename,state,start,end,reason")
RESERVATIONS = (
    "sacctmgr",
    "-P",
    "show",
    "reservation",
    "format=associations,cluster,end,flags,id,name,nodenames,start",
)
RESERVED_NOW = ("scontrol", "-o", "show", "reservation")
ASSOCIATIONS = ("sacctmgr", "-P", "show", "assoc", "withdeleted", "format=id,account,cluster")
ROLLUP = (
    "sreport", "-P", "cluster", "AccountUtilizationByUser", "-T", "gres/gpu", "-t", "Seconds",
    f"format={','.join(rollup.FORMAT)}",
)  # fmt: skip
STATISTICS = ("sacctmgr", "show", "stats")
NODES = ("scontrol", "-o", "show", "nodes")
CLUSTERS = ("sacctmgr", "-nP", "show", "cluster", "format=cluster")
CONTROLLER = ("scontrol", "show", "config")


class SlurmCluster:
    """A `Backend` over Slurm's commands, for the cluster that `system.cluster.name` names."""

    def __init__(self, system: System) -> None:
        self._system, self._name = system, system.cluster.name
        self._accounts = Accounts(self._name)
        self._checked: set[str] = set()

    # -- accounts, members, QOS

    def observe(self) -> Observed:
        return self._accounts.observe()

    def observe_again(self, kinds: Collection[str]) -> Observed:
        return self._accounts.observe_again(kinds)

    def create(self, accounts: Sequence[Account], members: Sequence[Member], qos: Sequence[Qos] = ()) -> None:
        self._accounts.create(accounts, members, qos)

    def change(
        self, accounts: Sequence[Account], qos: Sequence[Qos] = (), defaults: Sequence[tuple[str, str]] = ()
    ) -> None:
        self._accounts.change(accounts, qos, defaults)

    def remove(self, members: Sequence[Member]) -> None:
        self._accounts.remove(members)

    def caps(self) -> Mapping[str, int | None]:
        return self._accounts.caps()

    def cap(self, caps: Mapping[str, int | None]) -> None:
        self._accounts.cap(caps)

    def problems(self) -> tuple[str, ...]:
        """What Slurm itself finds wrong with members of ours, in words."""
        return self._accounts.problems()

    # -- jobs

    def submit(self, request: JobRequest) -> str:
        answer = self._sbatch(request)
        if answer.status:
            raise submit.refusal(answer, request)
        job = answer.out.decode("utf-8", "replace").strip().partition(";")[0]
        if not job.isdigit():
            raise ClusterError(f"sbatch gave no job number but {job[:60]!r}")
        return job

    def forecast(self, request: JobRequest) -> str:
        """What Slurm itself says about a job, asked as the person; nothing is queued."""
        return submit.forecast(self._sbatch(request, submit.TEST_ONLY), request)

    def _sbatch(self, request: JobRequest, *extra: str) -> Answer:
        """sbatch with the rights of the person and of nobody else."""
        check(request, self._system)
        submit.check_directives(request.script)
        places = sites(request, self._system) if request.nodes * self._system.gpus_per_node >= request.gpus else ()
        if not places:
            raise Refused(
                f"no site{f' {request.site}' if request.site else ''} holds {request.gpus} GPUs on "
                f"{request.nodes} nodes.",
                f"A node has {self._system.gpus_per_node} GPUs; a job runs at one site.",
            )
        self._know_controller()
        folder = submit.folder(request.user)
        command = submit.submission(request, self._system, places, str(folder), str(submit.output(request.user, "%j")))
        start = str(folder) if os.access(folder, os.X_OK) else "/"
        return as_person(request.user, (*command, *extra), text=request.script, folder=start)

    def cancel(self, job: str) -> None:
        found = next((one for one in self.jobs() if one.job == job), None)
        if found is None or found.state not in ("PENDING", "RUNNING"):
            raise Refused(f"job {job} has ended already, or was never here.", "There is nothing to cancel.")
        answer = as_person(found.user, ("scancel", job))
        if answer.status:
            raise ClusterError(f"scancel {job}: {answer.last_word}")

    def jobs(self) -> tuple[Job, ...]:
        live = queue.queue(ask(QUEUE), self._system)
        self._know_data_base()
        past = queue.ended(ask((*ENDED, "-M", self._name, "-S", "now-7days")), self._system)
        found = {job.job: job for job in (*past, *live)}  # the controller knows it first
        return tuple(sorted(found.values(), key=lambda job: (job.submitted, int(job.job))))

    def live(self) -> tuple[Job, ...]:
        found = [job for job in queue.queue(ask(QUEUE), self._system) if job.state in ("PENDING", "RUNNING")]
        return tuple(sorted(found, key=lambda job: (job.submitted, int(job.job))))

    def output(self, job: str) -> str:
        owner = self._owner(job)
        answer = as_person(owner, ("tail", "-c", str(LAST_BYTES), "--", str(submit.output(owner, job))))
        return "" if answer.status else answer.out.decode("utf-8", "replace")

    def records(self, since: int, jobs: Sequence[str] = ()) -> bytes:
        self._know_data_base()
        chosen = ("-j", ",".join(jobs)) if jobs else ()
        source = ask((*RECORDS, "-M", self._name, "-S", _time(since - OVERLAP), *chosen), patience=LONG_PATIENCE)
        if not source.startswith("|".join(queue.RECORDS).encode() + b"\n") or not source.endswith(b"\n"):
            raise ClusterError("sacct: the answer does not begin with the columns asked for, or is cut off")
        return source

    def node_events(self, since: int) -> tuple[NodeEvent, ...]:
        """When nodes were down or drained after `since`: (node, kind, start, end or None while it lasts, reason)."""
        source = ask((*EVENTS, f"cluster={self._name}", f"start={_time(since)}"))
        return nodes.events(source, self._name)

    def reservations(self, since: int) -> tuple[Reservation, ...]:
        """What the data base says of each; whom it is for by the accounts there, else by what the controller says now."""
        self._know_data_base()
        told = ask((*RESERVATIONS, f"cluster={self._name}", f"start={_time(since)}"))
        named = nodes.named(told, self._name)
        associations = ask(ASSOCIATIONS) if any(named.values()) else b""
        live = b"" if all(named.values()) else ask(RESERVED_NOW)
        return nodes.reservations(told, associations, live, self._name)

    def rollup(self, start: int, end: int) -> tuple[rollup.Row, ...]:
        """Slurm's own sums of GPU-seconds between two full hours."""
        self._know_data_base()
        source = ask(
            (*ROLLUP, f"cluster={self._name}", f"start={_time(start)}", f"end={_time(end)}"), patience=LONG_PATIENCE
        )
        return rollup.rows(source, self._name)

    def rolled_up_to(self) -> int | None:
        """The full hour up to which Slurm has made its sums; None when it does not say."""
        return rollup.last_hour(ask(STATISTICS))

    def rooms(self) -> Mapping[str, Room]:
        self._know_controller()
        return nodes.rooms(ask(NODES), self._system)

    def recorded(self, tell: Recorder) -> AbstractContextManager[None]:
        """Within, `tell` hears of every command, before it runs and after."""
        return recorded(tell)

    def tick(self, now: int, steering: Steering) -> None:
        """Slurm schedules by itself."""

    def _owner(self, job: str) -> str:
        if not (job.isascii() and job.isdigit()):
            raise BadInput(f"job: {job!r} is not the number of a job")
        live = queue.queue(ask(QUEUE), self._system)
        if found := next((one.user for one in live if one.job == job), None):
            return found
        source = ask((*ENDED, "-M", self._name, "-j", job, "-S", _time(0)))
        if found := next((one.user for one in queue.ended(source, self._system) if one.job == job), None):
            return found
        raise Refused(f"job {job} is not known to the cluster.", "Look at the list of jobs.")

    def _know_controller(self) -> None:
        """sbatch sends to whatever controller Slurm's file names: it must be that of our cluster. Asked once."""
        if "controller" not in self._checked:
            lines = ask(CONTROLLER).decode("utf-8", "replace").splitlines()
            name = next((line.partition("=")[2].strip() for line in lines if line.startswith("ClusterName ")), "")
            if name != self._name:
                raise ClusterError(f"the controller is that of the cluster {name!r}, not of {self._name!r}")
            self._checked.add("controller")

    def _know_data_base(self) -> None:
        """sacct has no words for a cluster that it does not know: it prints a header and ends well. Asked once."""
        if "data base" not in self._checked:
            names = ask(CLUSTERS).decode("utf-8", "replace").split()
            if self._name not in names:
                raise ClusterError(
                    f"Slurm's data base has no cluster {self._name!r}; it knows: {', '.join(names) or 'none'}"
                )
            self._checked.add("data base")


def _time(instant: int) -> str:
    """As Slurm reads it. Never second 0: sacct takes that for "not said", and begins at the last midnight."""
    return datetime.fromtimestamp(max(DAY, instant), UTC).strftime(TIME_FORMAT)
