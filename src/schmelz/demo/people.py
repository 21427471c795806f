"""The people of the story: Anna applies, officers decide, Gilles operates; whoever a factory needs to sign is there.

Each role of the policy file is held by one person, and nobody but Gilles, the operator, holds several: never two roles
that sign for the same pool, so that four eyes are always possible. Roles are found by what they do in
the file, never by name: the story works for any factory.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from schmelz.demo.model import Organisation
from schmelz.demo.names import EVERYWHERE, HOME
from schmelz.policy.schema import CategoryOfUser, Factory
from schmelz.rules.texts import english

FOUNDER, OUTSIDER, REVIEWER = "Fern & Furnace", "Tidewater Analytics", "Hillcrest University"
OTHERS = (
    "Hugo Weber",
    "Ines Duarte",
    "Jonas Becker",
    "Katrin Holm",
    "Leon Marchal",
    "Mila Novak",
    "Noah Visser",
    "Olivia Berg",
    "Pavel Hruby",
    "Quentin Roux",
    "Rosa Molina",
    "Stefan Iliev",
    "Tilda Ek",
    "Ugo Ferri",
    "Vera Lang",
)


@dataclass(frozen=True)
class DemoPerson:
    """A person with a sign-in. Officers act for the partner of their role and have no applying organisation."""

    handle: str
    name: str
    email: str
    organisation: str | None
    roles: tuple[str, ...]
    unix_name: str | None


def people(factory: Factory) -> tuple[DemoPerson, ...]:
    """Anna, Bruno, Chiara, Dario, Eva, Franco and Gilles, then one person for every role left, signers first."""
    roles = _held(factory)
    named = (
        _person("Anna Weiler", FOUNDER, (), unix=True),
        _person("Bruno Costa", FOUNDER, (), unix=True),
        _person("Chiara Riva", REVIEWER, roles["chiara"]),
        _person("Dario Klein", None, roles["dario"]),
        _person("Eva Lindqvist", None, roles["eva"]),
        _person("Franco Moretti", OUTSIDER, (), unix=True),
        _person("Gilles Thill", None, roles["gilles"], unix=True),
    )
    given = {role for person in named for role in person.roles}
    signing = {role for system in factory.systems for pool in system.pools for role in pool.signers}
    left = sorted((role for role in factory.roles if role not in given), key=lambda role: role not in signing)
    return (*named, *(_person(name, None, (role,)) for name, role in zip(_names(), left, strict=False)))


def organisations(factory: Factory, year: int) -> tuple[Organisation, ...]:
    """The organisations of Anna and Bruno (young), of Franco and of Chiara, in a year of the calendar."""
    home = home_country(factory)
    young, other, learned = _first_applicants(factory), factory.categories[-1], _learned(factory)
    return (
        Organisation(FOUNDER, home, young.id, year - 2, young.commercial),
        Organisation(OUTSIDER, home, other.id, year - 30, other.commercial),
        Organisation(REVIEWER, home, learned.id, year - 90, learned.commercial),
    )


def home_country(factory: Factory) -> str:
    """Where the factory stands, as far as its zone or its first region tell."""
    first = factory.regions[0].countries[0] if factory.regions else EVERYWHERE[0]
    return HOME.get(factory.factory.zone, first)


def _first_applicants(factory: Factory) -> CategoryOfUser:
    """The category that the first open mode without a ranking is for: the one in which Anna applies."""
    simple = [mode for mode in factory.modes if mode.state == "open" and mode.order == "first-in-first-out"]
    return factory.category(simple[0].audience[0]) if simple else factory.categories[0]


def _learned(factory: Factory) -> CategoryOfUser:
    """The category of universities, if there is one."""
    found = [category for category in factory.categories if "universit" in english(category.title).lower()]
    return found[0] if found else factory.categories[-1]


def _held(factory: Factory) -> dict[str, tuple[str, ...]]:
    """The roles of the named persons."""
    system = factory.systems[0]
    first, second = system.pools[0], system.pools[min(1, len(system.pools) - 1)]
    eva = first.signers[1]
    dario = next((role for role in second.signers if role != eva), eva)
    taken = {eva, dario}
    gilles: list[str] = []
    for role in sorted(factory.roles, key=lambda role: role != f"{system.operator}:operator"):
        if role.startswith(f"{system.operator}:") and role not in taken and not _sign_together(factory, role, gilles):
            gilles.append(role)
    taken |= set(gilles)
    chiara = [role for role in factory.roles if role.endswith(":reviewer") and role not in taken][:1]
    return {"eva": (eva,), "dario": (dario,), "gilles": tuple(gilles), "chiara": tuple(chiara)}


def _sign_together(factory: Factory, role: str, held: list[str]) -> bool:
    """Whether some award needs this role and one that is already held."""
    signers = [pool.signers for system in factory.systems for pool in system.pools]
    return any(role in four_eyes and not set(held).isdisjoint(four_eyes) for four_eyes in signers)


def _person(name: str, organisation: str | None, roles: tuple[str, ...], unix: bool = False) -> DemoPerson:
    handle = name.split()[0].lower()
    return DemoPerson(handle, name, f"{handle}@example.org", organisation, roles, handle if unix else None)


def _names() -> Iterator[str]:
    """As many invented names as a factory may need."""
    for number in count(1):
        yield from (name if number == 1 else name.replace(" ", f"{number} ", 1) for name in OTHERS)
