"""The annual pack, due on 31 January: access time of a year by what projects were, and what each system and pool gave.

Access time is GPUs x charged time of jobs; held GPUs have a column of their own. A project counts under what it was on
the day of the use; a project that changed stands in two rows and counts once in the sum. The complete version is for
officers, operators, the coordinator and auditors; the public one puts small groups together (see `metering.breakdown`).
"""

from collections.abc import Iterable, Iterator, Sequence

from schmelz.faults import BadInput
from schmelz.metering.breakdown import FEW, Unit, breakdowns, is_small
from schmelz.metering.statement import Column, Statement, Table, Value
from schmelz.metering.windows import window
from schmelz.policy.schema import Factory, System
from schmelz.portal.clock import now
from schmelz.portal.people.models import Person
from schmelz.portal.people.queries import general_relations, roles
from schmelz.portal.policy import factory
from schmelz.portal.projects.figures import split, usage
from schmelz.rules.permissions import Permission, Relation, require
from schmelz.rules.texts import english
from schmelz.units import Period, local_date

BY = {
    "country": "By country",
    "category": "By category of user",
    "mode": "By access mode",
    "commercial": "Commercial use",
    "field": "By field",
    "sme": "Small and medium-sized enterprises",
}
COLUMNS = (
    Column("projects", "projects", "count"),
    Column("organisations", "organisations", "count"),
    Column("runs", "jobs started", "count"),
    Column("used_gpu_s", "access time", "gpu"),
    Column("held_gpu_s", "held", "gpu"),
)


def report_relations(person: Person | None) -> set[Relation]:
    """What a person is to the factory's reports: over all its systems and pools."""
    policy, held = factory(), roles(person)
    found = {relation for s in policy.systems for relation in general_relations(person, held, s.operator)}
    signers = {role for system in policy.systems for pool in system.pools for role in pool.signers}
    signers |= {role for mode in policy.modes for role in mode.signers or ()}
    return found | {Relation.SIGNER} if held & signers else found


def check_report(person: Person | None) -> None:
    """Raise Refused for those who may not read reports in full; nobody in particular owns the data directory."""
    if person is not None:
        require(Permission.REPORT_READ, report_relations(person), person.name)


def year_of(policy: Factory, text: str) -> tuple[str, Period]:
    """A calendar year of the factory's zone, by name. Raises BadInput."""
    name, period = window(policy, policy.main_system.id, text, now())
    if not name.isdigit():
        raise BadInput(f"year: {text!r} is none; write for example 2026")
    return name, period


def annual(year: str, public: bool) -> Statement:
    """The pack of a year, so far while it lasts."""
    policy = factory()
    name, period = year_of(policy, year)
    as_of = min(now(), period.end)
    found = units(period, as_of)
    groups = breakdowns(found, list(BY), public)
    tables = [_breakdown(policy, key, groups[key], found, public) for key in BY]
    version = "public version" if public else "complete version"
    return Statement(
        "annual",
        f"annual-{name}{'-public' if public else ''}",
        f"Access time {name}",
        as_of,
        (
            ("factory", policy.factory.name),
            ("year", f"{name}, days of {policy.factory.zone}"),
            ("version", version),
            ("due", f"{int(name) + 1}-01-31"),
        ),
        (_systems(policy, name, as_of), *tables),
    )


def units(period: Period, as_of: int) -> list[Unit]:
    """The year's use by project and description."""
    zone = factory().zone
    by = ["project", "organisation", *BY, "pool", "system"]
    frame = usage(by, local_date(period.start, zone), local_date(as_of - 1, zone), held=True)
    return [
        Unit(
            row["project"],
            bool(row["country"]),
            row["organisation"],
            (*(row[key] for key in BY), row["pool"], row["system"]),
            row["runs"],
            row["gpu_s"],
            row["held_gpu_s"],
        )
        for row in frame.to_dicts()
    ]


def _breakdown(
    policy: Factory, key: str, groups: dict[str, frozenset[Unit]], every: Sequence[Unit], public: bool
) -> Table:
    rows: list[tuple[Value, ...]] = [
        (_title(policy, key, value), *_counts(group, public)) for value, group in groups.items()
    ]
    note = "Each project counts once in the sum." + (
        f" Groups of fewer than {FEW} projects or organisations are put together." if public else ""
    )
    return Table(key, BY[key], (Column(key, key), *COLUMNS), (*rows, ("all", *_counts(every, public))), note, sums=True)


def _counts(group: Iterable[Unit], public: bool) -> tuple[Value, ...]:
    members = list(group)
    projects = {unit.project for unit in members if unit.ours}
    organisations = {unit.organisation for unit in members if unit.ours}
    hidden = public and is_small(members)
    return (
        None if hidden else len(projects),
        None if hidden else len(organisations),
        sum(unit.runs for unit in members),
        sum(unit.gpu_s for unit in members),
        sum(unit.held_gpu_s for unit in members),
    )


def _title(policy: Factory, key: str, value: str) -> str:
    titles = {
        "category": {category.id: english(category.title) for category in policy.categories},
        "mode": {mode.id: english(mode.title) for mode in policy.modes},
    }
    return titles.get(key, {}).get(value, value)


def _systems(policy: Factory, year: str, as_of: int) -> Table:
    columns = (
        Column("system", "system"),
        Column("pool", "pool"),
        *(Column(f"{key}_gpu_s", key, "gpu") for key in ("installed", "delivered", "entitlement", "used")),
    )
    rows = [
        row
        for system in policy.systems
        if system.gpus() and system.cluster.backend != "none"
        for row in _pools(system, year, as_of)
    ]
    note = "Installed and delivered are the system's; entitlement and use (held GPUs included) the pool's."
    return Table("systems", "By system and pool", columns, tuple(rows), note)


def _pools(system: System, year: str, as_of: int) -> Iterator[tuple[Value, ...]]:
    found = split(system, year, as_of)
    yield (
        system.title,
        "all",
        found.installed_gpu_s,
        found.delivered_gpu_s,
        None,
        sum(p.used_gpu_s for p in found.pools),
    )
    for pool in found.pools:
        yield system.title, system.pool(pool.pool).title, None, None, pool.entitlement_gpu_s, pool.used_gpu_s
