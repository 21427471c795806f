"""What every page knows: the factory, who is signed in, the present second, and the way to the other pages."""

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from django.http import HttpRequest

from schmelz.policy.load import PolicyError
from schmelz.portal.clock import now
from schmelz.portal.people.models import Person
from schmelz.portal.people.queries import general_relations, roles
from schmelz.portal.policy import factory
from schmelz.rules.permissions import Permission, Relation, may

VERSION = version("schmelz")


@dataclass(frozen=True)
class Link:
    """A place in the navigation: the route's name, its words, and the permission it is shown for."""

    route: str
    words: str
    permission: Permission | None = None
    signed_in: bool = True


LINKS = (
    Link("calls", "Open calls", signed_in=False),
    Link("split", "The split", signed_in=False),
    Link("statements", "Statements", signed_in=False),
    Link("inbox", "Inbox"),
    Link("applications", "Applications"),
    Link("projects", "Projects"),
    Link("jobs", "Jobs"),
    Link("letters", "Letters"),
    Link("steering", "Steering", Permission.MANDATE_READ),
    Link("whatif", "What if", Permission.FORECAST_READ),
    Link("plan", "Plan", Permission.PLAN_READ),
    Link("health", "Health", Permission.PLAN_READ),
)


def page(request: HttpRequest) -> dict[str, Any]:
    """The context that all templates share. A broken policy file must not break the page that says so."""
    user = getattr(request, "user", None)
    person = user if isinstance(user, Person) else None
    try:
        policy = factory()
    except PolicyError:
        return {"factory": None, "person": person, "now": now(), "navigation": (), "version": VERSION}
    return {"factory": policy, "person": person, "now": now(), "navigation": _navigation(person), "version": VERSION}


def _navigation(person: Person | None) -> tuple[Link, ...]:
    held = roles(person)
    general = {r for system in factory().systems for r in general_relations(person, held, system.operator)}
    signs, steers = not held.isdisjoint(_signing_roles()), not held.isdisjoint(_mandate_roles())
    relations = general | ({Relation.SIGNER} if signs or steers else set())
    return tuple(
        link
        for link in LINKS
        if (person or not link.signed_in)
        and (link.permission is None or may(link.permission, relations))
        and (link.route != "inbox" or signs)
        and (link.route != "steering" or (_mandate_roles() and (steers or may(Permission.MANDATE_READ, general))))
    )


def _mandate_roles() -> set[str]:
    """The functions that sign mandates of steering; none where no system is steered."""
    return {role for system in factory().systems if system.steering for role in system.steering.signers}


def _signing_roles() -> set[str]:
    policy = factory()
    own = {role for mode in policy.modes for role in mode.signers or ()}
    return own | {role for system in policy.systems for pool in system.pools for role in pool.signers}
