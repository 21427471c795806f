"""A real Slurm for the tests that ask for it: `slurm` is a started Lab, shared by one test session and gone after it.

Tests that need the installed Slurm carry the mark `cluster` by themselves. Where it cannot run they are skipped, and
the summary says so in red with what to install. A session that was killed is cleaned up after by the next one.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.lab import Lab, Settings
from cluster.lab_conf import load, refusals
from cluster.lab_daemons import birth

PREFIX = "schmelz-lab-"
NOT_RUN = pytest.StashKey[str]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for test in items:
        if "slurm_installed" in getattr(test, "fixturenames", ()):
            test.add_marker(pytest.mark.cluster)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if why := config.stash.get(NOT_RUN, ""):
        terminalreporter.section("the tests on a real Slurm cluster DID NOT RUN", red=True, bold=True)
        terminalreporter.write_line(why, red=True)


@pytest.fixture(scope="session")
def slurm_installed(pytestconfig: pytest.Config) -> None:
    """Skips, loudly, where no lab can run."""
    why = "; ".join(refusals(Settings(Path("/tmp/schmelz-lab-probe"))))
    if os.getuid() != 0:
        why = "; ".join(filter(None, ("only root can start jobs of several Unix users: run the tests as root", why)))
    if why:
        pytestconfig.stash[NOT_RUN] = why
        pytest.skip(why)


@pytest.fixture(scope="session")
def clean_start(slurm_installed: None) -> None:
    """Removes what killed sessions left: labs whose owner, by pid and start time, is gone."""
    for directory in sorted(Path(tempfile.gettempdir()).glob(f"{PREFIX}*")):
        owner = directory / "owner"
        if owner.exists() and not _lives(*map(int, owner.read_text().split())):
            remove(directory)


@pytest.fixture
def place(clean_start: None) -> Iterator[Path]:
    """Where a test may start a lab of its own; whatever runs or lies there is gone afterwards."""
    yield from _place()


@pytest.fixture(scope="session")
def slurm(clean_start: None) -> Iterator[Lab]:
    """Two sites x 2 nodes x 4 GPUs, and two Unix users: `slurm.settings.users`."""
    yield from _started()


@pytest.fixture(scope="module")
def own_slurm(clean_start: None) -> Iterator[Lab]:
    """The same, for a module whose accounts would be in the way of others."""
    yield from _started()


def _started() -> Iterator[Lab]:
    for directory in _place():
        lab = Lab(Settings(directory, users=users_for(directory)))
        lab.start()
        yield lab


def users_for(directory: Path) -> tuple[str, str]:
    """Names that no other lab on this machine has."""
    tag = directory.parent.name.removeprefix(PREFIX)
    return f"anna-{tag}", f"bruno-{tag}"


def _place() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix=PREFIX))
    try:
        directory.chmod(0o755)
        (directory / "owner").write_text(f"{os.getpid()} {birth(os.getpid())}\n")
        yield directory / "lab"
    finally:
        remove(directory)


def remove(directory: Path) -> None:
    if settings := load(directory / "lab"):
        Lab(settings).clean()
    shutil.rmtree(directory, ignore_errors=True)


def _lives(pid: int, born: int) -> bool:
    return birth(pid) == born
