"""The pages of statements: who may open which, the same numbers as files, few questions to the database."""

import json

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from schmelz.portal.clock import now
from schmelz.portal.policy import factory
from schmelz.units import local_date

PUBLIC = ("/statements", "/statements/annual/public")
REPORTS = ("/statements/annual", "/statements/key-figures")


def pool_path(scene) -> str:
    return f"/statements/pools/{scene.cast.pool.id}?system={scene.cast.system.id}"


def test_the_public_ones_are_open(scene, browser) -> None:
    for path in (*PUBLIC, pool_path(scene)):
        assert browser(None).get(path).status_code == 200, path


def test_reports_are_for_those_who_read_them(scene, browser) -> None:
    for path in REPORTS:
        assert browser(None).get(path).status_code == 302
        for person, status in ((scene.cast.anna, 403), (scene.cast.gilles, 200), (scene.cast.signers[-1], 200)):
            assert browser(person).get(path).status_code == status, (path, person)


def test_a_projects_statement_is_for_its_readers(scene, browser) -> None:
    path = f"/statements/projects/{scene.project.code}"
    people = {scene.cast.anna: 200, scene.cast.bruno: 403, scene.cast.franco: 403, scene.cast.gilles: 200}
    assert {person: browser(person).get(path).status_code for person in people} == people
    assert browser(scene.cast.anna).get("/statements/projects/p299999").status_code == 404


@pytest.mark.parametrize(("form", "begins"), [("pdf", b"%PDF-1.7"), ("csv", b"table,row,of"), ("json", b"{")])
def test_each_as_a_file(scene, browser, form: str, begins: bytes) -> None:
    client = browser(scene.cast.gilles)
    month = f"{local_date(now(), factory().zone):%Y-%m}"
    for path in (f"/statements/projects/{scene.project.code}?month={month}", *REPORTS, PUBLIC[1], pool_path(scene)):
        found = client.get(path + ("&" if "?" in path else "?") + f"format={form}")
        assert found.status_code == 200 and found.content.startswith(begins), path
        assert f'.{form}"' in found["Content-Disposition"] and found["Content-Disposition"].startswith("attachment")
    said = json.loads(client.get(f"{PUBLIC[1]}?format=json").content)
    assert said["facts"]["version"] == "public version"


def test_what_cannot_be_is_said(scene, browser) -> None:
    client = browser(scene.cast.gilles)
    for path in (f"{PUBLIC[1]}?format=doc", f"{PUBLIC[1]}?year=2026-Q1", f"{pool_path(scene)}&quarter=soon"):
        assert client.get(path).status_code == 400, path
    assert client.get("/statements/pools/moon").status_code == 404


def test_questions_do_not_grow_with_projects(scene, browser) -> None:
    client, found = browser(scene.cast.gilles), []
    for first, last in ((0, 5), (5, 40)):
        for number in range(first, last):
            project = scene.project
            project.pk, project.code, project.application = None, f"p29{number:04d}", f"b{number}"
            project.save()
            project.attributes.create(
                since="2026-01-01", country="LU", mode="m", category="c", sme=False, commercial=False, organisation="O"
            )
        paths = ("/statements", *REPORTS, PUBLIC[1], pool_path(scene), "/statements/projects/p290000")
        asked = []
        for path in paths:
            client.get(path)
            with CaptureQueriesContext(connection) as questions:
                assert client.get(path).status_code == 200
            asked.append(len(questions))
        found.append(asked)
    assert found[0] == found[1] and max(found[0]) <= 30, found
