"""Jobs in Slurm's answers, recorded from the real thing: what is made of them, in plain words.

The tapes hold invented people.
"""

from pathlib import Path
from typing import get_args

import polars as pl
import pytest

from make import factory
from schmelz.cluster.backends import slurm_queue as queue, slurm_words as words
from schmelz.cluster.backends.slurm_reasons import LEADER, why
from schmelz.cluster.model import ClusterError, JobState
from schmelz.metering.sacct import read as read_records

TAPES = Path(__file__).parent.parent / "tapes"
REASONS = (TAPES / "reasons.txt").read_text().split()
SITES = {"bissen": "mxb[001-002]", "bettembourg": "mxt[001-002]"}
SYSTEM = factory(
    sites=SITES,
    cluster={"backend": "slurm", "name": "schmelz", "max_time": "1d"},
    partitions={"bissen": ["bissen"], "bettembourg": ["bettembourg", "interactive"]},
).systems[0]


def tape(name: str) -> bytes:
    return (TAPES / f"slurm-22.05/{name}.txt").read_bytes()


def test_jobs_of_the_queue_in_plain_words() -> None:
    jobs = {job.job: job for job in queue.queue(tape("queue"), SYSTEM)}
    assert {number: (job.state, job.reason, job.exit_code) for number, job in jobs.items()} == {
        "1": ("COMPLETED", "ended well", 0),
        "2": ("FAILED", "ended with exit code 7", 7),
        "3": ("FAILED", "ended with exit code 137", 137),
        "4": ("TIMEOUT", "was stopped at its time limit", None),
        "5": ("RUNNING", "runs", None),
        "6": ("RUNNING", "runs", None),
        "7": ("RUNNING", "runs", None),
        "8": ("CANCELLED", "was cancelled", None),
        "9": ("PENDING", "its owner left the project, or runs as many jobs as allowed; " + LEADER, None),
        "10": ("PENDING", str(why("BeginTime")), None),
        "11": ("PENDING", "was held by its owner; release it: scontrol release JOB", None),
        "12": ("PENDING", "as many tasks of this array run as it allows", None),
        "13": ("RUNNING", "runs", None),
        "14": ("PENDING", "waits for free GPUs", None),
        "15": ("CANCELLED", "was cancelled", None),
    }
    running, waiting, never = jobs["5"], jobs["14"], jobs["15"]
    assert (running.site, running.node_list, running.gpus, running.nodes, running.limit) == (
        "bettembourg",
        "mxt[001-002]",
        8,
        2,
        600,
    )
    assert running.started == running.submitted == 1795479070
    assert (waiting.site, waiting.node_list, waiting.gpus, waiting.started, waiting.ended) == (None, "", 8, None, None)
    assert (never.started, never.ended) == (None, 1795479174)


def test_controller_and_accounting_tell_the_same_of_ended_jobs() -> None:
    live = {job.job: job for job in queue.queue(tape("queue"), SYSTEM) if job.ended is not None}
    past = {job.job: job for job in queue.ended(tape("ended"), SYSTEM)}
    assert sorted(past) == sorted(live) == ["1", "15", "2", "3", "4", "8"]
    assert {n: job for n, job in past.items() if n != "15"} == {n: job for n, job in live.items() if n != "15"}
    assert (past["15"].state, past["15"].started, past["15"].gpus) == ("CANCELLED", None, 8)  # it had two partitions


def test_jobs_of_another_cluster_are_no_answer() -> None:
    with pytest.raises(ClusterError, match="about the cluster 'schmelz', not about 'other'"):
        queue.queue(tape("queue"), factory(sites=SITES, cluster={"backend": "slurm", "name": "other"}).systems[0])


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        ("Resources", "waits for free GPUs"),
        (
            "(ReqNodeNotAvail, UnavailableNodes:mxb001)",
            "a node that it needs is down or reserved; leave the node's name out, or wait",
        ),
        ("AssocGrpGRESMinutes", str(why("AssocGrpGRESMinutes"))),
        ("SomethingNew", "SomethingNew; ask the operator what it means"),
    ],
)
def test_why_a_job_waits(reason: str, sentence: str) -> None:
    answer = tape("queue").replace(b"|Resources|", f"|{reason}|".encode())
    assert next(job.reason for job in queue.queue(answer, SYSTEM) if job.job == "14") == sentence


