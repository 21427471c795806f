"""The Slurm backend on a real Slurm: accounts, members, jobs of Unix users, records, events of nodes.

The tests stand in the order of a cluster's life and share one lab; each says what it leaves behind.
"""

import os
import pwd
import resource
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
from schmelz.cluster.model import Account, ClusterError, Job, JobRequest, Member, Observed
from schmelz.faults import BadInput, Refused
from schmelz.metering.sacct import read
from schmelz.policy.system import System

EUROHPC, NATIONAL = Account("eurohpc", "root", 50), Account("national", "root", 50)
P1, P2 = Account("p200001", "eurohpc", 1, 6000), Account("p200002", "national", 1, 10)
ACCOUNTS = (EUROHPC, NATIONAL, P1, P2)


def system_of(lab: Lab, **changes: object) -> System:
    sites = ("bissen", "bettembourg")
    return factory(
        **{
            "sites": {site: ",".join(lab.settings.nodes_of(site)) for site in sites},
            "cluster": {"backend": "slurm", "name": lab.settings.name},
            "partitions": {site: [site] for site in sites},
            **changes,
        }
    ).systems[0]


@pytest.fixture(scope="module", autouse=True)
def conf(own_slurm: Lab) -> Iterator[None]:
    """Where the commands find this cluster; what jobs printed into /tmp goes with it."""
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
    return SlurmCluster(system_of(own_slurm))


@pytest.fixture
def anna(own_slurm: Lab) -> str:
    return own_slurm.settings.users[0]


@pytest.fixture
def bruno(own_slurm: Lab) -> str:
    return own_slurm.settings.users[1]


def manage(lab: Lab, *words: str) -> str:
    done = lab.run("sacctmgr", "-i", *words)
    assert done.returncode == 0, done
    return done.stdout


def rows(lab: Lab, what: str, columns: str) -> list[str]:
    return lab.run("sacctmgr", "-nP", "show", what, f"format={columns}").stdout.splitlines()


def until(found: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.2)


def job(cluster: SlurmCluster, number: str) -> Job:
    return next(one for one in cluster.jobs() if one.job == number)


def request(user: str, script: str, account: str = "p200001", **values: object) -> JobRequest:
    pool = "eurohpc" if account == "p200001" else "national"
    return replace(JobRequest(f"#!/bin/sh\n{script}\n", account, pool, user, 1, 1, 120), **values)


def release(lab: Lab, number: str) -> None:
    assert lab.run("scontrol", "release", number).returncode == 0


# -- the tree


def test_an_empty_cluster_is_seen_as_one_and_a_wrong_one_is_not(cluster: SlurmCluster, own_slurm: Lab) -> None:
    assert cluster.observe() == Observed("schmelz", (), (), (), (), ("normal",))
    other = SlurmCluster(system_of(own_slurm, cluster={"backend": "slurm", "name": "other"}))
    for call in (other.observe, other.jobs, lambda: other.records(0), lambda: other.node_events(0)):
        with pytest.raises(ClusterError, match="'other'"):
            call()
    with pytest.raises(ClusterError, match="'other'"):
        other.create([EUROHPC], [])
    assert rows(own_slurm, "cluster", "cluster") == ["schmelz"]  # load alone would have made it


def everything(lab: Lab) -> list[str]:
    """What the data base holds, also of what is not ours."""
    tables = {
        "assoc": "account,user,share,grptresmins,grpwall",
        "account": "account,descr,org",
        "user": "user,defaultaccount",
    }
    return [f"{what}: {row}" for what, columns in tables.items() for row in rows(lab, what, columns)]


def test_new_accounts_leave_everybody_elses_alone(cluster: SlurmCluster, own_slurm: Lab, anna: str, bruno: str) -> None:
    manage(own_slurm, "add", "account", "chem", "organization=uni", "fairshare=7", "GrpTRESMins=gres/gpu=99")
    manage(own_slurm, "add", "user", anna, "account=chem", "fairshare=3")
    manage(own_slurm, "modify", "account", "root", "set", "GrpWall=999999")
    before = everything(own_slurm)
    members = (Member(anna, "p200001"), Member(bruno, "p200001"), Member(bruno, "p200002"))
    cluster.create(list(ACCOUNTS), members)
    defaults = ((anna, "chem"), (bruno, "p200001"))
    assert cluster.observe() == Observed("schmelz", ACCOUNTS, members, ("chem",), (), ("normal",), defaults)
    after = everything(own_slurm)
    assert set(before) - set(after) == set()
    assert f"user: {bruno}|p200001" in after
    cluster.create(list(ACCOUNTS), members)
    cluster.create([replace(P1, parent="national", shares=9, gpu_minutes=1)], [])  # there already: nothing changes
    assert cluster.observe().accounts == ACCOUNTS


