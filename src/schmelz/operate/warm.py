"""Getting the twin's kernel ready, so that nobody waits for it on a page: it is compiled once per version, aside.

The compiled code is kept in a directory (see `twin.compiled`); another process fills it, then this one loads it in a thread.
Both take no time where that has been done before.
"""

import subprocess
import sys
from threading import Event, Lock, Thread

READY, LOCK = Event(), Lock()
LOAD = "from schmelz.operate.warm import load; load()"
LONGEST = 600
_started: list[Thread] = []


def load() -> None:
    """Compile the kernel of the deficit rule, or take it from where it is kept."""
    from schmelz.twin.generator import tiny
    from schmelz.twin.pools import deficit
    from schmelz.twin.workload import Options

    deficit(tiny(("one", "other")), Options(2))


def ready(wait: float = 0) -> bool:
    """Whether the kernel is loaded in this process; if not, that is begun, and waited for so many seconds at most."""
    with LOCK:
        if not _started and not READY.is_set():
            _started.append(Thread(target=_make, daemon=True))
            _started[0].start()
    return READY.wait(wait)


def _make() -> None:
    try:
        subprocess.run(
            [sys.executable, "-c", LOAD], check=False, timeout=LONGEST, stdin=subprocess.DEVNULL, capture_output=True
        )
        load()
        READY.set()
    finally:
        _started.clear()
