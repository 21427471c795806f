"""Running commands inside the test's process, against the test's database."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from schmelz.cli.main import main


@dataclass(frozen=True)
class Done:
    """How a command ended: exit code, what it printed, what it said."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(cast, monkeypatch, capsys) -> Callable[..., Done]:
    """`run("split", "--json")` or, as somebody, `run("jobs", person="anna")`."""

    def call(*words: str, person: str | None = None) -> Done:
        monkeypatch.delenv("SCHMELZ_AS", raising=False)
        if person:
            monkeypatch.setenv("SCHMELZ_AS", person)
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        said = capsys.readouterr()
        return Done(int(ended.value.code or 0), said.out, said.err)

    return call
