"""Forgetting a person: what names them goes, the ledger stays whole, and it waits while something hangs on them."""

import json

import polars as pl
import pytest
from django.db import transaction

import make
from schmelz.cluster.journal import digest
from schmelz.faults import BadInput, Refused
from schmelz.operate.applies import journal
from schmelz.operate.forget import forget
from schmelz.operate.forget_again import forget_again, write_list
from schmelz.operate.forgotten import read_list
from schmelz.operate.hand_out import gather
from schmelz.portal.calls import actions
from schmelz.portal.clock import at, now
from schmelz.portal.ledger.actions import record
from schmelz.portal.ledger.models import Event
from schmelz.portal.people.models import Function, Letter, Person
from schmelz.portal.projects.actions import resume, suspend
from schmelz.portal.projects.models import Membership, Project
from schmelz.portal.usage.actions import keep_records
from schmelz.portal.usage.models import Quarantined, Reading
from schmelz.portal.usage.queries import manifest, records_directory, runs
from schmelz.proof.chain import broken, commitment
from schmelz.proof.export import export
from schmelz.proof.verify import verify
from schmelz.units import DAY

WHY = "Asked for it in writing."


@pytest.fixture
def project(cast) -> Project:
    """Anna leads it, Bruno is a member; both have runs."""
    asked = actions.submit(cast.factory, mode_id=cast.mode.id, person=cast.anna, answers=cast.answers())
    actions.propose(cast.factory, asked.code, cast.signers[0], gpu_hours=asked.gpu_hours, because="fits")
    for signer in cast.signers[1:]:
        actions.sign(cast.factory, asked.code, signer)
    project = Project.objects.get()
    Membership.objects.create(project=project, person=cast.bruno, since=now())
    read(cast, project)
    return project


def read(cast, project: Project, *more: dict[str, object]) -> None:
    node = next(iter(cast.system.node_names.values()))[0]
    same = {"system": cast.system.id, "account": project.code, "nodes": node, "start": project.start}
    rows = [{"job": "1", "user": "anna"}, {"job": "2", "user": "bruno"}, *more]
    keep_records(make.runs(*({**same, **row} for row in rows)), (), len(rows), source="text", system=cast.system.id)


def everything() -> str:
    """All that the database says, as text."""
    from django.apps import apps
    from django.core import serializers
    from django.db.models import Model

    models: list[type[Model]] = [m for m in apps.get_models() if m.__module__.startswith("schmelz")]
    return serializers.serialize("json", [row for model in models for row in model._default_manager.all()])


def test_nothing_names_them_any_more(cast, project, tmp_path) -> None:
    Quarantined.objects.create(reading=Reading.objects.first(), line=3, reason="bad 'bruno'", text="7|bruno|brunoise|x")
    Letter.objects.create(person=cast.anna, subject="About Bruno", body="Bruno joined", about="x", written=1)
    salt, pk = cast.bruno.salt, cast.bruno.pk
    before = gather()
    done = forget(cast.factory, cast.bruno, cast.gilles, WHY)
    said = everything()
    assert "Bruno" not in said and "bruno@" not in said and salt not in said
    assert said.replace("brunoise", "").count("bruno") == 0
    kept = Person.objects.get(pk=pk)
    assert (kept.handle, kept.name, kept.is_active, kept.unix_name) == (
        f"forgotten-{pk}",
        "forgotten person",
        False,
        None,
    )
    assert not Membership.objects.filter(person=kept).exists() and done.projects == (project.code,)
    assert runs().filter(pl.col("user") == "bruno").is_empty() and runs().height == 2
    after = gather()
    old, new = (facts.runs.filter(pl.col("job") == "2")["user"].item() for facts in (before, after))
    assert old != new and before.runs.drop("user").equals(after.runs.drop("user"))
    assert before.runs.filter(pl.col("job") == "1").equals(after.runs.filter(pl.col("job") == "1"))
    assert broken((event.facts(), event.hash) for event in Event.objects.iterator()) is None
    export(after, tmp_path / "proof")
    assert verify(tmp_path / "proof") == ()


