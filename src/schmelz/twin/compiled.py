"""Compiling the twin's functions of numbers and arrays with numba, kept on disk between runs.

`compiled` marks a function; what was compiled lies in a folder named after the content of every file that a kernel is made
of, beside the code or in the user's own cache, so that a change of a rule is never answered by an old kernel. Where
neither can be written, each process compiles for itself.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from numba import config, njit

Function = TypeVar("Function", bound=Callable[..., Any])
HERE = Path(__file__).parent
RULES = HERE.parent / "rules"


def _content() -> str:
    """A name for what the kernels are made of."""
    digest = hashlib.sha256()
    for path in sorted([*HERE.glob("*.py"), RULES / "shares.py", RULES / "queue.py"]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _place() -> Path | None:
    """The folder of this content's kernels; None where there is no place for one."""
    own = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "schmelz"
    given = os.environ.get("NUMBA_CACHE_DIR")
    for root in [Path(given)] if given else [HERE / "__pycache__", own]:
        place = root / f"kernels-{_content()}"
        try:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(place, os.W_OK):
            return place
    return None


_KEPT = _place()
config.CACHE_DIR = "" if _KEPT is None else str(_KEPT)  # type: ignore[attr-defined]


def compiled(function: Function) -> Function:
    """The same function, compiled at its first call."""
    return cast(Function, njit(function, cache=_KEPT is not None, nogil=True))