def test_a_foreign_account_is_never_taken_over(cluster: SlurmCluster) -> None:
    before = cluster.observe()
    for call in (
        lambda: cluster.create([Account("chem", "root")], []),
        lambda: cluster.change([Account("chem", "root", 1)]),
        lambda: cluster.remove([Member("anna", "chem")]),
    ):
        with pytest.raises(ClusterError, match="chem: on the cluster without our mark"):
            call()
    assert cluster.observe() == before


def test_values_are_set_lifted_and_moved(cluster: SlurmCluster) -> None:
    wanted = (
        replace(P1, parent="national", shares=3, gpu_minutes=None, open=False),
        replace(P2, gpu_minutes=0, open=False),
    )
    cluster.change(wanted)
    assert cluster.observe().accounts == (EUROHPC, NATIONAL, *wanted)
    cluster.change([P1, P2])
    assert cluster.observe().accounts == ACCOUNTS


def test_different_values_side_by_side_are_all_right(cluster: SlurmCluster) -> None:
    many = [Account(f"q{number:02}", "national", 1, number) for number in range(20)]
    cluster.create(many, [])
    changed = [replace(old, gpu_minutes=1000 + number, shares=1 + number % 3) for number, old in enumerate(many)]
    cluster.change(changed)
    assert [account for account in cluster.observe().accounts if account.name.startswith("q")] == changed


def test_apply_reaches_the_decisions_and_then_has_nothing_to_do(cluster: SlurmCluster, anna: str, bruno: str) -> None:
    """Leaves anna and bruno in p200001, bruno in p200002; the accounts of the test before are closed."""
    members = (Member(anna, "p200001"), Member(bruno, "p200001"), Member(bruno, "p200002"))
    asked = Desired(ACCOUNTS, members)
    assert apply(cluster, asked, allow_remove=20).changes == 20
    assert apply(cluster, asked).changes == 0


# -- jobs


def test_a_job_runs_as_its_owner_with_a_login_environment_even_under_srun(
    cluster: SlurmCluster, anna: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCHMELZ_SECRET", "ours")
    limits, mask = resource.getrlimit(resource.RLIMIT_CPU), os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CPU, (77_777, limits[1]))
    script = "id -un; echo [$SCHMELZ_SECRET]; srun sh -c 'echo $SLURM_GPUS_ON_NODE'; pwd; umask; ulimit -t"
    number = cluster.submit(request(anna, script))
    os.umask(mask)
    resource.setrlimit(resource.RLIMIT_CPU, limits)
    until(lambda: job(cluster, number).state == "COMPLETED")
    assert cluster.output(number) == f"{anna}\n[]\n1\n/tmp\n0022\nunlimited\n"
    done = job(cluster, number)
    assert (done.account, done.user, done.gpus, done.site, done.reason, done.exit_code) == (
        "p200001",
        anna,
        1,
        "bissen",
        "ended well",
        0,
    )


def test_a_home_of_ones_own_is_where_a_job_starts(cluster: SlurmCluster, own_slurm: Lab, bruno: str) -> None:
    home = own_slurm.settings.directory / "home"
    home.mkdir()
    os.chown(home, pwd.getpwnam(bruno).pw_uid, -1)
    assert own_slurm.run("usermod", "-d", str(home), bruno).returncode == 0
    number = cluster.submit(request(bruno, "pwd; exit 7"))
    until(lambda: job(cluster, number).state == "FAILED")
    assert (cluster.output(number), job(cluster, number).reason) == (f"{home}\n", "ended with exit code 7")
    (home / f"schmelz-{pwd.getpwnam(bruno).pw_uid}-{number}.out").unlink()
    (home / f"schmelz-{pwd.getpwnam(bruno).pw_uid}-{number}.out").symlink_to("/etc/shadow")
    assert cluster.output(number) == ""  # read with bruno's rights, not with ours


def test_whole_nodes_where_nodes_are_charged(own_slurm: Lab, anna: str) -> None:
    cluster = SlurmCluster(system_of(own_slurm, charge="node"))
    number = cluster.submit(request(anna, "sleep 60", gpus=6, nodes=2, site="bettembourg"))
    until(lambda: job(cluster, number).state == "RUNNING")
    seen = job(cluster, number)
    assert (seen.gpus, seen.nodes, seen.node_list, seen.site) == (8, 2, "mxt[001-002]", "bettembourg")
    cluster.cancel(number)
    until(lambda: job(cluster, number).state == "CANCELLED")
    with pytest.raises(Refused, match="has ended already"):
        cluster.cancel(number)


