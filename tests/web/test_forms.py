"""What people may type into forms: every unusable answer comes back in words, and nothing is written."""

from pathlib import Path

import pytest
from django.test import Client

from schmelz.portal.calls.models import Application, Signature
from schmelz.portal.ledger.models import Event
from schmelz.portal.people.models import Letter
from schmelz.portal.projects.models import Membership, Project
from schmelz.web.answers import LABELS

SCRIPT = "<script>alert(1)</script>"
SIZES = ("", " ", "-1", "0", "1e9", "99999999999999999999", "NaN", "12.5", "٣", SCRIPT, "1;DROP TABLE people", "\x00")


@pytest.fixture
def factory_file() -> Path:
    """One factory is enough here."""
    return Path(__file__).parents[2] / "factory.toml"


def _counts() -> tuple[int, ...]:
    return tuple(model.objects.count() for model in (Application, Signature, Event, Letter, Membership, Project))


def _refused(client: Client, path: str, form: dict[str, object], *words: str, status: int = 400) -> None:
    before = _counts()
    response = client.post(path, form)
    html = response.content.decode()
    assert response.status_code == status, (path, form, html[-800:])
    told = html.partition('role="alert"')[2].partition("</div>")[0]
    assert [word for word in words if word not in told] == [], (form, told or html)
    assert "Traceback" not in html and SCRIPT not in html, form
    assert _counts() == before, form


@pytest.fixture
def good(scene) -> dict[str, object]:
    said = scene.cast.answers()
    return {key: said[key] for key in ("title", "summary", "gpu_hours", "months", "statements")}


def test_good_application_is_received(scene, browser, good) -> None:
    response = browser(scene.cast.anna).post(
        f"/calls/{scene.cast.mode.id}/apply", {**good, "gpu_hours": f"{good['gpu_hours']} "}
    )
    assert (response.status_code, Application.objects.count()) == (302, 3)
    assert Application.objects.get(code=response.url.rpartition("/")[2]).gpu_hours == good["gpu_hours"]


@pytest.mark.parametrize("key", ["gpu_hours", "months"])
def test_application_numbers(scene, browser, good, key) -> None:
    client = browser(scene.cast.anna)
    for said in SIZES:
        _refused(client, f"/calls/{scene.cast.mode.id}/apply", {**good, key: said}, LABELS[key], "to correct")


def test_application_texts(scene, browser, good) -> None:
    client, path = browser(scene.cast.anna), f"/calls/{scene.cast.mode.id}/apply"
    for key, said in (
        ("title", ""),
        ("title", "ab"),
        ("title", "x" * 201),
        ("title", "a\x00b"),
        ("title", "two\nlines"),
        ("summary", ""),
        ("summary", "short"),
        ("summary", "x" * 5001),
        ("statements", "no-such-statement"),
        ("system", "nowhere"),
        ("category", "nobody"),
        ("country", "Luxembourg"),
        ("country", "lu"),
    ):
        _refused(client, path, {**good, key: said}, LABELS[key], "to correct")


def test_application_keeps_what_was_typed(scene, browser, good) -> None:
    said = {**good, "title": f'He said "{SCRIPT}"', "gpu_hours": "many"}
    html = browser(scene.cast.anna).post(f"/calls/{scene.cast.mode.id}/apply", said).content.decode()
    assert "He said &quot;&lt;script&gt;alert(1)&lt;/script&gt;&quot;" in html and 'value="many"' in html
    assert "GPU-hours: must be a whole number" in html and 'aria-invalid="true"' in html and 'id="gpu-wrong"' in html


def test_closed_modes_say_so(scene, browser, good) -> None:
    closed = [mode.id for mode in scene.cast.factory.modes if mode.state != "open"]
    for mode in closed:
        _refused(
            browser(scene.cast.anna), f"/calls/{mode}/apply", good, "Choose an access mode that is open", status=403
        )


def test_eligibility_is_told_while_one_writes(scene, browser, good) -> None:
    client, path = browser(scene.cast.anna), f"/calls/{scene.cast.mode.id}/check"
    assert "Eligible, as far as rules can tell" in client.post(path, good).content.decode()
    too_many = (
        {**good, "gpu_hours": str(10**9)} if scene.cast.mode.size(scene.cast.system).max else {**good, "months": "119"}
    )
    assert "Not eligible as it stands" in client.post(path, too_many).content.decode()
    assert "still to be made" in client.post(path, {**good, "statements": []}).content.decode()
    assert Application.objects.count() == 2


def test_decisions(scene, browser) -> None:
    client, path = browser(scene.cast.signers[0]), f"/applications/{scene.waiting.code}/decide"
    for said in (*SIZES, str(10**9 + 1)):
        _refused(client, path, {"do": "propose", "gpu_hours": said, "because": "It fits."}, "GPU-hours: ")
    hours = str(scene.waiting.gpu_hours)
    for because in ("", "  \n ", "x" * 2001):
        _refused(client, path, {"do": "propose", "gpu_hours": hours, "because": because}, "Because: ")
        _refused(client, path, {"do": "refuse", "because": because}, "Because: ")
    for move in ("", "sign ", "award", SCRIPT):
        _refused(client, path, {"do": move, "gpu_hours": hours, "because": "It fits."}, "no decision")


