"""The local cluster with real processes: they run, are kept, stopped, survive us, and are never lost or run twice."""

import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from clusters import stage
from clusters.stage import eventually, job, request, tick, until
from schmelz.cluster.apply import apply
from schmelz.cluster.backends import open_cluster
from schmelz.cluster.backends.local import LocalCluster
from schmelz.cluster.backends.tape import TapeCluster, record
from schmelz.cluster.desired import desired
from schmelz.cluster.model import Account, ClusterError, Member, Observed, Qos, Room, Steering
from schmelz.cluster.plan import make
from schmelz.faults import BadInput, Refused

SYSTEM = stage.machine()


@pytest.fixture
def local(tmp_path: Path) -> LocalCluster:
    return stage.cluster(tmp_path / "c", SYSTEM, stage.project())


def rows(local: LocalCluster, since: int = 0) -> list[dict[str, str]]:
    head, *lines = local.records(since).decode().splitlines()
    return [dict(zip(head.split("|"), line.split("|"), strict=True)) for line in lines]


def keepers(local: LocalCluster, number: str) -> list[int]:
    """The processes that carry the job's cookie."""
    mark = f"SCHMELZ_JOB_DIR={local._spool.home(number)}".encode()
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                found += [int(path.name)] if mark in (path / "environ").read_bytes().split(b"\0") else []
            except OSError:
                continue
    return sorted(found)


def test_jobs_really_run_and_what_they_print_is_kept(local):
    script = (
        "#!/bin/sh\necho $SCHMELZ_JOB_ID $SCHMELZ_GPUS $SCHMELZ_NODES $CUDA_VISIBLE_DEVICES\n"
        "id -u; pwd; umask; env | wc -l\necho oops >&2\nexit 3\n"
    )
    scripts = [request(script, gpus=2), request("echo plain\n"), request("#!/no/such\n")]
    assert [local.submit(one) for one in scripts] == ["1", "2", "3"]
    assert job(local, "1").reason == "waits for the next scheduling cycle"
    failed, well, lost = until(local, "1", "FAILED"), until(local, "2", "COMPLETED"), until(local, "3", "FAILED")
    home = local._spool.home("1") / "work"
    uid = 65534 if os.getuid() == 0 else os.getuid()
    lines = local.output("1").splitlines()
    assert [*lines[:4], lines[5]] == ["1 2 n01 0,1", str(uid), str(home), "0077", "oops"]
    assert int(lines[4]) <= 16, "a clean environment"
    assert (failed.exit_code, failed.reason, failed.site) == (3, "ended with exit code 3 and signal 0", "north")
    assert (well.exit_code, well.reason, local.output("2")) == (0, "ended well", "plain\n")
    assert lost.exit_code == 127 and local.output("3").startswith("schmelz: the script does not start")
    times = ("Submit", "Eligible", "Start", "End", "ElapsedRaw")
    assert {name: value for name, value in rows(local)[0].items() if name not in times} == {
        "JobIDRaw": "1",
        "Cluster": "anvil-c",
        "User": "anna",
        "Account": "p1",
        "Partition": "north",
        "QOS": "eurohpc-own",
        "State": "FAILED",
        "AllocTRES": "billing=2,gres/gpu=2,node=1",
        "TimelimitRaw": "1",
        "NNodes": "1",
        "ExitCode": "3:0",
        "NodeList": "n01",
    }
    assert local.records(0) == local.records(0) and rows(local, since=int(time.time()) + 9) == []


def test_limits_cancelling_and_nothing_of_a_job_survives_it(local):
    stubborn = "#!/bin/sh\ntrap '' TERM\n(setsid sleep 98 &)\necho begun\nsleep 99 & wait\nwhile :; do sleep 1; done\n"
    for script, limit in ((stubborn, 1), ("sleep 99\n", 60), ("sleep 99 & echo off\n", 60)):
        local.submit(request(script, limit=limit))
    later = local.submit(request(gpus=8, nodes=2, site="north"))
    until(local, "2", "RUNNING")
    assert rows(local)[1]["End"] == "Unknown" and rows(local)[3]["Start"] == "Unknown"
    local.cancel("2"), local.cancel(later)
    assert (until(local, "2", "CANCELLED").exit_code, job(local, later).state) == (143, "CANCELLED")
    assert until(local, "3", "COMPLETED").reason == "ended well"
    stopped = until(local, "1", "TIMEOUT")
    assert 3 <= stopped.ended - stopped.started <= 6, "one second, two of grace, then the end"
    assert (local.output("1"), stopped.exit_code) == ("begun\n", 137)
    assert eventually(lambda: not any(keepers(local, number) for number in ("1", "2", "3")) or None, seconds=0.5)
    with pytest.raises(Refused, match="has ended already"):
        local.cancel("2")
    for number in ("99", "../1", "x"):
        with pytest.raises(ClusterError, match="no such job"):
            local.cancel(number)


