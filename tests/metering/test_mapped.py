"""CSV tables by a mapping, and the packings that any format may come in."""

import gzip
import io
from functools import partial

import polars as pl
import pytest
from hypothesis import given, strategies as st

import make
from schmelz.faults import BadInput
from schmelz.metering.formats import format_of, parts
from schmelz.metering.runs import RUN_SCHEMA, RecordError
from schmelz.metering.sacct import Reading, read as read_sacct

MAP = "job=job_id,submit=submit_s,elapsed=run_s,gpus=gpus,account=vc"
PHILLY = "job_id,submit_s,run_s,gpus,vc\n1,0,100,8,7f04ca\n2,50,200,1,6214e9\n"


def read(text: str | bytes, *columns: str, zero: str = "", form: str = "csv", size: int = 10**6) -> Reading:
    source = io.BytesIO(text.encode() if isinstance(text, str) else text)
    how = partial(format_of(form, columns, "", zero), size=size)
    found = list(parts(source, how, system="anvil", cluster="c1"))
    runs = pl.concat([pl.DataFrame(schema=RUN_SCHEMA), *(part.runs for part in found)])
    return Reading(
        runs,
        tuple(fault for part in found for fault in part.faults),
        sum(part.lines for part in found),
        sum(part.assumed for part in found),
    )


def one(header: str, line: str, *columns: str) -> tuple[object, ...]:
    found = read(f"{header}\n{line}\n", *columns)
    assert found.faults == ()
    return found.runs.select("start", "end", "elapsed", "state").row(0)


def test_a_run_time_without_a_start_begins_at_its_submission() -> None:
    found = read(PHILLY, MAP, zero="1970-01-02")
    assert (found.faults, found.lines, found.assumed) == ((), 2, 2)
    assert found.runs.select("job", "submit", "start", "end", "elapsed", "gpus", "account", "state").rows() == [
        ("1", 86400, 86400, 86500, 100, 8, "7f04ca", "COMPLETED"),
        ("2", 86450, 86450, 86650, 200, 1, "6214e9", "COMPLETED"),
    ]


def test_columns_of_our_own_names_go_without_a_mapping() -> None:
    head = "job,submit,start,elapsed,gpus,account,user,partition,nodes,state,limit,qos"
    line = '7,2026-03-01 11:00:00,2026-03-01T12:00:00Z,01:00:00,4,p1,anna,gpu,"n[01,03]",cancelled,1-00:00:00,low'
    (row,) = read(f"{head}\n{line}\n").runs.to_dicts()
    assert {name: row[name] for name in ("start", "end", "elapsed", "gpus", "nodes", "state", "limit_s", "qos")} == {
        "start": 1_772_366_400,
        "end": 1_772_370_000,
        "elapsed": 3600,
        "gpus": 4,
        "nodes": "n[01,03]",
        "state": "CANCELLED",
        "limit_s": 86400,
        "qos": "low",
    }


