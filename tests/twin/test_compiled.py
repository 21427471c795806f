"""Where compiled code is kept: apart by its sources, in a directory that is ours alone, or nowhere."""

import importlib.util
import os
import shutil
import time
from pathlib import Path
from types import ModuleType

import pytest

import schmelz.twin.compiled

HOUSE = Path(schmelz.twin.compiled.__file__).parents[1]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch):
    """Loads `compiled` anew from a copy of the package, with such a place for the cache."""
    for room in ("twin", "rules"):
        shutil.copytree(HOUSE / room, tmp_path / "copy" / room, ignore=shutil.ignore_patterns("__pycache__"))

    def load(place: Path) -> ModuleType:
        monkeypatch.setenv("SCHMELZ_CACHE", str(place))
        monkeypatch.setattr("numba.config.CACHE_DIR", "", raising=False)
        spec = importlib.util.spec_from_file_location("copy_of_compiled", tmp_path / "copy/twin/compiled.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


def test_a_change_of_a_kernel_is_never_missed(installed, tmp_path: Path) -> None:
    place, copy = tmp_path / "place", tmp_path / "copy"
    before = installed(place).version()
    assert before == schmelz.twin.compiled.version()
    kernels = [path.name for path in sorted((copy / "twin").glob("*.py")) if "compiled import" in path.read_text()]
    assert {"classic.py", "conservative.py", "deficit.py"} <= {*kernels}
    seen = {before}
    for name in ("rules/shares.py", "rules/queue.py", "twin/pool_tables.py", *(f"twin/{name}" for name in kernels)):
        with (copy / name).open("a") as file:
            file.write("\n# another one\n")
        seen.add(installed(place).version())
    assert len(seen) == 4 + len(kernels)
    (copy / "twin/forecast.py").write_text("nothing compiled")
    assert installed(place).version() in seen


def test_old_versions_go(installed, tmp_path: Path) -> None:
    old, young = tmp_path / "place/twin-old", tmp_path / "place/twin-young"
    for directory in (old, young):
        directory.mkdir(parents=True, mode=0o700)
    os.utime(old, (time.time() - 40 * 86_400,) * 2)
    assert installed(tmp_path / "place").OPTIONS["cache"] is True
    assert (old.exists(), young.exists()) == (False, True)


def test_without_a_place_of_our_own_nothing_is_kept(installed, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert installed(tmp_path / "file").OPTIONS["cache"] is False
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    assert installed(tmp_path / "open").OPTIONS["cache"] is False
