"""Statements from a real portal: they agree with the other figures, stay the same bytes, and can be read aloud."""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

import make
from paper import text_of
from portal import award
from schmelz.faults import BadInput, Refused
from schmelz.metering.statement import Column, Statement, Table
from schmelz.operate import pool_statements
from schmelz.operate.annual import annual, check_report
from schmelz.operate.closing import close, countersign
from schmelz.operate.forms import in_form
from schmelz.operate.key_figures import key_figures
from schmelz.operate.pdf import pdf
from schmelz.operate.pool_statements import of_pool
from schmelz.operate.reading import balance_of
from schmelz.operate.statements import of_project
from schmelz.portal.clock import at
from schmelz.portal.ledger.queries import story
from schmelz.portal.people.actions import add_person
from schmelz.portal.projects import figures
from schmelz.portal.projects.attributes import add_attributes
from schmelz.portal.projects.models import Project
from schmelz.portal.usage.actions import keep_records
from schmelz.units import DAY, HOUR

MONDAY = 1_790_000_000  # 21 September 2026
OCTOBER, NOVEMBER = 1790805600, 1793487600  # as they begin in Luxembourg
LATER = NOVEMBER + 3 * DAY


@pytest.fixture
def project(cast) -> Iterator[Project]:
    """Jobs over a month's end: one that ended, one that runs into November, one that waits."""
    node = next(iter(cast.system.node_names.values()))[0]
    with at(MONDAY):
        project = award.project(cast)
    project.end = MONDAY + 90 * DAY
    project.save()
    rows = (
        {"user": "anna", "start": MONDAY + HOUR, "elapsed": 2 * HOUR, "gpus": 4},
        {"user": "anna", "start": NOVEMBER - 2 * HOUR, "elapsed": 5 * HOUR, "gpus": 4, "limit_s": 6 * HOUR},
        {
            "user": "bruno",
            "submit": NOVEMBER - HOUR,
            "start": NOVEMBER + HOUR,
            "elapsed": HOUR,
            "gpus": 4,
            "limit_s": HOUR,
        },
    )
    with at(LATER):
        runs = make.runs(*({"system": cast.system.id, "nodes": node, "account": project.code, **row} for row in rows))
        keep_records(runs, (), len(rows), source="test", system=cast.system.id)
        yield project


def rows(statement: Statement, key: str) -> list[tuple[object, ...]]:
    return list(next(table for table in statement.tables if table.key == key).rows)


def forms(statement: Statement) -> dict[str, bytes]:
    return {form: in_form(statement, form)[1] for form in ("json", "csv", "pdf")}


# -- a project


def test_a_month_as_it_was_at_its_end(cast, project) -> None:
    found = of_project(cast.anna, project.code, "2026-10")
    balance = {row[0]: row[1] for row in rows(found, "balance")}
    assert balance["settled"] == 8 * HOUR and balance["running"] == 8 * HOUR
    assert balance["committed"] == 4 * (6 - 2) * HOUR + 4 * HOUR
    assert balance["granted"] == project.grant_gpu_s == sum(balance.values()) - balance["granted"]
    assert {row[2] for row in rows(found, "balance")} == {NOVEMBER}


def test_days_and_members_add_up_to_the_use_everybody_knows(cast, project) -> None:
    for month in ("2026-09", "2026-10", "2026-11"):
        found = of_project(None, project.code, month)
        used = {table: rows(found, table)[-1][2] for table in ("days", "members")}
        by_month = figures.usage(["project", "month"]).rows()
        known = sum(gpu_s for code, name, gpu_s, _ in by_month if (code, name) == (project.code, month))
        assert used == {"days": known, "members": known}, month
    last = balance_of(cast.anna, project.code)
    assert [row[1] for row in rows(found, "balance")][:4] == [
        last[f"{what}_gpu_s"] for what in ("settled", "running", "committed", "left")
    ]
    assert last["records_as_of"] == last["as_of"]


def test_no_names(cast, project) -> None:
    text = forms(of_project(cast.anna, project.code, "2026-11"))["json"].decode()
    assert "anna" not in text and "bruno" not in text and "Anna" not in text
    assert len(rows(of_project(cast.anna, project.code, "2026-11"), "members")) == 3


