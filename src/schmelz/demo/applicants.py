"""The 60 organisations of a demo year and their persons: for every access mode some that may use it.

The first three belong to the story's people; of these, only the university applies for GPU-hours beside the story.
"""

from collections.abc import Sequence
from itertools import cycle

from schmelz.demo import names
from schmelz.demo.model import Organisation, Person, Scene
from schmelz.demo.people import home_country, organisations as known_organisations, people
from schmelz.policy.schema import CategoryOfUser, Factory, Mode
from schmelz.rules.texts import english
from schmelz.units import local_date

ORGANISATIONS = 60
STORY = 2


def offered(factory: Factory) -> tuple[Mode, ...]:
    """The access modes of the first system that are not closed; all of them if there is no such."""
    here = tuple(mode for mode in factory.modes if factory.systems[0].id in mode.systems)
    return tuple(mode for mode in here if mode.state != "closed") or here


def organisations(scene: Scene) -> tuple[Organisation, ...]:
    """Organisations as they are at the end of the year; those of the story come first."""
    year = local_date(scene.period.end, scene.factory.zone).year
    known = known_organisations(scene.factory, year)
    words = [head + tail for head in names.HEADS for tail in names.TAILS]
    scene.rng.shuffle(words)
    made = [
        _organisation(scene, mode, word, year)
        for mode, word in zip(cycle(offered(scene.factory)), words[: ORGANISATIONS - len(known)], strict=False)
    ]
    return (*known, *made)


def persons(scene: Scene, applying: Sequence[Organisation]) -> tuple[Person, ...]:
    """One to three persons of every organisation that applies."""
    taken = {name for person in people(scene.factory) for name in (person.handle, person.unix_name) if name}
    return tuple(
        _person(scene, organisation, taken) for organisation in applying for _ in range(scene.rng.randint(1, 3))
    )


def _organisation(scene: Scene, mode: Mode, word: str, year: int) -> Organisation:
    rng = scene.rng
    audience = [scene.factory.category(category) for category in mode.audience]
    category = rng.choices(audience, [2 if one.commercial else 3 for one in audience])[0]
    young = mode.limits.founded_within_years
    age = rng.randint(1, max(1, young - 1)) if young else rng.randint(3, 60)
    return Organisation(
        rng.choice(_shapes(category)).format(word), _country(scene, mode), category.id, year - age, category.commercial
    )


def _shapes(category: CategoryOfUser) -> Sequence[str]:
    title = english(category.title).lower()
    return next(shapes for word, shapes in names.KINDS if word in title)


def _country(scene: Scene, mode: Mode) -> str:
    """Mostly from home in all pools but the first, from anywhere that the mode allows in the first."""
    factory = scene.factory
    regions = mode.regions or [region.id for region in factory.regions]
    allowed = list(factory.countries(regions)) or list(names.EVERYWHERE)
    home = home_country(factory)
    at_home = scene.rng.randrange(100) < (15 if mode.pool == scene.system.pools[0].id else 80)
    return home if at_home and home in allowed else scene.rng.choice(allowed)


def _person(scene: Scene, organisation: Organisation, taken: set[str]) -> Person:
    first, last = scene.rng.choice(names.FIRST), scene.rng.choice(names.LAST)
    handle = _free(f"{first}.{last}".lower(), taken)
    unix_name = _free(f"{first[0]}{last}".lower(), taken)
    return Person(handle, f"{first} {last}", f"{handle}@example.org", organisation.name, unix_name)


def _free(wish: str, taken: set[str]) -> str:
    """The name, with a number if somebody has it already."""
    name, number = wish, 2
    while name in taken:
        name, number = f"{wish}{number}", number + 1
    taken.add(name)
    return name