@pytest.mark.parametrize(
    ("tres", "number"),
    [
        ("billing=8,cpu=2,gres/gpu=8,mem=2000M,node=2", 8),
        ("gres/gpu:h200=4,gres/gpu=4", 4),
        ("gres/gpu:h200=4,gres/gpu:a100=2", 6),
        ("cpu=1", 0),
        ("", 0),
    ],
)
def test_gpus_are_counted_once(tres: str, number: int) -> None:
    assert queue.gpus(tres) == number


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1:00", 60),
        ("10:00", 600),
        ("01:00:00", 3600),
        ("5-00:00:00", 432000),
        ("UNLIMITED", 86400),
        ("NOT_SET", 86400),
    ],
)
def test_time_limits(text: str, seconds: int) -> None:
    answer = tape("queue").replace(b"|10:00|", f"|{text}|".encode())
    assert next(job.limit for job in queue.queue(answer, SYSTEM) if job.job == "14") == seconds


def test_every_state_has_words() -> None:
    assert sorted(words.BY_STATE) == sorted(words.STATES)
    assert set(words.STATES.values()) == set(get_args(JobState))
    assert [state for state, said in words.BY_STATE.items() if state in said or not said] == []


def test_every_reason_is_said_in_plain_words() -> None:
    nothing = why("SomethingNew").advice
    bare = [r for r in REASONS if r in why(r).because or why(r).advice == nothing or len(why(r).because) < 10]
    assert (len(REASONS), bare) == (203, [])
    assert not any("{" in str(why(reason)) for reason in REASONS)


def test_limits_are_made_of_their_parts() -> None:
    assert str(why("QOSMaxMemoryPerUser")) == (
        "its owner already uses all the memory that one person may at once; it starts when jobs that run now have ended"
    )
    assert str(why("AssocGrpNodeMinutes")) == (
        "the node-hours of its project do not cover its time limit; ask for a shorter time limit"
    )
    assert (
        why("AssocGrpGRESRunMinutes").because
        == "the running jobs of its project have reserved all the GPU-hours they may"
    )


def test_the_queue_says_own_or_borrowed_and_slurms_own_word() -> None:
    """A pool whose own jobs took GPUs back from borrowed ones: recorded."""
    jobs = {job.job: job for job in queue.queue(tape("waiting"), SYSTEM)}
    assert {n: (job.qos, job.word) for n, job in jobs.items() if job.state == "PENDING"} == {
        "11": ("eurohpc-borrow", "BeginTime"),
        "12": ("eurohpc-borrow", "Resources"),
        "14": ("eurohpc-own", "QOSGrpGRES"),
        "15": ("eurohpc-own", "DependencyNeverSatisfied"),
        "16": ("eurohpc-borrow", "JobHeldUser"),
        "17": ("eurohpc-own", "BeginTime"),
        "19": ("eurohpc-own", "QOSGrpGRES"),
        "20": ("eurohpc-own", "QOSGrpGRES"),
    }
    assert (jobs["18"].word, jobs["18"].reason) == ("RUNNING", "runs")
    assert "--borrow" in jobs["14"].reason


def test_a_preempted_run_is_charged_for_what_it_used() -> None:
    runs = read_records(tape("preempted"), system="anvil", cluster="schmelz").runs.filter(pl.col("job") == "11")
    assert runs.select("state", "elapsed", "gpus", "qos").rows() == [
        ("PREEMPTED", 5, 4, "eurohpc-borrow"),
        ("COMPLETED", 40, 4, "eurohpc-borrow"),
    ]


def test_records_are_what_metering_reads() -> None:
    reading = read_records(tape("records"), system="anvil", cluster="schmelz")
    assert (reading.faults, reading.lines, reading.runs["gpus"].sum()) == ((), 14, 20)
