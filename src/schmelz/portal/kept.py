"""Small answers that take a while to work out, kept as JSON files in the data directory: each can be removed at any time."""

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings


def read(kind: str, name: str, keys: frozenset[str]) -> dict[str, Any] | None:
    """What was kept, if it has all these keys."""
    try:
        said = json.loads(_path(kind, name).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return said if isinstance(said, dict) and keys <= said.keys() else None


def write(kind: str, name: str, said: Mapping[str, object]) -> None:
    """Keep it, whole or not at all."""
    path = _path(kind, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "w") as file:
        json.dump(said, file)
    Path(aside).replace(path)


def _path(kind: str, name: str) -> Path:
    return Path(settings.DATA) / "kept" / kind / f"{name}.json"
