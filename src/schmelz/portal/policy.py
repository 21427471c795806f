"""The factory that this portal serves, read once per process and again when its file changes."""

from pathlib import Path

from django.conf import settings

from schmelz.policy.load import current
from schmelz.policy.schema import Factory, System


def factory() -> Factory:
    """The current factory. Raises PolicyError with every fault of the file."""
    return current(Path(settings.FACTORY))[0]


def version() -> str:
    """The digest of the current factory: what answers that depend on it are kept under."""
    return current(Path(settings.FACTORY))[1]


def main_system() -> System:
    """The system that commands mean when none is named."""
    return factory().main_system