def forked(directory: Path, ticks: int) -> int:
    """A process of its own that opens the cluster, ticks, and dies without any goodbye."""
    if child := os.fork():
        return child
    with contextlib.suppress(BaseException):
        mine = LocalCluster(directory, SYSTEM)
        for _ in range(ticks):
            tick(mine)
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


ONCE = "mkdir once || echo twice\necho ran\nsleep 0.05\n"


def test_processes_that_tick_at_once_and_die_start_every_job_once(local, tmp_path):
    jobs = [local.submit(request(ONCE)) for _ in range(16)]
    children = [forked(tmp_path / "c", 1) for _ in range(3)]
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [-9] * 3
    assert {one.state for one in local.jobs()} <= {"RUNNING", "COMPLETED"}, "they all started"
    assert [until(local, number, "COMPLETED").exit_code for number in jobs] == [0] * 16
    assert {local.output(number) for number in jobs} == {"ran\n"}
    places = [local._spool.entry(number).launch.slots for number in jobs]
    assert len({(node, slot) for slots in places for node, held in slots.items() for slot in held}) == 16
    assert [(local._spool.home(number) / "runner.log").read_text() for number in jobs] == [""] * 16


def test_submissions_at_once_are_all_kept_under_their_own_numbers(local, tmp_path):
    children = []
    for name in ("a", "b", "c"):
        children.append(os.fork())
        if not children[-1]:
            with contextlib.suppress(BaseException):
                [LocalCluster(tmp_path / "c", SYSTEM).submit(request(f"echo {name}{n}\n")) for n in range(5)]
            os._exit(0)
    for child in children:
        os.waitpid(child, 0)
    scripts = sorted((local._spool.home(one.job) / "script").read_text() for one in local.jobs())
    assert scripts == [f"echo {name}{n}\n" for name in "abc" for n in range(5)]
    assert [one.job for one in local.jobs()] == [str(number) for number in range(1, 16)]
    with (
        local._spool.lock(),
        pytest.raises(ClusterError, match="another process has held the lock"),
        local._spool.lock(seconds=0.02),
    ):
        pass


def test_a_job_that_ends_while_we_look_keeps_its_own_last_word(local):
    local.submit(request("sleep 0.1\n"))
    until(local, "1", "RUNNING")
    seen = local._spool.entry("1")
    eventually(lambda: (job(local, "1").state == "COMPLETED" and not keepers(local, "1")) or None)
    local._settle(seen, seen.launch, int(time.time()))
    assert LocalCluster(local._spool.directory, SYSTEM).jobs()[0].state == "COMPLETED"


def test_killed_at_any_moment_a_cycle_loses_no_job_and_runs_none_twice(local, tmp_path):
    jobs = [local.submit(request(ONCE, gpus=4)) for _ in range(12)]
    for moment in range(24):
        child = forked(tmp_path / "c", 1000)
        time.sleep(0.003 + moment * 0.001)
        os.kill(child, signal.SIGKILL), os.waitpid(child, 0)
    again = LocalCluster(tmp_path / "c", SYSTEM)
    assert [until(again, number, "COMPLETED").exit_code for number in jobs] == [0] * 12
    assert {again.output(number) for number in jobs} == {"ran\n"}


def test_a_dead_keeper_is_a_node_failure_and_its_processes_are_swept_away(local):
    local.submit(request("(setsid sleep 97 &)\nsleep 96\n", gpus=8, nodes=2, site="north"))
    local.submit(request(gpus=8, nodes=2, site="north"))
    until(local, "1", "RUNNING")
    eventually(lambda: len(keepers(local, "1")) >= 4 or None)
    time.sleep(1.2)
    os.kill(keepers(local, "1")[0], signal.SIGKILL)
    killed = int(time.time())
    gone = until(local, "1", "NODE_FAIL")
    assert keepers(local, "1") == []
    assert gone.started + 1 <= gone.ended <= killed, "the last sign of life"
    assert until(local, "2", "COMPLETED").started >= gone.ended
    assert [row["State"] for row in rows(local, since=int(time.time()) - 1)] == ["NODE_FAIL", "COMPLETED"]


