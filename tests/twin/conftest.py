"""Running `schmelz twin` inside the test's process: it needs no portal."""

from collections.abc import Callable
from typing import Any

import pytest

from schmelz.cli.main import main


@pytest.fixture
def run(monkeypatch, capsys) -> Callable[..., Any]:
    """`run(TRACE, "--gpus", "8")`: exit code, what it printed, what it said."""

    def call(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["twin", *map(str, words)])
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return call
