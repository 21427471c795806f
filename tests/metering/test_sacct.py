"""Reading record text: what becomes a run, what becomes a fault, and that nothing is counted twice or left out."""

import polars as pl
import pytest
from hypothesis import given, strategies as st

from make import HEADER, record_line, record_text
from schmelz.metering.runs import RUN_SCHEMA, RecordError
from schmelz.metering.sacct import Reading, read
from schmelz.metering.tres import gpus_of

NOON = 1_772_366_400  # 2026-03-01T12:00:00Z


def reading(*lines: str, header: tuple[str, ...] = HEADER) -> Reading:
    return read(record_text(*lines, header=header), system="anvil", cluster="c1")


def row(**fields: str) -> dict[str, object]:
    found = reading(record_line(**fields))
    assert found.faults == ()
    return found.runs.row(0, named=True)


def fault(**fields: str) -> tuple[int, str]:
    """The fault of one bad line between two good ones."""
    good = record_line()
    found = reading(good, record_line(**fields), good)
    assert found.runs.height == 2 and found.lines == 3
    (one,) = found.faults
    return one.line, one.reason


def test_a_whole_record() -> None:
    assert row() == {
        "system": "anvil",
        "cluster": "c1",
        "job": "1",
        "submit": NOON - 3600,
        "eligible": NOON - 3600,
        "start": NOON,
        "end": NOON + 60,
        "elapsed": 60,
        "held_s": 60,
        "gpus": 4,
        "nnodes": 1,
        "nodes": "n01",
        "partition": "gpu",
        "account": "p1",
        "user": "anna",
        "qos": "normal",
        "state": "COMPLETED",
        "limit_s": 3600,
    }


def test_columns_have_the_types_of_the_schema() -> None:
    assert reading(record_line()).runs.schema == RUN_SCHEMA
    assert reading().runs.schema == RUN_SCHEMA


@pytest.mark.parametrize(
    ("tres", "gpus"),
    [
        ("", 0),
        ("cpu=4,mem=1G,node=1", 0),
        ("gres/gpu=4", 4),
        ("gres/gpu:h200=4,gres/gpu=4", 4),
        ("gres/gpu:h200=4", 4),
        ("gres/gpu:a=1,gres/gpu:b=2", 3),
        ("gres/gpu=3,gres/gpu:a=1,gres/gpu:b=2", 3),
        ("gres/gpumem=80,gres/gpuutil=9", 0),
        ("gres/gpu=x", None),
        ("gres/gpu=-1", None),
        ("gres/gpu:a=", None),
    ],
)
def test_gpus_are_the_untyped_or_the_sum_of_the_typed(tres: str, gpus: int | None) -> None:
    assert gpus_of(tres) == gpus


def test_suspended_time_is_held_but_not_charged() -> None:
    found = row(Elapsed="00:00:40")
    assert (found["elapsed"], found["held_s"]) == (40, 60)


def test_a_running_job_has_no_end() -> None:
    for end in ("Unknown", "2026-03-01T12:01:00"):
        found = row(State="RUNNING", End=end)
        assert (found["end"], found["elapsed"], found["held_s"]) == (None, 60, 60)


def test_a_waiting_job_and_one_cancelled_before_its_start() -> None:
    waiting = row(
        State="PENDING", Start="Unknown", End="Unknown", Elapsed="00:00:00", AllocTRES="", NodeList="None assigned"
    )
    assert (waiting["start"], waiting["end"], waiting["held_s"], waiting["nodes"]) == (None, None, 0, "")
    gone = row(State="CANCELLED by 1000", Start="None", Elapsed="00:00:00", AllocTRES="", Eligible="Unknown")
    assert (gone["start"], gone["eligible"], gone["state"], gone["held_s"]) == (None, None, "CANCELLED", 0)
    slurms = row(State="CANCELLED by 0", Elapsed="00:00:00", AllocTRES="", End="2026-03-01T12:00:00")
    assert (slurms["start"], slurms["elapsed"]) == (None, 0), "Slurm writes the end for the start of what never began"
    assert row(Elapsed="00:00:00", AllocTRES="cpu=1")["start"] == NOON


@pytest.mark.parametrize(
    ("text", "seconds"), [("00:00:00", 0), ("1-00:00:01", 86401), ("32-23:59:59", 32 * 86400 + 86399)]
)
def test_durations(text: str, seconds: int) -> None:
    assert (row(Elapsed=text)["elapsed"], row(Timelimit=text)["limit_s"]) == (seconds, seconds)


