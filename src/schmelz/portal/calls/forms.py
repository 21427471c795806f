"""The form of an application, checked as data: the same for the page, the command line and a file.

Keys: title, summary, gpu_hours, months, statements (ids that are declared); optional: system, organisation, category,
country, founded, inference_percent. What is left out and known of the applicant's organisation is taken from there.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schmelz.faults import BadInput
from schmelz.policy.schema import Factory, Mode
from schmelz.portal.people.models import Person

_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "is not a question of this form",
    "frozen_set_type": 'must be a list of texts, such as ["civil-use"]',
    "int_type": "must be a whole number, such as 1000",
    "string_pattern_mismatch": "must be plain text, a title in one line, a country as two capital letters such as LU",
}


class Form(BaseModel):
    """The answers of one application."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    title: Annotated[str, Field(min_length=3, max_length=200, pattern=r"^[^\x00-\x1f]*$")]
    summary: Annotated[str, Field(min_length=10, max_length=5000, pattern=r"^[^\x00]*$")]
    gpu_hours: Annotated[int, Field(strict=True, ge=1, le=10**9)]
    months: Annotated[int, Field(strict=True, ge=1, le=120)]
    statements: frozenset[str] = frozenset()
    system: str | None = None
    organisation: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]*$")]
    category: str
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
    founded: Annotated[int, Field(strict=True, ge=1500, le=2200)] | None = None
    inference_percent: Annotated[int, Field(strict=True, ge=0, le=100)] | None = None


def template(mode: Mode, factory: Factory) -> dict[str, object]:
    """A form to fill in for this access mode."""
    system = factory.system(mode.systems[0])
    return {
        "title": "",
        "summary": "",
        "gpu_hours": mode.size(system).default,
        "months": mode.months[0],
        "statements": list(mode.statements),
    }


def read_form(factory: Factory, mode: Mode, person: Person, answers: object) -> Form:
    """Check the answers. Raises BadInput with one line per fault: the key, what is wrong, what would be right."""
    if not isinstance(answers, Mapping):
        raise BadInput('answers: must be a table of keys and values, such as {"title": "...", "gpu_hours": 1000}')
    try:
        form = Form.model_validate(_known(person) | dict(answers))
    except ValidationError as error:
        raise BadInput([_line(fault) for fault in error.errors()]) from None
    _check_names(factory, mode, form)
    return form


def _known(person: Person) -> dict[str, Any]:
    organisation = person.organisation
    if organisation is None:
        return {}
    return {
        "organisation": organisation.name,
        "category": organisation.category,
        "country": organisation.country,
        "founded": organisation.founded,
    }


def _line(fault: Any) -> str:
    key = ".".join(map(str, fault["loc"])) or "answers"
    said = _WORDS.get(fault["type"], fault["msg"][:1].lower() + fault["msg"][1:])
    keys = f"; the questions are: {', '.join(Form.model_fields)}" if fault["type"] == "extra_forbidden" else ""
    return f"{key}: {said}{keys}"


def _check_names(factory: Factory, mode: Mode, form: Form) -> None:
    categories = [c.id for c in factory.categories]
    faults = []
    if form.category not in categories:
        faults.append(f"category: {form.category!r} is not known; one of: {', '.join(categories)}")
    if form.system is not None and form.system not in mode.systems:
        faults.append(f"system: {form.system!r} is not offered in this mode; one of: {', '.join(mode.systems)}")
    faults += [
        f"statements: {s!r} is not asked for; one of: {', '.join(mode.statements)}"
        for s in sorted(form.statements - set(mode.statements))
    ]
    if faults:
        raise BadInput(faults)
