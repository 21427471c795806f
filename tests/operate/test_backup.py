"""Backup and restore: one file as of one instant, made while others write; a damaged one is refused with the file named."""

import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import make
from places import Place
from postgres.server import Server, installed

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[Server | None]:
    if not installed():
        yield None
        return
    with Server() as server:
        yield server


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def places(request, server, tmp_path_factory) -> Callable[[str], Place]:
    """`places("name")` is a new, empty place."""
    if request.param == "postgres" and server is None:
        pytest.skip("PostgreSQL is not installed (tests/packages.sh)")
    root = tmp_path_factory.mktemp(request.param)

    def new(name: str) -> Place:
        return Place(root / name, server.make(f"{name}_{os.getpid()}") if request.param == "postgres" else "")

    return new


@pytest.fixture(scope="module")
def demo(places) -> Place:
    place = places("demo")
    place.run("demo", "--until", "2026-11-23")
    return place


@pytest.fixture(scope="module")
def kept(demo, tmp_path_factory) -> Path:
    return Path(demo.run("backup", tmp_path_factory.mktemp("kept")).stdout.strip())


def _records(number: int) -> bytes:
    """Ten new runs of November 2025: each reading makes that month's file anew."""
    lines = (
        make.record_line(JobIDRaw=str(9_000_000 + number * 10 + n), Submit="2025-11-25T11:00:00", Start="2025-11-25T12:00:00",
                         Eligible="2025-11-25T11:00:00", End="2025-11-25T12:01:00", NodeList="mel2001")
        for n in range(10)
    )  # fmt: skip
    return make.record_text(*lines)


METER = """
import sys, time
from pathlib import Path
from schmelz.cli import ready
ready.portal()
from schmelz.operate import meter
from schmelz.portal.usage import actions
from schmelz.metering import store
store.KEPT_SECONDS = -1  # a sweep takes what is not named at once
directory, stop = Path(sys.argv[1]), Path(sys.argv[2])
texts = sorted(directory.glob("*.txt"))
for text in texts:
    if stop.exists():
        break
    meter.read_file(text, ready.system(None))
    actions.sweep()
    print(text.name, flush=True)
"""


def test_backup_while_others_write(places, demo, tmp_path) -> None:
    for number in range(200):
        (tmp_path / f"{number:04}.txt").write_bytes(_records(number))
    words = [sys.executable, "-c", METER, str(tmp_path), str(tmp_path / "stop")]
    writer = subprocess.Popen(words, env=demo.environment(), stdout=subprocess.PIPE, text=True)
    try:
        assert writer.stdout is not None and writer.stdout.readline()
        files = [Path(demo.run("backup", tmp_path / f"{n}.tar").stdout.strip()) for n in range(2)]
        assert writer.poll() is None, "the writer had ended before the backups: they were not disturbed"
    finally:
        (tmp_path / "stop").touch()
        read = len(writer.communicate(timeout=120)[0].splitlines()) + 1
    assert read > 5
    heights = []
    for number, file in enumerate(files):
        place = places(f"busy{number}")
        place.run("restore", file, "--into", place.data)
        place.figures(tmp_path / f"proof{number}")
        heights.append((tmp_path / f"proof{number}" / "runs.csv").read_text().count("\n"))
    assert heights == sorted(heights) and all(height % 10 == heights[0] % 10 for height in heights)


def test_what_comes_back_is_the_same_to_the_byte(places, demo, tmp_path) -> None:
    said = demo.json("backup", tmp_path / "one.tar")
    file = Path(said["file"])
    assert file.stat().st_mode & 0o777 == 0o600 and [p.name for p in tmp_path.iterdir()] == ["one.tar"]
    again = places("again")
    assert again.json("restore", file, "--into", again.data)["ok"] is True
    assert again.figures(tmp_path / "b") == demo.figures(tmp_path / "a")
    assert (again.data / "secret.key").read_bytes() == (demo.data / "secret.key").read_bytes()
    assert {p.stat().st_mode & 0o077 for p in again.data.rglob("*") if p.name != "migrate.lock" and p.is_file()} <= {
        0,
        0o044,
    }
    assert [p.name for p in demo.data.glob("cluster/*/journal/*.jsonl")] == [
        p.name for p in again.data.glob("cluster/*/journal/*.jsonl")
    ]
    again.run("doctor")