def test_decisions_of_others_are_refused(scene, browser) -> None:
    path, form = (
        f"/applications/{scene.waiting.code}/decide",
        {"do": "propose", "gpu_hours": "5", "because": "I want it."},
    )
    for person in (scene.cast.anna, scene.cast.gilles, scene.cast.signers[1], scene.cast.franco):
        _refused(browser(person), path, form, status=403)
    _refused(browser(scene.cast.signers[0]), path, {"do": "sign"}, "Possible now: propose", status=403)


def test_members(scene, browser) -> None:
    path = f"/projects/{scene.project.code}/members"
    for said in ("", "nobody", SCRIPT, "x" * 500, "anna\x00"):
        _refused(browser(scene.cast.anna), path, {"handle": said}, "Handle: " if not said else "person: ")
    _refused(browser(scene.cast.signers[0]), path, {"handle": "bruno"}, status=403)
    assert browser(scene.cast.anna).post(path, {"handle": " bruno "}).status_code == 302
    assert Membership.objects.filter(project=scene.project, person=scene.cast.bruno).exists()


def test_jobs(scene, browser) -> None:
    client, path = browser(scene.cast.anna), f"/projects/{scene.project.code}/submit"
    good = {"script": "#!/bin/sh\ntrue\n", "gpus": "1", "nodes": "", "hours": "0", "minutes": "5", "site": ""}
    for key in ("gpus", "nodes", "hours", "minutes"):
        for said in SIZES:
            may_be_empty, may_be_zero = key != "gpus", key in ("hours", "minutes")
            if not (may_be_empty and not said.strip()) and not (may_be_zero and said == "0"):
                _refused(client, path, {**good, key: said}, LABELS[key])
    for key, said in (
        ("script", ""),
        ("script", " \n"),
        ("script", "#!/bin/sh\n" + "x" * 300_000),
        ("script", "a\x00b"),
        ("site", "mars"),
        ("hours", "100001"),
    ):
        _refused(client, path, {**good, key: said})
    _refused(client, path, {**good, "gpus": "100000"}, "more than a site has")
    _refused(client, path, good, "on the cluster", status=403)
    assert "#!/bin/sh" in client.post(path, good).content.decode()  # what was written is not lost
    _refused(browser(scene.cast.franco), path, good, status=403)


def test_plans(scene, browser) -> None:
    client = browser(scene.cast.gilles)
    for said in ("", "abc", "A" * 64, "0" * 63, SCRIPT):
        _refused(client, "/plan/apply", {"hash": said}, "not the hash of a plan")
    _refused(client, "/plan/apply", {"hash": "0" * 64}, "Read the new plan", status=403)
    _refused(client, "/plan/apply", {"hash": "0" * 64, "system": "nowhere"}, status=404)
    _refused(client, "/plan/apply", {"hash": "0" * 64, "allow_remove": "-1"}, "allow_remove")
    _refused(browser(scene.cast.anna), "/plan/apply", {"hash": "0" * 64}, "operator", status=403)


@pytest.mark.parametrize(
    "path",
    [
        "/applications?state=lost",
        "/applications?sort=password",
        "/applications?page=0",
        "/applications?page=x",
        "/applications?mode=a",
        "/projects?pool=mars",
        "/projects?page=-1",
        "/jobs?state=asleep",
        "/jobs?project=%00",
        "/door?gpu_hours=many",
        "/door?category=x",
        "/door?country=lux",
        "/split?window=2026-13",
        "/split?window=1999",
        "/split?month=2026-99",
        "/split?site=mars",
        "/split?pool=x",
        "/split?window=%3Cscript%3Ealert(1)%3C/script%3E",
        "/letters?sort=person__password",
        "/applications?page=99999999999999999999",
    ],
)
def test_addresses(scene, browser, path) -> None:
    response = browser(scene.cast.anna).get(path)
    html = response.content.decode()
    assert response.status_code == (200 if path == "/jobs?project=%00" else 400), html[-500:]
    assert "Traceback" not in html and SCRIPT not in html


def test_searches_are_only_searches(scene, browser) -> None:
    client = browser(scene.cast.anna)
    for said in ("'; DROP TABLE people_person; --", SCRIPT, "\x00", "%", "x" * 5000, "\u202e"):
        for page in ("/applications", "/projects", "/letters", "/jobs"):
            response = client.get(page, {"q": said})
            assert response.status_code == 200 and SCRIPT not in response.content.decode()


def test_forms_from_elsewhere_are_refused(scene) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(scene.cast.anna)
    for path in (
        f"/calls/{scene.cast.mode.id}/apply",
        f"/applications/{scene.waiting.code}/withdraw",
        "/sign-out",
        "/plan/apply",
        f"/projects/{scene.project.code}/members",
        f"/projects/{scene.project.code}/submit",
    ):
        _refused(client, path, {}, "not sent from a page of this portal", status=403)
