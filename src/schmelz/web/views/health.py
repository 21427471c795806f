"""Health: lights, each with its age: records read, the cluster answers, drift, letters waiting, lines in quarantine."""

from dataclasses import dataclass

from django.db.models import Count, Min
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from schmelz.cluster.model import ClusterError
from schmelz.faults import Refused
from schmelz.operate import cluster, metering, notify
from schmelz.policy.schema import System
from schmelz.portal.clock import now
from schmelz.portal.clusters.choices import comparison
from schmelz.portal.people.models import Letter
from schmelz.portal.usage.models import Quarantined
from schmelz.portal.usage.queries import last_reading, quarantined
from schmelz.rules.permissions import Permission
from schmelz.units import DAY, HOUR
from schmelz.web.guard import needs
from schmelz.web.words import counted


@dataclass(frozen=True)
class Light:
    """One light: its name, how it stands (ok, warn, stop), why, since when, and what to do."""

    name: str
    state: str
    words: str
    since: int | None = None
    remedy: str = ""


@needs(Permission.PLAN_READ)
def page(request: HttpRequest) -> HttpResponse:
    running = cluster.running_systems()
    lights = [_records(), *map(_cluster, running), *map(_drift, running), _letters(), _quarantine()]
    return render(
        request,
        "web/health.html",
        {
            "lights": lights,
            "good": sum(light.state == "ok" for light in lights),
            "faults": quarantined(20),
            "metered": metering.metered(),
            "books": metering.books(),
        },
    )


def _records() -> Light:
    last = last_reading()
    if last is None:
        return Light(
            "Job records",
            "warn",
            "None were read yet.",
            remedy="They are read while `schmelz up` runs, or by `schmelz meter`.",
        )
    old = now() - last.at > DAY
    return Light(
        "Job records",
        "warn" if old else "ok",
        f"{counted(last.added, 'new run')} in the last news from {last.source}.",
        last.at,
        "Nothing new for a day: does the cluster run, and `schmelz up`?" if old else "",
    )


def _cluster(system: System) -> Light:
    name = f"Cluster of {system.title}"
    try:
        seen = cluster.backend(system).observe()
    except (ClusterError, Refused) as error:
        return Light(name, "stop", f"It does not answer: {error}", now(), "`schmelz doctor` says what is missing.")
    ours = sum(account.open for account in seen.accounts)
    return Light(
        name, "ok", f"It answers: {counted(ours, 'open account')} of ours, {len(seen.foreign)} without our mark.", now()
    )


def _drift(system: System) -> Light:
    name, last = f"Drift on {system.title}", comparison(system)
    if last is None:
        return Light(name, "warn", "It was not looked for yet.", remedy="`schmelz up` looks every few minutes.")
    if now() - last.at > HOUR:
        return Light(name, "warn", "It was not looked for lately.", last.at, "Does `schmelz up` run?")
    if not last.by_hand:
        return Light(name, "ok", "Nothing was changed by hand.", last.at)
    said = f"{counted(len(last.by_hand), 'change')} by hand on the cluster."
    return Light(name, "warn", said, last.at, "The page Drift shows them, with a choice for each.")


def _letters() -> Light:
    waiting = Letter.objects.filter(sent=None).aggregate(n=Count("pk"), oldest=Min("written"))
    count, oldest = waiting["n"], waiting["oldest"]
    if not count:
        return Light("Letters", "ok", "None wait.")
    if notify.relay() is None:
        return Light(
            "Letters",
            "ok",
            f"{counted(count, 'letter')} can be read here; no mail relay is set, so none is sent.",
            oldest,
        )
    late = now() - oldest > HOUR
    return Light(
        "Letters",
        "warn" if late else "ok",
        f"{counted(count, 'letter')} wait for the mail relay.",
        oldest,
        "The relay has not taken the oldest for an hour." if late else "",
    )


def _quarantine() -> Light:
    found = Quarantined.objects.aggregate(n=Count("pk"), last=Min("reading__at"))
    if not found["n"]:
        return Light("Quarantine", "ok", "Every line that was read could be used.")
    return Light(
        "Quarantine",
        "warn",
        f"{counted(found['n'], 'line')} could not be read and stand below with the reason.",
        found["last"],
        "Correct the source and read it again.",
    )