def test_whoever_was_forgotten_since_is_forgotten_again(places, demo, tmp_path) -> None:
    """The backup is older than the forgetting: the list beside it, or the one that is given, names nobody and is enough."""
    (tmp_path / "kept").mkdir()
    place = places("forgetful")
    place.run("restore", demo.run("backup", tmp_path / "kept/demo.tar").stdout.strip(), "--into", place.data)
    old = place.run("backup", tmp_path / "kept/old.tar").stdout.strip()
    place.run("--as", "gilles", "forget", "franco", "--because", "Asked for it in writing.")
    assert "franco" not in (place.data / "forgotten.json").read_text()
    new = places("remembering")
    said = new.json("restore", old, "--into", new.data, "--forgotten", place.data / "forgotten.json")
    assert said["ok"] and len(said["forgotten"]) == 1
    everybody = {one["person"] for one in new.json("--as", "gilles", "person", "list")}
    assert "franco" not in everybody and "bruno" in everybody
    new.figures(tmp_path / "proof")
    assert (new.data / "forgotten.json").read_text().count('"person"') == 1
    place.run("backup", tmp_path / "kept/new.tar")
    third = places("third")
    assert len(third.json("restore", old, "--into", third.data)["forgotten"]) == 1, "the list beside the backups"


def _flip(file: Path, name: str) -> None:
    """One bit in the middle of a file inside."""
    with tarfile.open(file) as tar:
        member = tar.getmember(name)
        place = member.offset_data + member.size // 2
    with file.open("r+b") as raw:
        raw.seek(place)
        byte = raw.read(1)[0]
        raw.seek(place)
        raw.write(bytes([byte ^ 1]))


def _without(file: Path, name: str) -> None:
    other = file.with_suffix(".other")
    with tarfile.open(file) as old, tarfile.open(other, "w") as new:
        for member in old:
            if member.name != name:
                new.addfile(member, old.extractfile(member))
    other.rename(file)


def _with(file: Path, name: str) -> None:
    with tarfile.open(file, "a") as tar:
        tar.addfile(tarfile.TarInfo(name))


DAMAGES: dict[str, tuple[Callable[[Path, str], None], str]] = {
    "a record file": (lambda file, record: _flip(file, record), "{record}: is damaged"),
    "the secret key": (lambda file, _: _flip(file, "secret.key"), "secret.key: is damaged"),
    "a file that is missing": (lambda file, record: _without(file, record), "{record}: is missing"),
    "no manifest": (lambda file, _: _without(file, "manifest.json"), "manifest.json is missing"),
    "one file more": (lambda file, _: _with(file, "records/more"), "records/more: is damaged"),
    "a way out": (lambda file, _: _with(file, "../out"), "'../out' belongs in no backup"),
    "a cut": (lambda file, _: os.truncate(file, file.stat().st_size // 2), "{file}"),
    "nothing": (lambda file, _: os.truncate(file, 0), "is damaged or no backup"),
}


@pytest.mark.parametrize("damage", sorted(DAMAGES))
def test_a_damaged_backup_is_refused(kept, tmp_path, damage: str) -> None:
    file = tmp_path / "backup.tar"
    shutil.copyfile(kept, file)
    with tarfile.open(file) as tar:
        record = next(name for name in tar.getnames() if name.startswith("records/"))
    change, said = DAMAGES[damage]
    change(file, record)
    place = Place(tmp_path / "new")
    done = place.run("restore", file, "--into", place.data, code=2)
    assert said.format(record=record, file=file) in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["backup.tar"]


def test_where_it_may_not_go(places, demo, kept, tmp_path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    assert "is not empty" in demo.run("restore", kept, "--into", tmp_path / "full", code=4).stderr
    assert "exists" in demo.run("backup", tmp_path / "full/file", code=2).stderr
    assert "cannot be written" in demo.run("backup", tmp_path / "no/where.tar", code=2).stderr
    other = Place(demo.data, "" if demo.database else "postgresql:///nowhere")
    assert "the backup is one of" in other.run("restore", kept, "--into", tmp_path / "new", code=4).stderr
    if demo.database:
        done = demo.run("restore", kept, "--into", tmp_path / "new", code=4)
        assert "the database in SCHMELZ_DATABASE is not empty" in done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["full"]


def test_a_lost_record_file_is_named(demo, tmp_path) -> None:
    lost = next((demo.data / "records").glob("runs-2026-05-*"))
    lost.rename(tmp_path / "lost")
    try:
        assert lost.name in demo.run("backup", tmp_path / "x.tar", code=2).stderr
        assert not (tmp_path / "x.tar").exists()
    finally:
        (tmp_path / "lost").rename(lost)