@pytest.mark.parametrize("text", ["", "UNLIMITED", "Partition_Limit"])
def test_no_limit_is_not_a_number(text: str) -> None:
    assert row(Timelimit=text)["limit_s"] is None


def test_raw_columns_win_and_columns_may_stand_in_any_order() -> None:
    header = (
        "Comment",
        "TimelimitRaw",
        "Timelimit",
        "State",
        "AllocTRES",
        "ElapsedRaw",
        "Elapsed",
        "Start",
        "Submit",
        "Account",
        "JobID",
        "JobIDRaw",
    )
    found = reading(f"x|90|00:00:01|COMPLETED|gres/gpu=2|61|00:00:02|{NOON}|{NOON - 5}|p1|9_1|10", header=header).runs
    assert found.select("job", "elapsed", "limit_s", "start", "submit", "end", "nodes", "nnodes").row(0) == (
        "10",
        61,
        5400,
        NOON,
        NOON - 5,
        None,
        "",
        0,
    )


def test_the_cluster_of_the_record_wins() -> None:
    found = reading(record_line(Cluster="other"), record_line()).runs
    assert found["cluster"].to_list() == ["other", "c1"]


def test_steps_are_not_runs() -> None:
    found = reading(record_line(), record_line(JobIDRaw="1.batch"), record_line(JobIDRaw="1.0"))
    assert (found.runs.height, found.lines, found.faults) == (1, 3, ())


def test_quotes_mean_nothing() -> None:
    lines = [record_line(JobIDRaw="1", User='"a'), record_line(JobIDRaw="2"), record_line(JobIDRaw="3", User='b"')]
    assert reading(*lines).runs.select("job", "user").rows() == [("1", '"a'), ("2", "anna"), ("3", 'b"')]


def test_windows_lines_blank_lines_a_byte_order_mark_and_a_missing_last_newline() -> None:
    clean = record_text(record_line(JobIDRaw="1"), record_line(JobIDRaw="2"))
    first, second, third = clean.splitlines()
    for text in (clean.replace(b"\n", b"\r\n"), first + b"\n\n" + second + b"\n\r\n" + third, b"\xef\xbb\xbf" + clean):
        found = read(text, system="anvil", cluster="c1")
        assert (found.faults, found.lines) == ((), 2)
        assert found.runs.equals(read(clean, system="anvil", cluster="c1").runs)


def test_job_names_are_not_stored_and_harmless_in_the_last_column() -> None:
    found = reading(
        record_line() + "|a|b||c",
        record_line(JobIDRaw="2") + "|plain",
        record_line(JobIDRaw="3") + "|",
        header=(*HEADER, "JobName"),
    )
    assert found.faults == () and found.runs["job"].to_list() == ["1", "2", "3"]
    assert "plain" not in str(found.runs.rows())


def test_a_separator_in_a_name_elsewhere_is_a_fault() -> None:
    found = reading("a|b|" + record_line(), "c|" + record_line(JobIDRaw="2"), header=("JobName", *HEADER))
    assert [(f.line, f.reason.split(" (")[0]) for f in found.faults] == [(2, "has 18 fields where the header has 17")]
    assert found.runs["job"].to_list() == ["2"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"JobIDRaw": ""}, "has no job number, not ''"),
        (
            {"Submit": "yesterday"},
            "Submit: is no time; write 2026-03-01T12:00:00 (UTC) or epoch seconds, not 'yesterday'",
        ),
        ({"Submit": "Unknown"}, "Submit: a record needs a time of submission, not 'Unknown'"),
        (
            {"Start": "2026-02-30T00:00:00"},
            "Start: is no time; write 2026-03-01T12:00:00 (UTC) or epoch seconds, not '2026-02-30T00:00:00'",
        ),
        (
            {"Start": "99999999999"},
            "Start: is no time; write 2026-03-01T12:00:00 (UTC) or epoch seconds, not '99999999999'",
        ),
        (
            {"Elapsed": "-00:00:01"},
            "Elapsed: is no whole number of seconds or [D-]HH:MM:SS, 0 or more, not '-00:00:01'",
        ),
        ({"Elapsed": ""}, "Elapsed: is no whole number of seconds or [D-]HH:MM:SS, 0 or more, not ''"),
        ({"Elapsed": "00:61:00"}, "Elapsed: is no whole number of seconds or [D-]HH:MM:SS, 0 or more, not '00:61:00'"),
        (
            {"Timelimit": "soon"},
            "Timelimit: is no whole number of seconds or [D-]HH:MM:SS, 0 or more (TimelimitRaw: minutes), not 'soon'",
        ),
        ({"AllocTRES": "gres/gpu=many"}, "AllocTRES: the count of gres/gpu is no number, not 'gres/gpu=many'"),
        ({"NNodes": "-1"}, "NNodes: is no number, not '-1'"),
        ({"End": "2026-03-01T11:59:59"}, "End: is before Start, not '2026-03-01T11:59:59'"),
        ({"User": "a|b"}, "has 17 fields where the header has 16 (a JobName with '|' does no harm in the last column)"),
        ({"User": "a\0b"}, "holds a NUL or a carriage return; it was damaged on the way"),
    ],
)
def test_a_bad_line_is_set_aside_with_its_number_and_reason(fields: dict[str, str], reason: str) -> None:
    assert fault(**fields) == (3, reason)