def test_names_go_out_of_what_others_typed(cast, project, tmp_path) -> None:
    """Reasons in the chain too: it holds commitments, and stays valid; another person's words stay as they are."""
    why = "Bruno (bruno@example.org) left; BRUNO's jobs stop. Brunoise stays."
    suspend(cast.factory, project.code, cast.gilles, because=why)
    resume(cast.factory, project.code, cast.gilles, because="Chiara asked.")
    asked = actions.submit(
        cast.factory, mode_id=cast.mode.id, person=cast.anna, answers=cast.answers(title="For Bruno")
    )
    actions.propose(cast.factory, asked.code, cast.signers[0], gpu_hours=asked.gpu_hours, because="Good, says bruno.")
    heads = Event.objects.values_list("hash", flat=True)
    before = list(heads)
    done = forget(cast.factory, cast.bruno, cast.gilles, WHY)
    assert list(heads)[: len(before)] == before and (done.events, done.journals) == ((), 0)
    told = Event.objects.get(kind="project.suspend")
    assert (
        told.because == ("forgotten person (forgotten person) left; forgotten person's jobs stop. Brunoise stays.")
        and not told.salt
    )
    assert Event.objects.get(kind="project.resume").because == "Chiara asked."
    asked.refresh_from_db()
    assert asked.title == "For forgotten person" and asked.signatures.get().because == "Good, says forgotten person."
    assert broken((event.facts(), event.hash) for event in Event.objects.iterator()) is None
    export(gather(), tmp_path / "proof")
    assert verify(tmp_path / "proof") == ()
    assert "Chiara" not in (tmp_path / "proof/events.jsonl").read_text(), "reasons are in no export"


def test_a_reason_is_sealed_by_its_salt(cast, project) -> None:
    suspend(cast.factory, project.code, cast.gilles, because="It was asked for.")
    event = Event.objects.get(kind="project.suspend")
    assert event.facts()["because"] == event.sealed == commitment(event.salt, "It was asked for.")
    Event.objects.filter(pk=event.pk).update(sealed=commitment(event.salt, "It was not."))
    assert broken((event.facts(), event.hash) for event in Event.objects.iterator()) == event.seq
    assert not Event.objects.filter(because="").exclude(sealed="").exists()


def test_an_older_reason_is_told_and_stays(cast, project) -> None:
    with transaction.atomic():
        event = record("project.suspend", f"project:{project.code}", cast.gilles, "")
    Event.objects.filter(pk=event.pk).update(because="Bruno left.")
    assert forget(cast.factory, cast.bruno, cast.gilles, WHY).events == (event.pk,)


def test_journals_lose_the_name_and_the_chain_knows(cast, project) -> None:
    book = journal(cast.system)
    book.directory.mkdir(parents=True)
    members = [
        {"user": "bruno", "account": "p1", "partition": ""},
        {"user": "brunoise", "account": "p1", "partition": ""},
    ]
    state = {"accounts": [], "members": members, "stories": {"p1/bruno": "Bruno, added by Anna"}}
    header = {"line": "header", "id": "000001-x", "at": 1, "who": "bruno", "plan": "h", "changes": 1, "removals": []}
    lines = [header, {"line": "state", "desired": state}, {"line": "command", "words": ["add", "user", "bruno"]},
             {"line": "end", "state": "done"}]  # fmt: skip
    path = book.directory / "000001-x.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    old = digest(path)
    forget(cast.factory, cast.bruno, cast.gilles, WHY)
    text = path.read_text()
    assert "Bruno" not in text and text.replace("brunoise", "").count("bruno") == 0
    said = json.loads(Event.objects.get(kind="person.forgotten").data)["journals"]
    assert said == {f"{cast.system.id}/000001-x": [old, digest(path)]}
    assert [one.user for one in book.desired("000001-x").members] == ["brunoise"], "an undo brings nobody back"
    assert book.entries()[0].who.startswith("~")


