"""Figures for a person: the same numbers as everywhere, cut down to what this person may see."""

from collections.abc import Sequence
from datetime import date

import polars as pl

from schmelz.faults import Refused
from schmelz.policy.schema import Factory
from schmelz.portal.people.models import Person
from schmelz.portal.people.queries import general_relations, roles
from schmelz.portal.policy import factory
from schmelz.portal.projects import figures
from schmelz.portal.projects.queries import by_code, relations, visible_to
from schmelz.portal.usage.queries import read_until
from schmelz.rules.permissions import Permission, Relation, require
from schmelz.units import iso

EVERYTHING = {Relation.OPERATOR, Relation.COORDINATOR, Relation.AUDITOR}


def sees_everything(policy: Factory, person: Person | None) -> bool:
    """Whether all projects' use is open to this person. Nobody in particular is whoever owns the data directory."""
    if person is None:
        return True
    held = roles(person)
    return any(general_relations(person, held, system.operator) & EVERYTHING for system in policy.systems)


def usage_rows(person: Person | None, by: Sequence[str], first: date | None, last: date | None) -> pl.DataFrame:
    """Rows of use by the keys asked for; only of the person's projects where they may not see all."""
    policy = factory()
    if sees_everything(policy, person):
        return figures.usage(by, first, last)
    codes = list(visible_to(policy, person).values_list("code", flat=True))
    whole = figures.usage([*by, *(key for key in ("project",) if key not in by)], first, last)
    mine = whole.filter(pl.col("project").is_in(codes))
    return mine.group_by(list(by)).agg(pl.col("gpu_s", "runs").sum()).sort(list(by))


def balance_of(person: Person, code: str) -> dict[str, object]:
    """A project's balance in GPU-seconds, for those who may read the project."""
    project = by_code(code)
    require(Permission.PROJECT_READ, relations(factory(), person, project), person.name)
    now = figures.balance(project)
    return {
        "project": code,
        "grant_gpu_s": project.grant_gpu_s,
        "settled_gpu_s": now.settled,
        "running_gpu_s": now.running,
        "committed_gpu_s": now.committed,
        "left_gpu_s": now.left,
        "as_of": iso(now.as_of),
        "records_as_of": None if (read := read_until(project.system, now.as_of)) is None else iso(read),
    }


def check_export(person: Person | None) -> None:
    """Raise Refused unless the person may hand out all records."""
    if not sees_everything(factory(), person):
        raise Refused(f"{person} may not export the ledger.", "Allowed: an operator, the coordinator or an auditor.")
