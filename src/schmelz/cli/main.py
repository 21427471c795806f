"""The command `schmelz`: global options, the sub-commands, and one way to end.

Data goes to standard output, words to standard error. Exit codes: 0 done, 1 failed, 2 bad input or usage, 3 there is
something (changes, quarantined lines), 4 refused by a guard. Bad input is one line per fault, never a traceback.
"""

import io
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from schmelz.cli import (
    access,
    adopt,
    backup,
    closings,
    decisions,
    drift,
    figures,
    jobs,
    machine,
    people,
    planner,
    policies,
    proofs,
    reconcile,
    serve,
    statements,
    steering,
    twin,
    whatif,
)
from schmelz.faults import BadInput, Refused

GLOBAL_OPTIONS = ("--data", "--factory", "--as")

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Schmelz runs an AI Factory: from an application to a proof.",
)


@app.callback()
def options(
    data: Annotated[Path | None, typer.Option(help="Where the state lives (or SCHMELZ_DATA).")] = None,
    factory: Annotated[Path | None, typer.Option(help="Which factory it is (or SCHMELZ_FACTORY).")] = None,
    person: Annotated[str | None, typer.Option("--as", help="Who acts; in demo data only.")] = None,
) -> None:
    """Options for every command; they may stand before or after its name."""
    if data is not None:
        os.environ["SCHMELZ_DATA"] = str(data)
    if factory is not None:
        os.environ["SCHMELZ_FACTORY"] = str(factory)
    if person is not None:
        os.environ["SCHMELZ_AS"] = person


for room in (
    serve,
    access,
    decisions,
    machine,
    drift,
    adopt,
    steering,
    jobs,
    figures,
    reconcile,
    statements,
    closings,
    proofs,
    people,
    backup,
    twin,
    whatif,
    planner,
    policies,
):
    room.register(app)


def hoisted(words: list[str]) -> list[str]:
    """The same words with the global options in front, so that they may stand anywhere before `--`."""
    front: list[str] = []
    rest: list[str] = []
    queue = list(words)
    while queue:
        word = queue.pop(0)
        if word == "--":
            rest += [word, *queue]
            break
        name, equals, value = word.partition("=")
        if name in GLOBAL_OPTIONS:
            value = value if equals else "".join(queue[:1])
            if not value:
                raise BadInput(f"{name}: stands without a value; write {name} VALUE")
            front += [word] if equals else [word, value]
            del queue[: 0 if equals else 1]
        else:
            rest.append(word)
    return front + rest


def main(words: list[str] | None = None) -> None:
    """Run one command and end the process with its exit code."""
    _speak_utf8()
    try:
        app(hoisted(_readable(sys.argv[1:] if words is None else words)), prog_name="schmelz")
    except BadInput as error:
        _end(2, error.faults)
    except Refused as error:
        _end(4, [f"refused: {error.because}", *filter(None, [error.remedy])])
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        _end(1, ["stopped"])
    except Exception as error:  # the last guard: words instead of a traceback, unless somebody asks for it
        if os.environ.get("SCHMELZ_TRACEBACK"):
            raise
        from schmelz.cluster.model import ClusterError

        if isinstance(error, ClusterError):  # its words say what is wrong and where
            _end(1, [f"failed: {error}"])
        _end(1, [f"failed: {type(error).__name__}: {error}", "SCHMELZ_TRACEBACK=1 shows where."])


def _speak_utf8() -> None:
    """Data and words are UTF-8 whatever the locale says; what cannot be said in it is escaped, never a failure."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def _readable(words: list[str]) -> list[str]:
    """The same words. Raises BadInput for bytes that are no text: they could be neither kept nor shown."""
    if faults := [f"argument {word!a}: is not UTF-8 text" for word in words if not _is_text(word)]:
        raise BadInput(faults)
    return words


def _is_text(word: str) -> bool:
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def _end(code: int, lines: list[str] | tuple[str, ...]) -> None:
    for line in lines:
        print(line, file=sys.stderr)  # noqa: T201
    sys.exit(code)
