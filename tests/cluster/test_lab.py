"""The lab itself: it runs a real cluster, gives GPUs to Unix users, and leaves nothing behind."""

import contextlib
import os
import pwd
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from cluster.lab import Lab, LabError, Settings, main
from cluster.lab_conf import SITES, default_directory, free_ports
from cluster.lab_daemons import Daemons, birth, user_exists, wait_until
from cluster.lab_files import exports, factory_toml, slurm_conf
from schmelz.policy.load import parse

SMALL = Settings(Path("/nowhere"), nodes=1, gpus=2, users=())


def test_same_settings_give_the_same_bytes() -> None:
    settings = replace(SMALL, port=20_000)
    assert slurm_conf(settings) == slurm_conf(replace(settings))


def test_each_node_is_named_after_its_site() -> None:
    assert {site: replace(SMALL, nodes=2).nodes_of(site) for site in SITES} == {
        "bissen": ("mxb001", "mxb002"),
        "bettembourg": ("mxt001", "mxt002"),
    }


def test_the_policy_file_beside_it_is_ours_with_this_machine() -> None:
    system = parse(factory_toml(replace(SMALL, name="mine")), "factory.toml").systems[0]
    assert (system.cluster.backend, system.cluster.name, system.gpus()) == ("slurm", "mine", 4)
    assert system.node_names == {site: SMALL.nodes_of(site) for site in SITES}
    assert system.partitions == {site: (site,) for site in SITES}


def test_a_shell_learns_where_everything_is() -> None:
    names = [line.split("=")[0] for line in exports(SMALL).splitlines()]
    assert names == [f"export {name}" for name in ("CLUSTER", "SLURM_CONF", "SCHMELZ_DATA", "SCHMELZ_FACTORY", "PATH")]


def test_a_foreign_process_with_a_recorded_pid_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with subprocess.Popen(["sleep", "60"]) as foreign:
        record = tmp_path / "run" / "munged.ours"
        record.write_text(f"{foreign.pid} {(birth(foreign.pid) or 0) - 1}\n")
        Daemons(tmp_path).end("munged", seconds=0)
        assert (birth(foreign.pid) is not None, record.exists()) == (True, False)
        foreign.kill()


def test_a_job_of_a_unix_user_gets_gpus_and_is_accounted(slurm: Lab) -> None:
    user = slurm.settings.users[0]
    assert slurm.run("sacctmgr", "-i", "add", "account", "lab").returncode == 0
    assert slurm.run("sacctmgr", "-i", "add", "user", user, "account=lab").returncode == 0
    script = "id -un; echo $SLURM_GPUS_ON_NODE; echo $CUDA_VISIBLE_DEVICES | tr , '\\n' | wc -l"
    sent = slurm.run("sbatch", "--parsable", "-A", "lab", "--gpus=2", "-o", "%j.out", "--wrap", script, user=user)
    job = sent.stdout.strip()
    assert accounted(slurm, job) == f"{user}|lab|COMPLETED|billing=2,cpu=1,gres/gpu=2,mem=1000M,node=1"
    assert (slurm.settings.directory / "work" / f"{job}.out").read_text() == f"{user}\n2\n2\n"


def test_every_daemon_comes_up_is_found_again_and_goes(place: Path) -> None:
    lab = Lab(replace(SMALL, directory=place))
    lab.start()
    assert lab.nodes() == {"mxb001": ("idle", "gpu:2"), "mxt001": ("idle", "gpu:2")}
    first = lab.status()
    same = Lab(lab.settings)  # another process would know no more than this
    same.start()
    assert same.status() == first
    (place / "factory.toml").write_text("# mine now\n")
    lab.stop()
    assert [name for name, pid in first.items() if pid is None or birth(pid)] == []
    lab.start()
    assert lab.nodes_are_up()
    assert (place / "factory.toml").read_text() == "# mine now\n"


def test_a_killed_daemon_is_started_again_and_the_others_stay(place: Path) -> None:
    lab = Lab(replace(SMALL, directory=place))
    lab.start()
    before = lab.status()
    controller = before["slurmctld"]
    assert controller
    os.kill(controller, signal.SIGKILL)
    assert wait_until(lambda: lab.status() == before | {"slurmctld": None}, 5)
    lab.start()
    assert {name for name, pid in lab.status().items() if pid != before[name]} == {"slurmctld"}


