"""What a project counts as (country, mode, category, field, SME, commercial, organisation), and from which day.

The award writes the first row. Later an operator or the coordinator adds rows, each with its day and a reason; use before
that day keeps what it had, so history does not change when an organisation does. A row says all attributes: those that
nobody names are as they were on that day. A new category brings its own SME and commercial marks unless they are said.
"""

import re
from collections.abc import Mapping
from datetime import date
from zoneinfo import ZoneInfo

from django.db import transaction

from schmelz.faults import BadInput, Refused
from schmelz.metering.usage import ATTRIBUTES, Attributes
from schmelz.policy.schema import Factory
from schmelz.portal.ledger.actions import record
from schmelz.portal.ledger.queries import closings
from schmelz.portal.people.models import Person
from schmelz.portal.projects.models import Project, ProjectAttributes
from schmelz.portal.projects.queries import locked, relations
from schmelz.proof.heads import following
from schmelz.rules.award import check_reason
from schmelz.rules.permissions import Permission, require
from schmelz.units import local_date

SMALL = ("sme", "startup")


def first_attributes(project: Project, zone: ZoneInfo) -> ProjectAttributes:
    """The row that comes with an award. Runs inside its transaction."""
    said = {name: getattr(project, name) for name in ATTRIBUTES if name not in ("field", "sme")}
    since = local_date(project.start, zone)
    return ProjectAttributes.objects.create(project=project, since=since, sme=project.category in SMALL, **said)


def as_awarded(project: Project) -> dict[str, object]:
    """The first row, for the event of the award: whoever checks the chain finds there what a project was."""
    row = project.attributes.earliest("id")
    return {"since": row.since.isoformat(), **{name: getattr(row, name) for name in ATTRIBUTES}}


@transaction.atomic
def add_attributes(
    factory: Factory, code: str, person: Person, *, since: date, because: str, changes: Mapping[str, object]
) -> ProjectAttributes:
    """Add a row that holds from `since` on. Raises BadInput for what cannot be, Refused where nothing would change."""
    reason, project = check_reason(because), locked(code)
    require(Permission.PROJECT_DESCRIBE, relations(factory, person, project), person.name)
    _check_open(since)
    before = on_day(project, since)
    after = {name: getattr(before, name) for name in ATTRIBUTES} | _marks(factory, changes) | dict(changes)
    _check(factory, project, since, after)
    changed = {name: value for name, value in after.items() if value != getattr(before, name)}
    if not changed:
        raise Refused(f"{code} is described like this on {since} already.", "Nothing is to be done.")
    row = ProjectAttributes.objects.create(project=project, since=since, **after)
    record("project.attributes", f"project:{code}", person, reason, since=since.isoformat(), **changed)
    return row


def _check_open(since: date) -> None:
    """History does not change: what a project was on the days of a closed month stays as it was closed."""
    last = closings()[-1:]
    if last and f"{since:%Y-%m}" <= last[0].month:
        raise Refused(
            f"{since} lies in a month that is closed.", f"Write a day from {following(last[0].month)}-01 on, and why."
        )


def _marks(factory: Factory, changes: Mapping[str, object]) -> dict[str, object]:
    """The marks that a new category brings with it."""
    category = changes.get("category")
    known = next((c for c in factory.categories if c.id == category), None)
    return {"sme": known.id in SMALL, "commercial": known.commercial} if known else {}


def _check(factory: Factory, project: Project, since: date, said: Mapping[str, object]) -> None:
    first, last = (local_date(moment, factory.zone) for moment in (project.start, project.end - 1))
    modes, categories = [m.id for m in factory.modes], [c.id for c in factory.categories]
    faults = {
        f"from: {since} is not in the time of {project.code}; write a day from {first} to {last}": not (
            first <= since <= last
        ),
        f"country: {said['country']!r} is none; write two capital letters, for example LU": not re.fullmatch(
            "[A-Z]{2}", str(said["country"])
        ),
        f"mode: {said['mode']!r} is not known; one of: {', '.join(modes)}": said["mode"] not in modes
        and said["mode"] != project.mode,
        f"category: {said['category']!r} is not known; one of: {', '.join(categories)}": said["category"]
        not in categories,
        "field: is longer than 80 characters, or more than one line": not _line(said["field"], 80),
        "organisation: is empty, longer than 200 characters, or more than one line": not said["organisation"]
        or not _line(said["organisation"], 200),
    }
    if found := [fault for fault, is_so in faults.items() if is_so]:
        raise BadInput(found)


def _line(value: object, longest: int) -> bool:
    text = str(value)
    return len(text) <= longest and (text == "" or text.isprintable())


def on_day(project: Project, day: date) -> ProjectAttributes:
    """The row that holds on a day; before the first row's day, that one."""
    rows = list(project.attributes.all())
    return next((row for row in reversed(rows) if row.since <= day), rows[0])


def rows() -> tuple[Attributes, ...]:
    """Every project's rows, for the figures of use, in the order of time."""
    columns = ("project__code", "since", *ATTRIBUTES)
    return tuple(
        Attributes(*row)
        for row in ProjectAttributes.objects.order_by("project__code", "since", "id").values_list(*columns)
    )


def commercial(day: date) -> frozenset[str]:
    """The projects that count as commercial on the day, or on a later one as far as that is known."""
    held: dict[str, bool] = {}
    for row in rows():
        later = row.since > day and row.project in held
        held[row.project] = row.commercial or (later and held[row.project])
    return frozenset(project for project, is_so in held.items() if is_so)


def as_dict(row: ProjectAttributes) -> dict[str, object]:
    """A row as plain data, for JSON."""
    said = {name: getattr(row, name) for name in ATTRIBUTES}
    return {"project": row.project.code, "from": row.since.isoformat(), **said}
