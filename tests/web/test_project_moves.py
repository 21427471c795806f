"""Deciding on a project's page: who sees which form, what it does, and what comes back in words."""

import pytest

from schmelz.portal.clock import at
from schmelz.portal.projects.actions import add_member, suspend
from schmelz.portal.projects.models import Amendment, Membership, Project
from schmelz.rules.pacing import months
from schmelz.units import HOUR, add_months, iso

FORMS = ("suspend", "amend", "members/remove")


@pytest.fixture
def path(scene) -> str:
    add_member(scene.cast.factory, scene.project, scene.cast.bruno, actor=scene.cast.anna)
    return f"/projects/{scene.project.code}"


def forms(client, path: str) -> list[str]:
    html = client.get(path).content.decode()
    return [name for name in FORMS if f'action="{path}/{name}"' in html]


def test_each_sees_their_own_forms(scene, browser, path) -> None:
    cast = scene.cast
    assert {p.handle: forms(browser(p), path) for p in (cast.anna, cast.bruno, cast.gilles, *cast.signers[:2])} == {
        "anna": ["members/remove"],
        "bruno": [],
        "gilles": ["suspend"],
        "signer0": ["amend"],
        "signer1": [],
    }
    with at(scene.project.end):
        assert [forms(browser(p), path) for p in (cast.gilles, cast.signers[0])] == [[], []]


def test_suspend_and_resume(scene, browser, path) -> None:
    client = browser(scene.cast.gilles)
    refused = client.post(f"{path}/suspend", {"do": "suspend", "because": " "})
    assert refused.status_code == 400 and "Because: is empty" in refused.content.decode()
    assert client.post(f"{path}/suspend", {"do": "vanish", "because": "x"}).status_code == 400
    assert client.post(f"{path}/suspend", {"do": "suspend", "because": "No <contract>."}).status_code == 302
    html = client.get(path).content.decode()
    assert "No &lt;contract&gt;." in html and "running jobs go on" in html and "Let " in html
    assert "suspended" in browser(scene.cast.anna).get("/projects").content.decode()
    assert "Submit a job" not in browser(scene.cast.anna).get(path).content.decode()
    assert client.post(f"{path}/suspend", {"do": "resume", "because": "It came."}).status_code == 302
    assert not Project.objects.get().suspended
    assert browser(scene.cast.anna).post(f"{path}/suspend", {"do": "suspend", "because": "x"}).status_code == 403


def test_an_amendment_goes_from_signer_to_signer(scene, browser, path) -> None:
    before = scene.project.grant_gpu_s // HOUR
    first, second = browser(scene.cast.signers[0]), browser(scene.cast.signers[1])
    for amount in ("", "many", "-1", str(before)):
        answer = first.post(f"{path}/amend", {"do": "propose", "gpu_hours": amount, "because": "x"})
        assert answer.status_code == 400 and "GPU-hours: " in answer.content.decode()
    assert second.post(f"{path}/amend", {"do": "propose", "gpu_hours": "1", "because": "x"}).status_code == 403
    sent = {"do": "propose", "gpu_hours": str(before - 1), "because": "Less is enough."}
    assert first.post(f"{path}/amend", sent).status_code == 302
    assert [forms(client, path) for client in (first, second)] == [[], ["amend"]]
    assert "Less is enough." in second.get(path).content.decode()
    assert ["Less is enough." in client.get("/inbox").content.decode() for client in (first, second)] == [False, True]
    for signer in scene.cast.signers[1:]:
        assert browser(signer).post(f"{path}/amend", {"do": "sign"}).status_code == 302
    assert (Project.objects.get().grant_gpu_s // HOUR, Amendment.objects.get().state) == (before - 1, "signed")


def test_a_member_is_taken_out(scene, browser, path) -> None:
    client = browser(scene.cast.anna)
    for handle, status in (("nobody", 400), ("anna", 403), ("bruno", 302)):
        assert client.post(f"{path}/members/remove", {"handle": handle}).status_code == status
    assert [m.person.handle for m in Membership.objects.all()] == ["anna"]


@pytest.mark.parametrize(("pacing", "words"), [("monthly", "is lost"), ("carry-over", "is kept"), ("whole", "")])
def test_a_paced_project_shows_its_month(scene, browser, path, pacing, words) -> None:
    project = scene.project
    project.pacing, project.end = pacing, add_months(project.start, 3, scene.cast.factory.zone)
    project.save()
    html = browser(scene.cast.anna).get(path).content.decode()
    assert ("This month" in html) == bool(words) and words in html
    second = months(project.grant_gpu_s, project.start, project.end, scene.cast.factory.zone)[1]
    assert (f'datetime="{iso(second.start)}"' in html) == bool(words)


def test_before_its_start_a_project_says_when_jobs_begin(scene, browser, path) -> None:
    with at(scene.project.start - HOUR):
        assert "Jobs are taken, and wait until" in browser(scene.cast.anna).get(path).content.decode()
        suspend(scene.cast.factory, scene.project.code, scene.cast.gilles, because="x")
        assert "Jobs are taken, and wait until" not in browser(scene.cast.anna).get(path).content.decode()
