"""Thirteen mistakes that meters are known to make, planted one by one: a named check passes without it and fails with it.

The records are one small text with all the traps in it; what is right is worked out beside it by plain arithmetic that shares
nothing with the code. In a made-up year these mistakes are worth from +60 % to a silent loss.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest

import make
from schmelz.metering import runs as runs_module, sacct, store, sums, values
from schmelz.metering.pieces import pieces as true_pieces

ZONE = ZoneInfo("Europe/Luxembourg")
NAMED = (*make.HEADER, "JobName")


@dataclass(frozen=True)
class Job:
    """A run as it was; `name` may hold anything."""

    job: str
    account: str
    start: str
    elapsed: int
    gpus: int = 4
    state: str = "COMPLETED"
    suspended: int = 0
    tres: str = "gres/gpu={gpus}"
    name: str = "train"

    @property
    def begin(self) -> int:
        return int(datetime.fromisoformat(self.start).replace(tzinfo=UTC).timestamp())

    def line(self) -> str:
        end = datetime.fromtimestamp(self.begin + self.elapsed + self.suspended, UTC).replace(tzinfo=None)
        days, rest = divmod(self.elapsed, 86400)
        fields = {
            "JobIDRaw": self.job,
            "Account": self.account,
            "Submit": self.start,
            "Start": self.start,
            "End": "Unknown" if self.state == "RUNNING" else end.isoformat(),
            "Elapsed": f"{days}-{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}",
            "AllocTRES": f"cpu=8,{self.tres.format(gpus=self.gpus)},node=1",
            "State": self.state,
        }
        return make.record_line(**fields) + "|" + self.name


JOBS = (
    Job("1", "plain", "2026-03-10T08:00:00", 3600),
    Job("2", "typed", "2026-03-10T08:00:00", 3600, tres="gres/gpu:h200={gpus},gres/gpu={gpus}"),
    Job("3", "failed", "2026-03-10T08:00:00", 1800, state="FAILED"),
    Job("4", "memory", "2026-03-10T08:00:00", 1801, state="OUT_OF_MEMORY"),
    Job("5", "cancelled", "2026-03-10T08:00:00", 7261, state="CANCELLED by 1001"),
    Job("6", "requeued", "2026-03-10T08:00:00", 600, state="REQUEUED"),
    Job("6", "requeued", "2026-03-10T08:10:00", 1200),
    Job("7", "suspended", "2026-03-10T08:00:00", 3000, suspended=600),
    Job("8", "night", "2026-03-10T22:00:00", 7200),
    Job("9", "month", "2026-03-31T20:00:00", 86400),
    Job("10", "spring", "2026-03-28T20:00:00", 36000),
    Job("11", "autumn", "2026-10-24T20:00:00", 36000),
    Job("12", "quoted", "2026-03-10T08:00:00", 60, name='"lr=1e-4'),
    Job("13", "quoted", "2026-03-10T08:00:00", 60, name="plain"),
    Job("14", "quoted", "2026-03-10T08:00:00", 60, name='b"'),
)
OLD = Job("6", "requeued", "2026-03-10T08:00:00", 300, state="RUNNING")  # an earlier reading, given again at the end
LINES = [job.line() for job in (*JOBS, OLD)]


def read(lines: list[str] = LINES, header: tuple[str, ...] = NAMED) -> sacct.Reading:
    return sacct.read(make.record_text(*lines, header=header), system="anvil", cluster="anvil-c")


def seen(place: Path) -> Counter[tuple[str, str]]:
    """GPU-seconds by account and local day, by the way that `schmelz meter` and `schmelz usage` go."""
    manifest = store.merge(place, {}, store.Batches(place, read().runs)).manifest
    found = sums.load(place, manifest, make.factory())
    return Counter(
        {(account, str(day)): gpu_s for day, account, gpu_s in found.select("day", "account", "gpu_s").rows()}
    )


def right() -> Counter[tuple[str, str]]:
    """The same by plain arithmetic: each run in steps of ten minutes of UTC, which no midnight of ours divides."""
    found: Counter[tuple[str, str]] = Counter()
    for job in JOBS:
        for at in range(0, job.elapsed, 600):
            day = datetime.fromtimestamp(job.begin + at, ZONE).date()
            found[job.account, str(day)] += job.gpus * min(600, job.elapsed - at)
    return found


def of(found: Counter[tuple[str, str]], account: str) -> dict[str, int]:
    return {day: gpu_s for (name, day), gpu_s in found.items() if name == account}


# -- the checks


def accounts(*names: str) -> Callable[[Path], None]:
    def check(place: Path) -> None:
        found = seen(place)
        assert {name: of(found, name) for name in names} == {name: of(right(), name) for name in names}

    return check


def months(place: Path) -> None:
    found, wanted = Counter[str](), Counter[str]()
    for counter, whole in ((found, seen(place)), (wanted, right())):
        for (_, day), gpu_s in whole.items():
            counter[day[:7]] += gpu_s
    assert found == wanted


def no_record_vanishes(place: Path) -> None:
    reading = read()
    assert (reading.runs.height + len(reading.faults), reading.lines) == (len(LINES), len(LINES))
    assert of(seen(place), "quoted") == of(right(), "quoted")


def shifted_columns_are_set_aside(_: Path) -> None:
    """Where the account stands behind the name, nothing else shows that `b` is none."""
    header = ("JobIDRaw", "Submit", "Start", "Elapsed", "AllocTRES", "State", "JobName", "Account")
    times = "2026-03-10T08:00:00|2026-03-10T08:00:00|01:00:00|gres/gpu=4|COMPLETED"
    reading = read([f"1|{times}|a|b|p1", f"2|{times}|plain|p1"], header)
    assert [fault.line for fault in reading.faults] == [2]
    assert reading.runs.select("job", "account").rows() == [("2", "p1")]


def a_requeued_run_is_over(place: Path) -> None:
    manifest = store.merge(place, {}, store.Batches(place, read().runs)).manifest
    assert store.load(place, manifest).filter(runs_module.is_open()).is_empty()
    assert of(seen(place), "requeued") == of(right(), "requeued")


# -- the mistakes

Plant = Callable[[pytest.MonkeyPatch], None]


def on_runs(change: Callable[[pl.DataFrame], pl.DataFrame]) -> Plant:
    """The mistake as a change of every run that is read."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(sacct, "runs", lambda *given: change(values.runs(*given)))

    return plant


