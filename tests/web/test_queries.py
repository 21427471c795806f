"""The number of database questions per page is small and does not grow with the rows."""

from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from schmelz.operate import follow
from schmelz.portal.calls.models import Application, Signature
from schmelz.portal.people.actions import write_letter
from schmelz.portal.people.models import Person
from schmelz.portal.projects.models import Membership, Project

LISTS = ("/applications", "/inbox", "/projects", "/jobs", "/letters", "/")
FOLLOWING = ("/plan", "/drift")


@pytest.fixture
def factory_file() -> Path:
    """One factory is enough here."""
    return Path(__file__).parents[2] / "factory.toml"


def _more(scene, count: int) -> None:
    """More rows of every kind, as the lists show them."""
    for number in range(count):
        application, project = scene.waiting, scene.project
        application.pk, application.code = None, f"a1{number:04d}"
        application.save()
        project.pk, project.code, project.application = (
            None,
            f"{scene.cast.factory.factory.project_prefix}9{number:04d}",
            f"b{number}",
        )
        project.save()
        Membership.objects.create(project=project, person=scene.cast.anna, leads=True, since=0)
        write_letter(scene.cast.anna, f"Letter {number}", "Hello.", "")


def _asked(client, path: str) -> int:
    with CaptureQueriesContext(
        connection,
    ) as asked:
        assert client.get(path).status_code == 200
    return len(asked)


def test_members_of_a_project(scene, browser) -> None:
    client, found = browser(scene.cast.anna), []
    client.get(f"/projects/{scene.project.code}")  # records are looked through once
    for first, last in ((0, 10), (10, 60)):
        for number in range(first, last):
            person = Person.objects.create(handle=f"m{number}", name=f"Member {number}", email="m@example.org")
            Membership.objects.create(project=scene.project, person=person, since=0)
        found.append(_asked(client, f"/projects/{scene.project.code}"))
    assert found[0] == found[1] <= 16


@pytest.fixture
def sizes(scene, browser) -> dict[str, list[int]]:
    clients = {path: browser(scene.cast.signers[0] if path in ("/inbox", "/") else scene.cast.anna) for path in LISTS}
    found: dict[str, list[int]] = {path: [] for path in LISTS}
    codes = (Application.objects.get(pk=scene.waiting.pk), Project.objects.get(pk=scene.project.pk))
    for count in (10, 60):
        _more(scene, count)
        for path, client in clients.items():
            client.get(path)
            found[path].append(_asked(client, path))
        Application.objects.filter(code__startswith="a1").delete()
        Project.objects.filter(application__startswith="b").delete()
    assert codes and Signature.objects.exists()
    return found


def test_constant_and_few(sizes) -> None:
    assert {path: few == many for path, (few, many) in sizes.items()} == dict.fromkeys(LISTS, True), sizes
    assert max(many for _, many in sizes.values()) <= 15, sizes


def test_plan_and_drift_do_not_grow_with_projects_and_applies(scene, browser) -> None:
    client, found = browser(scene.cast.gilles), []
    for count in (5, 30):
        _more(scene, count)
        follow.apply_plan(scene.cast.gilles, scene.cast.system, expected_hash=None, allow_remove=100)
        found.append({path: _asked(client, path) for path in FOLLOWING})
        Project.objects.filter(application__startswith="b").delete()
        Application.objects.filter(code__startswith="a1").delete()
    assert found[0] == found[1] and max(found[0].values()) <= 20, found
