"""Mandates and steering on the command line: exit codes, what is printed, every refusal in plain words."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from schmelz.policy.system import System
from schmelz.portal.clock import at, now
from schmelz.portal.clusters.models import Mandate, Move
from schmelz.portal.people.actions import add_person
from schmelz.portal.usage.models import Reading
from schmelz.units import DAY

FACTORY = Path(__file__).parent.parent.parent / "factory.toml"
GOOD = ("--lowest", "25", "--highest", "100", "--moves-per-hour", "60", "--days", "30", "--because", "Shared use.")


@pytest.fixture
def factory_file(tmp_path: Path) -> Path:
    """Our factory with its first machine under Slurm; no Slurm is asked before a mandate is in force."""
    text = FACTORY.read_text()
    assert 'backend = "local" ' in text
    path = tmp_path / "factory.toml"
    path.write_text(text.replace('backend = "local" ', 'backend = "slurm" ', 1))
    return path


@pytest.fixture
def owners(cast) -> list[str]:
    """A person for each role that signs, in order."""
    system: System = next(s for s in cast.factory.systems if s.steering)
    for number, role in enumerate(system.steering.signers):
        add_person(cast.factory, handle=f"owner{number}", name=f"Owner {number}", email=f"o{number}@example.org",
                   roles=[role], demo=True)  # fmt: skip
    return [f"owner{number}" for number in range(len(system.steering.signers))]


def sign(run: Callable, owners: list[str]) -> str:
    code = run("mandate", "propose", *GOOD, person=owners[0]).out.strip()
    for owner in owners[1:]:
        assert run("mandate", "sign", code, person=owner).code == 0
    return code


def test_from_a_proposal_to_its_end(run, owners) -> None:
    asked = run("mandate", "propose", *GOOD, person=owners[0])
    assert (asked.code, asked.out) == (0, "m00001\n") and "eurohpc:officer is next" in asked.err
    assert "economy:officer is next" in run("mandate", "sign", "m00001", person=owners[1]).err
    assert "is signed by all, until" in run("mandate", "sign", "m00001", person=owners[2]).err
    listed = json.loads(run("mandate", "list", "--json", person=owners[2]).out)
    assert [(row["mandate"], row["state"], row["signed_by"]) for row in listed] == [("m00001", "signed", owners)]
    assert run("mandate", "revoke", "m00001", "--because", "Enough.", person=owners[1]).code == 0
    again = run("mandate", "revoke", "m00001", "--because", "Enough.", person=owners[1])
    assert again.code == 4 and "it is revoked" in again.err


def test_refusals_of_signatures(run, owners, cast) -> None:
    early = run("mandate", "propose", *GOOD, person=owners[1])
    assert early.code == 4 and "it waits for luxprovide:operator" in early.err
    assert run("mandate", "propose", *GOOD, person=owners[0]).code == 0
    twice = run("mandate", "sign", "m00001", person=owners[0])
    assert twice.code == 4 and "has signed already; a second pair of eyes is needed" in twice.err
    turn = run("mandate", "sign", "m00001", person=owners[2])
    assert turn.code == 4 and "it waits for eurohpc:officer" in turn.err
    assert run("mandate", "sign", "m00001", person="anna").code == 4
    unknown = run("mandate", "sign", "m00009", person=owners[1])
    assert unknown.code == 2 and "'m00009' is not known; a mandate looks like m00001" in unknown.err
    with at(now() + 30 * DAY + 1):
        late = run("mandate", "sign", "m00001", person=owners[1])
    assert late.code == 4 and "expired on" in late.err and "Propose another one." in late.err


def test_numbers_out_of_range_are_all_said_at_once(run, owners) -> None:
    wild = ("--lowest", "10", "--highest", "101", "--moves-per-hour", "9000", "--days", "100", "--because", "x")
    done = run("mandate", "propose", *wild, person=owners[0])
    assert done.code == 2 and not Mandate.objects.exists()
    for words in ("lowest: 10 cannot be; write 25 to 50", "highest: 101 cannot be; write 50 to 100",
                  "moves_per_hour: 9000 cannot be; write 1 to 3600", "days: 100 cannot be; write 1 to 92"):  # fmt: skip
        assert words in done.err
    empty = run("mandate", "propose", *GOOD[:-1], " ", person=owners[0])
    assert empty.code == 2 and "because: is empty" in empty.err


def test_it_does_not_steer_and_says_why(run, owners) -> None:
    def once() -> tuple[int, str]:
        done = run("steer", "--once", person=owners[0])
        return done.code, done.out.partition("does not steer: ")[2].strip()

    assert once() == (4, "there is no mandate")
    assert run("mandate", "propose", *GOOD, person=owners[0]).code == 0
    assert once() == (4, "mandate m00001 is not signed by all")
    for owner in owners[1:]:
        assert run("mandate", "sign", "m00001", person=owner).code == 0
    assert once() == (4, "no job record of this system was read yet")
    Reading.objects.create(
        at=now() - DAY, source="x", system="meluxina-ai", lines=0, added=0, replaced=0, quarantined=0
    )
    assert once()[1].startswith("the newest reading of job records is of ")
    with at(now() + 30 * DAY + 1):
        assert once()[1].startswith("mandate m00001 expired on ")
    assert run("mandate", "revoke", "m00001", "--because", "Enough.", person=owners[0]).code == 0
    assert once() == (4, "mandate m00001 was ended by a person")
    asked = run("steer", "--dry-run", "--json", person=owners[0])
    assert (asked.code, json.loads(asked.out)["word"]) == (0, "revoked"), "a question is not refused"
    assert not Move.objects.exists()


def test_a_cluster_that_does_not_answer(run, owners, monkeypatch) -> None:
    sign(run, owners)
    Reading.objects.create(at=now(), source="x", system="meluxina-ai", lines=0, added=0, replaced=0, quarantined=0)
    monkeypatch.setenv("PATH", "/nowhere")
    done = run("steer", "--once", person=owners[0])
    assert done.code == 1 and "Traceback" not in done.err and done.err.strip()
    looks = []

    def pause(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            raise SystemExit(0)

    monkeypatch.setattr("schmelz.cli.steering.time.sleep", pause)
    on = run("steer", person=owners[0])
    assert on.err.count("The caps stay as they are; it is tried again in 15 s.") == 3, "without --once it goes on"
