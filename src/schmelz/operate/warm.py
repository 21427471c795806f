"""Getting the twin's kernel ready, so that nobody waits for it on a page: it is compiled once per version, aside.

The compiled code is kept in a directory (see `twin.compiled`); another process fills it, then this one loads it in a thread.
Both take no time where that has been done before.
"""

import subprocess
import sys
from pathlib import Path
from threading import Event, Lock, Thread

READY, LOCK = Event(), Lock()
LOAD = "from schmelz.operate.warm import load; load()"
LONGEST = 600
_started: list[Thread] = []


def load() -> None:
    """Compile the kernels that pages use, or take them from where they are kept; then leave a mark there."""
    from schmelz.twin.generator import tiny
    from schmelz.twin.policies import POLICIES
    from schmelz.twin.workload import Options

    for name in ("deficit", "easy"):
        POLICIES[name](tiny(("one", "other")), Options(2))
    if mark := _mark():
        mark.touch()


def _mark() -> Path | None:
    """The file that says that everything is compiled; None where nothing is kept."""
    import numba

    from schmelz.twin import pools  # noqa: F401  (which names the directory)

    place = numba.config.CACHE_DIR  # type: ignore[attr-defined]
    return Path(place) / ".pages-compiled" if place else None


def kept() -> bool:
    """Whether compiled code of this version is there."""
    mark = _mark()
    return mark is not None and mark.exists()


def ready(wait: float = 0) -> bool:
    """Whether the kernel is loaded in this process; if not, that is begun, and waited for so many seconds at most."""
    with LOCK:
        if not _started and not READY.is_set():
            _started.append(Thread(target=_make, daemon=True))
            _started[0].start()
    return READY.wait(wait)


def _make() -> None:
    try:
        if not kept():
            command = [sys.executable, "-c", LOAD]
            subprocess.run(command, check=False, timeout=LONGEST, stdin=subprocess.DEVNULL, capture_output=True)
        load()
        READY.set()
    finally:
        _started.clear()
