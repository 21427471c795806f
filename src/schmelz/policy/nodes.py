"""Node lists as Slurm writes them: `mxb[001-126]`, `gpu[1-4,9],login1`, and wildcards such as `dc1*`.

A list is cut at the commas outside brackets; each part names nodes (a bracket of ranges) or is a wildcard (`*`, `?`),
which matches nodes but counts none. Expansion is cached: the same few lists are asked for every job record.
"""

import re
from fnmatch import fnmatchcase
from functools import lru_cache

LARGEST_LIST = 100_000

_RANGE = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_WILDCARD = re.compile(r"[A-Za-z0-9._*?-]+")


@lru_cache(maxsize=1024)
def split_node_list(text: str) -> tuple[str, ...]:
    """Cut a node list at the commas outside brackets: `a[1-2,5],b1` -> `a[1-2,5]`, `b1`."""
    return tuple(part for part in re.split(r",(?![^\[]*\])", text) if part)


@lru_cache(maxsize=1024)
def expand_nodes(text: str) -> tuple[str, ...]:
    """The node names of a node list, in order: `mxb[001-003,7]` -> mxb001 mxb002 mxb003 mxb7. Wildcards name no node.

    Raises ValueError for a range that runs backwards or is no number, and for a list of absurd length.
    """
    names: list[str] = []
    for part in split_node_list(text):
        if not is_wildcard(part):
            names += _expand_part(part, LARGEST_LIST - len(names))
    return tuple(names)


def node_matches(name: str, text: str) -> bool:
    """Whether the node `name` is one of a node list, wildcards included."""
    return name in _named(text) or any(fnmatchcase(name, wildcard) for wildcard in wildcards(text))


@lru_cache(maxsize=1024)
def wildcards(text: str) -> tuple[str, ...]:
    """The parts of a node list that are wildcards."""
    return tuple(part for part in split_node_list(text) if is_wildcard(part))


def is_wildcard(part: str) -> bool:
    return "*" in part or "?" in part


def checked_node_list(text: str) -> str:
    """The list itself when every part can be read and no node stands in it twice; otherwise ValueError."""
    parts = split_node_list(text)
    if ",".join(parts) != text or not parts:
        raise ValueError("a node list has no empty part; write for example mxb[001-126],mxt001")
    for part in parts:
        if is_wildcard(part) and not _WILDCARD.fullmatch(part):
            raise ValueError(f"not a wildcard: {part!r}; write for example mxb*, without brackets")
    names = expand_nodes(text)
    if len(names) != len(set(names)):
        raise ValueError("a node stands in the list twice; name each once")
    return text


@lru_cache(maxsize=1024)
def _named(text: str) -> frozenset[str]:
    return frozenset(expand_nodes(text))


def _expand_part(part: str, room: int) -> list[str]:
    head, bracket, rest = part.partition("[")
    inside, closing, tail = rest.partition("]")
    if bool(bracket) != bool(closing) or not _NAME.fullmatch(head + "0" + tail if bracket else part):
        raise ValueError(f"not a node list: {part!r}; write for example mxb[001-126]")
    if not bracket:
        return [part]
    return [head + number + tail for number in _numbers(inside.split(","), room)]


def _numbers(pieces: list[str], room: int) -> list[str]:
    numbers: list[str] = []
    for piece in pieces:
        match = _RANGE.fullmatch(piece)
        if match is None or (match[2] and int(match[2]) < int(match[1])):
            raise ValueError(f"not a range of nodes: {piece!r}; write for example 001-126")
        first, last = int(match[1]), int(match[2] or match[1])
        if len(numbers) + last - first >= room:
            raise ValueError(f"names more than {LARGEST_LIST:,} nodes; shorten the range {piece!r}")
        numbers += [f"{number:0{len(match[1])}d}" for number in range(first, last + 1)]
    return numbers
