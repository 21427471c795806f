"""QOS, access, coordinators, partitions, caps and pre-emption on a real Slurm, with real jobs of Unix users.

The tests share one lab of 2 sites x 2 nodes x 4 GPUs and leave it as the first one made it.
"""

import pwd
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cluster.lab import Lab
from make import factory
from schmelz.cluster.apply import apply
from schmelz.cluster.backends.slurm import SlurmCluster
from schmelz.cluster.desired import Desired
from schmelz.cluster.model import Account, ClusterError, Job, JobRequest, Member, Qos, Room
from schmelz.faults import Refused

BORROW = ("eurohpc-borrow", "national-borrow")
EXEMPT = 4
QOS = (
    Qos("eurohpc-borrow", 1, preemptible=True, exempt=EXEMPT),
    Qos("eurohpc-own", 1000, 8, BORROW),
    Qos("national-borrow", 1, preemptible=True, exempt=EXEMPT),
    Qos("national-own", 1000, 8, BORROW),
)


def account(name: str, parent: str, pool: str, shares: int = 1, minutes: int | None = 6000) -> Account:
    return Account(name, parent, shares, minutes, qos=(f"{pool}-borrow", f"{pool}-own"), default_qos=f"{pool}-own")


EUROHPC, NATIONAL = (account(pool, "root", pool, 50, None) for pool in ("eurohpc", "national"))
P1, P2 = account("p200001", "eurohpc", "eurohpc"), account("p200002", "national", "national")


@pytest.fixture(scope="module", autouse=True)
def conf(own_slurm: Lab) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in own_slurm.env().items():
            patch.setenv(name, value)
        patch.setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        yield
    for user in own_slurm.settings.users:
        for path in Path("/tmp").glob(f"schmelz-{pwd.getpwnam(user).pw_uid}-*.out"):
            path.unlink()


@pytest.fixture
def cluster(own_slurm: Lab) -> SlurmCluster:
    sites = ("bissen", "bettembourg")
    factory_of_it = factory(
        sites={site: ",".join(own_slurm.settings.nodes_of(site)) for site in sites},
        cluster={"backend": "slurm", "name": own_slurm.settings.name},
        partitions={site: [site] for site in sites},
    )
    return SlurmCluster(factory_of_it.systems[0])


@pytest.fixture
def anna(own_slurm: Lab) -> str:
    return own_slurm.settings.users[0]


@pytest.fixture
def bruno(own_slurm: Lab) -> str:
    return own_slurm.settings.users[1]


@pytest.fixture
def members(anna: str, bruno: str) -> tuple[Member, ...]:
    """anna everywhere; bruno in p200001 only at one site and in p200002 at each."""
    return (
        *(Member(anna, "p200001"), Member(anna, "p200002"), Member(bruno, "p200001", "bettembourg")),
        *(Member(bruno, "p200002", "bettembourg"), Member(bruno, "p200002", "bissen")),
    )


@pytest.fixture
def asked(anna: str, members: tuple[Member, ...]) -> Desired:
    accounts = (EUROHPC, NATIONAL, replace(P1, coordinators=(anna,)), P2)
    return Desired(accounts, members, qos=QOS)


def until(found: Callable[[], bool], seconds: float = 30) -> float:
    """How long it took."""
    began = time.monotonic()
    while not found():
        assert time.monotonic() < began + seconds, "it did not happen in time"
        time.sleep(0.1)
    return time.monotonic() - began


def job(cluster: SlurmCluster, number: str) -> Job:
    return next(one for one in cluster.jobs() if one.job == number)


def state(lab: Lab, number: str) -> str:
    return lab.run("squeue", "-h", "-j", number, "--states=all", "-o", "%T %r").stdout.strip()


def request(user: str, account: str = "p200001", **values: object) -> JobRequest:
    pool = "eurohpc" if account == "p200001" else "national"
    return replace(JobRequest("#!/bin/sh\nsleep 60\n", account, pool, user, 1, 1, 120), **values)


def assocs(lab: Lab, user: str) -> list[str]:
    return lab.run(
        "sacctmgr", "-nP", "show", "assoc", f"user={user}", "format=account,partition,maxsubmit"
    ).stdout.split()


def test_everything_reads_back_as_it_was_asked_for(cluster: SlurmCluster, asked: Desired, anna: str) -> None:
    assert apply(cluster, asked).changes == 4 + 4 + 5
    seen = cluster.observe()
    assert (seen.accounts, seen.members, seen.qos) == (asked.accounts, asked.members, asked.qos)
    assert seen.foreign_qos == ("normal",)
    assert dict(seen.defaults)[anna] == "p200001"
    assert apply(cluster, asked).changes == 0