def test_a_job_without_a_wish_runs_where_there_is_room(cluster: SlurmCluster, anna: str) -> None:
    first, second = (cluster.submit(request(anna, "sleep 60", gpus=8, nodes=2)) for _ in range(2))
    until(lambda: {job(cluster, number).site for number in (first, second)} == {"bissen", "bettembourg"})
    third = cluster.submit(request(anna, "true", gpus=8, nodes=2))
    until(lambda: job(cluster, third).word == "Resources")
    assert (job(cluster, third).state, job(cluster, third).site) == ("PENDING", None)
    for number in (third, first, second):
        cluster.cancel(number)
    until(lambda: {job(cluster, number).state for number in (first, second, third)} == {"CANCELLED"})


def test_a_budget_holds_a_job_back(cluster: SlurmCluster, bruno: str) -> None:
    number = cluster.submit(request(bruno, "true", "p200002", limit=660))
    until(lambda: job(cluster, number).word == "AssocGrpGRESMinutes")
    cluster.cancel(number)


def test_refusals(cluster: SlurmCluster, anna: str) -> None:
    with pytest.raises(Refused, match=f"{anna} may not use the project p200002"):
        cluster.submit(request(anna, "true", "p200002"))
    with pytest.raises(BadInput, match="the first line must say what runs it"):
        cluster.submit(replace(request(anna, ""), script="echo hello\n"))
    with pytest.raises(BadInput, match="line ends of Windows"):
        cluster.submit(replace(request(anna, ""), script="#!/bin/sh\r\ntrue\r\n"))
    with pytest.raises(BadInput, match="an option that sbatch does not have"):
        cluster.submit(request(anna, "#SBATCH --gpuss=1"))
    with pytest.raises(Refused, match="no nodes of the cluster fit 1 GPUs on 1 nodes"):
        cluster.submit(request(anna, "#SBATCH --mem=99T"))
    with pytest.raises(Refused, match="the quality of service that was asked for"):
        cluster.submit(request(anna, "#SBATCH --qos=gold"))
    with pytest.raises(Refused, match="no Unix user 'nobody-here'"):
        cluster.submit(request("nobody-here", "true"))
    with pytest.raises(Refused, match="no job runs as root"):
        cluster.submit(request("root", "true"))
    with pytest.raises(Refused, match="is not known to the cluster"):
        cluster.output("999999")


def test_a_script_cannot_change_who_pays_how_long_and_how_much(cluster: SlurmCluster, bruno: str) -> None:
    lines = "#SBATCH --account=p200002\n#SBATCH --time=1-0\n#SBATCH --gpus=4\n#SBATCH --output=/etc/x\nsleep 60"
    number = cluster.submit(request(bruno, lines))
    seen = job(cluster, number)
    assert (seen.account, seen.limit, seen.gpus) == ("p200001", 120, 1)
    cluster.cancel(number)


def test_a_closed_account_takes_and_starts_no_jobs_but_lets_running_ones_go_on(
    cluster: SlurmCluster, own_slurm: Lab, anna: str
) -> None:
    running = cluster.submit(request(anna, "sleep 60"))
    until(lambda: job(cluster, running).state == "RUNNING")
    waiting = cluster.submit(request(anna, "#SBATCH --hold"))
    cluster.change([replace(P1, open=False)])
    release(own_slurm, waiting)
    with pytest.raises(Refused, match="the project p200001 is closed for new jobs"):
        cluster.submit(request(anna, "true"))
    until(lambda: job(cluster, waiting).word == "AssocGrpJobsLimit")
    assert job(cluster, running).state == "RUNNING"
    cluster.change([P1])
    until(lambda: job(cluster, waiting).state == "COMPLETED")
    cluster.cancel(running)


