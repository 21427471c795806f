"""Fixtures for every test: the two factories, a data directory of one's own, and people in a factory."""

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings

hypothesis_settings.register_profile("ours", deadline=None, max_examples=60)  # a busy machine is no fault
hypothesis_settings.register_profile("quick", deadline=None, max_examples=15)
hypothesis_settings.load_profile("ours")

ROOT = Path(__file__).parent.parent
FACTORIES = {"luxembourg": ROOT / "factory.toml", "alpine": ROOT / "tests/factories/alpine.toml"}

os.environ.setdefault("SCHMELZ_CACHE", str(ROOT / "build/cache"))  # what the twin compiles is kept for the next run
os.environ["SCHMELZ_DATA"] = tempfile.mkdtemp(prefix="schmelz-tests-")
os.environ["SCHMELZ_FACTORY"] = str(FACTORIES["luxembourg"])
for name in ("SCHMELZ_NOW", "SCHMELZ_AS", "SCHMELZ_MAIL"):
    os.environ.pop(name, None)
if os.environ.get("SCHMELZ_DATABASE") != os.environ.get("SCHMELZ_TESTS_ON"):  # only `make test-postgres` means it
    os.environ.pop("SCHMELZ_DATABASE", None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="each test on one factory, fewer examples of each property")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--quick"):
        hypothesis_settings.load_profile("quick")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Quick: of a test on both factories one is kept, the one and the other by turns."""
    if not config.getoption("--quick"):
        return
    kept = {name: sorted(FACTORIES)[turn % 2] for turn, name in enumerate(sorted({_function(item) for item in items}))}
    left_out = [item for item in items if kept[_function(item)] != _factory(item, kept[_function(item)])]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in set(left_out)]


def _function(item: pytest.Item) -> str:
    return item.nodeid.partition("[")[0]


def _factory(item: pytest.Item, otherwise: str) -> str:
    """The factory that a test is on; `otherwise`, where it is on none in particular."""
    callspec = getattr(item, "callspec", None)
    return callspec.params.get("factory_file", otherwise) if callspec else otherwise


@pytest.fixture(params=sorted(FACTORIES))
def factory_file(request: pytest.FixtureRequest) -> Path:
    """Each factory in turn: nothing of Luxembourg is in the code."""
    return FACTORIES[request.param]


@pytest.fixture
def portal(db, settings, factory_file: Path, tmp_path: Path):
    """The portal over an empty data directory, serving `factory_file`; gives the factory."""
    from schmelz.portal.policy import factory

    settings.FACTORY = factory_file
    settings.DATA = tmp_path
    return factory()


@pytest.fixture
def cast(portal):
    """People in the factory, applying in the first pool."""
    from people import cast as make

    return make(portal)
