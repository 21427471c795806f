"""Backup and restore of everything that cannot be made again, as one file: the database, the job records it names, the
frozen months, the journals of all applies, the secret key and the policy file.

The database is copied first, as of one instant; then exactly the record files that it names at that instant. Where one was
replaced and swept meanwhile, the copy is made anew. The file is a tar, mode 0600, written aside, synced and renamed; its
last member, manifest.json, has the SHA-256 of every other one and the head of the chain. A restore checks all of them
before anything is put in place, and the chain of events afterwards. Left out: locks, sums (made again), and the jobs of
the built-in cluster, which are processes of one machine.
"""

import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import file_digest, sha256
from pathlib import Path, PurePosixPath
from typing import Any

from django.conf import settings

from schmelz.faults import BadInput, Refused
from schmelz.operate import dumps
from schmelz.portal.clock import now
from schmelz.units import iso

FORMAT = 1
MANIFEST = "manifest.json"
TRIES = 5


@dataclass(frozen=True)
class Kept:
    """A backup: its file, when it was made, how many files and bytes it holds, and the chain's head."""

    file: str
    at: str
    files: int
    bytes: int
    events: int
    head: str


# -- making one


def back_up(to: Path) -> Kept:
    """Write a backup to a new file, or into a directory under a name with the time. Raises BadInput."""
    from schmelz.operate.forget_again import write_list

    path = to / f"schmelz-{iso(now()).replace('-', '').replace(':', '')}.tar" if to.is_dir() else to
    if path.exists():
        raise BadInput(f"{path}: exists; give a new file, or a directory")
    try:
        with _aside(_data()) as held, _aside(path.parent) as aside:
            snapshot, sources = _copied(held)
            written = aside / path.name
            manifest = _write(written, snapshot, sources)
            written.rename(path)
            write_list(path.parent)
            _sync(path.parent)
    except OSError as error:
        raise BadInput(f"{path}: cannot be written ({error.strerror}); give a place with room") from None
    return Kept(str(path), manifest["at"], len(sources), path.stat().st_size, snapshot.events, snapshot.head)


def _copied(aside: Path) -> tuple[dumps.Snapshot, dict[str, Path]]:
    """The database's copy, and where each file of the backup lies. Record files are linked first, so that no sweep takes
    one away; if a new one came and went before its turn, all begins anew."""
    missing = ""
    for _ in range(TRIES):
        held = Path(tempfile.mkdtemp(dir=aside))
        try:
            _hold((path.name for path in (_data() / "records").glob("runs-*.parquet")), held)
            snapshot = dumps.dump(held, partial(_hold_named, held))
        except FileNotFoundError as error:
            missing = error.filename
            continue
        sources = {f"records/{name}": held / name for name in snapshot.records}
        sources |= {path.name: path for path in held.glob("database.*")}
        return snapshot, dict(sorted((sources | _others(snapshot)).items()))
    raise BadInput(f"{missing}: is named by the database and missing; restore it from the last backup")


def _hold_named(held: Path, snapshot: dumps.Snapshot) -> None:
    _hold(snapshot.records, held)


def _hold(names: Iterable[str], held: Path) -> None:
    for name in names:
        if not (held / name).exists():
            (held / name).hardlink_to(_data() / "records" / name)


def _others(snapshot: dumps.Snapshot) -> dict[str, Path]:
    """Frozen months, journals, the secret key, the policy file."""
    data = _data()
    if lost := [month for month in snapshot.closed if not (data / "closed" / month).is_dir()]:
        raise BadInput(f"{data}/closed/{lost[0]}: is missing; restore it from the last backup")
    every = [path for month in snapshot.closed for path in (data / "closed" / month).rglob("*") if path.is_file()]
    every += [*data.glob("cluster/*/journal/*.jsonl"), data / "secret.key"]
    return {**{str(path.relative_to(data)): path for path in every}, "factory.toml": Path(settings.FACTORY)}


def _data() -> Path:
    return Path(settings.DATA)