def test_every_value_can_be_changed_and_changed_back(cluster: SlurmCluster, asked: Desired, bruno: str) -> None:
    other = replace(P1, qos=("national-own",), default_qos="national-own", coordinators=(bruno,), gpu_minutes=None)
    accounts = (EUROHPC, NATIONAL, other, replace(P2, qos=(), default_qos="", shares=3, held=True))
    qos = (
        replace(QOS[0], preemptible=False, exempt=0, priority=7),
        replace(QOS[1], gpus=None, preempts=()),
        replace(QOS[2], exempt=100 * 3600 + 61),
        replace(QOS[3], gpus=0, preempts=("eurohpc-borrow",)),
    )
    cluster.change(accounts, qos, [(bruno, "p200001")])
    seen = cluster.observe()
    assert (seen.accounts, seen.qos, dict(seen.defaults)[bruno]) == (accounts, qos, "p200001")
    cluster.change(asked.accounts, asked.qos, [(bruno, "p200002")])
    seen = cluster.observe()
    assert (seen.accounts, seen.qos, dict(seen.defaults)[bruno]) == (asked.accounts, asked.qos, "p200002")


def test_a_foreign_qos_of_the_same_name_is_refused(cluster: SlurmCluster, own_slurm: Lab) -> None:
    assert own_slurm.run("sacctmgr", "-i", "add", "qos", "gold", "GrpTRES=gres/gpu=3").returncode == 0
    before = cluster.observe()
    for call in (
        lambda: cluster.create([account("p9", "root", "gold")], [], [Qos("gold", 5)]),
        lambda: cluster.change([], [Qos("gold", 5)]),
        lambda: cluster.cap({"national-own": 3, "gold": 1}),
    ):
        with pytest.raises(ClusterError, match="gold"):
            call()
    assert (cluster.observe(), "gold" in before.foreign_qos) == (before, True)


def test_half_of_a_change_is_an_error_with_numbers(cluster: SlurmCluster, asked: Desired) -> None:
    wrong = replace(P2, coordinators=("nobody-here",), gpu_minutes=77)
    with pytest.raises(ClusterError, match=r"^1 commands were done, 1 failed and 0 were not begun; .*nobody-here"):
        cluster.change([wrong])
    assert cluster.observe().accounts[3].gpu_minutes == 77
    assert apply(cluster, asked).changes == 1


def test_a_held_account_takes_jobs_and_starts_them_when_it_opens(
    cluster: SlurmCluster, own_slurm: Lab, anna: str, asked: Desired
) -> None:
    held = replace(asked.accounts[2], held=True)
    cluster.change([held])
    number = cluster.submit(request(anna))
    until(lambda: state(own_slurm, number) == "PENDING AssocGrpJobsLimit")
    cluster.change([replace(held, held=False)])
    assert until(lambda: state(own_slurm, number).startswith("RUNNING")) < 5
    cluster.change([replace(held, held=False, open=False)])
    with pytest.raises(Refused, match="is closed for new jobs"):
        cluster.submit(request(anna))
    assert state(own_slurm, number).startswith("RUNNING")
    cluster.change([asked.accounts[2]])
    cluster.cancel(number)


def test_a_coordinator_may_bring_people_in_and_nobody_else(
    cluster: SlurmCluster, own_slurm: Lab, anna: str, bruno: str, asked: Desired
) -> None:
    def add(account: str, user: str) -> bool:
        words = ("sacctmgr", "-i", "add", "user", bruno, f"account={account}", "partition=bissen")
        return own_slurm.run(*words, user=user).returncode == 0

    assert (add("p200001", bruno), add("p200002", anna), add("p200001", anna)) == (False, False, True)
    assert Member(bruno, "p200001", "bissen") in cluster.observe().members
    cluster.remove([Member(bruno, "p200001", "bissen")])
    cluster.change([P1])
    assert not add("p200001", anna)
    cluster.change([asked.accounts[2]])
    assert cluster.observe().members == asked.members


def test_a_member_of_one_partition_runs_only_there(cluster: SlurmCluster, own_slurm: Lab, bruno: str) -> None:
    with pytest.raises(Refused, match="may not use the project p200001"):
        cluster.submit(request(bruno, site="bissen"))
    number = cluster.submit(request(bruno, site="bettembourg"))
    until(lambda: state(own_slurm, number).startswith("RUNNING"))
    assert job(cluster, number).site == "bettembourg"
    cluster.cancel(number)


