"""A factory with a waiting application, an award, and browsers that are signed in as its people."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from django.test import Client

from people import Cast
from schmelz.portal.calls import actions
from schmelz.portal.calls.models import Application
from schmelz.portal.people.models import Person
from schmelz.portal.projects.models import Project

Browser = Callable[[Person | None], Client]


@dataclass(frozen=True)
class Scene:
    """What the pages are about."""

    cast: Cast
    waiting: Application
    awarded: Application
    project: Project

    def paths(self) -> dict[str, str]:
        """Every page that is followed by a link, by its route."""
        return {
            "home": "/",
            "words": "/words",
            "sign-in": "/sign-in",
            "calls": "/calls",
            "door": "/door",
            "split": "/split",
            "apply": f"/calls/{self.cast.mode.id}/apply",
            "applications": "/applications",
            "inbox": "/inbox",
            "application": f"/applications/{self.waiting.code}",
            "decide": f"/applications/{self.waiting.code}/decide",
            "projects": "/projects",
            "project": f"/projects/{self.project.code}",
            "jobs": "/jobs",
            "submit": f"/projects/{self.project.code}/submit",
            "letters": "/letters",
            "statements": "/statements",
            "annual": "/statements/annual",
            "annual-public": "/statements/annual/public",
            "key-figures": "/statements/key-figures",
            "pool-statement": f"/statements/pools/{self.cast.pool.id}?system={self.cast.system.id}",
            "project-statement": f"/statements/projects/{self.project.code}",
            "plan": "/plan",
            "drift": "/drift",
            "steering": "/steering",
            "whatif": "/what-if",
            "whatif-application": f"/applications/{self.waiting.code}/what-if",
            "planner": "/call-planner",
            "policies": "/what-if/policies",
            "health": "/health",
        }


@pytest.fixture
def browser(db) -> Browser:
    def signed_in(person: Person | None) -> Client:
        client = Client(raise_request_exception=False)
        if person is not None:
            client.force_login(person)
        return client

    return signed_in


@pytest.fixture
def scene(cast: Cast) -> Scene:
    def apply(title: str) -> Application:
        return actions.submit(cast.factory, mode_id=cast.mode.id, person=cast.anna, answers=cast.answers(title=title))

    awarded = apply("Voice models")
    actions.propose(cast.factory, awarded.code, cast.signers[0], gpu_hours=awarded.gpu_hours, because="It fits.")
    for signer in cast.signers[1:]:
        awarded = actions.sign(cast.factory, awarded.code, signer)
    return Scene(cast, apply('Steel <script>alert(1)</script> & "quotes"'), awarded, Project.objects.get())