def test_a_start_that_never_began_is_put_back(local):
    from schmelz.cluster.backends.spool import Launch

    for number in (local.submit(request()), local.submit(request())):
        local._spool.write(number, Launch("north", {"n01": (int(number),)}, 1, 1, 1))
    local.cancel("2")
    assert job(local, "2").reason == "is being cancelled"
    assert until(local, "1", "COMPLETED").started > 1
    assert (job(local, "2").state, job(local, "2").started, rows(local)[1]["AllocTRES"]) == ("CANCELLED", None, "")


def test_output_is_capped_and_its_end_is_shown(local, tmp_path):
    local.submit(request("head -c 70000 /dev/zero | tr '\\0' x\nprintf end\n"))
    until(local, "1", "COMPLETED")
    assert (len(local.output("1")), local.output("1")[-4:]) == (65536, "xend")
    from schmelz.cluster.backends import runner

    with (tmp_path / "out").open("wb", buffering=0) as output:
        script = subprocess.Popen(["head", "-c", "300000", "/dev/zero"], stdout=subprocess.PIPE)
        copy = runner.Copy(script, output)
        copy.room = 1000
        while copy.open:
            copy.turn(1)
        script.wait(), script.stdout.close()
    assert (tmp_path / "out").read_bytes() == bytes(1000) + b"\nschmelz: the output is cut here\n"


def test_accounts_are_a_plan_away_and_what_is_wrong_is_said(local, tmp_path):
    wanted = desired(SYSTEM, [stage.project(), stage.project("p2", pool="national", members=("bo",))], int(time.time()))
    assert make(wanted, local.observe()).radius.startswith("1 account opened, 0 budgets changed, 1 member gains access")
    with pytest.raises(ClusterError, match="its parent nowhere is not there"):
        local.create([Account("x", "nowhere")], [])
    with pytest.raises(ClusterError, match="the account x is not there"):
        local.create([], [Member("anna", "x")])
    with pytest.raises(ClusterError, match="account x: is not there"):
        local.change([Account("x", "root")])
    with pytest.raises(BadInput, match=r"name 'a\|b'"):
        local.create([Account("a|b", "root")], [])
    with pytest.raises(ClusterError, match="qos x: is not there"):
        local.change([], [Qos("x")])
    with pytest.raises(ClusterError, match="user anna: is no member of national"):
        local.change([], [], [("anna", "national")])
    assert [a.name for a in local.observe().accounts] == ["eurohpc", "national", "p1"]
    (tmp_path / "c" / "accounts.json").write_text("{")
    with pytest.raises(ClusterError, match=r"accounts\.json: is damaged"):
        local.observe()
    (tmp_path / "c" / "accounts.json").unlink()
    with pytest.raises(ClusterError, match="cannot be read"):
        LocalCluster(tmp_path / "c", SYSTEM).observe()


def test_after_apply_the_plan_is_empty_whatever_was_decided(local, tmp_path):
    now = int(time.time())
    system = stage.machine(partitions={"north": ["n-gpu"], "south": ["s-gpu"]})
    projects = [
        stage.project("p1", members=("bo",), coordinators=("bo",), sites=("north",)),
        stage.project("p2", start=now + 999, members=("anna", "bo")),
        stage.project("p3", suspended=True),
        stage.project("p4", end=now, budget=60),
    ]
    wanted = desired(system, projects, now)
    again = LocalCluster(tmp_path / "c", system)
    done = apply(again, wanted, allow_remove=9)
    seen = LocalCluster(tmp_path / "c", system).observe()
    assert make(wanted, seen).changes == () and done.changes > 9
    assert (set(seen.accounts), set(seen.members), seen.qos) == (set(wanted.accounts), set(wanted.members), wanted.qos)
    assert Member("bo", "p1", "n-gpu") in seen.members and dict(seen.defaults) == {"anna": "p2", "bo": "p1"}