def _write(path: Path, snapshot: dumps.Snapshot, sources: dict[str, Path]) -> dict[str, Any]:
    """The tar; each file is hashed as it is taken, with the size it has at that moment: journals grow."""
    digests: dict[str, str] = {}
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600), "w+b") as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for name, source in sources.items():
                digests[name] = _add(tar, name, source)
            manifest = {"format": FORMAT, "at": iso(now()), "files": digests, **asdict(snapshot)}
            listed = path.with_name(MANIFEST)
            listed.write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")
            _add(tar, MANIFEST, listed)
        file.flush()
        os.fsync(file.fileno())
    return manifest


def _add(tar: tarfile.TarFile, name: str, source: Path) -> str:
    with source.open("rb") as file:
        member = tarfile.TarInfo(name)
        member.size, member.mode, member.mtime = os.fstat(file.fileno()).st_size, 0o600, now()
        reading = _Digested(file, member.size)
        tar.addfile(member, reading)
    return reading.digest()


# -- bringing one back


def unpack(file: Path, into: Path) -> dict[str, Any]:
    """Check a backup and put it into a directory that is empty or not there; its manifest. Raises BadInput, Refused."""
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise Refused(f"{into} is not empty.", "Give a directory that is empty or not there yet.")
    try:
        into.parent.mkdir(parents=True, exist_ok=True)
        with _aside(into.parent) as aside:
            manifest = _unpacked(file, aside)
            dumps.check_target(set(manifest["files"]))
            dumps.put_back(aside)
            for path in aside.rglob("*"):
                _sync(path)
            aside.rename(into)
            _sync(into.parent)
    except (tarfile.TarError, EOFError) as error:
        raise BadInput(f"{file}: is damaged or no backup ({error}); take another one") from None
    except OSError as error:
        raise BadInput(f"{error.filename or file}: {error.strerror}") from None
    return manifest


def _unpacked(file: Path, to: Path) -> dict[str, Any]:
    found: dict[str, str] = {}
    with tarfile.open(file, "r:") as tar:
        for member in tar:
            found[member.name] = _take(file, tar, member, to)
    if MANIFEST not in found:
        raise BadInput(f"{file}: is not whole: {MANIFEST} is missing; take another backup")
    manifest = _manifest(file, to / MANIFEST)
    del found[MANIFEST]
    faults = [f"{file}: {name}: is missing" for name in sorted(manifest["files"].keys() - found.keys())]
    faults += [
        f"{file}: {name}: is damaged (its SHA-256 is not the manifest's)"
        for name, digest in sorted(found.items())
        if manifest["files"].get(name) != digest
    ]
    if faults:
        raise BadInput([*faults, "nothing was restored; take another backup"])
    return manifest


def _take(file: Path, tar: tarfile.TarFile, member: tarfile.TarInfo, to: Path) -> str:
    path = PurePosixPath(member.name)
    content = tar.extractfile(member) if member.isreg() else None
    if content is None or path.is_absolute() or ".." in path.parts or (to / path).exists():
        raise BadInput(f"{file}: {member.name!r} belongs in no backup; take another one")
    (to / path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with os.fdopen(os.open(to / path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600), "w+b") as target:
        shutil.copyfileobj(content, target, 2**20)
        target.seek(0)
        return file_digest(target, "sha256").hexdigest()


def _manifest(file: Path, path: Path) -> dict[str, Any]:
    try:
        said = json.loads(path.read_bytes())
        if said["format"] != FORMAT or not isinstance(said["files"], dict):
            raise ValueError(f"format {said['format']}")
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{file}: {MANIFEST}: cannot be used ({error}); take another backup") from None
    path.unlink()
    return dict(said)


# -- files


class _Digested:
    """A file that is read up to a size, hashed on the way."""

    def __init__(self, file: Any, size: int) -> None:
        self._file, self._left, self._sum = file, size, sha256()

    def read(self, size: int = -1) -> bytes:
        content: bytes = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(content)
        self._sum.update(content)
        return content

    def digest(self) -> str:
        return self._sum.hexdigest()


@contextmanager
def _aside(parent: Path) -> Iterator[Path]:
    """A directory of one's own beside the place where something will stand; whatever is left in it goes."""
    path = Path(tempfile.mkdtemp(prefix=".schmelz-", dir=parent))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