def test_what_start_end_and_run_time_say_together() -> None:
    head = "job,submit,start,end,elapsed,gpus,account"
    assert one(head, "1,100,150,210,60,1,a") == (150, 210, 60, "COMPLETED")
    assert one(head, "1,100,150,210,50,1,a") == (150, 210, 50, "COMPLETED"), "suspended: the run time is charged"
    assert one(head, "1,100,150,210,,1,a") == (150, 210, 60, "COMPLETED")
    assert one(head, "1,100,,,60,1,a") == (100, 160, 60, "COMPLETED")
    assert one(head, "1,100,,160,,1,a") == (100, 160, 60, "COMPLETED")
    assert one(head, "1,100,,,,1,a") == (None, None, 0, "PENDING")
    assert one(head, "1,100,,130,0,1,a") == (None, 130, 0, "COMPLETED"), "gone before it began"
    assert one("job,submit,end,gpus,account", "1,100,160,1,a") == (100, 160, 60, "COMPLETED")
    assert one("job,submit,elapsed,gpus,account", "1,100,0,1,a") == (100, 100, 0, "COMPLETED")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1,5,60,two,a", "n: is no number of GPUs, not 'two'"),
        ("1,5,60,-2,a", "n: is no number of GPUs, not '-2'"),
        ("1,5,60,2", "has 4 fields where the header has 5"),
        ("1,5,60,2,a,b", "has 6 fields where the header has 5"),
        ("1,5,long,2,a", "elapsed: is no whole number of seconds or [D-]HH:MM:SS, 0 or more, not 'long'"),
        ("1,noon,60,2,a", "submit: is no time; write 2026-03-01T12:00:00 (UTC) or epoch seconds, not 'noon'"),
        (",5,60,2,a", "has no job number, not ''"),
        ('1,5,60,2,"a', "its quotes do not match (unexpected end of data)"),
    ],
)
def test_a_bad_line_is_set_aside_with_its_number_and_reason(line: str, reason: str) -> None:
    found = read(f"job,submit,elapsed,n,account\n8,5,6,1,a\n{line}\n9,5,6,1,a\n", "gpus=n")
    assert [(fault.line, fault.reason) for fault in found.faults] == [(3, reason)]
    assert (found.runs["job"].to_list(), found.lines) == (["8", "9"], 3)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (("gpu=x",), "--map gpu=x: 'gpu' is not one of job, submit,"),
        (("gpus=cards",), r"line 1: has no column 'cards' \(for gpus\); its columns are job_id, submit_s"),
        (
            ("job=job_id,submit=submit_s",),
            "nothing says which column is account, elapsed or end; write --map account=C",
        ),
        (("job",), "--map: 'job' is no NAME=COLUMN"),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused(columns: tuple[str, ...], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        read(PHILLY, *columns)


@given(st.lists(st.text("a,\"'|\n\r\0é", max_size=5), max_size=6), st.sampled_from((1, 30, 10**6)))
def test_no_line_is_lost_and_none_ends_the_reading(words: list[str], size: int) -> None:
    lines = [part for number, word in enumerate(words) for part in (word.replace("\n", ""), f"{number},5,6,1,a")]
    found = read("job,submit,elapsed,gpus,account\n" + "\n".join(lines) + "\n", size=size)
    assert found.lines == sum(bool(line.strip()) for line in lines)
    assert found.runs.height + len(found.faults) == found.lines
    assert {str(number) for number in range(len(words))} <= set(found.runs["job"])


# -- packings, and texts that are none


def test_packed_text_is_known_by_its_first_bytes() -> None:
    assert read(gzip.compress(PHILLY.encode()), MAP, zero="5").runs.equals(read(PHILLY, MAP, zero="5").runs)
    text = make.record_text(make.record_line())
    whole = read_sacct(text, system="anvil", cluster="c1").runs
    assert read(gzip.compress(text), form="sacct").runs.equals(whole)


def test_a_cut_or_damaged_packing_is_one_clear_line() -> None:
    packed = gzip.compress(PHILLY.encode() * 50)
    spoilt = packed[:40] + bytes(byte ^ 0x55 for byte in packed[40:60]) + packed[60:]
    for text in (packed[:-20], spoilt):
        with pytest.raises(RecordError, match=r"the gzip packing is damaged or cut off .*; nothing was kept"):
            read(text, MAP, zero="5")


@pytest.mark.parametrize("form", ["csv", "swf", "sacct"])
def test_what_is_no_text_is_refused(form: str) -> None:
    with pytest.raises(RecordError):
        read(b"\x7fELF\0\0\0\1" * 99, form=form, zero="" if form == "sacct" else "5")


@pytest.mark.parametrize(
    ("form", "columns", "account", "zero", "words"),
    [
        ("xml", (), "", "", "--format: 'xml' is none of sacct, swf, csv"),
        ("sacct", ("job=x",), "", "", "--map: means nothing for --format sacct"),
        ("csv", (), "user", "", "--account: means nothing for --format csv"),
        ("sacct", (), "", "5", "--time-zero: means nothing"),
        ("swf", (), "site", "", "--account: 'site' is none of group, user, queue, partition"),
        ("swf", (), "", "noon", "--time-zero: 'noon' is no time"),
    ],
)
def test_options_that_mean_nothing_are_refused(
    form: str, columns: tuple[str, ...], account: str, zero: str, words: str
) -> None:
    with pytest.raises(BadInput, match=words):
        format_of(form, columns, account, zero)
