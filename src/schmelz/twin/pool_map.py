"""Which names of a trace belong to which pool: `--pools`, a file or the map itself.

Written out: `7f04ca=eurohpc,6214e9=national`, or as JSON. A file has a line `name,pool` for each name (`#` begins a comment,
a first line `...,pool` names the columns); a TOML or JSON file has `name = "pool"`, or `pool = ["name", ...]`, at its top
or in a table `pools`. The order counts: of a job's names, the one that stands first decides. `--modes` likewise.
"""

import json
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from schmelz.faults import BadInput

LARGEST, SHOWN = 10_000_000, 80
HEADINGS = ("pool", "mode")
LOADERS: dict[str, Callable[[str], Any]] = {".toml": tomllib.loads, ".json": json.loads}


def pool_map(text: str, option: str = "--pools") -> dict[str, str]:
    """Name to pool (or to mode, for --modes). Raises BadInput."""
    found: dict[str, str] = {}
    for name, pool in _pairs(text, option):
        if not name or not pool:
            raise BadInput(f"{option} {_short(text)}: a name and a group belong to each other, as in name=group")
        if found.setdefault(name, pool) != pool:
            raise BadInput(f"{option} {_short(text)}: {name!r} stands in two groups, {found[name]} and {pool}")
    if not found:
        raise BadInput(f"{option} {_short(text)}: holds no name; write name=group, or a file of lines name,group")
    return found


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _pairs(text: str, option: str) -> Iterator[tuple[str, str]]:
    try:
        if text.lstrip().startswith("{"):
            yield from _of_table(json.loads(text))
        elif "=" in text and not _is_there(Path(text)):
            for pair in text.split(","):
                name, _, pool = pair.partition("=")
                yield name.strip(), pool.strip()
        else:
            yield from _of_file(Path(text))
    except (OSError, ValueError) as error:
        raise BadInput(
            f"{option} {_short(text)}: cannot be read ({getattr(error, 'strerror', None) or error})"
        ) from None


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long for one
        return False


def _of_file(path: Path) -> Iterator[tuple[str, str]]:
    with path.open("rb") as file:
        content = file.read(LARGEST + 1).decode("utf-8-sig")
    if len(content) > LARGEST:
        raise ValueError(f"is larger than {LARGEST:,} bytes")
    if load := LOADERS.get(path.suffix.lower()) or (json.loads if content.lstrip().startswith("{") else None):
        yield from _of_table(load(content))
        return
    rows = [line.strip() for line in content.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for number, line in enumerate(rows):
        name, pool = _pair(line)
        if number or pool.lower() not in HEADINGS:
            yield name, pool


def _pair(line: str) -> tuple[str, str]:
    mark = next((mark for mark in ",;=\t" if mark in line), None)
    name, _, pool = line.partition(mark) if mark else (line, "", "")
    return name.strip().strip('"'), pool.strip().strip('"')


def _of_table(table: Any) -> Iterator[tuple[str, str]]:
    found = table.get("pools", table) if isinstance(table, dict) else None
    if not isinstance(found, dict):
        raise ValueError("it is no table of names and pools")
    for key, value in found.items():
        if isinstance(value, list):
            yield from ((str(name), key) for name in value)
        else:
            yield key, str(value)