def test_same_facts_same_bytes_whenever_it_is_made(cast, project) -> None:
    first = forms(of_project(cast.anna, project.code, "2026-10"))
    with at(LATER + 30 * DAY):
        assert forms(of_project(cast.anna, project.code, "2026-10")) == first
    assert forms(of_project(cast.anna, project.code, "2026-09")) != first


def test_who_may_and_which_months(cast, project) -> None:
    with pytest.raises(Refused, match="a member of the project"):
        of_project(cast.franco, project.code, "2026-10")
    for month, said in (("2026-Q3", "for example 2026-10"), ("2027-01", "begins at"), ("October", "is none")):
        with pytest.raises(BadInput, match=said):
            of_project(cast.anna, project.code, month)


def test_what_was_booked_when_the_month_was_closed(cast, project) -> None:
    assert rows(of_project(cast.anna, project.code, "2026-10"), "corrections") == []
    close("2026-09", cast.gilles)
    late = make.runs(
        {"job": "9", "system": cast.system.id, "account": project.code, "start": MONDAY, "elapsed": 60, "gpus": 4}
    )
    keep_records(late, (), 1, source="late", system=cast.system.id)
    close("2026-10", cast.gilles)
    booked = rows(of_project(cast.anna, project.code, "2026-10"), "corrections")
    assert [(row[0], row[1], row[4]) for row in booked] == [("2026-09", date(2026, 9, 21), 240)]


# -- a pool


def test_the_owners_sign_what_the_split_says(cast, project) -> None:
    found, known = of_pool(cast.system, cast.pool.id, "2026-Q4"), figures.split(cast.system, "2026-Q4")
    mine = next(p for p in known.pools if p.pool == cast.pool.id)
    column = [pool.id for pool in cast.system.pools].index(cast.pool.id) + 1
    table = {row[0]: row[column] for row in rows(found, "pools")}
    assert (table["used"], table["deficit (entitlement less used)"]) == (mine.used_gpu_s, mine.deficit_gpu_s)
    assert rows(found, "months")[-1][2] == mine.used_gpu_s
    supply = rows(found, "supply")
    assert [sum(column) for column in list(zip(*supply[:-1], strict=True))[1:]] == list(supply[-1][1:])  # type: ignore[arg-type]


def test_the_gauge_stands_there_while_the_window_lasts(cast, project, monkeypatch) -> None:
    pools = [p.id for p in cast.system.pools if p.commercial_ceiling_percent is not None]
    monkeypatch.setattr(pool_statements, "now", lambda: LATER + 1)  # the second in which the page was asked for passes
    for window, lasts in (("2026-Q4", True), ("2026-Q3", False)):
        for pool in pools:
            lines = [row[0] for row in rows(of_pool(cast.system, pool, window), "commercial")]
            assert ("gauge" in lines) == lasts, (window, lines)


def test_a_line_is_signed_when_every_month_is(cast, project) -> None:
    roles = cast.factory.closing_signers
    assert len(of_pool(cast.system, cast.pool.id, "2026-10").signatures) == len(roles)
    owner = add_person(cast.factory, handle="owner", name="Olga Owner", email="o@example.org", roles=(roles[-1],))
    for month in ("2026-09", "2026-10"):
        close(month, cast.gilles)
    countersign("2026-10", owner)
    assert of_pool(cast.system, cast.pool.id, "2026-10").signatures[-1].name == "Olga Owner"
    assert not of_pool(cast.system, cast.pool.id, "2026-Q4").signatures[-1].name


# -- a year


def test_every_breakdown_is_the_whole_access_time(cast, project) -> None:
    whole = figures.usage([]).row(0)
    for public in (False, True):
        for table in annual("2026", public).tables[1:]:
            assert table.rows[-1][3:5] == (whole[1], whole[0]), table.key
    assert rows(annual("2026", public=False), "country")[0][:3] == (project.country, 1, 1)
    assert rows(annual("2026", public=True), "country")[0][:3] == ("other (small groups)", None, None)


def test_the_full_pack_is_for_those_who_read_reports(cast) -> None:
    for person in (cast.anna, cast.franco):
        with pytest.raises(Refused, match="annual report"):
            check_report(person)
    for person in (cast.gilles, cast.signers[-1], None):
        check_report(person)


def test_key_figures(cast, project) -> None:
    found = key_figures("2026")
    mode = next(row for row in rows(found, "applications") if row[2])
    assert mode[1:3] == (1, 1) and mode[6:] == (0, cast.mode.answer_in, 1, 0)
    assert rows(found, "users")[:2] == [
        ("projects with jobs in the year", 1),
        ("organisations with jobs in the year", 1),
    ]
    machine = next(row for row in rows(found, "systems") if row[5])
    assert machine[5:] == (3, 0)


