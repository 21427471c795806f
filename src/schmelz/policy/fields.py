"""The field types of the policy file: counts, ids, spans of time, days and moments, texts in several languages.

Every leaf type says in its own words what it must be (`said`); a fault is reported in those words. Numbers are whole
(no floats, so no NaN and no infinity; no true/false in their place); moments carry their offset from UTC.
A *fault* is a key path and a sentence; `refuse` raises any number of them from inside a table's own check.
Node lists live in `nodes` and can be imported from here as well.
"""

import re
from collections.abc import Hashable, Iterable
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from schmelz.policy.nodes import checked_node_list, expand_nodes, node_matches, split_node_list

__all__ = [
    "DISTINCT",
    "AccountPattern",
    "Count",
    "Country",
    "Day",
    "Fault",
    "Flag",
    "Id",
    "KeyPath",
    "Language",
    "Line",
    "Moment",
    "NodeList",
    "PartitionName",
    "Percent",
    "Positive",
    "PositiveSpan",
    "RoleId",
    "Span",
    "Table",
    "Texts",
    "WorkingDays",
    "expand_nodes",
    "node_matches",
    "refuse",
    "split_node_list",
]

KeyPath = tuple[str | int, ...]
Fault = tuple[KeyPath, str]

LARGEST_NUMBER = 10**12
YEARS = range(2000, 2200)
_SPAN = re.compile(r"([0-9]{1,9}) ?([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_PROMISE = re.compile(r"([0-9]{1,4}) working days?")


class Table(BaseModel):
    """A table of the policy file: unknown keys are faults, values never change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def refuse(faults: Iterable[Fault]) -> None:
    """Raise the faults found in a table, each at its own key path inside that table; nothing when there are none."""
    lines = [
        InitErrorDetails(type=PydanticCustomError("policy", "{text}", {"text": text}), loc=path, input=None)
        for path, text in faults
    ]
    if lines:
        raise ValidationError.from_exception_data("policy", lines)


def said(what: str) -> WrapValidator:
    """Let a type say what it must be: `must be <what>` instead of the validating library's own words."""

    def check(value: Any, inner: ValidatorFunctionWrapHandler) -> Any:
        try:
            return inner(value)
        except ValidationError as error:
            raise PydanticCustomError("said", "must be {what}", {"what": what}) from error

    return WrapValidator(check)


def _not_absurd(value: int) -> int:
    if value > LARGEST_NUMBER:
        raise ValueError(f"is too large to be meant; at most {LARGEST_NUMBER:,}")
    return value


def _seconds(value: object) -> int:
    match = _SPAN.fullmatch(value) if isinstance(value, str) else None
    if match:
        return int(match[1]) * _SECONDS[match[2]]
    return _counted(value, 'a span of time such as "90s", "30m", "2h" or "3d"')


def _working_days(value: object) -> int:
    match = _PROMISE.fullmatch(value) if isinstance(value, str) else None
    return int(match[1]) if match else _counted(value, 'a promise such as "2 working days"')


def _counted(value: object, what: str) -> int:
    """A plain whole number stands for seconds or days: the normalised form of the file has it so."""
    if type(value) is not int or not 0 <= value <= LARGEST_NUMBER:
        raise PydanticCustomError("said", "must be {what}", {"what": what})
    return value


def _day(value: object, info: ValidationInfo) -> object:
    parsed = _from_iso(date, value) if info.mode == "json" else value
    if type(parsed) is not date or parsed.year not in YEARS:
        raise PydanticCustomError("said", "must be {what}", {"what": "a date without quotes, such as 2026-08-31"})
    return parsed


def _moment(value: object, info: ValidationInfo) -> object:
    parsed = _from_iso(datetime, value) if info.mode == "json" else value
    if not isinstance(parsed, datetime) or parsed.tzinfo is None or parsed.year not in YEARS:
        example = "a date and time with its offset from UTC, without quotes, such as 2026-12-15T10:00:00+01:00"
        raise PydanticCustomError("said", "must be {what}", {"what": example})
    return parsed


def _from_iso(kind: type[date], value: object) -> object:
    try:
        return kind.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _distinct(values: tuple[Hashable, ...]) -> tuple[Hashable, ...]:
    refuse(
        ((index,), f"{value!s} stands in the list twice; name it once")
        for index, value in enumerate(values)
        if value in values[:index]
    )
    return values


DISTINCT = AfterValidator(_distinct)

Count = Annotated[int, Field(strict=True, ge=0), said("a whole number, 0 or more"), AfterValidator(_not_absurd)]
Positive = Annotated[int, Field(strict=True, gt=0), said("a whole number, 1 or more"), AfterValidator(_not_absurd)]
Percent = Annotated[int, Field(strict=True, ge=0, le=100), said("a whole number from 0 to 100")]
Flag = Annotated[bool, Field(strict=True), said("true or false")]
Id = Annotated[
    str,
    Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=40),
    said('a short name of lower-case letters, digits, "-" and "_" (at most 40)'),
]
RoleId = Annotated[
    str,
    Field(pattern=r"^[a-z0-9][a-z0-9_-]*:[a-z0-9][a-z0-9_-]*$", max_length=81),
    said('a role, written "partner:function"'),
]
Line = Annotated[
    str,
    Field(pattern=r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$", max_length=2000),
    said("one line of text, not empty, at most 2,000 characters"),
]
Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$"), said('a country of two capital letters, such as "LU"')]
AccountPattern = Annotated[
    str,
    Field(pattern=r"^[a-z0-9_*?-]+$", max_length=80),
    said('an account or a pattern of lower-case letters, such as "ehpc-*"'),
]
PartitionName = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=80), said('the name of a partition, such as "gpu"')
]
Span = Annotated[int, BeforeValidator(_seconds)]
PositiveSpan = Annotated[int, Field(gt=0), BeforeValidator(_seconds), said('a span of time of at least "1s"')]
WorkingDays = Annotated[int, BeforeValidator(_working_days)]
Day = Annotated[date, BeforeValidator(_day)]
Moment = Annotated[datetime, BeforeValidator(_moment)]
NodeList = Annotated[
    str, Field(strict=True, min_length=1), said('a node list such as "mxb[001-126]"'), AfterValidator(checked_node_list)
]
Language = Literal["en", "fr", "de", "it", "fi", "sv", "es", "el", "lb"]
Texts = Annotated[dict[Language, Line], Field(min_length=1)]
