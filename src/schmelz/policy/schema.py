"""The shape of factory.toml: what an AI Factory is, as frozen data.

A *factory* has *sites* (data centres), *systems* (machines) whose capacity is shared between *pools* (owners) by
weight, *access modes* (ways to get GPU-hours), *partners* with *functions* (who signs, who operates) and *services*.
Invariants: ids are unique within their kind, weights of a system's pools add up to 100, every name that is referred
to exists (`checks`). Read once by `load`, then never changed. Every table can be imported from here.
"""

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from schmelz.policy.checks import faults_between_tables
from schmelz.policy.fields import (
    DISTINCT,
    Country,
    Day,
    Flag,
    Id,
    Language,
    Line,
    Positive,
    RoleId,
    Table,
    Texts,
    refuse,
    said,
)
from schmelz.policy.modes import Category, Criterion, Limits, Mode, Order, Price, Size, State, Statement, Step
from schmelz.policy.system import Cluster, Maintenance, Overhead, Pacing, Pool, Sharing, Steering, System

__all__ = [
    "Category",
    "CategoryOfUser",
    "Closing",
    "Cluster",
    "Criterion",
    "Factory",
    "Heading",
    "Limits",
    "Maintenance",
    "Mode",
    "Order",
    "Overhead",
    "Pacing",
    "Partner",
    "Pool",
    "Price",
    "Region",
    "Retention",
    "Service",
    "Sharing",
    "Sister",
    "Site",
    "Size",
    "State",
    "Statement",
    "Steering",
    "Step",
    "System",
]


class Heading(Table):
    """[factory]: who this is, in which zone days and cut-offs are counted, which days nobody works."""

    id: Id
    name: Line
    zone: Line
    languages: Annotated[tuple[Language, ...], Field(min_length=1), DISTINCT] = ("en",)
    coordinator: Id
    project_prefix: Annotated[
        str, Field(pattern=r"^[a-z][a-z0-9]{0,3}$"), said("one to four lower-case letters and digits, a letter first")
    ] = "p2"
    holidays: Annotated[tuple[Day, ...], DISTINCT] = ()
    holidays_source: Line | None = None
    source: Line | None = None

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f'"{value}" is not a time zone; write for example "Europe/Luxembourg"') from error
        return value


class CategoryOfUser(Table):
    """[[categories]]: a kind of organisation, as access modes and reports distinguish them."""

    id: Id
    title: Texts
    commercial: Flag


class Region(Table):
    """[[regions]]: a named set of countries that eligibility rules refer to, e.g. `eu`."""

    id: Id
    title: Texts
    countries: Annotated[tuple[Country, ...], Field(min_length=1), DISTINCT]
    source: Line


class Partner(Table):
    """[[partners]]: an organisation of the consortium or an owner, and the functions its people hold."""

    id: Id
    name: Line
    role: Line
    functions: Annotated[tuple[Id, ...], DISTINCT] = ()
    source: Line | None = None


class Sister(Table):
    """[[network]]: a sister factory that cases and people are exchanged with."""

    id: Id
    name: Line
    city: Line
    country: Country
    source: Line


class Site(Table):
    """[[sites]]: a data centre."""

    id: Id
    title: Line
    source: Line | None = None


class Service(Table):
    """[[services]]: what the factory offers beside GPU-hours."""

    id: Id
    title: Texts
    partner: Id
    source: Line | None = None


class Retention(Table):
    """[retention]: how long what is kept, in months after the end of the project (or of the period)."""

    applications: Positive
    letters: Positive
    job_records: Positive
    ledger: Positive
    source: Line | None = None


class Closing(Table):
    """[closing]: who countersigns the head of a closed month, in any order, each another person."""

    signers: Annotated[tuple[RoleId, ...], Field(min_length=2), DISTINCT]


class Factory(Table):
    """The whole of factory.toml."""

    factory: Heading
    categories: Annotated[tuple[CategoryOfUser, ...], Field(min_length=1)]
    regions: tuple[Region, ...] = ()
    partners: Annotated[tuple[Partner, ...], Field(min_length=1)]
    network: tuple[Sister, ...] = ()
    sites: Annotated[tuple[Site, ...], Field(min_length=1)]
    systems: Annotated[tuple[System, ...], Field(min_length=1)]
    statements: tuple[Statement, ...] = ()
    modes: tuple[Mode, ...] = ()
    services: tuple[Service, ...] = ()
    retention: Retention
    closing: Closing | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        refuse(faults_between_tables(self.model_dump(by_alias=True)))
        return self

    @cached_property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.factory.zone)

    @cached_property
    def roles(self) -> tuple[str, ...]:
        """Every function that somebody of a partner can hold, as `partner:function`, in the order of the file."""
        return tuple(f"{p.id}:{f}" for p in self.partners for f in p.functions)

    @cached_property
    def main_system(self) -> System:
        """The system that is meant when none is named: the first that has a cluster, else the first."""
        return next((s for s in self.systems if s.cluster.backend != "none"), self.systems[0])

    @cached_property
    def closing_signers(self) -> tuple[str, ...]:
        """Who countersigns closed months; unless the file says: the main system's operator and the last signer of each pool."""
        if self.closing:
            return self.closing.signers
        owners = (pool.signers[-1] for system in self.systems for pool in system.pools)
        return tuple(dict.fromkeys(r for r in (f"{self.main_system.operator}:operator", *owners) if r in self.roles))

    def system(self, system_id: str) -> System:
        """The system of that id; KeyError when there is none. So for the three below."""
        return {s.id: s for s in self.systems}[system_id]

    def mode(self, mode_id: str) -> Mode:
        return {m.id: m for m in self.modes}[mode_id]

    def pool_for(self, system_id: str, pool_id: str, mode_id: str) -> Pool:
        """The pool as it decides about a mode: with the mode's own signers, where it names some."""
        pool = self.system(system_id).pool(pool_id)
        mode = next((m for m in self.modes if m.id == mode_id), None)
        return pool.model_copy(update={"signers": mode.signers}) if mode and mode.signers else pool

    def category(self, category_id: str) -> CategoryOfUser:
        return {c.id: c for c in self.categories}[category_id]

    def partner(self, partner_id: str) -> Partner:
        return {p.id: p for p in self.partners}[partner_id]

    def countries(self, region_ids: Iterable[str]) -> Iterator[str]:
        wanted = set(region_ids)
        return (country for region in self.regions if region.id in wanted for country in region.countries)
