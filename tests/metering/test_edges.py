"""Records at the edge of what a text can hold: each is read or set aside, none ends the reading."""

from datetime import date

import polars as pl
import pytest

import make
from schmelz.metering import usage as using
from schmelz.metering.runs import RecordError
from schmelz.metering.sacct import read


def of(text: bytes) -> tuple[list[tuple[object, ...]], list[tuple[int, str]]]:
    found = read(text, system=make.SYSTEM, cluster=make.CLUSTER)
    return found.runs.select("job", "gpus", "elapsed").rows(), [(fault.line, fault.reason) for fault in found.faults]


@pytest.mark.parametrize("count", ["99999999999999999999", "4000000000", "1000001", "4K", "-1", "1.5", ""])
def test_a_count_of_gpus_that_is_none_costs_its_own_line(count: str) -> None:
    bad = make.record_line(JobIDRaw="2", AllocTRES=f"cpu=1,gres/gpu={count}")
    runs, faults = of(make.record_text(make.record_line(), bad, make.record_line(JobIDRaw="3")))
    assert [job for job, *_ in runs] == ["1", "3"]
    assert [line for line, _ in faults] == [3] and "gres/gpu" in faults[0][1]


def test_lines_that_end_in_carriage_returns_alone_are_no_empty_text() -> None:
    with pytest.raises(RecordError, match="carriage returns"):
        of(make.record_text(make.record_line()).replace(b"\n", b"\r"))
    assert of(make.record_text(make.record_line()).replace(b"\n", b"\r\n")) == ([("1", 4, 60)], [])


def test_many_keys_are_one_number_or_several() -> None:
    """Keys that fit into no number together are packed in steps; the answer is that of plain grouping."""
    rows = [(f"p{n % 7}", f"s{n % 3}", date(2026, 1, 1 + n % 28), n) for n in range(500)]
    frame = pl.DataFrame(
        rows, schema={"pool": pl.Categorical, "site": pl.String, "day": pl.Date, "gpu_s": pl.Int64}, orient="row"
    )
    frame = frame.with_columns(pl.when(pl.col("gpu_s") % 11 == 0).then(None).otherwise("site").alias("site"))
    by = ["site", "pool", "day"]
    plain = frame.group_by(by).agg(pl.col("gpu_s").sum()).sort(by)
    assert using.grouped(frame, by, [pl.col("gpu_s").sum()]).equals(plain)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(using, "LARGEST", 40)
        assert using.grouped(frame, by, [pl.col("gpu_s").sum()]).equals(plain)
