"""The house keeps its rules: layers, size budget, types, nothing of this or that machine in the tree."""

import ast
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted(path for path in (ROOT / "src").rglob("*.py") if "migrations" not in path.parts)


def _functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]


def _lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of code of a function, its docstring left out."""
    whole = (function.end_lineno or 0) - function.lineno + 1
    first = function.body[0]
    is_doc = (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )
    return whole - ((first.end_lineno or 0) - first.lineno + 1 if is_doc else 0)


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT / "src")))
def test_file_within_budget(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 300, "split it: a file has at most 300 lines"
    assert ast.get_docstring(ast.parse(text)) or not text.strip() or path.name in ("apps.py", "__init__.py"), (
        "say what it is"
    )


def test_functions_are_small() -> None:
    sizes = sorted(_lines(f) for path in SOURCES for f in _functions(path))
    assert statistics.median(sizes) <= 8
    assert sizes[len(sizes) * 9 // 10] <= 25


def test_every_function_says_what_it_returns() -> None:
    untyped = [f"{p.name}:{f.lineno} {f.name}" for p in SOURCES for f in _functions(p) if f.returns is None]
    assert untyped == []


def test_depth_of_rooms() -> None:
    deep = [str(p) for p in SOURCES if len(p.relative_to(ROOT / "src").parts) > 4]
    assert deep == []


def test_no_room_for_everything() -> None:
    names = {"utils", "common", "helpers", "core", "base", "manager"}
    demanded = ROOT / "src/schmelz/portal/postgres/base.py"  # by Django
    assert [str(p) for p in SOURCES if (p.stem in names or names & set(p.parts)) and p != demanded] == []


def test_import_contracts() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout[-3000:]


def test_pure_rooms_start_without_django() -> None:
    code = "import sys, schmelz.proof.verify, schmelz.twin, schmelz.cluster.backends; sys.exit('django' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_nothing_of_one_machine_in_the_tree() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, timeout=30).stdout.split()
    bad = re.compile(r"(?<![A-Za-z0-9_.-])/(?:work|root|farm)/|pypi\.org|pythonhosted|registry\.npmjs")
    found = [
        name
        for name in tracked
        if name != "tests/test_house.py"
        and (ROOT / name).suffix not in (".png", ".woff2")
        and (ROOT / name).is_file()
        and bad.search((ROOT / name).read_text(errors="ignore"))
    ]
    assert found == []
