"""Reading what a form sent: text as typed, numbers as numbers, ticked boxes as a list. Nothing is guessed.

What is no number stays text, so that the rule that reads it says what is wrong. Faults that begin with a field's name
are shown beside that field.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from django.http import QueryDict

from schmelz.faults import BadInput

LABELS: Mapping[str, str] = {
    "because": "Because",
    "category": "What it is",
    "country": "Country",
    "days": "Days",
    "founded": "Founded",
    "gpu_hours": "GPU-hours",
    "gpus": "GPUs",
    "handle": "Handle",
    "highest": "Highest cap",
    "hours": "Hours",
    "inference_percent": "Inference",
    "limit": "Time limit",
    "lowest": "Lowest cap",
    "minutes": "Minutes",
    "months": "Months",
    "moves_per_hour": "Moves in an hour",
    "nodes": "Nodes",
    "organisation": "Organisation",
    "script": "Script",
    "site": "Site",
    "statements": "Declarations",
    "summary": "Summary",
    "system": "Machine",
    "title": "Title",
}


def whole_number(text: str) -> int | str:
    """The number that was typed, spaces between thousands allowed; the text itself when it is none."""
    plain = "".join(text.split()).replace("\u202f", "").replace("_", "")
    digits = plain.removeprefix("-")
    return int(plain) if digits.isascii() and digits.isdigit() and len(digits) <= 18 else text


def number_in(form: QueryDict, key: str, least: int, most: int) -> int:
    """A number that must be there. Raises BadInput with the key and the bounds."""
    found = whole_number(form.get(key, ""))
    if isinstance(found, str):
        said = f"{found[:40]!r} is not a whole number" if found.strip() else "is empty"
        raise BadInput(f"{key}: {said}; write {least} or more")
    if not least <= found <= most:
        raise BadInput(f"{key}: {found} cannot be; write {least} to {most}")
    return found


def number_or_none(form: QueryDict, key: str, least: int, most: int) -> int | None:
    """A number that may be left out."""
    return number_in(form, key, least, most) if form.get(key, "").strip() else None


@dataclass(frozen=True)
class Faults:
    """What is wrong with a form: what belongs to a field beside it, the rest on top."""

    lines: tuple[str, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.lines)


def placed(error: BadInput | None) -> Faults:
    """The faults by field; on top they are called as the form calls the field."""
    if error is None:
        return Faults()
    fields: dict[str, str] = {}
    lines = []
    for line in error.faults:
        key, _, said = line.partition(": ")
        key = key.partition(".")[0]
        lines.append(f"{LABELS[key]}: {said}" if key in LABELS else line)
        if key in LABELS:
            fields.setdefault(key, said)
    return Faults(tuple(lines), fields)
