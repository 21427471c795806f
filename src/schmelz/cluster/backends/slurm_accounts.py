"""Accounts, members and qualities of service of a Slurm cluster: seen, made, changed, taken away.

One look is three reads side by side, whatever the size. Every change begins with a look, or uses one that is a moment
old; what carries no mark of ours is refused before anything happens. Exit statuses are believed, printed words are not;
but Slurm also ends well with half of the work done, so whoever changes looks again afterwards (`cluster.apply` does).
A member who leaves while jobs are there stays a *former* member until they have ended: Slurm keeps the association, we
take the right to submit and to start, and no job is ever cancelled. Only where there are such, a look also asks for jobs.
"""

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace

from schmelz.cluster.backends import slurm_qos as quality, slurm_read as read, slurm_write as write
from schmelz.cluster.backends.slurm_call import LONG_PATIENCE, ask, attempt
from schmelz.cluster.backends.slurm_many import carry_out
from schmelz.cluster.model import MARK, Account, ClusterError, Member, Observed, Qos

FRESH = 5  # seconds for which a look serves the change that follows it
LAG = 5  # seconds until the data base, too, knows that a job has ended

TREE = (
    "sacctmgr", "-P", "show", "account", "withassoc", "woplimits",
    "format=account,cluster,parentname,user,partition,share,grptresmins,grpjobs,grpsubmitjobs,maxsubmitjobs,"
    "qos,defaultqos,organization",
)  # fmt: skip
USERS = ("sacctmgr", "-P", "show", "user", "withcoord", "format=user,defaultaccount,coordinators")
JOBS = ("squeue", "--all", "--states=all", "-O", "Cluster:|,Account:|,UserName:|,State:|,EndTime:|")
PROBLEMS = ("sacctmgr", "-P", "show", "problem", "format=cluster,account,user,problem")


