"""How the kernels are compiled: by numba, once, and kept in a directory that only this user can write to.

The directory carries a hash of everything that is compiled: code of an older version is never taken for the present one,
and an older one that nobody has used for a month is removed. Places, the first that will do: SCHMELZ_CACHE alone, if it is
set; else XDG_CACHE_HOME or ~/.cache, then the directory for temporary files. Where none will do, every process compiles
for itself. The package itself may stand in a read-only place.
"""

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., object])
KEPT_S = 30 * 86_400


def version() -> str:
    """A hash of numba's version and of every source file that has a part in the kernels."""
    here = Path(__file__).parent
    sources = {path: path.read_bytes() for path in sorted(here.glob("*.py"))}
    kernels = [text for path, text in sources.items() if path.stem == "pool_tables" or b"compiled import" in text]
    rules = [(here.parent / "rules" / name).read_bytes() for name in ("queue.py", "shares.py")]
    return hashlib.sha256(b"".join((numba.__version__.encode(), *kernels, *rules))).hexdigest()[:16]


def _places() -> Iterator[Path]:
    if named := os.environ.get("SCHMELZ_CACHE"):
        yield Path(named)
        return
    yield Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "schmelz"
    yield Path(tempfile.gettempdir()) / f"schmelz-{os.getuid()}"


def _directory() -> Path | None:
    """The directory for compiled code; None when there is none that is ours alone."""
    name = f"twin-{version()}"
    for place in _places():
        try:
            directory = place.expanduser() / name
            directory.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            directory.mkdir(exist_ok=True, mode=0o700)
            (directory / f".{os.getpid()}").touch()
            (directory / f".{os.getpid()}").unlink()
            if _is_ours(directory.parent) and _is_ours(directory):
                _remove_old(directory)
                return directory
        except (OSError, RuntimeError):
            continue
    return None


def _is_ours(directory: Path) -> bool:
    found = directory.stat()
    return found.st_uid == os.getuid() and not found.st_mode & 0o022


def _remove_old(directory: Path) -> None:
    for other in directory.parent.glob("twin-*"):
        if other != directory and time.time() - other.stat().st_mtime > KEPT_S:
            shutil.rmtree(other, ignore_errors=True)


_KEPT = _directory()
if _KEPT:
    numba.config.CACHE_DIR = str(_KEPT)  # type: ignore[attr-defined]
# nothing is allocated in a kernel, so no references are counted (_nrt)
PLAIN: dict[str, Any] = {"nogil": True, "_nrt": False}
OPTIONS: dict[str, Any] = {**PLAIN, "cache": _KEPT is not None}
# what only kernels call is compiled into them and kept with them: nothing is made that Python could call
PART: dict[str, Any] = {**PLAIN, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def compiled(function: Kernel) -> Kernel:
    """The same function, compiled when it is called first, and kept."""
    return cast(Kernel, numba.njit(function, **OPTIONS))


def kept_by_another(mark: str, work: str) -> None:
    """Let a process of its own do this work first, so that the memory that compiling takes goes with it.

    The mark says that it was done; where that cannot be, whoever needs the code compiles it as ever.
    """
    if _KEPT is None or (_KEPT / mark).exists():
        return
    with contextlib.suppress(OSError):
        if subprocess.run((sys.executable, "-c", work), capture_output=True, check=False).returncode == 0:
            (_KEPT / mark).touch()


def part(function: Kernel) -> Kernel:
    """The same for a function that only compiled functions call; Python must not."""
    return cast(Kernel, numba.njit(function, **PART))


def inlined(function: Kernel) -> Kernel:
    """A part that becomes part of whatever calls it: worth it where a call costs as much as the work."""
    return cast(Kernel, numba.njit(function, forceinline=True, **PART))