def test_the_list_of_who_was_forgotten_names_nobody(cast, project, tmp_path) -> None:
    pk = cast.bruno.pk
    forget(cast.factory, cast.bruno, cast.gilles, WHY)
    said = read_list(write_list(tmp_path))
    assert [one["person"] for one in said["persons"]] == [pk] and said["first"] == Event.objects.get(seq=1).hash
    assert "runo" not in (tmp_path / "forgotten.json").read_text()
    assert forget_again(said, tmp_path) == [], "nobody is forgotten twice"
    assert forget_again({**said, "persons": [{"person": cast.anna.pk, "at": 1}]}, tmp_path) == [cast.anna.pk]
    assert Person.objects.get(pk=cast.anna.pk).name == "forgotten person"
    with pytest.raises(BadInput, match="another factory"):
        forget_again({**said, "first": "0" * 64}, tmp_path)
    (tmp_path / "x").write_text("{}")
    with pytest.raises(BadInput, match="is no list"):
        read_list(tmp_path / "x")


def test_a_later_reading_brings_no_name_back(cast, project) -> None:
    forget(cast.factory, cast.bruno, cast.gilles, WHY)
    files, events = manifest(), Event.objects.count()
    read(cast, project)
    assert manifest() == files and Event.objects.count() == events
    read(cast, project, {"job": "2", "user": "bruno", "elapsed": 120}, {"job": "3", "user": "anna"})
    found = {row["job"]: row for row in runs().iter_rows(named=True)}
    assert found["2"]["user"].startswith("~") and found["2"]["elapsed"] == 120
    assert (found["1"]["user"], found["3"]["user"]) == ("anna", "anna")


def test_it_waits_while_something_hangs_on_them(cast, project) -> None:
    asked = actions.submit(cast.factory, mode_id=cast.mode.id, person=cast.bruno, answers=cast.answers())
    actions.propose(cast.factory, asked.code, cast.signers[0], gpu_hours=asked.gpu_hours, because="fits")
    for person, why in (
        (cast.anna, f"leads {project.code}"),
        (cast.bruno, f"waits for an answer to {asked.code}"),
        (cast.signers[0], f"signed {asked.code}"),
    ):
        before = everything()
        with pytest.raises(Refused, match=why):
            forget(cast.factory, person, cast.gilles, WHY)
        assert everything() == before
    with at(project.end + DAY):
        actions.refuse(cast.factory, asked.code, cast.signers[1], because="too late")
        forget(cast.factory, cast.anna, cast.gilles, WHY)
        forget(cast.factory, cast.signers[0], cast.gilles, WHY)
    assert [m.person.name for m in Membership.objects.filter(leads=True)] == ["forgotten person"]


def test_who_may(cast) -> None:
    for actor in (cast.anna, cast.franco, *cast.signers):
        with pytest.raises(Refused, match="may not: forget a person"):
            forget(cast.factory, cast.bruno, actor, WHY)
    with pytest.raises(Refused, match="nobody forgets themselves"):
        forget(cast.factory, cast.gilles, cast.gilles, WHY)
    Function.objects.create(person=cast.franco, role=f"{cast.factory.factory.coordinator}:coordinator")
    forget(cast.factory, cast.bruno, cast.franco, WHY)


@pytest.mark.parametrize("because", ["", "Bruno asked", "wrote from BRUNO@example.org"])
def test_reasons_that_cannot_be_used(cast, because: str) -> None:
    with pytest.raises(BadInput, match="because: "):
        forget(cast.factory, cast.bruno, cast.gilles, because)


def test_the_chain_names_nobody(cast, project) -> None:
    forget(cast.factory, cast.bruno, cast.gilles, WHY)
    names = [word for p in Person.objects.filter(is_active=True) for word in (p.handle, p.name, p.email)]
    for event in Event.objects.all():
        said = json.dumps(event.facts())
        assert not [name for name in names if f'"{name}' in said or f"/{name}" in said], said
    assert records_directory().is_dir()