def test_rooms_are_gpus_that_are_up_and_free(cluster: SlurmCluster, own_slurm: Lab, anna: str) -> None:
    until(lambda: not own_slurm.run("squeue", "-h").stdout)
    assert cluster.rooms() == {"bissen": Room(8, 8), "bettembourg": Room(8, 8)}
    number = cluster.submit(request(anna, gpus=3, site="bissen"))
    until(lambda: cluster.rooms()["bissen"] == Room(8, 5))
    drain = ("scontrol", "update", "nodename=mxt001")
    assert own_slurm.run(*drain, "state=drain", "reason=State=IDLE").returncode == 0
    until(lambda: cluster.rooms()["bettembourg"] == Room(4, 4))
    assert own_slurm.run(*drain, "state=resume").returncode == 0
    until(lambda: cluster.rooms()["bettembourg"] == Room(8, 8))
    cluster.cancel(number)
    until(lambda: cluster.rooms()["bissen"] == Room(8, 8))


def test_a_cap_acts_within_two_seconds_both_ways(cluster: SlurmCluster, own_slurm: Lab, anna: str) -> None:
    cluster.cap({"eurohpc-own": 2, "national-own": 8})
    first, second = (cluster.submit(request(anna, gpus=2)) for _ in range(2))
    until(lambda: state(own_slurm, second) == "PENDING QOSGrpGRES")
    assert state(own_slurm, first).startswith("RUNNING")
    cluster.cap({"eurohpc-own": None})
    assert until(lambda: state(own_slurm, second).startswith("RUNNING")) < 4  # the lab's scheduler looks every 2 s
    cluster.cap({"eurohpc-own": 0})
    third = cluster.submit(request(anna))
    time.sleep(3)
    assert state(own_slurm, third).startswith("PENDING QOSGrpGRES") or "QOS" in state(own_slurm, third)
    assert state(own_slurm, first).startswith("RUNNING")  # lowering ends nothing
    cluster.cap({"eurohpc-own": 8})
    assert {one.name: one.gpus for one in cluster.observe().qos} == {one.name: one.gpus for one in QOS}
    for number in (first, second, third):
        cluster.cancel(number)


def test_an_own_job_takes_borrowed_gpus_back_after_the_exempt_time(
    cluster: SlurmCluster, own_slurm: Lab, anna: str, bruno: str
) -> None:
    until(lambda: not own_slurm.run("squeue", "-h").stdout)
    borrowed = [cluster.submit(request(anna, "p200002", gpus=8, nodes=2, qos="national-borrow")) for _ in range(2)]
    until(lambda: all(state(own_slurm, number).startswith("RUNNING") for number in borrowed))
    own = cluster.submit(request(bruno, gpus=4, site="bettembourg"))
    took = until(lambda: state(own_slurm, own).startswith("RUNNING"))
    states = [state(own_slurm, number).split()[0] for number in borrowed]
    assert (EXEMPT - 2 < took < EXEMPT + 10, sorted(states)) == (True, ["PENDING", "RUNNING"])
    assert {job(cluster, number).qos for number in borrowed} == {"national-borrow"}
    for number in (own, *borrowed):
        cluster.cancel(number)


def test_who_leaves_one_partition_stays_in_the_other_also_while_jobs_run(
    cluster: SlurmCluster, own_slurm: Lab, bruno: str, members: tuple[Member, ...]
) -> None:
    until(lambda: not own_slurm.run("squeue", "-h").stdout)
    running = cluster.submit(request(bruno, "p200002", site="bissen"))
    until(lambda: state(own_slurm, running).startswith("RUNNING"))
    cluster.remove([Member(bruno, "p200002", "bissen"), Member(bruno, "p200001", "bettembourg")])
    assert [one for one in cluster.observe().members if one.user == bruno] == [Member(bruno, "p200002", "bettembourg")]
    assert assocs(own_slurm, bruno) == ["p200002|bettembourg|", "p200002|bissen|0"]
    with pytest.raises(Refused):
        cluster.submit(request(bruno, "p200002", site="bissen"))
    other = cluster.submit(request(bruno, "p200002", site="bettembourg"))
    assert state(own_slurm, running).startswith("RUNNING")
    gone = Member(bruno, "p200002", "bissen")
    assert (cluster.observe().leaving, cluster.observe().left) == ((gone,), ())
    for number in (running, other):
        cluster.cancel(number)
    until(lambda: cluster.observe().left == (gone,))  # the jobs of all partitions of the account count
    cluster.remove([gone])
    assert assocs(own_slurm, bruno) == ["p200002|bettembourg|"]
    cluster.create([], [one for one in members if one.user == bruno])
    assert cluster.observe().members == members
