"""Which names of a trace belong to which pool: `--pools`, a file or the map itself.

Written out: `7f04ca=eurohpc,6214e9=national`. A file has a line `name,pool` for each name (`#` begins a comment); a TOML or
JSON file has `name = "pool"`, or `pool = ["name", ...]`, at its top or in a table `pools`. The order counts: of a job's
names, the one that stands first decides.
"""

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from schmelz.faults import BadInput

LOADERS = {".toml": tomllib.loads, ".json": json.loads}


def pool_map(text: str) -> dict[str, str]:
    """Name to pool. Raises BadInput."""
    found: dict[str, str] = {}
    for name, pool in _pairs(text):
        if not name or not pool:
            raise BadInput(f"--pools {text}: a name and a pool belong to each other, as in name=pool")
        if found.setdefault(name, pool) != pool:
            raise BadInput(f"--pools {text}: {name!r} stands in two pools, {found[name]} and {pool}")
    if not found:
        raise BadInput(f"--pools {text}: holds no name; write name=pool, or a file of lines name,pool")
    return found


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    if "=" in text and not Path(text).exists():
        for pair in text.split(","):
            name, _, pool = pair.partition("=")
            yield name.strip(), pool.strip()
        return
    try:
        content = Path(text).read_text("utf-8-sig")
        if load := LOADERS.get(Path(text).suffix.lower()):
            yield from _of_table(load(content))
            return
    except (OSError, ValueError) as error:
        raise BadInput(f"--pools {text}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    for line in content.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            name, _, pool = line.partition("," if "," in line else "=")
            yield name.strip().strip('"'), pool.strip().strip('"')


def _of_table(table: Any) -> Iterator[tuple[str, str]]:
    found = table.get("pools", table) if isinstance(table, dict) else None
    if not isinstance(found, dict):
        raise ValueError("it is no table of names and pools")
    for key, value in found.items():
        if isinstance(value, list):
            yield from ((str(name), key) for name in value)
        else:
            yield key, str(value)