def test_who_leaves_while_jobs_run_is_no_member_and_goes_for_good_later(
    cluster: SlurmCluster, own_slurm: Lab, bruno: str
) -> None:
    running = cluster.submit(request(bruno, "sleep 60"))
    until(lambda: job(cluster, running).state == "RUNNING")
    waiting = cluster.submit(request(bruno, "#SBATCH --hold"))
    cluster.remove([Member(bruno, "p200001"), Member(bruno, "p200002"), Member(bruno, "eurohpc")])
    assert [member for member in cluster.observe().members if member.user == bruno] == []
    assert rows(own_slurm, "assoc", "account,user,maxjobs,maxsubmit").count(f"p200001|{bruno}|0|0") == 1
    release(own_slurm, waiting)
    with pytest.raises(Refused, match="is no member of p200001 any more"):
        cluster.submit(request(bruno, "true"))
    until(lambda: job(cluster, waiting).word == "AssocMaxJobsLimit")
    assert job(cluster, running).state == "RUNNING"
    cluster.create([], [Member(bruno, "p200001")])  # and comes back
    assert Member(bruno, "p200001") in cluster.observe().members
    until(lambda: job(cluster, waiting).state == "COMPLETED")
    cluster.remove([Member(bruno, "p200001")])
    cluster.cancel(running)
    seen = cluster.observe()
    assert (seen.leaving, seen.left) == ((Member(bruno, "p200001"),), ())
    until(lambda: job(cluster, running).state == "CANCELLED")
    until(lambda: cluster.observe().left == (Member(bruno, "p200001"),))
    cluster.remove([Member(bruno, "p200001")])
    assert [row for row in rows(own_slurm, "assoc", "account,user") if bruno in row] == []


def test_leaving_the_default_account_leaves_another_one(cluster: SlurmCluster, own_slurm: Lab, bruno: str) -> None:
    cluster.create([], [Member(bruno, "p200001")])
    cluster.create([], [Member(bruno, "p200002")])
    cluster.remove([Member(bruno, "p200001")])
    assert f"{bruno}|p200002" in rows(own_slurm, "user", "user,defaultaccount")


# -- records and nodes


def test_records_tell_every_run_of_a_requeued_job(cluster: SlurmCluster, own_slurm: Lab, anna: str) -> None:
    number = cluster.submit(request(anna, "sleep 60", gpus=2))
    until(lambda: job(cluster, number).state == "RUNNING")
    time.sleep(2)
    assert own_slurm.run("scontrol", "requeue", number).returncode == 0

    def runs(since: int) -> list[tuple[str, int]]:
        frame = read(cluster.records(since), system="anvil", cluster="schmelz").runs
        return [(row["state"], row["gpus"]) for row in frame.filter(frame["job"] == number).sort("submit").to_dicts()]

    until(lambda: runs(0) in ([("REQUEUED", 2), ("PENDING", 0)], [("REQUEUED", 2), ("RUNNING", 2)]))
    assert runs(int(time.time())) == runs(0)
    cluster.cancel(number)


def test_records_go_back_to_the_beginning(cluster: SlurmCluster) -> None:
    """sacct takes second 0 for `not said` and begins at midnight: nobody notices before a midnight has passed."""
    reading = read(cluster.records(0), system="anvil", cluster="schmelz")
    assert (reading.faults, reading.lines > 10) == ((), True)
    assert [word for word in cluster_words("records", cluster) if word.startswith("1970-01-01")] == []


def cluster_words(call: str, cluster: SlurmCluster) -> list[str]:
    """What sacct is really called with: a stand-in writes it down."""
    place = Path(os.environ["SLURM_CONF"]).parent.parent / "words"
    place.mkdir(exist_ok=True)
    stand_in = place / "sacct"
    stand_in.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {place}/said\nexec /usr/bin/sacct "$@"\n')
    stand_in.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(place), prepend=":")
        getattr(cluster, call)(0)
    return (place / "said").read_text().splitlines()


def test_nodes_that_were_down_or_drained(cluster: SlurmCluster, own_slurm: Lab) -> None:
    began = int(time.time())
    until(lambda: not own_slurm.run("squeue", "-h").stdout)
    for name, state in (("mxb001", "down"), ("mxt001", "drain")):
        done = own_slurm.run("scontrol", "update", f"nodename={name}", f"state={state}", "reason=GPU 3 | ECC")
        assert done.returncode == 0
    until(lambda: len(cluster.node_events(began)) == 2)
    for name in ("mxb001", "mxt001"):
        assert own_slurm.run("scontrol", "update", f"nodename={name}", "state=resume").returncode == 0
    until(lambda: all(end is not None for *_, end, _ in cluster.node_events(began)))
    found = cluster.node_events(0)
    assert sorted((node, kind, reason) for node, kind, _, _, reason in found) == [
        ("mxb001", "down", "GPU 3 | ECC"),
        ("mxt001", "drained", "GPU 3 | ECC"),
    ]
    assert all(began <= start <= (end or 0) <= time.time() for _, _, start, end, _ in found)
