"""A text that is known byte for byte is not parsed again, and what comes of it is what parsing it would give."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from make import record_line, record_text
from schmelz.metering import mapped
from schmelz.operate import meter
from schmelz.operate.same_text import digest_of
from schmelz.portal.usage import actions
from schmelz.portal.usage.forget import forget_user
from schmelz.portal.usage.models import Quarantined, Reading, RecordFile, TextRead
from schmelz.portal.usage.queries import runs

A = record_text(record_line(JobIDRaw="1", Elapsed="00:10:00"), record_line(JobIDRaw="2"), "torn|line")
B = record_text(record_line(JobIDRaw="1", Elapsed="00:20:00"), record_line(JobIDRaw="3", User="anna"))
C = record_text(record_line(JobIDRaw="9", Submit="2025-02-03T00:00:00"))  # another month
OPEN = record_text(record_line(JobIDRaw="2", State="RUNNING", End="Unknown"))
FIGURES = ("lines", "added", "replaced", "quarantined")


@pytest.fixture
def read(cast, tmp_path: Path) -> Callable[..., Reading]:
    def one(text: bytes, name: str = "jobs.txt", **more: Any) -> Reading:
        path = tmp_path / name
        path.write_bytes(text)
        return meter.read_file(path, cast.system, **more)

    return one


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the texts that were parsed."""
    names: list[str] = []

    def keep(*args: Any, source: str, **more: Any) -> Reading:
        names.append(Path(source).name)
        return actions.keep_records(*args, source=source, **more)

    monkeypatch.setattr(meter, "keep_records", keep)
    return names


def told(reading: Reading) -> tuple[object, ...]:
    faults = list(reading.faults.values_list("line", "reason", "text")) if reading.pk and reading.quarantined else []
    return (*(getattr(reading, name) for name in FIGURES), faults)


def test_the_same_text_is_parsed_once(read, parsed: list[str]) -> None:
    first = read(A)
    again = read(A)
    assert parsed == ["jobs.txt"]
    assert told(first)[:4] == (3, 2, 0, 1)
    assert told(again) == (3, 0, 0, 1, told(first)[4])
    assert Reading.objects.count() == 1
    assert Reading.objects.get().at == again.at


@pytest.mark.parametrize("change", ["bytes", "name", "code"])
def test_any_other_text_is_parsed(change: str, read, parsed: list[str], cast, monkeypatch: pytest.MonkeyPatch) -> None:
    read(A)
    other = A.replace(b"00:10:00", b"00:10:01") if change == "bytes" else A
    if change == "code":
        monkeypatch.setattr("schmelz.operate.same_text._code", lambda: "of the next version")
    read(other, "other.txt" if change == "name" else "jobs.txt")
    assert len(parsed) == 2


def test_the_way_to_read_is_part_of_the_digest(cast, tmp_path: Path) -> None:
    path = tmp_path / "jobs.csv"
    path.write_bytes(b"a,b\n1,2\n")
    ways = [partial(mapped.parts, columns={"job": name}, zero=zero) for name, zero in product("ab", (None, 0))]
    renamed = cast.system.cluster.model_copy(update={"name": "another"})
    systems = (cast.system, cast.system.model_copy(update={"cluster": renamed}))
    assert len({digest_of(path, way, system) for way in ways for system in systems}) == 8
    same = partial(mapped.parts, columns={"job": "a"}, zero=None)
    assert digest_of(path, ways[0], cast.system) == digest_of(path, same, cast.system)


ORDERS = [(A, B, A), (A, B, A, A, B), (A, A, C, A), (A, OPEN, A), (OPEN, A, OPEN, OPEN), (C, B, C, A, B, B, A)]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("apart", [True, False], ids=["a file each", "one file"])
def test_any_order_gives_what_parsing_everything_gives(order: Sequence[bytes], apart: bool, read) -> None:
    """The later reading wins, whether it is the first of its text or not."""

    def all_of(parse: bool) -> list[object]:
        found: list[object] = []
        for text in order:
            if parse:
                TextRead.objects.all().delete()
            number = [A, B, C, OPEN].index(text) if apart else 0
            found.append((told(read(text, f"{number}.txt")), runs().rows(), Reading.objects.count()))
        for rows in (Quarantined, TextRead, Reading, RecordFile):
            rows.objects.all().delete()
        return found

    assert all_of(parse=False) == all_of(parse=True)


def test_what_was_forgotten_stays_so(read, parsed: list[str]) -> None:
    read(B)
    forget_user("anna", "~x")
    before = runs().rows()
    assert told(read(B))[:4] == (2, 0, 0, 0)
    assert len(parsed) == 2, "the file is another one since"
    assert runs().rows() == before
    assert "~x" in runs()["user"].cast(str).to_list()


def test_runs_that_are_taken_to_have_begun_are_told_each_time(read) -> None:
    """A text whose reading has something to say beside its figures is read each time."""
    way = partial(
        mapped.parts, columns={name: name for name in ("job", "submit", "gpus", "account", "elapsed")}, zero=None
    )
    text, said = b"job,submit,gpus,account,elapsed\n1,1000,4,a,60\n", list[str]()
    for _ in range(2):
        read(text, form=way, tell=said.append)
    assert len(said) == 2
