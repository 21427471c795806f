"""How the kernels are compiled: by numba, once, and kept in a directory that only this user can write to.

The directory carries a hash of the twin's own source and of the rules that it compiles: compiled code of an older version
is never taken for the present one. Where no such directory can be made, every process compiles for itself. SCHMELZ_CACHE
names another place.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., object])


def _directory() -> Path | None:
    """The directory for compiled code; None when there is none that is ours alone."""
    here = Path(__file__).parent
    sources = [*sorted(here.glob("*.py")), here.parent / "rules/queue.py", here.parent / "rules/shares.py"]
    version = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    place = os.environ.get("SCHMELZ_CACHE") or os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    try:
        directory = Path(place).expanduser() / "schmelz" / f"twin-{version}"
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = directory.stat()
        (directory / f".{os.getpid()}").touch()
        (directory / f".{os.getpid()}").unlink()
    except (OSError, RuntimeError):
        return None
    return directory if found.st_uid == os.getuid() and not found.st_mode & 0o022 else None


_KEPT = _directory()
if _KEPT:
    numba.config.CACHE_DIR = str(_KEPT)  # type: ignore[attr-defined]
# nothing is allocated in a kernel, so no references are counted (_nrt)
OPTIONS: dict[str, Any] = {"cache": _KEPT is not None, "nogil": True, "_nrt": False}


def compiled(function: Kernel) -> Kernel:
    """The same function, compiled when it is called first."""
    return cast(Kernel, numba.njit(function, **OPTIONS))


def inlined(function: Kernel) -> Kernel:
    """The same for a function that is part of whatever calls it: worth it where a call costs as much as the work."""
    return cast(Kernel, numba.njit(function, forceinline=True, **OPTIONS))
