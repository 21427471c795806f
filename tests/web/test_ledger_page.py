"""The split page beside its picture, the metering on the health page, a project's burn-down: the ledger's own figures."""

import json
from collections.abc import Iterator

import pytest

import make
from portal import award
from schmelz.metering.feasibility import Feasibility, Outlook
from schmelz.operate.closing import close, countersign
from schmelz.operate.metering import books, metered
from schmelz.portal import kept
from schmelz.portal.clock import at
from schmelz.portal.people.actions import add_person
from schmelz.portal.projects.burn import burn_down
from schmelz.portal.projects.outlook import ledger
from schmelz.portal.usage.actions import keep_records
from schmelz.units import DAY, HOUR
from schmelz.web import ledger as pages
from schmelz.web.band import split_of
from schmelz.web.charts.burn_down import HEIGHT, WIDTH, Burn, burn_down as drawn, place
from schmelz.web.charts.ceiling import ceiling_gauge, widths
from schmelz.web.words import gpu_time, number

FEBRUARY, MARCH = 1769900400, 1772319600  # as they begin in Luxembourg


@pytest.fixture
def project(cast) -> Iterator:
    node = next(iter(cast.system.node_names.values()))[0]
    with at(FEBRUARY):
        found = award.project(cast)
    rows = [
        {"start": FEBRUARY + HOUR, "elapsed": 2 * HOUR, "gpus": 4},
        {"start": FEBRUARY + 2 * DAY, "elapsed": HOUR, "gpus": 4},
    ]
    with at(MARCH + 60):
        runs = make.runs(*({"system": cast.system.id, "nodes": node, "account": found.code, **row} for row in rows))
        keep_records(runs, (), len(rows), source="test", system=cast.system.id)
        yield found


def test_the_page_says_what_the_ledger_says(cast, project, browser) -> None:
    close("2026-02", cast.gilles)
    role = cast.factory.closing_signers[0]
    owner = add_person(cast.factory, handle="own", name="Olga Owner", email="o@example.org", roles=(role,))
    head = countersign("2026-02", owner).closing.head
    html = browser(None).get("/split").content.decode()
    figures = ledger(cast.system)
    for pool in figures["pools"]:
        assert number(pool["carry_gpu_s"]) in html and number(pool["entitlement_gpu_s"]) in html
    for point in figures["checkpoints"]:
        assert all(number(pool["used_gpu_s"]) in html for pool in point["pools"]) and point["name"] in html
    for gauge in figures["gauges"]:
        assert gpu_time(gauge["used_gpu_s"]) in html
    assert gpu_time(figures["avoidable_idle_gpu_s"]) in html
    assert f"verify facts/ --head {head}" in html and f"1 of {len(cast.factory.closing_signers)}" in html
    assert "Olga" not in html, "the page is for anyone, and names nobody"
    answer = browser(None).get("/split/heads/2026-02.json")
    assert json.loads(answer.content)["head"] == head and "attachment" in answer.headers["Content-Disposition"]
    assert browser(None).get("/split/heads/2026-03.json").status_code == 404


def test_a_light_for_each_alarm(cast, project) -> None:
    lane, pool = pages.lanes(cast.system)[0], split_of(cast.system).pools[0]
    outlook = Outlook("2026-03-01T00:00:00Z", 1, 1, 1, True)
    found = [
        pages._ahead(lane, pool, Feasibility("p", outlook, outlook, "2026-03-02T00:00:00Z", 0, 0, hours, alarm))
        for alarm, hours in (("none", 0), ("ahead", 5), ("lost", 1))
    ]
    assert [one.light for one in found] == ["ok", "warn", "stop"]
    assert [one.call_for for one in found] == ["", "5 GPU-hours", "1 GPU-hour"]
    assert [one.until for one in found] == [1772409600, 1772409600, None]
    alarms = ["16", "18", "20"]
    assert [pages._said(one, alarms)[0] for one in ("none", "16", "18", "20")] == ["ok", "warn", "warn", "stop"]


@pytest.mark.parametrize(("used", "committed", "ceiling"), [(0, 0, 0), (10, 5, 100), (90, 30, 100), (1, 0, 0)])
def test_the_commercial_gauge_adds_up(used: int, committed: int, ceiling: int) -> None:
    parts = widths(used, committed, ceiling)
    assert sum(parts) == WIDTH
    assert parts[0] == WIDTH * used // max(1, used + committed, ceiling * 5 // 4)
    assert ceiling_gauge(used, committed, ceiling, 500, "iron", "k").count("<line") == (4 if ceiling else 1)


def test_avoidable_idle_is_kept_for_an_hour(cast, project, monkeypatch) -> None:
    counted = []
    real = pages.idle.count
    monkeypatch.setattr(pages.idle, "count", lambda *a: counted.append(1) or real(*a))
    for moment, expected in ((MARCH + 60, 1), (MARCH + 100, 1), (MARCH + 50 * 60, 1), (MARCH + 2 * HOUR, 2)):
        with at(moment):
            found = pages.idle_of(cast.system, split_of(cast.system))
        assert len(counted) == expected
    assert found.until == MARCH + 2 * HOUR


def test_a_grant_goes_down_day_by_day(cast, project) -> None:
    with at(FEBRUARY + 3 * DAY):
        found = burn_down(cast.system, project)
    assert [used for _, used in found.used] == [0, 8 * HOUR, 8 * HOUR, 12 * HOUR, 12 * HOUR]
    assert found.used[-1][0] == FEBRUARY + 3 * DAY
    assert sum(month.budget for month in found.months) == project.grant_gpu_s
    assert (found.months[0].used, found.months[0].planned_so_far) == (
        12 * HOUR, project.grant_gpu_s * 3 * DAY // (project.end - project.start)
    )  # fmt: skip
    burn = Burn(100, 0, 10, [(0, 0), (5, 50), (10, 120)], [(0, 30), (5, 100)])
    assert [place(burn, *point) for point in burn.used] == [(0, 0), (WIDTH // 2, HEIGHT // 2), (WIDTH, HEIGHT)]
    assert f"H{WIDTH // 2}V{HEIGHT}" in drawn(burn, "iron")


def test_what_the_operator_sees_of_the_metering(cast, project, browser) -> None:
    one = next(m for m in metered() if m.system.id == cast.system.id)
    assert (one.reading.added, one.running, one.waiting, one.late, one.second_path) == (2, 0, 0, False, None)
    assert one.newest == FEBRUARY + 2 * DAY + HOUR
    kept.write("second-path", cast.system.id, {"at": MARCH, "start": FEBRUARY, "end": MARCH, "accounts": 2, "gpu_s": 7})
    close("2026-02", cast.gilles)
    node = next(iter(cast.system.node_names.values()))[0]
    late = make.runs({"system": cast.system.id, "nodes": node, "account": "x", "job": "z", "start": FEBRUARY + DAY})
    keep_records(late, (), 1, source="test", system=cast.system.id)
    assert (books().month, books().pending) == ("2026-02", 1)
    html = browser(cast.gilles).get("/health").content.decode()
    assert "7 GPU-seconds of 2 accounts without a cause" in html and "1 correction of closed months" in html
    with at(MARCH + 2 * DAY):
        assert next(m for m in metered() if m.system.id == cast.system.id).late
