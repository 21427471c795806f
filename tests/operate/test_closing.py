"""Closing a month of the portal: who may, when it is refused, what is written, who signs; late records are corrections."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from django.db import connection, transaction

import make
from portal import award
from schmelz.faults import BadInput, Refused
from schmelz.operate import closing
from schmelz.operate.closing import close, closed_directory, countersign, facts, head_to_keep
from schmelz.operate.hand_out import gather
from schmelz.portal.clock import at
from schmelz.portal.ledger import actions as ledger
from schmelz.portal.ledger.models import Closing, Event
from schmelz.portal.people.actions import add_person
from schmelz.portal.people.models import Letter, Person
from schmelz.portal.people.queries import roles
from schmelz.portal.projects.attributes import add_attributes
from schmelz.portal.usage.actions import keep_records
from schmelz.proof.closing import pending, period, use_by_day
from schmelz.proof.export import export
from schmelz.proof.facts import file_digest
from schmelz.proof.verify import verify
from schmelz.units import DAY

FEBRUARY, MARCH, APRIL = 1769900400, 1772319600, 1774994400  # as they begin in Luxembourg


def read(cast, when: int, *rows: Mapping[str, object]) -> None:
    """Records of these runs come in at a moment."""
    node = next(iter(cast.system.node_names.values()))[0]
    with at(when):
        runs = make.runs(*({"system": cast.system.id, "nodes": node, "submit": 1, "gpus": 2, **row} for row in rows))
        keep_records(runs, (), len(rows), source=f"at {when}", system=cast.system.id)


@pytest.fixture
def cast(portal):
    from people import cast as make_people

    found = make_people(portal)
    read(found, MARCH + 60, {"job": "1", "account": found.pool.account, "user": "anna", "start": FEBRUARY + 90},
         {"job": "2", "account": "strangers", "user": "zoe", "start": MARCH - 4000, "elapsed": 4030})  # fmt: skip
    return found


@pytest.fixture
def owners(cast) -> list[Person]:
    """Somebody for each signer of closings."""
    return [
        add_person(cast.factory, handle=f"owner{n}", name=f"Owner {n}", email="o@example.org", roles=(role,))
        for n, role in enumerate(cast.factory.closing_signers)
    ]


def test_closing_freezes_and_tells_the_owners(cast, owners) -> None:
    with at(MARCH + 120):
        row = close("2026-02", cast.gilles)
    inside, said = period("2026-02", cast.factory.zone).end - (MARCH - 4000), facts(row)
    assert said["previous"] == "0" * 64 and said["corrections"] == []
    assert [one["person"] for one in said["signers"]] == [None] * len(owners)
    assert (said["totals"]["gpu_s"], said["totals"]["runs"]) == (2 * 60 + 2 * inside, 2)
    place = closed_directory() / "2026-02"
    assert all(
        file_digest(place / name) == known for name, known in {**row.inputs, **row.totals}.items() if name != "events"
    )
    event = Event.objects.get(kind="month.close")
    assert row.head in event.data and row.inputs["events"] == Event.objects.get(seq=event.seq - 1).hash
    assert (
        Letter.objects.filter(about="month:2026-02").count()
        == Person.objects.filter(functions__role__in=row.signers).distinct().count()
    )
    assert "anna" not in (place / "runs.csv").read_text()


def test_the_same_facts_give_the_same_head_and_a_crash_leaves_none(cast) -> None:
    heads = []
    for when in (MARCH + 120, MARCH + 999):
        with at(when), transaction.atomic():
            heads.append(close("2026-02", cast.gilles).head)
            transaction.set_rollback(True)
    assert heads[0] == heads[1] and not Closing.objects.exists()
    assert [path.name for path in closed_directory().iterdir()] == ["2026-02"], "what a crash before the commit leaves"
    with at(MARCH + 120):
        assert close("2026-02", cast.gilles).head == heads[0]


@pytest.mark.parametrize(
    ("month", "when", "said"),
    [
        ("2026-02", MARCH - 3601, "2026-02 is not over"),
        ("2026-03", APRIL + 120, "do not reach to 2026-03-31T2"),
    ],
)
def test_too_early(cast, month: str, when: int, said: str) -> None:
    with at(when), pytest.raises(Refused, match=said):
        close(month, cast.gilles)
    assert not closed_directory().exists() or not any(closed_directory().iterdir())


def test_only_who_may_and_only_months(cast) -> None:
    with at(MARCH + 120):
        with pytest.raises(Refused, match="may not: close a month"):
            close("2026-02", cast.anna)
        with pytest.raises(BadInput, match="is none"):
            close("2026-13", cast.gilles)


def test_too_many_gpus(cast) -> None:
    read(cast, MARCH + 90, {"job": "7", "start": FEBRUARY + 90, "gpus": 10**6})
    with at(MARCH + 120), pytest.raises(Refused, match="more GPUs than are installed"):
        close("2026-02", cast.gilles)
    assert not Event.objects.filter(kind="month.close").exists() and not any(closed_directory().iterdir())


def test_everybody_signs_once_another_person_each(cast, owners) -> None:
    with at(MARCH + 120):
        row = close("2026-02", cast.gilles)
        both = add_person(cast.factory, handle="both", name="Both", email="b@example.org", roles=row.signers[:2])
        with pytest.raises(Refused, match="may not: countersign"):
            countersign("2026-02", cast.anna)
        with pytest.raises(Refused, match="the head of 2026-02 is"):
            countersign("2026-02", both, "0" * 64)
        with pytest.raises(BadInput, match="is not closed"):
            countersign("2026-03", both)
        countersign("2026-02", both, row.head)
        with pytest.raises(Refused, match="Both has signed"):
            countersign("2026-02", both)
        with pytest.raises(Refused, match="is signed for"):
            countersign("2026-02", next(o for o in owners if row.signers[0] in roles(o)))
        for owner in owners[1:]:
            countersign("2026-02", owner)
    assert [one["person"] for one in facts(row)["signers"]] == ["both", *(o.handle for o in owners[1:])]
    kept = head_to_keep("2026-02")
    assert kept["head"] == row.head and len(kept["signatures"]) == len(owners) and "both" not in str(kept)


def test_nobody_signs_what_was_changed(cast, owners) -> None:
    with at(MARCH + 120):
        close("2026-02", cast.gilles)
        path = closed_directory() / "2026-02/usage.csv"
        path.write_text(path.read_text().replace(",120,", ",121,"))
        with pytest.raises(Refused, match=r"closed/2026-02/usage.csv: is not what was closed"):
            countersign("2026-02", owners[0])


def test_late_records_are_booked_in_the_next_month_and_all_of_it_verifies(cast, owners, tmp_path: Path) -> None:
    with at(MARCH + 120):
        first = close("2026-02", cast.gilles)
        countersign("2026-02", owners[1])
    frozen = {path.name: path.read_bytes() for path in (closed_directory() / "2026-02").iterdir()}
    read(cast, APRIL + 60, {"job": "1", "account": cast.pool.account, "user": "anna", "start": FEBRUARY + 90, "elapsed": 50},
         {"job": "3", "account": "strangers", "start": FEBRUARY + DAY, "elapsed": 5})  # fmt: skip
    waiting = closing.pending()
    assert sorted(waiting.select("closed_month", "gpu_s", "runs").rows()) == [("2026-02", -20, 0), ("2026-02", 10, 1)]
    with at(APRIL + 120):
        second = close("2026-03", cast.gilles)
        assert (facts(second)["corrections"], second.previous) == (closing.plain(waiting), first.head)
        assert closing.pending().is_empty() and closing.booked().height == 2
        read(cast, APRIL + 90, {"job": "4", "account": "strangers", "start": MARCH + DAY, "elapsed": 5})
        now = gather()
        assert closing.pending().equals(pending(use_by_day(now), now.closings, now.closed)), "two ways, one figure"
        export(now, tmp_path / "proof")
    assert {path.name: path.read_bytes() for path in (closed_directory() / "2026-02").iterdir()} == frozen
    assert verify(tmp_path / "proof", first.head) == verify(tmp_path / "proof", second.head) == ()
    assert pl.read_csv(tmp_path / "proof/corrections.csv")["gpu_s"].to_list() == [10]


def test_what_a_project_was_in_a_closed_month_stays(cast, tmp_path: Path) -> None:
    """An attribute changes: from an open month on it may, the head of the closed one stays, and all of it verifies."""
    with at(FEBRUARY):
        project = award.project(cast)
    read(cast, MARCH + 60, {"job": "8", "account": project.code, "user": "anna", "start": FEBRUARY + 90})
    with at(MARCH + 120):
        head = close("2026-02", cast.gilles).head
        with pytest.raises(Refused, match="lies in a month that is closed"):
            add_attributes(cast.factory, project.code, cast.gilles, since=date(2026, 2, 28), because="Moved.",
                           changes={"country": "FR"})  # fmt: skip
        add_attributes(cast.factory, project.code, cast.gilles, since=date(2026, 3, 1), because="Moved.",
                       changes={"country": "FR"})  # fmt: skip
        export(gather(), tmp_path / "proof")
    frozen = pl.read_csv(closed_directory() / "2026-02/access.csv").filter(pl.col("country") != "")
    assert frozen.select("country", "gpu_s").rows() == [(project.country, 120)]
    assert verify(tmp_path / "proof", head) == ()
    assert pl.read_csv(tmp_path / "proof/attributes.csv")["country"].to_list() == [project.country, "FR"]


def test_nothing_is_closed_upon_a_changed_month(cast) -> None:
    with at(MARCH + 120):
        close("2026-02", cast.gilles)
    (closed_directory() / "2026-02/usage.csv").unlink()
    read(cast, APRIL + 60, {"job": "9", "account": "strangers", "start": MARCH + 90})
    with at(APRIL + 120), pytest.raises(Refused, match=r"closed/2026-02/usage.csv: is missing"):
        close("2026-03", cast.gilles)


def test_heads_and_chain_stay_when_somebody_is_forgotten(cast, owners, tmp_path: Path) -> None:
    with at(MARCH + 120):
        head = close("2026-02", cast.gilles).head
        countersign("2026-02", owners[0])
        before = set(gather().runs["user"])
        Person.objects.filter(pk__in=(owners[0].pk, cast.anna.pk)).update(salt="", unix_name=None)
        owners[0].functions.all().delete()
        owners[0].delete()
        now = gather()
        export(now, tmp_path / "proof")
    assert verify(tmp_path / "proof", head) == ()
    assert head_to_keep("2026-02")["signatures"]
    assert len(before & set(now.runs["user"])) == 1, "another name for Anna, the same for the user whom nobody knows"


def test_a_pseudonym_follows_from_the_persons_salt(cast) -> None:
    one = gather().runs["user"].to_list()
    assert gather().runs["user"].to_list() == one
    Person.objects.filter(pk=cast.anna.pk).update(salt="another")
    other = gather().runs["user"].to_list()
    assert [a == b for a, b in zip(one, other, strict=True)].count(False) == 1
    Person.objects.filter(pk=cast.anna.pk).update(salt="")
    forgotten = gather().runs["user"].to_list()
    Person.objects.filter(pk=cast.anna.pk).update(unix_name=None)
    assert forgotten == gather().runs["user"].to_list() != other, "an empty salt is no key"


def test_without_a_table_the_operator_and_the_last_signers_sign(cast) -> None:
    loose = cast.factory.model_copy(update={"closing": None})
    operator = f"{loose.main_system.operator}:operator"
    assert loose.closing_signers[0] == operator
    assert {pool.signers[-1] for system in loose.systems for pool in system.pools} | {operator} == {
        *loose.closing_signers
    }


def test_the_ledger_is_held_inside_transactions(cast) -> None:
    assert connection.in_atomic_block
    ledger.hold()
