"""What if: who may ask, what can be asked, and that both sides differ by what is asked about alone."""

import json
from pathlib import Path

import pytest

from portal.award import project
from schmelz.faults import BadInput, Refused
from schmelz.operate import meter, whatif
from schmelz.operate.calls_ahead import advice, before
from schmelz.operate.changes import change
from schmelz.operate.expected import Start, expected, waits_for_gpus
from schmelz.operate.future import Ask, build
from schmelz.operate.ranges import range_said
from schmelz.operate.told import as_dict, statement
from schmelz.operate.warm import ready
from schmelz.portal.calls import actions
from schmelz.portal.calls.models import Application
from schmelz.portal.clock import at
from schmelz.portal.people.actions import add_person
from schmelz.twin.foreseen import Range
from schmelz.units import DAY, HOUR, iso

NOW = 1_774_000_000  # 20 March 2026
HEAD = (
    "JobIDRaw|Cluster|User|Account|Partition|QOS|State|"
    "Submit|Eligible|Start|End|ElapsedRaw|Timelimit|AllocTRES|NNodes|NodeList"
)


@pytest.fixture
def factory_file() -> Path:
    """One factory is enough here."""
    return Path(__file__).parents[2] / "factory.toml"


@pytest.fixture(autouse=True)
def in_march():
    with at(NOW):
        yield


@pytest.fixture
def waiting(cast) -> Application:
    return actions.submit(cast.factory, mode_id=cast.mode.id, person=cast.anna, answers=cast.answers())


def past(cast, jobs: int = 40) -> None:
    """Jobs of a project of each pool in the past weeks: 4 nodes, an hour of a limit of two."""
    project(cast)
    code = whatif.Project.objects.get().code
    lines = [HEAD]
    for job in range(jobs):
        start = NOW - 30 * DAY + job * 6 * HOUR
        times = "|".join(iso(moment)[:19] for moment in (start - 60, start - 60, start, start + HOUR))
        tres = "billing=1,gres/gpu=16,node=4"
        lines.append(f"{job}|local|anna|{code}|gpu-bissen|own|COMPLETED|{times}|3600|02:00:00|{tres}|4|mxb[001-004]")
    meter.read_text(("\n".join(lines) + "\n").encode(), "past", cast.system)


def test_an_award_shows_and_nothing_else_moves(cast, waiting: Application) -> None:
    past(cast)
    granted = whatif.awards(cast.gilles, [f"{waiting.code}=400000"])
    found = whatif.whatif(cast.system, granted, seeds=3)
    own, other = cast.pool.id, next(pool.id for pool in cast.system.pools if pool.id != cast.pool.id)
    pools = [side.forecast.pools for side in (found.today, found.then)]
    assert pools[1][own]["jobs"].low > pools[0][own]["jobs"].high
    assert pools[1][other]["jobs"] == pools[0][other]["jobs"] and found.window == "2026"
    index = [pool.id for pool in cast.system.pools].index(own)
    before, after = (side.promises[index] for side in (found.today, found.then))
    assert after.promised_gpu_s - before.promised_gpu_s == 400_000 * HOUR
    assert whatif.whatif(cast.system, granted, seeds=3) == found, "the same question gets the same answer"
    assert any("as its 40 jobs of the past year" in text for text in found.assumed)
    data = as_dict(found)
    assert json.loads(json.dumps(data)) == data
    assert data["awards"] == [
        {"application": waiting.code, "pool": own, "gpu_hours": 400_000, "months": waiting.months, "state": "submitted"}
    ]
    titles = [table.title for table in statement(found).tables]
    assert titles[: len(cast.system.pools)] == [pool.title for pool in cast.system.pools] and "The machine" in titles


def test_without_a_past_it_says_what_is_made_up(cast, waiting: Application) -> None:
    found = whatif.whatif(cast.system, whatif.awards(cast.gilles, [waiting.code]), seeds=1)
    assert sum("made up, for only 0 jobs" in text for text in found.assumed) == len(cast.system.pools)


def test_an_outage_takes_what_it_says_and_the_window_is_its_own(cast) -> None:
    past(cast)
    made = change(cast.system, cast.factory.zone, NOW, ["bissen:2026-05-04..2026-05-11"])
    found = whatif.whatif(cast.system, (), made, seeds=2, renew=False)
    before, after = (side.forecast.machine["delivered_gpu_s"].median for side in (found.today, found.then))
    assert before - after == 504 * 7 * DAY
    assert found.changes == (
        "126 nodes of LuxConnect data centre, Bissen are away from Mon 4 May 2026 to Mon 11 May 2026",
    )
    later = change(cast.system, cast.factory.zone, NOW, ["bissen:2027-03-01..2027-03-08"])
    assert whatif.whatif(cast.system, (), later, seeds=1).window == "2027"


def test_other_nodes_and_another_floor(cast) -> None:
    made = change(cast.system, cast.factory.zone, NOW, (), 300, 10)
    built = build(cast.system, Ask(change=made))
    assert built.future.sharing.sites == (("bissen", 600), ("bettembourg", 600)) and built.future.gpus == 1200
    assert built.future.sharing.floor_percent == 10
    assert build(cast.system, Ask()).future.sharing.floor_percent == 25


