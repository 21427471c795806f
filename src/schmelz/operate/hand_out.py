"""Gathering the facts for an export: what the portal remembers, with pseudonyms in the place of users."""

import hashlib
import hmac

import polars as pl
from django.conf import settings

from schmelz.portal.clock import now
from schmelz.portal.ledger.models import Event
from schmelz.portal.policy import factory
from schmelz.portal.projects.models import Project
from schmelz.portal.usage.queries import outages, runs
from schmelz.proof.facts import PROJECT_COLUMNS, Facts


def gather() -> Facts:
    """Everything that the figures follow from, as of now."""
    policy = factory()
    return Facts(
        factory=policy,
        projects=_projects(),
        runs=_without_users(runs()),
        outages=tuple(o for system in policy.systems for o in outages(system.id)),
        events=tuple((event.facts(), event.hash) for event in Event.objects.iterator()),
        as_of=now(),
    )


def _projects() -> pl.DataFrame:
    rows = Project.objects.values_list(
        "code", "system", "pool", "grant_gpu_s", "start", "end", "mode", "category", "country", "commercial"
    )
    return pl.DataFrame(list(rows), schema=PROJECT_COLUMNS, orient="row")


def _without_users(frame: pl.DataFrame) -> pl.DataFrame:
    """The runs with a pseudonym per project and user: the same person in two projects cannot be told to be one."""
    pairs = frame.select("account", "user").unique().sort("account", "user")
    names = pairs.with_columns(
        pl.Series("pseudonym", [_pseudonym(a, u) for a, u in pairs.iter_rows()], dtype=pl.String)
    )
    joined = frame.join(names, on=["account", "user"], how="left", nulls_equal=True, maintain_order="left")
    return joined.with_columns(user=pl.col("pseudonym")).drop("pseudonym")


def _pseudonym(account: str | None, user: str | None) -> str:
    if not user:
        return ""
    key = settings.SECRET_KEY.encode()
    return "u" + hmac.new(key, f"pseudonym:{account}:{user}".encode(), hashlib.sha256).hexdigest()[:12]