def on_pieces(change: Callable[[pl.DataFrame], pl.DataFrame]) -> Plant:
    """The mistake as a change of the runs before they are cut at midnight."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(sums, "pieces", lambda runs, zone: true_pieces(change(runs), zone))

    return plant


def typed_and_untyped(patch: pytest.MonkeyPatch) -> None:
    def both(tres: str) -> int:
        return sum(int(part.partition("=")[2]) for part in tres.split(",") if part.startswith("gres/gpu"))

    patch.setattr(values, "gpus_of", both)


def rounded_up(unit: int) -> Plant:
    return on_runs(lambda runs: runs.with_columns((pl.col("elapsed") + unit - 1) // unit * unit))


def exact_states(patch: pytest.MonkeyPatch) -> None:
    listed = ("COMPLETED", "FAILED", "TIMEOUT", "CANCELLED", "NODE_FAIL", "PREEMPTED", "REQUEUED", "RUNNING")
    patch.setattr(values, "_first_word", lambda texts: texts)
    on_runs(lambda runs: runs.filter(pl.col("state").is_in(listed)))(patch)


def one_record_per_job(patch: pytest.MonkeyPatch) -> None:
    def newest(frames: object) -> pl.DataFrame:
        return runs_module.latest(frames).unique(["cluster", "job"], keep="last", maintain_order=True)  # type: ignore[arg-type]

    patch.setattr(store, "latest", newest)


def requeued_is_not_ended(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(runs_module, "OPEN_STATES", (*runs_module.OPEN_STATES, "REQUEUED"))


def at_its_end(runs: pl.DataFrame) -> pl.DataFrame:
    """All of a run in the last second of it."""
    last = pl.col("start") + pl.col("elapsed") - 1
    return runs.with_columns(gpus=pl.col("gpus") * pl.col("elapsed"), start=last, elapsed=pl.lit(1, pl.Int64))


def at_its_end_over_months(runs: pl.DataFrame) -> pl.DataFrame:
    def month(at: pl.Expr) -> pl.Expr:
        return pl.from_epoch(at).dt.convert_time_zone("Europe/Luxembourg").dt.month()

    over = month(pl.col("start")) != month(pl.col("start") + pl.col("elapsed") - 1)
    return pl.concat([runs.filter(~over), at_its_end(runs.filter(over)).select(runs.columns)])


def local_subtraction(runs: pl.DataFrame) -> pl.DataFrame:
    def offset(name: str) -> pl.Expr:
        local = pl.from_epoch(name).dt.convert_time_zone("Europe/Luxembourg")
        return (local.dt.base_utc_offset() + local.dt.dst_offset()).dt.total_seconds()

    return runs.with_columns((pl.col("elapsed") + offset("end") - offset("start")).fill_null(pl.col("elapsed")))


def quotes_mean_something(patch: pytest.MonkeyPatch) -> None:
    true = pl.read_csv
    patch.setattr(pl, "read_csv", lambda source, **how: true(source, **{**how, "quote_char": '"'}))


def fields_are_not_counted(patch: pytest.MonkeyPatch) -> None:
    def cut(source: bytes, columns: list[str], number: int, separator: str = "|") -> pl.DataFrame:
        rows = [line.split(separator)[: len(columns)] for line in source.decode().splitlines()]
        table = pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row")
        return table.with_row_index("line", number).with_columns(pl.col("line").cast(pl.Int64))

    patch.setattr(sacct, "clean_table", cut)


MISTAKES: dict[str, tuple[Plant, Callable[[Path], None]]] = {
    "typed and untyped GPUs are added": (typed_and_untyped, accounts("typed")),
    "only COMPLETED is counted": (
        on_runs(lambda runs: runs.filter(pl.col("state") == "COMPLETED")),
        accounts("failed"),
    ),
    "each job is rounded up to whole hours": (rounded_up(3600), accounts("failed", "cancelled")),
    "states are an exact list": (exact_states, accounts("memory", "cancelled")),
    "each job is rounded up to whole minutes": (rounded_up(60), accounts("memory", "cancelled")),
    "one record per job number": (one_record_per_job, accounts("requeued")),
    "REQUEUED is not ended": (requeued_is_not_ended, a_requeued_run_is_over),
    "End less Start in place of Elapsed": (
        on_runs(lambda runs: runs.with_columns(elapsed=(pl.col("end") - pl.col("start")).fill_null(pl.col("elapsed")))),
        accounts("suspended"),
    ),
    "a whole job on the day of its end": (on_pieces(at_its_end), accounts("night")),
    "a whole job in the month of its end": (on_pieces(at_its_end_over_months), months),
    "local times are subtracted": (on_runs(local_subtraction), accounts("spring", "autumn")),
    "quotes mean something": (quotes_mean_something, no_record_vanishes),
    "fields are not counted": (fields_are_not_counted, shifted_columns_are_set_aside),
}


def test_there_are_thirteen() -> None:
    assert len(MISTAKES) == 13


@pytest.mark.parametrize("name", MISTAKES)
def test_the_check_holds(name: str, tmp_path: Path) -> None:
    MISTAKES[name][1](tmp_path)


@pytest.mark.parametrize("name", MISTAKES)
def test_the_mistake_is_caught(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant, check = MISTAKES[name]
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        check(tmp_path)


def test_everything_together_is_right(tmp_path: Path) -> None:
    assert seen(tmp_path) == right()


def test_a_month_alone_would_not_show_the_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checks are not all the same one: use on the wrong day is right by month, but where it passes the month's end."""
    on_pieces(at_its_end_over_months)(monkeypatch)
    accounts("night")(tmp_path)
