"""Builders for the cluster's tests: a small machine, accounts and requests, and a cluster in memory that can die."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import make
from schmelz.cluster.apply import apply
from schmelz.cluster.backends.local import LocalCluster
from schmelz.cluster.desired import Project, desired
from schmelz.cluster.model import Account, Job, JobRequest, Member, Observed, Qos, Steering
from schmelz.policy.system import System

YEAR = 366 * 86400
T = TypeVar("T")


def machine(**system: Any) -> System:
    """Two sites of two nodes of four GPUs, two pools at 50, GPUs charged singly."""
    return make.factory(cluster={"backend": "local", "name": "anvil-c"}, **system).systems[0]


def project(name: str = "p1", **values: Any) -> Project:
    """A project that is open now, with a large grant and Anna in it."""
    now = int(time.time())
    facts = {"pool": "eurohpc", "gpu_seconds": 6000 * 3600, "start": now - YEAR, "end": now + YEAR}
    return Project(name, **facts | {"members": ("anna",)} | values)


def cluster(directory: Path, system: System, *projects: Project) -> LocalCluster:
    """A local cluster on which these projects stand."""
    local = LocalCluster(directory, system)
    apply(local, desired(system, projects, int(time.time())), allow_remove=100)
    return local


def request(script: str = "#!/bin/sh\necho hello\n", **values: Any) -> JobRequest:
    facts = {"account": "p1", "pool": "eurohpc", "user": "anna", "gpus": 1, "nodes": 1, "limit": 60}
    return JobRequest(script, **facts | values)


def tick(local: LocalCluster, **steering: Any) -> None:
    local.tick(int(time.time()), Steering(**steering))


def job(local: LocalCluster, number: str) -> Job:
    return next(one for one in local.jobs() if one.job == number)


def until(local: LocalCluster, number: str, *states: str, seconds: float = 20) -> Job:
    """Tick until the job is in one of the states."""

    def look() -> Job | None:
        tick(local)
        found = job(local, number)
        return found if found.state in states else None

    return eventually(look, seconds)


def eventually(look: Callable[[], T | None], seconds: float = 20) -> T:
    """Look again until there is an answer."""
    deadline = time.monotonic() + seconds
    while (found := look()) is None:
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return found


class Died(Exception):
    """The machine that ran the plan stopped in the middle of it."""


@dataclass
class MemoryCluster:
    """What a cluster knows of accounts, in memory; dies after a number of single changes, like a process that is killed."""

    accounts: dict[str, Account] = field(default_factory=dict)
    members: set[Member] = field(default_factory=set)
    foreign: tuple[str, ...] = ()
    breath: int = 10**9
    qos: dict[str, Qos] = field(default_factory=dict)
    foreign_qos: tuple[str, ...] = ()
    defaults: dict[str, str] = field(default_factory=dict)
    looks: int = 0
    left: set[Member] = field(default_factory=set)

    def observe(self) -> Observed:
        self.looks += 1
        return Observed(
            "lab",
            tuple(self.accounts.values()),
            tuple(self.members),
            self.foreign,
            tuple(self.qos.values()),
            self.foreign_qos,
            tuple(self.defaults.items()),
            left=tuple(self.left),
        )

    def create(self, accounts: Sequence[Account], members: Sequence[Member], qos: Sequence[Qos] = ()) -> None:
        for one in qos:
            self._breathe()
            assert not {one.name, *one.preempts} & set(self.foreign_qos)
            self.qos.setdefault(one.name, one)
        for account in accounts:
            self._breathe()
            assert account.name not in self.foreign, "what is not ours is left alone"
            assert account.parent == "root" or account.parent in self.accounts, "parents come first"
            assert set(account.qos) <= set(self.qos), "QOS come first"
            self.accounts.setdefault(account.name, account)
        for member in members:
            self._breathe()
            assert member.account in self.accounts
            self.members.add(member)
            self.left.discard(member)
            self.defaults.setdefault(member.user, member.account)

    def change(
        self, accounts: Sequence[Account], qos: Sequence[Qos] = (), defaults: Sequence[tuple[str, str]] = ()
    ) -> None:
        for one in qos:
            self._breathe()
            assert one.name in self.qos
            self.qos[one.name] = one
        for account in accounts:
            self._breathe()
            assert account.name in self.accounts
            self.accounts[account.name] = account
        for user, name in defaults:
            self._breathe()
            assert (user, name) in {(member.user, member.account) for member in self.members}
            self.defaults[user] = name

    def remove(self, members: Sequence[Member]) -> None:
        for member in members:
            self._breathe()
            assert member.account in self.accounts, "members of what is not ours are left alone"
            self.members.discard(member)
            self.left.discard(member)

    def _breathe(self) -> None:
        if self.breath == 0:
            raise Died
        self.breath -= 1
