"""A cluster under Slurm, driven by Slurm's own commands; nothing of Slurm is replaced or patched.

One read tells everything about accounts; every change begins with such a read and ends with another, so that exit
status and data base are believed and printed words are not. Accounts that carry our mark (their Organization) are ours;
creating or changing an account without it is refused before anything happens. Jobs are submitted and read with their
owner's rights. A member who leaves while jobs run stays a *former* member until the next removal after their end: Slurm
keeps the association, we take the right to submit and to start, and no job is ever cancelled.
"""

import os
from collections.abc import Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from schmelz.cluster.backends import (
    slurm_queue as queue,
    slurm_read as read,
    slurm_submit as submit,
    slurm_write as write,
)
from schmelz.cluster.backends.admission import check, sites
from schmelz.cluster.backends.slurm_call import LONG_PATIENCE, TIME_FORMAT, as_person, ask, attempt
from schmelz.cluster.model import MARK, Account, ClusterError, Job, JobRequest, Member, NodeEvent, Observed, Steering
from schmelz.faults import BadInput, Refused
from schmelz.policy.system import System
from schmelz.units import DAY

SIDE_BY_SIDE = 8
OVERLAP = DAY  # records reach the data base later than they say: re-read a day, a second reading changes nothing
LAST_BYTES = 65_536

TREE = (
    "sacctmgr", "-P", "show", "account", "withassoc",
    "format=account,organization,cluster,parentname,user,share,grptresmins,grpsubmitjobs,maxsubmitjobs",
)  # fmt: skip
QUEUE_FIELDS = (
    "JobID", "Cluster", "Account", "UserName", "State", "Partition", "NumNodes", "tres-alloc", "NodeList", "Reason",
    "SubmitTime", "StartTime", "EndTime", "TimeLimit", "exit_code",
)  # fmt: skip
QUEUE = ("squeue", "--all", "--states=all", "-O", ",".join(f"{field}:|" for field in QUEUE_FIELDS))
ENDED = ("sacct", "-a", "-X", "-P", "--noconvert", f"--format={','.join(queue.ENDED)}")
RECORDS = ("sacct", "-a", "-D", "-X", "-P", "--noconvert", "-E", "now+52weeks", f"--format={','.join(queue.RECORDS)}")
EVENTS = ("sacctmgr", "-P", "show", "event", "format=cluster,nodename,state,start,end,reason")
USERS = ("sacctmgr", "-P", "show", "user", "withassoc", "format=user,defaultaccount,account,cluster")
CLUSTERS = ("sacctmgr", "-nP", "show", "cluster", "format=cluster")
CONTROLLER = ("scontrol", "show", "config")


