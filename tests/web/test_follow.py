"""The plan's page and the drift's page as operators use them: read, approve, apply, undo, choose."""

import html
import re
from dataclasses import replace

import pytest
from django.test import Client

from schmelz.cluster.model import Member
from schmelz.operate import drift, follow
from schmelz.operate.cluster import backend
from schmelz.portal.clock import now
from schmelz.portal.people.actions import add_person
from schmelz.portal.projects.actions import add_member, suspend
from schmelz.portal.projects.models import Project
from schmelz.units import DAY
from web.test_pages import _check


def _text(client: Client, path: str) -> str:
    response = client.get(path, follow=True)
    assert response.status_code == 200, path
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", response.content.decode())).split())


def _send(client: Client, path: str, **form: object) -> str:
    response = client.post(path, form, follow=True)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", response.content.decode())).split())


def _hash(client: Client, path: str) -> str:
    return re.search(r'name="hash" value="([0-9a-f]{64})"', client.get(path).content.decode()).group(1)


@pytest.fixture
def applied(scene) -> Project:
    follow.apply_plan(scene.cast.gilles, scene.cast.system, expected_hash=None, allow_remove=0)
    return scene.project


def test_each_change_says_why(scene, browser) -> None:
    gilles = browser(scene.cast.gilles)
    said = _text(gilles, "/plan")
    assert f"award of {scene.project.application}, signed last by {scene.cast.signers[-1].handle}" in said
    assert "principal investigator since" in said and "the policy file" in said


def test_apply_then_undo_from_the_page(scene, browser, applied) -> None:
    cast, gilles = scene.cast, browser(scene.cast.gilles)
    assert "What was applied" in _text(gilles, "/plan") and "See the undo" not in _text(gilles, "/plan")
    add_member(cast.factory, applied, cast.bruno, actor=cast.anna)
    assert "is applied: 1 change was made" in _send(
        gilles, "/plan/apply", hash=_hash(gilles, "/plan"), system=cast.system.id
    )
    assert "See the undo of the last apply" in _text(gilles, "/plan")
    assert f"- member {applied.code}/bruno" in _text(gilles, "/plan?undo=1")
    form = {"hash": _hash(gilles, "/plan?undo=1"), "system": cast.system.id, "undo": "1"}
    assert "allowed are 0" in _send(gilles, "/plan/apply", **form)
    said = _send(gilles, "/plan/apply", **form, allow_remove="1")
    assert "is applied" in said and "was an undo" in said
    assert f"+ member {applied.code}/bruno" in said


def test_a_second_operator_approves_on_the_same_page(scene, browser, applied, monkeypatch) -> None:
    cast = scene.cast
    monkeypatch.setitem(cast.system.cluster.__dict__, "removals_alone", 0)
    operator = f"{cast.system.operator}:operator"
    helga = browser(add_person(cast.factory, handle="helga", name="Helga", email="h@example.org", roles=(operator,)))
    gilles = browser(cast.gilles)
    suspend(cast.factory, applied.code, cast.gilles, because="unpaid")
    said = _text(gilles, "/plan")
    assert "needs a second operator" in said and "Ask another operator" in said and "Apply plan" not in said
    form = {"hash": _hash(gilles, "/plan"), "system": cast.system.id}
    assert "one operator may do that 0 times" in _send(gilles, "/plan/apply", **form, allow_remove="1")
    assert "You approved plan" in _send(helga, "/plan/approve", **form)
    assert "approved by helga" in _text(gilles, "/plan")
    assert "is applied" in _send(gilles, "/plan/apply", **form, allow_remove="1")
    assert browser(cast.anna).post("/plan/approve", form).status_code == 403


def test_choices_on_the_page(scene, browser, applied) -> None:
    cast, code, gilles = scene.cast, applied.code, browser(scene.cast.gilles)
    machine = backend(cast.system)
    account = next(a for a in machine.observe().accounts if a.name == code)
    machine.change([replace(account, shares=9, gpu_minutes=7)])
    machine.create([], [Member("mallory", code)])
    _check(gilles.get("/drift").content.decode(), "/drift")
    said = _text(gilles, "/drift")
    assert "3 changes by hand" in said and "Put it right" in said and f"{code}/mallory" in said
    place = {"system": cast.system.id, "kind": "account", "name": code}
    assert "is put right" in _send(gilles, "/drift/choose", **place, field="shares", do="repair")
    until = "2999-01-01"
    assert "at most a year" in _send(
        gilles, "/drift/choose", **place, field="gpu_minutes", do="leave", until=until, because="x"
    )
    drift.leave(cast.gilles, cast.system, ("account", code, "gpu_minutes"), until=now() + DAY, because="the audit")
    said = _text(gilles, "/drift")
    assert "Left as it is" in said and "the audit" in said and "1 change by hand" in said
    place |= {"kind": "member", "name": f"{code}/mallory"}
    assert "nobody here" in _send(gilles, "/drift/choose", **place, do="decide", because="x")
    assert "--allow-remove 1" in _send(gilles, "/drift/choose", **place, do="repair")
    assert "is put right" in _send(gilles, "/drift/choose", **place, do="repair", allow_remove="1")
    for wrong in ({"do": "frobnicate"}, {"do": "leave", "until": "soon"}, {}):
        assert gilles.post("/drift/choose", place | wrong).status_code == 400
    assert browser(cast.anna).post("/drift/choose", place | {"do": "repair"}).status_code == 403


def test_health_shows_the_last_look(scene, browser, applied) -> None:
    gilles = browser(scene.cast.gilles)
    assert "was not looked for yet" in _text(gilles, "/health")
    drift.look(scene.cast.system)
    assert "Nothing was changed by hand" in _text(gilles, "/health")
    backend(scene.cast.system).create([], [Member("mallory", applied.code)])
    drift.look(scene.cast.system)
    assert "1 change by hand" in _text(gilles, "/health") and "Drift: 1 by hand" in _text(gilles, "/plan")
