"""The factory that this portal serves, read once per process and again when its file changes."""

from functools import lru_cache
from pathlib import Path

from django.conf import settings

from schmelz.policy.load import digest, load
from schmelz.policy.schema import Factory, System


def factory() -> Factory:
    """The current factory. Raises PolicyError with every fault of the file."""
    return _current()[0]


def version() -> str:
    """The digest of the current factory: what answers that depend on it are kept under."""
    return _current()[1]


def _current() -> tuple[Factory, str]:
    path = Path(settings.FACTORY)
    return _load(path, path.stat().st_mtime_ns if path.exists() else 0)


@lru_cache(maxsize=2)
def _load(path: Path, _changed: int) -> tuple[Factory, str]:
    found = load(path)
    return found, digest(found)


def main_system() -> System:
    """The system that commands mean when none is named."""
    return factory().main_system
