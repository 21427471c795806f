"""Gathering the facts for an export or a closing: what the portal remembers, with pseudonyms in the place of users.

A pseudonym depends on the project, the user and a key: the salt of the person who is known by this Unix name, so that
deleting the salt forgets them; for a name that is nobody's, the secret key. The same facts give the same pseudonyms.
"""

import hashlib
import hmac
from collections.abc import Mapping
from pathlib import Path

import polars as pl
from django.conf import settings

from schmelz.portal.clock import now
from schmelz.portal.ledger.models import Event
from schmelz.portal.ledger.queries import closed, closings
from schmelz.portal.people.models import Person
from schmelz.portal.policy import factory
from schmelz.portal.projects.attributes import rows as attributes
from schmelz.portal.projects.models import Project
from schmelz.portal.usage.queries import outages, runs
from schmelz.proof.facts import PROJECT_COLUMNS, Facts


def gather(some: pl.DataFrame | None = None) -> Facts:
    """Everything that the figures follow from, as of now; `some`: of these runs instead of all."""
    policy = factory()
    return Facts(
        factory=policy,
        projects=_projects(),
        runs=without_users(runs() if some is None else some),
        outages=tuple(o for system in policy.systems for o in outages(system.id)),
        events=tuple((event.facts(), event.hash) for event in Event.objects.iterator()),
        as_of=now(),
        closings=tuple(map(closed, closings())),
        closed=closed_directory(),
        attributes=attributes(),
    )


def closed_directory() -> Path:
    """Where the frozen files of closed months are."""
    return Path(settings.DATA) / "closed"


def _projects() -> pl.DataFrame:
    rows = Project.objects.values_list("code", "system", "pool", "grant_gpu_s", "start", "end")
    return pl.DataFrame(list(rows), schema=PROJECT_COLUMNS, orient="row")


def without_users(frame: pl.DataFrame) -> pl.DataFrame:
    """The runs with a pseudonym per project and user: the same person in two projects cannot be told to be one."""
    salts = dict(Person.objects.exclude(unix_name=None).exclude(salt="").values_list("unix_name", "salt"))
    pairs = frame.select("account", "user").unique().sort("account", "user")
    names = pairs.with_columns(
        pl.Series("pseudonym", [_pseudonym(salts, a, u) for a, u in pairs.iter_rows()], dtype=pl.String)
    )
    joined = frame.join(names, on=["account", "user"], how="left", nulls_equal=True, maintain_order="left")
    return joined.with_columns(user=pl.col("pseudonym")).drop("pseudonym")


def _pseudonym(salts: Mapping[str | None, str], account: str | None, user: str | None) -> str:
    if not user:
        return ""
    key = salts.get(user, settings.SECRET_KEY).encode()
    return "u" + hmac.new(key, f"pseudonym:{account}:{user}".encode(), hashlib.sha256).hexdigest()[:12]