# -- attributes


def test_an_attribute_from_a_day_on(cast, project) -> None:
    add_attributes(
        cast.factory, project.code, cast.gilles, since=date(2026, 11, 1), because="Moved.", changes={"country": "FR"}
    )
    found = {row[:2]: row[2] for row in figures.usage(["country", "month"]).rows()}
    assert found[project.country, "2026-10"] == 4 * 2 * HOUR and found["FR", "2026-11"] == 4 * 4 * HOUR
    assert found[project.country, "2026-09"] == 8 * HOUR
    event = story(f"project:{project.code}")[-1]
    assert (event.kind, event.because) == ("project.attributes", "Moved.")
    assert json.loads(event.data) == {"since": "2026-11-01", "country": "FR"}
    assert "(FR)" in dict(of_project(None, project.code, "2026-11").facts)["organisation"]
    assert f"({project.country})" in dict(of_project(None, project.code, "2026-10").facts)["organisation"]


def test_a_category_brings_its_marks_unless_they_are_said(cast, project) -> None:
    other = next(c for c in cast.factory.categories if c.commercial)
    day = {"since": date(2026, 10, 2), "because": "It grew."}
    row = add_attributes(cast.factory, project.code, cast.gilles, changes={"category": other.id}, **day)
    assert (row.commercial, row.sme) == (True, other.id in ("sme", "startup"))
    row = add_attributes(cast.factory, project.code, cast.gilles, changes={"commercial": False, "sme": True}, **day)
    assert (row.category, row.commercial, row.sme) == (other.id, False, True)


@pytest.mark.parametrize(
    ("changes", "since", "said"),
    [
        ({"country": "France"}, date(2026, 10, 1), "two capital letters"),
        ({"category": "rich"}, date(2026, 10, 1), "one of"),
        ({"mode": "none"}, date(2026, 10, 1), "one of"),
        ({"field": "a\nb"}, date(2026, 10, 1), "more than one line"),
        ({"organisation": ""}, date(2026, 10, 1), "is empty"),
        ({"country": "FR"}, date(2026, 9, 1), "not in the time"),
    ],
)
def test_what_cannot_be_is_said_and_changes_nothing(cast, project, changes, since, said) -> None:
    with pytest.raises(BadInput, match=said):
        add_attributes(cast.factory, project.code, cast.gilles, since=since, because="Why.", changes=changes)
    assert project.attributes.count() == 1


def test_who_describes_projects(cast, project) -> None:
    for person in (cast.anna, cast.franco, cast.signers[-1]):
        with pytest.raises(Refused, match="an operator of the system or the coordinator"):
            add_attributes(
                cast.factory, project.code, person, since=date(2026, 10, 1), because="x.", changes={"country": "FR"}
            )
    with pytest.raises(Refused, match="already"):
        add_attributes(
            cast.factory, project.code, cast.gilles, since=date(2026, 10, 1), because="x.", changes={"sme": True}
            if project.attributes.get().sme else {"sme": False}
        )  # fmt: skip


# -- paper


HOSTILE = "#panic() *bold* $x$ [a] \\u{41} // é Ж @b <c> `d`"


def paper(words: str) -> Statement:
    table = Table("t", words, (Column("a", words),), ((words,),), words)
    return Statement("test", "test", words, MONDAY, ((words, words),), (table,))


@pytest.fixture
def factory_file() -> Path:
    return Path(__file__).parents[2] / "factory.toml"


def test_texts_are_never_markup_and_can_be_read_aloud(portal) -> None:
    document = pdf(paper(HOSTILE), HOSTILE, portal.zone)
    assert text_of(document).count(HOSTILE) == 9
    for mark in (b"/StructTreeRoot", b"/Lang(en)", b"pdfuaid:part", b"pdfaid:part", b"/TH", b"/Title"):
        assert mark in document, mark
    assert b"D:20260921" in document and pdf(paper(HOSTILE), HOSTILE, portal.zone) == document


def test_letters_that_no_font_has_are_no_reason_for_no_paper(portal) -> None:
    document = pdf(paper("漢字"), "x", portal.zone)
    assert b"/StructTreeRoot" in document and b"pdfuaid:part" not in document
