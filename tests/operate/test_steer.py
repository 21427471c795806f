"""Steering's step: what counts as waiting, one move under the mandate, and every reason to leave the caps alone."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from schmelz.cluster.model import Job, Qos, Room, Steering
from schmelz.faults import Refused
from schmelz.operate.steer import Steerer, alone, steered
from schmelz.policy.system import System
from schmelz.portal.clock import at, now
from schmelz.portal.clusters import mandates
from schmelz.portal.clusters.models import Mandate, MandateSignature, Move
from schmelz.portal.ledger.models import Event
from schmelz.portal.people.actions import add_person
from schmelz.portal.usage.models import Reading
from schmelz.rules.steering import PATIENCE

RULE = Steering({"eurohpc": 1000 * 3600, "national": 0}, 100, 25)
FACTORY = Path(__file__).parent.parent.parent / "factory.toml"
EVEN = replace(RULE, deficits={})


@dataclass
class Machine:
    """16 GPUs at two sites with the pools' QOS, and whatever jobs a test puts on it."""

    waiting: list[Job] = field(default_factory=list)
    present: dict[str, int | None] = field(default_factory=lambda: {"eurohpc-own": 8, "luxembourg-own": 8})
    moved: list[Mapping[str, int | None]] = field(default_factory=list)
    free: int = 8
    written: list[int] = field(default_factory=list)

    def caps(self) -> Mapping[str, int | None]:
        return dict(self.present)

    def live(self) -> tuple[Job, ...]:
        return tuple(self.waiting)

    def rooms(self) -> Mapping[str, Room]:
        return {"bissen": Room(8, self.free), "bettembourg": Room(8, self.free)}

    def cap(self, caps: Mapping[str, int | None]) -> None:
        self.written.append(Move.objects.count())
        self.moved.append(dict(caps))
        self.present |= caps


def job(number: int, qos: str = "eurohpc-own", word: str = "QOSGrpGRES", state: str = "PENDING", gpus: int = 4) -> Job:
    started = None if state == "PENDING" else now() - 60
    where = {"site": None if state == "PENDING" else "bissen", "node_list": "", "reason": "", "ended": None}
    return Job(
        str(number), "p200001", "anna", state, gpus, 1, 3600, now() - 60, started=started, qos=qos, word=word, **where
    )


@pytest.fixture
def factory_file() -> Path:
    return FACTORY


@pytest.fixture
def system(portal) -> System:
    return next(s for s in portal.systems if s.steering)


@pytest.fixture
def mandate(portal, system: System) -> Mandate:
    """25 to 100 per cent, 8 moves an hour, signed by all; and a ledger that was read just now."""
    Reading.objects.create(at=now(), source="cluster:c", system=system.id, lines=0, added=0, replaced=0, quarantined=0)
    owners = [
        add_person(portal, handle=f"o{n}", name=f"O {n}", email=f"o{n}@example.org", roles=[role])
        for n, role in enumerate(system.steering.signers)
    ]
    made = mandates.propose(
        portal, system, owners[0], lowest=25, highest=100, moves_per_hour=8, days=7, because="Shared use begins."
    )
    for owner in owners[1:]:
        made = mandates.sign(portal, made.code, owner)
    return made


def test_one_move_is_made_and_written_down_before(system, mandate) -> None:
    machine = Machine([job(n) for n in range(8)])
    steerer = Steerer(system, machine)
    step = steerer.step(rule=EVEN)
    assert (step.word, step.moved, step.mandate) == ("steers", True, mandate.code)
    assert machine.moved == [{"eurohpc-own": 16}], "only the cap that changes is set"
    assert machine.written == [1], "the move is in the data base before it is made"
    move = Move.objects.get()
    assert (move.before["eurohpc-own"], move.after["eurohpc-own"]) == (8, 16)
    assert move.because == step.because == "only eurohpc asks for GPUs: it may use all of them"
    event = Event.objects.get(kind="steering.move")
    assert (event.subject, json.loads(event.data)["after"], event.actor) == (f"system:{system.id}", move.after, None)
    assert not steerer.step(rule=EVEN).moved and Move.objects.count() == 1, "nothing more to do"


@pytest.mark.parametrize(
    ("word", "counts"),
    [("Priority", 1), ("Resources", 1), ("QOSGrpGRES", 1), ("None", 1), ("JobHeldUser", 0), ("Dependency", 0),
     ("AssocGrpGRESMinutes", 0), ("BeginTime", 0), ("PartitionNodeLimit", 0), ("", 0)],
)  # fmt: skip
def test_only_jobs_that_wait_for_gpus_count(system, mandate, word, counts) -> None:
    machine = Machine([job(n, word=word) for n in range(8)] + [job(n, "luxembourg-own") for n in range(20, 28)])
    step = Steerer(system, machine).step(rule=RULE)
    assert step.after["luxembourg-own"] == (4 if counts else 16)


def test_every_task_of_an_array_counts(system, mandate) -> None:
    many = replace(job(1, gpus=1), tasks=500)
    machine = Machine([many, *(job(n, "luxembourg-own") for n in range(20, 28))])
    step = Steerer(system, machine).step(rule=RULE)
    assert dict(step.after) == {"eurohpc-own": 12, "luxembourg-own": 4}, "as many as could run"


def test_borrowed_jobs_that_wait_ask_for_nothing(system, mandate) -> None:
    machine = Machine([job(n, "luxembourg-borrow", "Priority") for n in range(8)] + [job(9)])
    assert Steerer(system, machine).step(rule=EVEN).after["eurohpc-own"] == 16
    running = [job(n, "luxembourg-borrow", "", "RUNNING") for n in range(3)]
    step = Steerer(system, Machine([*running, *(job(n) for n in range(9, 18))], free=2)).step(rule=EVEN)
    assert step.after["eurohpc-own"] == 8, "no further than the share when they run"


