"""Which decision asks for a project's account and members: one line each, told from the ledger.

"award of a00012, signed last by eva on 2026-09-01; suspended by gilles on 2026-10-03: unpaid". People appear by handle,
days are UTC. Of moves that undo each other only the last is told. The same ledger tells the same stories.
"""

import json
from collections.abc import Iterable, Mapping
from textwrap import shorten
from typing import Any, NamedTuple

from schmelz.portal.ledger.models import Event
from schmelz.portal.projects.models import Project
from schmelz.units import HOUR, iso

SWITCHES = {"project.suspend": "suspended", "project.resume": "went on again,"}
MEMBERS = {"project.member": "added by {0.by}", "project.member-removed": "removed by {0.by} on {0.day}"}
TOLD = ("application.award", "project.adopted", "amendment.sign", *SWITCHES, *MEMBERS)


class Told(NamedTuple):
    """An event as far as stories tell it."""

    kind: str
    by: str
    day: str
    because: str
    data: Mapping[str, Any]


Events = dict[str, list[Told]]


def events_of(projects: Iterable[Project]) -> Events:
    """The events that stories tell, by project, in their order; one query."""
    subjects = {f"project:{project.code}": project.code for project in projects}
    subjects |= {f"application:{project.application}": project.code for project in projects}
    rows = Event.objects.filter(kind__in=TOLD).order_by("seq")
    found: Events = {}
    for kind, subject, by, at, because, data in rows.values_list(
        "kind", "subject", "actor__handle", "at", "because", "data"
    ):
        if code := subjects.get(subject):
            told = Told(kind, by or "somebody", iso(at)[:10], because, json.loads(data))
            found.setdefault(code, []).append(told)
    return found


def suspension(project: Project) -> Event | None:
    """The last time that the project was suspended: by whom, when and why."""
    rows = Event.objects.filter(subject=f"project:{project.code}", kind="project.suspend")
    return rows.select_related("actor").order_by("-seq").first()


def of_project(project: Project, events: Iterable[Told]) -> str:
    """The decisions about the project itself."""
    last = {("switch" if told.kind in SWITCHES else told.kind): told for told in events if told.kind not in MEMBERS}
    taken = last.get("project.adopted")
    award = f"award of {project.application}{_signed(last.get('application.award'))}"
    parts = [f"taken over from the cluster by {taken.by} on {taken.day}" if taken else award]
    if change := last.get("amendment.sign"):
        amounts = f"from {change.data['before'] // HOUR} to {change.data['gpu_s'] // HOUR} GPU-hours"
        parts.append(f"changed {amounts}{_signed(change)}")
    if switch := last.get("switch"):
        reason = shorten(switch.because, 120, placeholder=" ...")
        parts.append(f"{SWITCHES[switch.kind]} by {switch.by} on {switch.day}: {reason}")
    return "; ".join(parts)


def of_members(events: Iterable[Told]) -> dict[int, str]:
    """Who added or removed whom last, by the person's number."""
    return {told.data["member"]: MEMBERS[told.kind].format(told) for told in events if told.kind in MEMBERS}


def _signed(told: Told | None) -> str:
    return f", signed last by {told.by} on {told.day}" if told else ""
