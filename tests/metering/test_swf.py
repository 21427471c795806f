"""The Standard Workload Format: eighteen numbers, of which sizes are GPUs and times are counted from the header's start."""

import io

import polars as pl
import pytest

from schmelz.metering.runs import RUN_SCHEMA, RecordError
from schmelz.metering.sacct import Reading
from schmelz.metering.swf import parts

HEAD = "; Version: 2.2\n;  UnixStartTime: 1000000\n;\n"
#            job submit wait run procs cpu mem asked limit mem status user group app queue part prev think
DONE = "  1    10      5  60    4  -1  -1     8   600  -1      1    7     3  -1     2    1   -1    -1"

NAMES = ("job", "submit", "wait", "run", "procs", "cpu", "mem", "asked", "limit", "rmem", "status", "user", "group", "app",
         "queue", "part", "prev", "think")  # fmt: skip


def line(**fields: int) -> str:
    return " ".join(str({**dict(zip(NAMES, DONE.split(), strict=True)), **fields}[name]) for name in NAMES)


def read(*lines: str, head: str = HEAD, size: int = 10**6, **how: object) -> Reading:
    text = (head + "".join(f"{one}\n" for one in lines)).encode()
    found = list(parts(io.BytesIO(text), system="anvil", cluster="c1", size=size, **how))  # type: ignore[arg-type]
    runs = pl.concat([pl.DataFrame(schema=RUN_SCHEMA), *(part.runs for part in found)])
    return Reading(runs, tuple(f for part in found for f in part.faults), sum(part.lines for part in found))


def row(**fields: int) -> dict[str, object]:
    found = read(line(**fields))
    assert found.faults == ()
    return found.runs.row(0, named=True)


def test_a_whole_line() -> None:
    assert read(DONE).runs.to_dicts() == [
        {
            "system": "anvil",
            "cluster": "c1",
            "job": "1",
            "submit": 1_000_010,
            "eligible": None,
            "start": 1_000_015,
            "end": 1_000_075,
            "elapsed": 60,
            "held_s": 60,
            "gpus": 4,
            "nnodes": 0,
            "nodes": "",
            "partition": "partition1",
            "account": "group3",
            "user": "user7",
            "qos": "",
            "state": "COMPLETED",
            "limit_s": 600,
        }
    ]


def test_what_is_unknown() -> None:
    assert row(procs=-1)["gpus"] == 8, "asked for, where it is not known what was given"
    assert (row(limit=-1)["limit_s"], row(user=-1)["user"], row(group=-1)["account"]) == (None, "", "group-unknown")
    assert row(wait=-1)["start"] == 1_000_010


def test_a_job_cancelled_before_it_ran_is_charged_nothing() -> None:
    for run in (-1, 0):
        found = row(status=5, run=run, procs=-1, asked=-1)
        assert (found["start"], found["elapsed"], found["gpus"], found["state"]) == (None, 0, 0, "CANCELLED")
    assert row(status=5, run=9)["elapsed"] == 9


def test_partial_executions_repeat_the_jobs_own_line() -> None:
    found = read(DONE, *(line(status=status) for status in (2, 3, 4)), line(job=2, status=0))
    assert (found.runs["state"].to_list(), found.lines, found.faults) == (["COMPLETED", "FAILED"], 5, ())


@pytest.mark.parametrize(("field", "account"), [("user", "user7"), ("queue", "queue2"), ("partition", "partition1")])
def test_accounts_come_from_the_field_that_is_asked_for(field: str, account: str) -> None:
    assert read(DONE, account=field).runs["account"].to_list() == [account]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (DONE + " 9", "has 19 fields where the format has 18"),
        (line(run="soon"), "field 4 (run): is no whole number"),
        (line(run=-1), "field 4 (run): is not known"),
        (line(submit=-1), "field 2 (submit): is not known"),
        (line(procs=-1, asked=-1), "fields 5 and 8 (processors): are not known"),
        (line(submit=10**11), "field 2 (submit): is no time; write 2026-03-01T12:00:00 (UTC) or epoch seconds, not "
                              "'100001000000'"),
    ],
)  # fmt: skip
def test_a_bad_line_is_set_aside_with_its_number_and_reason(bad: str, reason: str) -> None:
    found = read(DONE, "; a word in between", bad, "", line(job=2))
    assert [(fault.line, fault.reason) for fault in found.faults] == [(6, reason)]
    assert (found.runs["job"].to_list(), found.lines) == (["1", "2"], 3)


def test_parts_are_the_whole() -> None:
    lines = [line(job=job, run=job) for job in range(1, 40)] + ["x"]
    whole = read(*lines)
    for size in (1, 100, 1000):
        cut = read(*lines, size=size)
        assert cut.runs.equals(whole.runs) and (cut.faults, cut.lines) == (whole.faults, whole.lines)


def test_a_text_without_a_beginning_of_time_needs_to_be_told_one() -> None:
    with pytest.raises(RecordError, match=r"no UnixStartTime; say when time 0 was, as in --time-zero 2012-02-01"):
        read(DONE, head="; MaxProcs: 3\n")
    assert read(DONE, head="", zero=5).runs["submit"].to_list() == [15]
    assert read(head=HEAD).runs.is_empty()


def test_another_format_is_refused_at_its_first_line() -> None:
    with pytest.raises(RecordError, match="line 1: has 1 fields; the Standard Workload Format has 18"):
        read("job_id,submit_s", head="", zero=5)
