"""The pages of what if and of the call planner: answers, faults, files, few questions to the database."""

import json
from pathlib import Path
from threading import Thread

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from schmelz.operate import warm
from schmelz.operate.warm import ready
from schmelz.portal.calls import actions
from schmelz.portal.calls.models import Application
from schmelz.web.charts.lines import Line, lines, top
from schmelz.web.views import whatif

OUTAGE = "/what-if?site=bissen&from=2035-03-01&to=2035-03-08"


@pytest.fixture
def factory_file() -> Path:
    return Path(__file__).parents[2] / "factory.toml"


@pytest.fixture(autouse=True)
def twin() -> None:
    assert ready(600)


def _page(client, path: str, status: int = 200, **headers: str) -> str:
    response = client.get(path, headers=headers)
    assert response.status_code == status, response.content.decode()[-400:]
    return response.content.decode()


def test_an_award_beside_the_decision(scene, browser) -> None:
    client, code = browser(scene.cast.signers[0]), scene.waiting.code
    path = f"/applications/{code}/what-if"
    assert f'hx-get="{path}"' in _page(client, f"/applications/{code}/decide")
    whole, part = _page(client, path), _page(client, f"{path}?gpu_hours=17", **{"HX-Request": "true"})
    assert "<html" in whole and "with the change" in whole and "the share gives" in whole
    assert "<html" not in part and part.startswith('<section id="foreseen"') and f"{code}: 17 GPU-hours" in part
    assert whole.count("<title>") >= 3, "each chart has one, beside the page"


def test_a_change_of_the_machine_beside_today(scene, browser) -> None:
    client = browser(scene.cast.gilles)
    empty = _page(client, "/what-if")
    assert "Show the forecast" in empty and "as things are" not in empty and "<svg" not in empty
    near = OUTAGE.replace("2035", str(_year() + 1))
    said = _page(client, f"{near}&nodes=300&floor=10&award={scene.waiting.code}")
    assert "126 nodes of LuxConnect data centre, Bissen are away" in said
    assert "300 nodes instead of 252" in said.replace("\u202f", "") and f"{scene.waiting.code}:" in said
    assert f"Window {_year() + 1}" in said


def _year() -> int:
    from datetime import datetime

    return datetime.now().year


def test_faults_are_said_on_the_page(scene, browser) -> None:
    client = browser(scene.cast.gilles)
    assert "lies more than 3 years ahead" in _page(client, OUTAGE.replace("2035", "2095"), 400)
    assert "Nodes: 1 cannot be" in _page(client, "/what-if?nodes=1", 400)
    assert "is not known" in _page(client, "/what-if?award=a99999", 400)
    actions.withdraw(scene.cast.factory, scene.waiting.code, scene.cast.anna)
    assert "withdrawn already" in _page(client, f"/what-if?award={scene.waiting.code}", 400)
    assert "withdrawn already" in _page(client, f"/applications/{scene.waiting.code}/what-if", 400)


def test_as_files(scene, browser) -> None:
    client = browser(scene.cast.gilles)
    data = json.loads(_page(client, "/what-if?nodes=300&format=json"))
    assert data["changes"] == ["300 nodes instead of 252, spread over the sites as today"] and data["seeds"] == 10
    found = client.get("/what-if?nodes=300&format=pdf")
    assert (
        found["Content-Type"] == "application/pdf" and found.content.startswith(b"%PDF") and len(found.content) > 20_000
    )
    assert client.get("/what-if?nodes=300&format=exe").status_code == 404


def test_a_page_that_is_not_ready_says_so_and_asks_again(scene, browser, monkeypatch) -> None:
    monkeypatch.setattr(whatif, "PATIENCE", 0)
    monkeypatch.setattr(warm, "_started", [Thread()])  # somebody began, and is not done yet
    warm.READY.clear()
    response = browser(scene.cast.gilles).get("/what-if?nodes=300")
    assert (response.status_code, response["Refresh"]) == (200, "5") and "being made ready" in response.content.decode()


def test_questions_do_not_grow(scene, browser) -> None:
    client, asked = browser(scene.cast.gilles), []
    paths = ("/what-if", "/what-if?nodes=301", f"/applications/{scene.waiting.code}/what-if", "/call-planner")
    for count in (3, 30):
        for number in range(count):
            one = Application.objects.get(pk=scene.waiting.pk)
            one.pk, one.code = None, f"a1{count}{number:02d}"
            one.save()
        whatif._found.cache_clear()
        for path in paths:
            client.get(path)
        whatif._found.cache_clear()
        counts = []
        for path in paths:
            with CaptureQueriesContext(connection) as found:
                _page(client, path)
            counts.append(len(found))
        asked.append(counts)
    assert asked[0] == asked[1] and max(asked[0]) <= 40, asked


def test_the_call_planner_says_how_much_and_by_when(scene, browser) -> None:
    said = _page(browser(scene.cast.gilles), "/call-planner")
    assert "GPU-hours now" in said and "Where to call" in said and "<svg" in said


def test_lines_break_where_nothing_is_known_and_stay_inside() -> None:
    svg = lines(
        "T", "D", [Line("a", "iron", [0, None, 50, 200], [0, None, 10, 20], [5, None, 60, 999])], (0, 100), [50]
    )
    assert (
        svg.count("<polyline") == 2
        and "0,600" in svg
        and "2200,0" in svg
        and "-" not in svg.partition("points=")[2][:20]
    )
    assert svg.count("url(#lines-0)") == 2
    assert [top(values) for values in ([], [0], [7], [11], [999], [1001])] == [1, 1, 8, 20, 1000, 2000]