class SlurmCluster:
    """A `Backend` over Slurm's commands, for the cluster that `system.cluster.name` names."""

    def __init__(self, system: System) -> None:
        self._system, self._name = system, system.cluster.name
        self._checked: set[str] = set()

    # -- accounts and members

    def observe(self) -> Observed:
        return self._stand().observed

    def create(self, accounts: Sequence[Account], members: Sequence[Member]) -> None:
        write.check_names(name for account in accounts for name in (account.name, account.parent))
        write.check_names(name for member in members for name in (member.user, member.account))
        stand = self._stand()
        ours = {account.name for account in stand.observed.accounts}
        self._only_ours(stand, [account.name for account in accounts])
        new = [account for account in accounts if account.name not in ours]
        named = {account.name for account in new}
        self._parents_there({account.parent for account in new} - named - stand.here)
        self._ours_there({member.account for member in members} - named - ours)
        joining = set(members) - set(stand.observed.members)
        if new or joining:
            ask(write.LOAD, text=write.load_file(self._name, new, joining), patience=LONG_PATIENCE)
            self._compare(new, present=joining)

    def change(self, accounts: Sequence[Account]) -> None:
        stand = self._stand()
        there = {account.name: account for account in stand.observed.accounts}
        self._only_ours(stand, [account.name for account in accounts])
        self._ours_there({account.name for account in accounts} - set(there))
        self._parents_there({account.parent for account in accounts} - stand.here)
        pairs = [(there[account.name], account) for account in accounts if there[account.name] != account]
        for command in write.moves(self._name, pairs):
            ask(command, patience=LONG_PATIENCE)
        _side_by_side(write.settings(self._name, pairs))
        if pairs:
            self._compare([account for _, account in pairs])

    def remove(self, members: Sequence[Member]) -> None:
        stand = self._stand()
        self._only_ours(stand, [member.account for member in members])
        leaving = set(members) & set(stand.observed.members)
        self._keep_defaults(leaving | stand.former)
        if kept := self._delete(leaving | stand.former) - stand.former:
            _side_by_side(write.endings(self._name, kept))
        if leaving:
            self._compare((), absent=leaving)

    def _stand(self) -> read.Stand:
        return read.stand(ask(TREE), self._name)

    def _delete(self, members: set[Member]) -> set[Member]:
        """Those whom Slurm keeps: it refuses as long as one of a list has jobs, so the rest is asked for one by one."""
        kept: set[Member] = set()
        for command, group in write.removals(self._name, members):
            if attempt(command).status:
                kept |= self._delete_each(group)
        return kept

    def _delete_each(self, group: Sequence[Member]) -> set[Member]:
        if len(group) == 1:
            return set(group)
        one_by_one = [write.removals(self._name, [member])[0] for member in group]
        return {member for command, (member,) in one_by_one if attempt(command).status}

    def _keep_defaults(self, leaving: set[Member]) -> None:
        """Slurm of some versions refuses to take somebody's default account away, others leave the person without."""
        if leaving:
            source = ask((*USERS, f"cluster={self._name}"))
            _side_by_side(write.default_accounts(self._name, read.new_defaults(source, self._name, leaving)))

    def _only_ours(self, stand: read.Stand, names: Sequence[str]) -> None:
        if taken := sorted(set(names) & set(stand.observed.foreign)):
            raise ClusterError(
                f"{', '.join(taken)}: on the cluster without our mark, so left alone; to hand an "
                f"account over: sacctmgr modify account {taken[0]} set organization={MARK}"
            )

    def _ours_there(self, missing: set[str]) -> None:
        if missing:
            raise ClusterError(f"account {', '.join(sorted(missing))}: is not one of ours on {self._name}")

    def _parents_there(self, missing: set[str]) -> None:
        if missing:
            raise ClusterError(f"parent {', '.join(sorted(missing))}: is not on the cluster {self._name}")

    def _compare(
        self, accounts: Sequence[Account], present: Set[Member] = frozenset(), absent: Set[Member] = frozenset()
    ) -> None:
        """Read back: nothing is done before it stands there."""
        seen = self._stand().observed
        wrong = [account.name for account in accounts if account not in seen.accounts]
        members = set(seen.members)
        wrong += [f"{member.account}/{member.user}" for member in sorted((present - members) | (absent & members))]
        if wrong:
            raise ClusterError(f"Slurm took the commands, but {', '.join(wrong[:10])} did not become as asked")

    # -- jobs

    def submit(self, request: JobRequest) -> str:
        check(request, self._system)
        write.check_directives(request.script)
        places = sites(request, self._system) if request.nodes * self._system.gpus_per_node >= request.gpus else ()
        if not places:
            raise Refused(
                f"no site{f' {request.site}' if request.site else ''} holds {request.gpus} GPUs on "
                f"{request.nodes} nodes.",
                f"A node has {self._system.gpus_per_node} GPUs; a job runs at one site.",
            )
        self._know_controller()
        folder = submit.folder(request.user)
        command = write.submission(request, self._system, places, str(folder), str(submit.output(request.user, "%j")))
        start = str(folder) if os.access(folder, os.X_OK) else "/"
        answer = as_person(request.user, command, text=request.script, folder=start)
        if answer.status:
            raise submit.refusal(answer, request)
        job = answer.out.decode("utf-8", "replace").strip().partition(";")[0]
        if not job.isdigit():
            raise ClusterError(f"sbatch gave no job number but {job[:60]!r}")
        return job

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

    def output(self, job: str) -> str:
        owner = self._owner(job)
        answer = as_person(owner, ("tail", "-c", str(LAST_BYTES), "--", str(submit.output(owner, job))))
        return "" if answer.status else answer.out.decode("utf-8", "replace")

    def records(self, since: int) -> bytes:
        self._know_data_base()
        source = ask((*RECORDS, "-M", self._name, "-S", _time(since - OVERLAP)), patience=LONG_PATIENCE)
        if not source.startswith("|".join(queue.RECORDS).encode() + b"\n") or not source.endswith(b"\n"):
            raise ClusterError("sacct: the answer does not begin with the columns asked for, or is cut off")
        return source

    def node_events(self, since: int) -> tuple[NodeEvent, ...]:
        """When nodes were down or drained after `since`: (node, kind, start, end or None while it lasts, reason)."""
        source = ask((*EVENTS, f"cluster={self._name}", f"start={_time(since)}"))
        return read.events(source, self._name)

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


def _side_by_side(commands: Sequence[write.Command]) -> None:
    """Changes of values may run at once (and each waits most of its time); additions and removals may not."""
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        list(pool.map(lambda command: ask(command, patience=LONG_PATIENCE), commands))


def _time(instant: int) -> str:
    """As Slurm reads it. Never second 0: sacct takes that for "not said", and begins at the last midnight."""
    return datetime.fromtimestamp(max(DAY, instant), UTC).strftime(TIME_FORMAT)
