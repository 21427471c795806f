"""Reading factory.toml: text in, a frozen Factory out, or every fault at once.

Each fault is one line, `factory.toml:LINE: systems[0].pools[1].weight: what is wrong; what would be right`, in the
order of the lines. `normalised` is the factory as plain JSON values with every default written out; `digest` is its
fingerprint, which decisions keep so that one can tell under which policy they were made.
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from schmelz.faults import BadInput
from schmelz.policy.checks import dotted, faults_between_tables
from schmelz.policy.fields import Fault, Table
from schmelz.policy.lines import key_lines, line_of
from schmelz.policy.schema import Factory
from schmelz.policy.words import spoken

LARGEST_FILE = 1_000_000
T = TypeVar("T", bound=Table)

_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_PLAINER = {
    "Cannot overwrite a value": "a key or table stands here twice; keep one of them",
    "Invalid value": "no value that can be read; texts stand in quotes, lists in [ ]",
    "Invalid statement": "neither a key nor a table; comments begin with #",
}


class PolicyError(BadInput):
    """A policy file that cannot be used: `faults` has one line per fault."""


def load(path: Path) -> Factory:
    """The factory that a policy file describes; PolicyError when it cannot be read or has faults."""
    return parse(_read(path), str(path))


def current(path: Path) -> tuple[Factory, str]:
    """The same and its digest, read again only when the file has changed."""
    key = path.absolute(), path.stat().st_mtime_ns if path.exists() else 0
    if (kept := _current.get(key)) is None:
        found = load(path)
        kept = found, digest(found)
        _current.clear()
        _current[key] = kept
    return kept


_current: dict[tuple[Path, int], tuple[Factory, str]] = {}


def parse(text: str, name: str) -> Factory:
    """The factory that a text describes; `name` is what faults call it."""
    return parse_as(Factory, text, name, faults_between_tables)


def parse_as(
    schema: type[T], text: str, name: str, between: Callable[[dict[str, Any]], Iterable[Fault]] = lambda tables: ()
) -> T:
    """The tables of a text as `schema`; PolicyError with all faults, those that `between` finds in a faulty text, too."""
    tables = _tables(text, name)
    try:
        return schema.model_validate(tables)
    except ValidationError as error:
        faults = dict.fromkeys([*spoken(error, schema), *between(tables)])
    raise PolicyError(fault_lines(faults, text, name))


def normalised(factory: Factory) -> dict[str, Any]:
    """The factory as JSON values: keys as in the file, in the schema's order, defaults filled in, times ISO 8601."""
    return factory.model_dump(mode="json", by_alias=True)


def digest(factory: Factory) -> str:
    """SHA-256 of the normalised factory: the same for every way of writing the same policy."""
    canonical = json.dumps(normalised(factory), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise PolicyError(f"{path}: is larger than {LARGEST_FILE:,} bytes; this is no policy file")
        return content.decode("utf-8-sig")
    except FileNotFoundError:
        raise PolicyError(f"{path}: there is no such file; name one with --factory FILE or SCHMELZ_FACTORY") from None
    except IsADirectoryError:
        raise PolicyError(f"{path}: is a directory; name the file in it") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise PolicyError(f"{path}:{line}: is not UTF-8; save the file in UTF-8") from None
    except (OSError, ValueError) as error:
        if isinstance(error, PolicyError):
            raise
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise PolicyError(f"{path}: cannot be read: {reason}; check the path and its permissions") from None


def _tables(text: str, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise PolicyError(f"{name}: is not TOML that can be read: nested too deeply; a policy has few levels") from None
    except ValueError as error:
        raise PolicyError(_syntax_fault(str(error), text, name)) from None


def _syntax_fault(message: str, text: str, name: str) -> str:
    place = _PLACE.search(message)
    said = message[: place.start()] if place else message
    line = int(place[1]) if place and place[1] else text.count("\n") + 1
    where = f"{name}:{line}" if place else name
    column = f" (column {place[2]})" if place and place[2] else ""
    return f"{where}: is not TOML here{column}: {_PLAINER.get(said, said)}"


def fault_lines(faults: Iterable[Fault], text: str, name: str) -> list[str]:
    """Each fault as a line, `NAME:LINE: key: what is wrong`, in the order of the text."""
    lines = key_lines(text)
    placed = sorted((line_of(path, lines), dotted(path), said) for path, said in faults)
    return [f"{name}:{line}: {path}: {said}" if path else f"{name}:{line}: {said}" for line, path, said in placed]