def test_nothing_is_touched_without_a_mandate(system, mandate) -> None:
    machine = Machine([job(n) for n in range(8)])
    steerer = Steerer(system, machine)
    with at(mandate.expires):
        for _ in range(3):
            step = steerer.step(rule=RULE)
    assert (step.word, step.because.startswith("mandate m00001 expired")) == ("expired", True)
    Mandate.objects.update(state="revoked")
    assert steerer.step(rule=RULE).word == "revoked"
    MandateSignature.objects.all().delete()
    Mandate.objects.all().delete()
    assert steerer.step(rule=RULE).word == "unsigned"
    assert (machine.moved, Move.objects.count()) == ([], 0)
    said = [json.loads(e.data)["word"] for e in Event.objects.filter(kind="steering.stopped")]
    assert said == ["expired", "revoked", "unsigned"], "each said once"


def test_a_stale_ledger_stops_it(system, mandate) -> None:
    machine, later = Machine([job(n) for n in range(8)]), now() + system.steering.stale_after
    steerer = Steerer(system, machine)
    with at(later + 1):
        assert [steerer.step(rule=RULE).word for _ in range(2)] == ["stale", "stale"]
    assert machine.moved == [] and Event.objects.filter(kind="steering.stopped").count() == 1
    Reading.objects.update(at=later)
    with at(later + 1):
        assert steerer.step(rule=RULE).moved
    assert [e.kind for e in Event.objects.filter(kind__startswith="steering.s")] == [
        "steering.stopped",
        "steering.steers",
    ]


def test_the_hours_moves_can_be_used_up(system, mandate) -> None:
    machine = Machine()
    steerer, moved = Steerer(system, machine), 0
    for turn in range(12):
        machine.waiting = [job(n, ("eurohpc-own", "luxembourg-own")[turn % 2]) for n in range(8)]
        machine.present = {"eurohpc-own": 4, "luxembourg-own": 4}
        moved += steerer.step(rule=RULE).moved
    assert moved == mandate.moves_per_hour == Move.objects.count()
    step = steerer.step(rule=RULE)
    assert (step.word, step.because) == ("spent", "mandate m00001 allows 8 moves an hour, and they are used up")


def test_it_waits_for_the_plan_to_make_the_qos(system, mandate) -> None:
    step = Steerer(system, Machine(present={})).step(rule=RULE)
    assert (step.word, step.because) == ("apart", "the QOS of the pools are not on the cluster; apply the plan")


def test_looking_dry_changes_nothing(system, mandate) -> None:
    machine, events = Machine([job(n) for n in range(8)]), Event.objects.count()
    step = Steerer(system, machine).step(dry=True, rule=RULE)
    assert (step.due, step.moved, step.after["eurohpc-own"]) == (True, False, 16)
    assert (machine.moved, Move.objects.count(), Event.objects.count()) == ([], 0, events)


def test_a_job_that_finds_room_only_in_parts_is_seen_at_the_second_look(system, mandate) -> None:
    """Both sites have four GPUs, in parts: Slurm cannot place the leader's job, and the other pool may go on."""
    ahead = [job(1, word="Resources", gpus=4), job(2, word="Resources", gpus=4)]
    machine = Machine([*ahead, *(job(n, "luxembourg-own", gpus=1) for n in range(10, 30))], free=4)
    machine.waiting += [job(n, "luxembourg-own", "", "RUNNING") for n in (40, 41)]
    steerer = Steerer(system, machine)
    assert [steerer.step(rule=RULE).after["luxembourg-own"] for _ in range(2)] == [8, 16]


def test_a_pool_that_stays_below_its_floor_gets_more_room(system, mandate) -> None:
    """It waits with jobs of 4 GPUs and never uses more than 3 of its 4: the scheduler could not place them."""
    ahead = [job(n) for n in range(8)] + [job(9, "eurohpc-own", "", "RUNNING", gpus=12)]
    behind = [job(n, "luxembourg-own", "QOSGrpGRES") for n in range(20, 24)]
    machine = Machine([*ahead, *behind, job(30, "luxembourg-own", "", "RUNNING", gpus=3)], free=0)
    steerer = Steerer(system, machine)
    first = steerer.step(rule=RULE)
    for _ in range(PATIENCE):
        last = steerer.step(rule=RULE)
    machine.waiting[-1] = job(30, "luxembourg-own", "", "RUNNING", gpus=4)
    last = steerer.step(rule=RULE)
    assert (first.after["luxembourg-own"], last.after["luxembourg-own"]) == (7, 8), "beyond its next job"
    assert "national was under its floor on average, so 4 more are kept for it" in last.because
    assert Steerer(system, machine).step(rule=RULE).after["luxembourg-own"] == 4, "a new process begins anew"


def test_two_processes_never_steer_at_once(system, mandate) -> None:
    with alone(system), pytest.raises(Refused, match="another process steers"):
        Steerer(system, Machine()).step(rule=RULE)


def test_the_plan_leaves_alone_what_the_mandate_covers(system, mandate) -> None:
    seen = [Qos("eurohpc-own", gpus=12), Qos("luxembourg-own", gpus=3), Qos("eurohpc-borrow"), Qos("normal", gpus=8)]
    assert steered(system, seen, 16) == {("qos", "eurohpc-own", "gpus")}
    with at(mandate.expires):
        assert steered(system, seen, 16) == set()


def test_only_slurm_is_steered(system) -> None:
    with pytest.raises(Refused, match="schedules by the rule itself"):
        Steerer(system)