def test_awards_to_come_keep_the_use_of_the_past(cast) -> None:
    past(cast)
    kept, left = (build(cast.system, Ask(renew=renew)).future for renew in (True, False))
    to_come = [grant for grant in kept.grants if grant.name.startswith("to come")]
    assert {grant.pool for grant in to_come} <= {cast.pool.id} and not {*left.grants} - {*kept.grants}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("mars:2026-05-04..2026-05-11", "'mars' is no site of MeluXina-AI; one of: bissen, bettembourg"),
        ("bissen:2026-05-11..2026-05-04", "ends before it begins"),
        ("bissen:2026-01-04..2026-02-04", "is over; name one to come"),
        ("bissen/200:2026-05-04..2026-05-11", "200 nodes of bissen cannot be away; it has 126"),
        ("bissen:2026-02-30..2026-05-11", "'2026-02-30' is no day and no time"),
        ("bissen", "is none; write for example bissen:2027-03-01..2027-03-08"),
        ("bissen:2046-05-04..2046-05-11", "more than 3 years ahead"),
    ],
)
def test_an_outage_that_cannot_be(cast, text: str, fault: str) -> None:
    with pytest.raises(BadInput, match=fault):
        change(cast.system, cast.factory.zone, NOW, [text])


def test_every_fault_of_a_change_is_named(cast) -> None:
    with pytest.raises(BadInput) as caught:
        change(cast.system, cast.factory.zone, NOW, ["x", "bissen:1..2"], 1, 51)
    assert len(caught.value.faults) == 4


def test_applications_that_cannot_be_asked_about(cast, waiting: Application) -> None:
    with pytest.raises(BadInput, match="'a99999' is not known"):
        whatif.awards(cast.gilles, ["a99999"])
    with pytest.raises(BadInput, match="named twice"):
        whatif.awards(cast.gilles, [waiting.code, waiting.code])
    with pytest.raises(BadInput, match="names no GPU-hours"):
        whatif.awards(cast.gilles, [f"{waiting.code}=-5"])
    with pytest.raises(BadInput, match="for several systems"):
        other = Application.objects.get(pk=waiting.pk)
        other.pk, other.code, other.system = None, "a77777", "meluxina"
        other.save()
        whatif.awards(cast.gilles, [waiting.code, "a77777"])
    actions.withdraw(cast.factory, waiting.code, cast.anna)
    with pytest.raises(Refused, match="withdrawn already"):
        whatif.awards(cast.gilles, [waiting.code])
    done = project(cast)
    with pytest.raises(Refused, match=f"is awarded already: it is project {done.code}"):
        whatif.awards(cast.gilles, [done.application])


def test_who_may_ask(cast, waiting: Application) -> None:
    coordinator = add_person(
        cast.factory, handle="coco", name="Coco", email="c@example.org", roles=("luxinnovation:coordinator",)
    )
    for person in (cast.gilles, *cast.signers, coordinator):
        whatif.check(person, cast.system)
        assert whatif.awards(person, [waiting.code])
    for person in (cast.anna, cast.bruno, cast.franco):
        with pytest.raises(Refused, match="may not: see what awards, outages"):
            whatif.check(person, cast.system)


def test_a_range_says_its_unit_once_and_dates_say_how_often(cast) -> None:
    zone = cast.factory.zone
    assert range_said("used_gpu_s", Range(7200, 3600, 10800, 5), 5, zone) == "2\u00a0GPU-hours (1 to 3)"
    assert range_said("wait_mean_s", Range(60, 60, 60, 5), 5, zone) == "1 min"
    assert range_said("unreachable_from", Range(NOW, NOW, NOW, 2), 5, zone) == "stays in reach in 3 of 5 draws"
    assert range_said("unreachable_from", Range(None, None, None, 0), 5, zone) == "stays in reach"
    assert range_said("share_ppm", Range(None, None, None, 0), 5, zone) == "no jobs"


def test_a_waiting_job_has_an_expected_start_and_a_running_one_none(cast) -> None:
    from schmelz.operate import cluster, follow
    from schmelz.operate.fit import Wish, submit_job

    code = project(cast).code
    follow.apply_plan(cast.gilles, cast.system, expected_hash=None, allow_remove=100)
    names = [submit_job(cast.anna, code, Wish("#!/bin/sh\nsleep 1\n", 504, 126, 600)) for _ in range(2)]
    jobs = cluster.list_jobs(cast.anna)
    assert {job.job for job in jobs} == {*names} and not any(map(waits_for_gpus, jobs)), (
        "nothing has looked at them yet"
    )
    assert ready(600), "the twin gets ready"
    assert expected(jobs) == {}
    looked = [type(job)(**{**vars(job), "reason": "waits until 504 GPUs are free and it is its turn"}) for job in jobs]
    found = expected(looked)
    assert found[names[0]] == Start(NOW, NOW, NOW) and found[names[1]] == Start(NOW, NOW, NOW), "two sites are free"


def test_the_call_planner_counts_back_working_days(cast) -> None:
    from datetime import date

    assert before(date(2026, 3, 23), 2, ()) == date(2026, 3, 19), "over a week-end"
    assert before(date(2026, 3, 20), 1, (date(2026, 3, 19),)) == date(2026, 3, 18), "over a holiday"
    assert before(date(2026, 3, 20), 0, ()) == date(2026, 3, 20)
    found = advice(cast.system)
    assert [one.pool.id for one in found] == [pool.id for pool in cast.system.pools]
    assert all(one.plan.call_for_gpu_hours > 0 and one.late for one in found), "nothing is promised, so call now"