def test_the_directory_of_an_earlier_version_is_read(local, tmp_path):
    local.submit(request())
    (tmp_path / "c/accounts.json").write_text(
        '{"accounts": {"p1": {"gpu_minutes": null, "open": true, "parent": "root", "shares": 2},'
        ' "a1": {"gpu_minutes": 7, "open": false, "parent": "root", "shares": 1}},'
        ' "members": [["anna", "p1"], ["anna", "a1"], ["bo", "p1"]]}'
    )
    facts = json.loads((tmp_path / "c/jobs/1/job.json").read_text())
    del facts["request"]["qos"]
    (tmp_path / "c/jobs/1/job.json").write_text(json.dumps(facts))
    again = LocalCluster(tmp_path / "c", SYSTEM)
    assert again.observe() == Observed(
        "anvil-c",
        (Account("a1", "root", 1, 7, open=False), Account("p1", "root", 2)),
        (Member("anna", "a1"), Member("anna", "p1"), Member("bo", "p1")),
        defaults=(("anna", "a1"), ("bo", "p1")),
    )
    assert (again.jobs()[0].qos, rows(again)[0]["QOS"]) == ("", "normal")
    again.remove([Member("anna", "a1")])
    assert again.observe().defaults == (("bo", "p1"),)


def test_rooms_caps_and_the_qos_of_a_job(local):
    assert local.rooms() == {"north": Room(8, 8), "south": Room(8, 8)}
    local.submit(request("sleep 30\n", gpus=5, nodes=2, site="south", qos="eurohpc-borrow"))
    until(local, "1", "RUNNING")
    assert local.rooms() == {"north": Room(8, 8), "south": Room(8, 3)}
    assert (job(local, "1").qos, rows(local)[0]["QOS"]) == ("eurohpc-borrow", "eurohpc-borrow")
    with pytest.raises(Refused, match="may not have the quality of service 'national-own'"):
        local.submit(request(qos="national-own"))
    local.cap({"eurohpc-own": 3, "national-own": None})
    assert {qos.name: qos.gpus for qos in local.observe().qos if not qos.preemptible} == {
        "eurohpc-own": 3,
        "national-own": None,
    }
    with pytest.raises(ClusterError, match="qos x: is not there"):
        local.cap({"national-own": 9, "x": 1})
    assert [qos.gpus for qos in local.observe().qos if qos.name == "national-own"] == [None], "all caps or none"
    local.cancel("1")
    assert until(local, "1", "CANCELLED").qos == "eurohpc-borrow"
    assert local.rooms()["south"] == Room(8, 8)


def test_a_half_written_submission_is_no_job_and_numbers_only_grow(local, tmp_path):
    assert local.submit(request()) == "1"
    (tmp_path / "c/jobs/.new-2").mkdir()
    (tmp_path / "c/jobs/.new-2/script").write_text("half")
    (tmp_path / "c/counter").unlink()
    assert [one.job for one in local.jobs()] == ["1"]
    assert [local.submit(request()) for _ in range(2)] == ["2", "3"]
    assert (tmp_path / "c").stat().st_mode & 0o777 == 0o700


def test_a_tape_answers_like_the_cluster_and_cannot_be_changed(local, tmp_path):
    local.submit(request("echo on tape\n"))
    until(local, "1", "COMPLETED")
    record(local, tmp_path / "tape")
    tape = TapeCluster(tmp_path / "tape")
    assert (tape.observe(), tape.rooms(), tape.jobs(), tape.records(0), tape.output("1")) == (
        local.observe(),
        local.rooms(),
        local.jobs(),
        local.records(0),
        "on tape\n",
    )
    tape.tick(0, Steering())
    for attempt in (
        lambda: tape.submit(request()),
        lambda: tape.create([], []),
        lambda: tape.remove([]),
        lambda: tape.change([]),
        lambda: tape.cap({}),
        lambda: tape.cancel("1"),
    ):
        with pytest.raises(ClusterError, match="a tape cannot be changed"):
            attempt()
    for look in (TapeCluster(tmp_path).observe, TapeCluster(tmp_path).rooms):
        with pytest.raises(ClusterError, match=r"the tape has no such answer"):
            look()
    old = (
        '{"cluster": "c", "accounts": [{"name": "p1", "parent": "root"}], "members": [{"user": "a", "account": "p1"}]}'
    )
    (tmp_path / "tape/observe.json").write_text(old)
    assert tape.observe() == Observed("c", (Account("p1", "root"),), (Member("a", "p1"),))
    (tmp_path / "tape/observe.json").write_text('{"cluster": "c", "members": []}')
    with pytest.raises(ClusterError, match="not as recorded"):
        tape.observe()


def test_the_policy_names_the_engine(tmp_path):
    assert isinstance(open_cluster(SYSTEM, tmp_path / "c"), LocalCluster)
    assert isinstance(open_cluster(stage.make.factory(cluster={"backend": "tape"}).systems[0], tmp_path), TapeCluster)
    with pytest.raises(Refused, match="anvil has no cluster"):
        open_cluster(stage.make.factory().systems[0], tmp_path)