class Accounts:
    """Those of the cluster of this name."""

    def __init__(self, cluster: str) -> None:
        self._name = cluster
        self._last: tuple[float, read.Stand] | None = None
        self._answers: dict[str, bytes] = {}

    def observe(self) -> Observed:
        stand = self._look()
        self._last = time.monotonic(), stand
        return stand.observed

    def observe_again(self, kinds: Collection[str]) -> Observed:
        """What changed since the last look, if only objects of these kinds did; whoever joins may be a new user."""
        old = self._answers
        chosen = {"tree": {"account", "member"}, "qos": {"qos"}, "users": {"member", "user"}}
        parts = [part for part, of in chosen.items() if part not in old or of & set(kinds)]
        return self._understood(old | self._read(parts)).observed

    def create(self, accounts: Sequence[Account], members: Sequence[Member], qos: Sequence[Qos]) -> None:
        stand = self._begin()
        _check_names(accounts, members, qos)
        seen = stand.observed
        _refuse_foreign(stand, (one.name for one in accounts), (one.name for one in qos))
        ours, made = {one.name for one in seen.accounts}, {one.name for one in seen.qos}
        new = [account for account in accounts if account.name not in ours]
        new_qos, joining = [one for one in qos if one.name not in made], set(members) - set(seen.members)
        named = {account.name for account in new}
        self._demand("parent", {account.parent for account in new} - named - stand.here, "on the cluster")
        self._demand("account", {member.account for member in members} - named - ours, "one of ours on")
        _demand_qos(new, made | set(seen.foreign_qos) | {one.name for one in new_qos})
        carry_out([[command] for command in quality.additions(new_qos)])
        if new or joining:
            ask(write.LOAD, text=write.load_file(self._name, new, joining), patience=LONG_PATIENCE)
            carry_out([write.new_leads(new)])

    def change(self, accounts: Sequence[Account], qos: Sequence[Qos], defaults: Sequence[write.Pair]) -> None:
        stand = self._begin()
        _check_names(accounts, [Member(user, account) for user, account in defaults], qos)
        there = {account.name: account for account in stand.observed.accounts}
        made = {one.name: one for one in stand.observed.qos}
        _refuse_foreign(stand, (one.name for one in accounts), (one.name for one in qos))
        self._demand("account", {account.name for account in accounts} - set(there), "one of ours on")
        self._demand("parent", {account.parent for account in accounts} - stand.here, "on the cluster")
        self._demand("QOS", {one.name for one in qos} - set(made), "one of ours on")
        self._demand("default account", {account for _, account in defaults} - set(there), "one of ours on")
        _demand_qos(accounts, set(made) | set(stand.observed.foreign_qos))
        pairs = [(there[account.name], account) for account in accounts if there[account.name] != account]
        carry_out(
            [
                quality.changes((made[one.name], one) for one in qos),
                *([command] for command in write.moves(self._name, pairs)),
                write.settings(self._name, pairs),
                write.leads(pairs),
                write.default_accounts(self._name, set(defaults) - set(stand.defaults.items())),
            ]
        )

    def remove(self, members: Sequence[Member]) -> None:
        stand = self._begin()
        _refuse_foreign(stand, (member.account for member in members), ())
        leaving = set(members) & {*stand.observed.members, *stand.observed.left}
        # Slurm of some versions refuses to take somebody's default account away, others leave the person without
        carry_out([write.default_accounts(self._name, read.new_defaults(stand, leaving))])
        if kept := self._delete(leaving) - stand.former:
            carry_out([write.endings(self._name, kept)])

    def caps(self) -> dict[str, int | None]:
        seen, _ = quality.qualities(ask(quality.SHOW))
        return {one.name: one.gpus for one in seen}

    def cap(self, caps: Mapping[str, int | None]) -> None:
        there = self.caps()
        self._demand("QOS", set(caps) - set(there), "one of ours on")
        carry_out([quality.caps({name: number for name, number in caps.items() if there[name] != number})])

    def problems(self) -> tuple[str, ...]:
        """What Slurm itself finds wrong with members of ours."""
        last = self._last
        stand = last[1] if last and time.monotonic() - last[0] < FRESH else self._look()
        users = {member.user for member in stand.observed.members}
        return read.problems(ask(PROBLEMS), users, self._name)

    def _begin(self) -> read.Stand:
        """What a change starts from: the look just taken, else a new one. It serves one change only."""
        last, self._last = self._last, None
        return last[1] if last and time.monotonic() - last[0] < FRESH else self._look()

    def _look(self) -> read.Stand:
        return self._understood(self._read(("tree", "qos", "users")))

    def _read(self, parts: Sequence[str]) -> dict[str, bytes]:
        commands = {"tree": TREE, "qos": quality.SHOW, "users": (*USERS, f"cluster={self._name}")}
        with ThreadPoolExecutor(len(commands)) as pool:
            answers = {part: pool.submit(copy_context().run, ask, commands[part]) for part in parts}
        return {part: answer.result() for part, answer in answers.items()}

    def _understood(self, told: dict[str, bytes]) -> read.Stand:
        stand = read.stand(told["tree"], quality.qualities(told["qos"]), told["users"], self._name)
        self._answers = told
        return self._with_leaving(stand) if stand.former else stand

    def _with_leaving(self, stand: read.Stand) -> read.Stand:
        """Which former members have jobs, and which are only left over; all have, where the controller does not say."""
        answer = attempt(JOBS)
        jobs = None if answer.status else read.busy(answer.out, self._name, int(time.time()) - LAG)
        leaving = {one for one in stand.former if jobs is None or (one.user, one.account) in jobs}
        left = tuple(sorted(stand.former - leaving))
        return replace(stand, observed=replace(stand.observed, leaving=tuple(sorted(leaving)), left=left))

    def _delete(self, members: set[Member]) -> set[Member]:
        """Those whom Slurm keeps: it refuses as long as one of a list has jobs, so the rest is asked for one by one.

        One after the other, never at once: see `slurm_many`.
        """
        kept: set[Member] = set()
        for command, group in write.removals(self._name, members):
            if attempt(command, patience=LONG_PATIENCE).status:
                kept |= self._delete_each(group)
        return kept

    def _delete_each(self, group: Sequence[Member]) -> set[Member]:
        if len(group) == 1:
            return set(group)
        one_by_one = [write.removals(self._name, [member])[0] for member in group]
        return {member for command, (member,) in one_by_one if attempt(command).status}

    def _demand(self, what: str, missing: set[str], where: str) -> None:
        if missing:
            raise ClusterError(f"{what} {', '.join(sorted(missing))}: is not {where} {self._name}")


def _check_names(accounts: Sequence[Account], members: Iterable[Member], qos: Sequence[Qos]) -> None:
    write.check_names(name for one in accounts for name in (one.name, one.parent, *one.qos, *one.coordinators))
    write.check_names(name for one in members for name in (one.user, one.account))
    write.check_names(name for one in qos for name in (one.name, *one.preempts))
    write.check_names(filter(None, (*(one.default_qos for one in accounts), *(one.partition for one in members))))


def _refuse_foreign(stand: read.Stand, accounts: Iterable[str], qos: Iterable[str]) -> None:
    if taken := sorted(set(accounts) & set(stand.observed.foreign)):
        raise ClusterError(
            f"{', '.join(taken)}: on the cluster without our mark, so left alone; to hand an "
            f"account over: sacctmgr modify account {taken[0]} set organization={MARK}"
        )
    if taken := sorted(set(qos) & set(stand.observed.foreign_qos)):
        raise ClusterError(
            f"{', '.join(taken)}: a quality of service on the cluster without our mark, so left alone; to hand it "
            f"over: sacctmgr modify qos {taken[0]} set description={MARK}"
        )


def _demand_qos(accounts: Sequence[Account], there: set[str]) -> None:
    for account in accounts:
        if missing := sorted({*account.qos, account.default_qos} - there - {""}):
            raise ClusterError(f"account {account.name}: the QOS {', '.join(missing)} is not on the cluster")
