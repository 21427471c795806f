"""Faults in words for people: each finding of the validating library as a key path and a sentence."""

import json
from collections.abc import Callable, Iterator
from datetime import date, time
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from schmelz.policy.fields import Fault, KeyPath, Table
from schmelz.policy.schema import Factory

LONGEST_SHOWN = 60


def spoken(error: ValidationError, schema: type[Table] = Factory) -> Iterator[Fault]:
    """Every finding of the library as a fault. A list is not too short because its rows have faults."""
    for finding in error.errors():
        if finding["type"] == "too_short" and len(finding["input"]) >= finding["ctx"]["min_length"]:
            continue
        path = tuple(step for step in finding["loc"] if step != "[key]")
        if finding["type"] == "extra_forbidden":
            yield path, _unknown_key(path, schema)
        else:
            yield path, _SENTENCES.get(finding["type"], _as_it_says)(finding)


def tables(table: type[Table] = Factory, path: KeyPath = ()) -> Iterator[tuple[KeyPath, type[Table]]]:
    """Every kind of table with its key path, outer tables first."""
    yield path, table
    for key, field in keys_of(table).items():
        for inner in _tables_in(field):
            yield from tables(inner, (*path, key))


def keys_of(table: type[Table]) -> dict[str, object]:
    """The keys of a table as the file writes them, each with its annotation."""
    return {field.alias or name: field.annotation for name, field in table.model_fields.items()}


def shown(value: object) -> str:
    """A value as the file would write it, cut short."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list | tuple):
        return "an empty list" if not value else "a list"
    if isinstance(value, date | time):
        return value.isoformat()
    if type(value) is int and abs(value) > 10**20:
        return "a very large number"
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, str | bool) else str(value)
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…"


def _tables_in(annotation: object) -> Iterator[type[Table]]:
    if isinstance(annotation, type) and issubclass(annotation, Table):
        yield annotation
    for inner in get_args(annotation):
        yield from _tables_in(inner)


def _unknown_key(place: KeyPath, schema: type[Table]) -> str:
    *outer, key = (step for step in place if isinstance(step, str))
    keys = next((list(keys_of(table)) for path, table in tables(schema) if path == tuple(outer)), [])
    near = get_close_matches(key, keys, n=1)
    meant = f'did you mean "{near[0]}"? ' if near else ""
    return f"is not a key of this table; {meant}(keys: {', '.join(keys)})"


def _expected(what: str) -> Callable[[ErrorDetails], str]:
    return lambda finding: f"must be {what}; this is {shown(finding['input'])}"


def _too_short(finding: ErrorDetails) -> str:
    least = finding["ctx"]["min_length"]
    return f"needs at least {least}; this has {finding['ctx']['actual_length']}"


def _as_it_says(finding: ErrorDetails) -> str:
    return f"{finding['msg']}; this is {shown(finding['input'])}"


def _one_of(finding: ErrorDetails) -> str:
    choices: Any = finding["ctx"]["expected"]
    return f"must be {str(choices).replace(chr(39), chr(34))}; this is {shown(finding['input'])}"


_SENTENCES: dict[str, Callable[[ErrorDetails], str]] = {
    "missing": lambda finding: "is missing; this table needs it",
    "said": lambda finding: f"must be {finding['ctx']['what']}; this is {shown(finding['input'])}",
    "policy": lambda finding: str(finding["ctx"]["text"]),
    "value_error": lambda finding: str(finding["ctx"]["error"]),
    "literal_error": _one_of,
    "too_short": _too_short,
    "tuple_type": _expected("a list"),
    "dict_type": _expected("a table"),
    "model_type": _expected("a table"),
}