def test_stop_ends_what_jobs_hide_in_sessions_of_their_own(slurm: Lab, place: Path) -> None:
    user = slurm.settings.users[1]
    lab = Lab(replace(SMALL, directory=place, users=(user,)))
    lab.start()
    lab.run("sacctmgr", "-i", "add", "account", "lab")
    lab.run("sacctmgr", "-i", "add", "user", user, "account=lab")
    script = "(setsid setsid sleep 300 & echo $!); sleep 300"
    lab.run("sbatch", "-A", "lab", "--gpus=1", "--wrap", script, user=user)
    assert wait_until(lambda: len(processes_of(user)) >= 3, 15)
    lab.stop()
    assert processes_of(user) == []


def test_a_failed_start_ends_what_it_started_and_says_why(place: Path) -> None:
    (place / "state").mkdir(parents=True)
    (place / "state/clustername").write_text("another\n")
    lab = Lab(replace(SMALL, directory=place, port=free_ports(4)))
    lab.settings.save()
    with pytest.raises(LabError, match=r"slurmctld ended: .*CLUSTER NAME MISMATCH"):
        lab.start()
    assert set(lab.status().values()) == {None}


def test_clean_takes_the_users_it_made_and_no_others(place: Path) -> None:
    mine = f"made-{place.parent.name[-8:]}"
    lab = Lab(replace(SMALL, directory=place, users=(mine, "daemon")))
    lab.start()
    assert lab.made_users() == (mine,)
    lab.clean()
    assert (user_exists(mine), user_exists("daemon"), place.exists()) == (False, True, False)
    told = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert [words for words in told if str(place).encode() in words] == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--nodes", "0"], "nodes: 0 per site; from 1 to 99 is possible"),
        (["--gpus", "99"], "gpus: 99 per node; from 1 to 16 is possible"),
        (["--port", "80"], "port: 80; from 1024 to 60000 is possible"),
        (["--users", "Anna"], "users: 'Anna' is no Unix user name; small letters, digits, - and _, at most 32"),
    ],
)
def test_bad_settings_are_refused_in_one_line(
    place: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert main(["start", str(place), *arguments]) == 2
    assert capsys.readouterr() == ("", f"{sentence}\n")
    assert not place.exists()


def test_a_directory_that_others_may_not_pass_is_refused(place: Path) -> None:
    place.mkdir(mode=0o700)
    with pytest.raises(LabError) as refused:
        Lab(replace(SMALL, directory=place / "lab")).start()
    assert str(refused.value) == (
        f"{place}: closed to other Unix users (mode 700); choose a directory such as {default_directory()}"
    )


def test_a_directory_with_other_files_is_refused_and_kept(place: Path) -> None:
    place.mkdir()
    (place / "thesis.tex").touch()
    with pytest.raises(LabError, match="holds other files and no lab"):
        Lab(replace(SMALL, directory=place)).start()
    assert main(["clean", str(place)]) == 2
    assert [path.name for path in place.iterdir()] == ["thesis.tex"]


def test_a_cluster_of_another_shape_is_refused_and_runs_on(slurm: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    place, before = slurm.settings.directory, slurm.status()
    assert main(["start", str(place), "--gpus", "3"]) == 2
    shape = "schmelz, 2 sites x 2 nodes x 4 GPUs"
    assert capsys.readouterr() == ("", f"{place}: holds a cluster of another shape ({shape}); clean it first\n")
    assert slurm.status() == before


def accounted(lab: Lab, job: str) -> str:
    """The job's line in the accounting data base, which lags a little."""
    command = ("sacct", "-nXP", "-j", job, "--format=User,Account,State,AllocTRES")
    wait_until(lambda: "COMPLETED" in lab.run(*command).stdout, 30)
    return lab.run(*command).stdout.strip()


def processes_of(user: str) -> list[int]:
    uid = pwd.getpwnam(user).pw_uid
    return [int(place.name) for place in Path("/proc").glob("[0-9]*") if _uid(place) == uid and birth(int(place.name))]


def _uid(place: Path) -> int | None:
    with contextlib.suppress(OSError):
        return place.stat().st_uid
    return None