def test_a_short_line_is_a_fault_even_where_its_last_column_may_be_empty() -> None:
    found = reading(record_line(NodeList=""), record_line().rpartition("|")[0], record_line(NodeList=""))
    assert [(one.line, one.reason[:12]) for one in found.faults] == [(3, "has 15 field")]
    assert found.runs.height == 2


def test_bytes_that_are_no_text_are_a_fault() -> None:
    text = record_text(record_line(), record_line(User="caf@"), record_line()).replace(b"@", b"\xe9")
    found = read(text, system="anvil", cluster="c1")
    assert [(one.line, one.reason) for one in found.faults] == [(3, "is not UTF-8 text")]
    assert "\ufffd" in found.faults[0].text and found.runs.height == 2


@pytest.mark.parametrize("start", [b"\x1f\x8b", b"\x1f\x8b\x08", b"x\x01", b"x\x9c", b"x\xda", b"(\xb5/\xfd"])
def test_a_line_that_begins_like_a_packed_file_is_a_line(start: bytes) -> None:
    good = record_line().encode()
    header = record_text().strip()
    found = read(b"\n".join([header, start, good, start, b""]), system="anvil", cluster="c1")
    assert [(one.line, one.reason[:11]) for one in found.faults] == [(2, "has 1 field"), (4, "has 1 field")]
    assert found.runs["job"].to_list() == ["1"]


@pytest.mark.parametrize("start", ["x\x01", "xenia", "(", "\x1f"])
def test_a_record_that_begins_like_a_packed_file_is_read(start: str) -> None:
    header = ("Comment", *HEADER)
    odd, plain = (reading(f"{comment}|{record_line()}", header=header) for comment in (start, "a"))
    assert (odd.faults, odd.lines) == ((), 1) and odd.runs.equals(plain.runs)


def test_faults_of_all_kinds_come_in_the_order_of_the_lines() -> None:
    found = reading(record_line(Elapsed="x"), "a|b", record_line(Elapsed="y"), record_line())
    assert [one.line for one in found.faults] == [2, 3, 4]
    assert found.lines == 4


def test_the_shown_text_of_a_fault_holds_no_job_name() -> None:
    found = reading("secret|" + record_line(Elapsed="x"), header=("JobName", *HEADER))
    assert len(found.faults) == 1 and "secret" not in found.faults[0].text
    (one,) = reading("7|a|secret|x", header=("JobIDRaw", "JobName", *HEADER[1:])).faults
    assert one.text == "7|..."


@pytest.mark.parametrize("source", [b"", b"\n", b"\xff\xfe", b"JobIDRaw|Account\n1|p1\n", b"[]"])
def test_a_text_without_a_usable_header_is_refused(source: bytes) -> None:
    with pytest.raises(RecordError, match=r"the header lacks .*needs the columns JobIDRaw or JobID, Account, Submit"):
        read(source, system="anvil", cluster="c1")


def test_the_refusal_names_what_is_missing() -> None:
    with pytest.raises(RecordError, match="lacks ElapsedRaw or Elapsed, AllocTRES;"):
        read(b"JobIDRaw|Account|Submit|Start|State\n", system="anvil", cluster="c1")


@given(st.lists(st.binary(max_size=60).map(lambda raw: raw.replace(b"\n", b"")), max_size=8))
def test_no_line_is_lost_and_none_ends_the_reading(lines: list[bytes]) -> None:
    good = record_line().encode()
    source = b"\n".join([record_text().strip(), *(part for line in lines for part in (line, good))])
    found = read(source, system="anvil", cluster="c1")
    assert found.runs.filter(pl.col("job") == "1").height == len(lines)
    blank = sum(line in (b"", b"\r") for line in lines)
    assert found.lines == 2 * len(lines) - blank
    assert found.runs.height + len(found.faults) == found.lines
