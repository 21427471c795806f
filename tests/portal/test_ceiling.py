"""Commercial use has a ceiling: the gauge, the warning, the award and the amendment that are refused; and the whole ledger."""

import json

import pytest

import make
from conftest import FACTORIES
from schmelz.faults import Refused
from schmelz.metering import store
from schmelz.portal.calls import actions
from schmelz.portal.calls.models import Application
from schmelz.portal.calls.queries import ceiling_warning
from schmelz.portal.clock import at
from schmelz.portal.projects import amend, figures
from schmelz.portal.projects.attributes import add_attributes
from schmelz.portal.projects.models import Project
from schmelz.portal.projects.outlook import gauges, ledger, outlook
from schmelz.portal.usage.models import RecordFile
from schmelz.units import DAY, HOUR, Period, day_start, local_date

YEAR = 1_767_222_000  # 1 January 2026 in Luxembourg
SECONDS = 365 * DAY


@pytest.fixture
def factory_file():
    return FACTORIES["luxembourg"]


@pytest.fixture(autouse=True)
def new_year():
    with at(YEAR):
        yield


def ask(cast) -> str:
    """An application of a company, proposed up to the last signature but one."""
    asked = actions.submit(cast.factory, mode_id=cast.mode.id, person=cast.anna, answers=cast.answers())
    Application.objects.filter(code=asked.code).update(category="industry", months=12)
    return asked.code


def propose(cast, code: str, gpu_hours: int) -> Application:
    done = actions.propose(cast.factory, code, cast.signers[0], gpu_hours=1000, because="fits")
    Application.objects.filter(code=code).update(award_gpu_hours=gpu_hours)  # beyond the bounds of the mode
    done.refresh_from_db()
    for signer in cast.signers[1:-1]:
        actions.sign(cast.factory, code, signer)
    return done


def award(cast, gpu_hours: int, **more: int) -> Project:
    code = ask(cast)
    propose(cast, code, gpu_hours)
    actions.sign(cast.factory, code, cast.signers[-1], **more)
    return Project.objects.get(application=code)


def records(cast, *rows: dict) -> None:
    """Job records of the system, on one node that its policy names."""
    from schmelz.portal.usage.queries import records_directory

    node = next(iter(cast.system.node_names.values()))[0]
    full = [{"system": cast.system.id, "cluster": "c", "nodes": node, "account": "eurohpc", **row} for row in rows]
    for month, file in store.merge(records_directory(), {}, make.runs(*full)).manifest.items():
        RecordFile.objects.update_or_create(month=month, defaults={"file": file})


def ceiling(cast) -> int:
    """A tenth of what the year brings: 1,008 GPUs less two per cent of overhead, half of it, 20 % of that."""
    gpus = cast.system.gpus() - cast.system.gpus() * 2 // 100
    return gpus * SECONDS // 10


def test_the_gauge_of_an_empty_year(cast) -> None:
    (found,) = gauges(cast.system)
    assert (found.pool, found.year, found.ceiling_gpu_s) == ("eurohpc", "2026", ceiling(cast))
    assert (found.gauge_gpu_s, found.alarm) == (0, "none")


def test_an_award_up_to_the_ceiling_is_signed_and_one_hour_more_is_refused(cast) -> None:
    most = ceiling(cast) // HOUR
    award(cast, most - 10)
    (found,) = gauges(cast.system)
    assert (found.committed_gpu_s, found.alarm) == ((most - 10) * HOUR, "18")
    code = ask(cast)
    assert "would pass the ceiling of commercial use" in (ceiling_warning(cast.factory, propose(cast, code, 11)) or "")
    with pytest.raises(Refused, match="20 % of its share of 2026") as refused:
        actions.sign(cast.factory, code, cast.signers[-1])
    assert "at most 10 GPU-hours" in str(refused.value)
    assert (Application.objects.get(code=code).state, Project.objects.count()) == ("proposed", 1), "nothing was written"
    Application.objects.filter(code=code).update(award_gpu_hours=10)
    assert ceiling_warning(cast.factory, Application.objects.get(code=code)) is None
    actions.sign(cast.factory, code, cast.signers[-1])
    assert gauges(cast.system)[0].alarm == "20"


def test_what_is_not_commercial_or_not_of_the_pool_has_no_ceiling(cast) -> None:
    asked = actions.submit(cast.factory, mode_id=cast.mode.id, person=cast.anna, answers=cast.answers())
    propose(cast, asked.code, 10**7)
    actions.sign(cast.factory, asked.code, cast.signers[-1])
    assert gauges(cast.system)[0].gauge_gpu_s == 0


def test_an_award_of_next_year_counts_against_next_year(cast) -> None:
    most = ceiling(cast) // HOUR
    award(cast, most)
    reach = cast.system.gpus() * 24  # the first still has 1 January 2027
    award(cast, most - reach, start=YEAR + SECONDS)
    with pytest.raises(Refused, match="share of 2027"):
        award(cast, 100, start=YEAR + SECONDS)


def test_a_larger_grant_of_a_commercial_project_is_measured_too(cast) -> None:
    project = award(cast, 100)
    award(cast, ceiling(cast) // HOUR - 200)
    with pytest.raises(Refused, match="would pass the ceiling"):
        amend.propose(cast.factory, project.code, cast.signers[0], gpu_hours=201, because="more")
    amend.propose(cast.factory, project.code, cast.signers[0], gpu_hours=200, because="more")


def test_use_of_the_year_and_what_is_left_are_in_the_gauge(cast) -> None:
    project = award(cast, 100)
    run = {"account": project.code, "start": YEAR, "elapsed": 3600, "gpus": 4}
    records(cast, {**run, "job": "1"}, {**run, "job": "2", "start": YEAR - 1800, "elapsed": 1800})
    with at(YEAR + 7200):
        (found,) = gauges(cast.system)
    assert found.used_gpu_s == 4 * 3600, "what ran before the year is not of the year"
    assert found.committed_gpu_s == 100 * HOUR - 4 * 5400, "but it is of the grant"


def test_use_counts_as_what_the_project_was_on_its_day(cast) -> None:
    """Commercial for one day: that day stays in the gauge, what came after does not, nor what is left."""
    project = award(cast, 100)
    run = {"account": project.code, "elapsed": 3600, "gpus": 4}
    records(cast, {**run, "job": "1", "start": YEAR}, {**run, "job": "2", "start": YEAR + DAY})
    with at(YEAR + 2 * DAY):
        assert gauges(cast.system)[0].used_gpu_s == 2 * 4 * 3600
        second = local_date(YEAR + DAY, cast.factory.zone)
        add_attributes(
            cast.factory, project.code, cast.gilles, since=second, because="It is public research.",
            changes={"commercial": False},
        )  # fmt: skip
        (found,) = gauges(cast.system)
        assert (found.used_gpu_s, found.committed_gpu_s) == (4 * 3600, 0)
        third = local_date(YEAR + 3 * DAY, cast.factory.zone)
        add_attributes(
            cast.factory, project.code, cast.gilles, since=third, because="It pays again.", changes={"commercial": True}
        )
        (found,) = gauges(cast.system)
        assert (found.used_gpu_s, found.committed_gpu_s) == (4 * 3600, 100 * HOUR - 2 * 4 * 3600), "from a known day on"


def test_the_carry_comes_from_the_records_of_the_year_before(cast) -> None:
    assert [pool.carry_gpu_s for pool in figures.split(cast.system).pools] == [0, 0]
    records(cast, {"start": YEAR - 7200, "elapsed": 3600, "gpus": 4})
    most = cast.system.gpus() * SECONDS * 5 // 100 // 2
    assert [pool.carry_gpu_s for pool in figures.split(cast.system).pools] == [most, most]
    assert [pool.carry_gpu_s for pool in figures.split(cast.system, "month").pools] == [0, 0]
    with at(YEAR + DAY):
        assert figures.split(cast.system).pools[0].carry_gpu_s == most


def test_the_ledger_of_a_window_is_plain_data(cast) -> None:
    award(cast, 100)
    with at(YEAR + 40 * DAY):
        found = json.loads(json.dumps(ledger(cast.system)))
        over = ledger(cast.system, "2026-01")
    assert [point["name"] for point in found["checkpoints"]] == ["2026-01", "2026-02", "2026-Q1"]
    assert found["avoidable_idle_gpu_s"] == 0
    assert [one["pool"] for one in found["gauges"]] == ["eurohpc"]
    assert [one["pool"] for one in found["feasibility"]] == ["eurohpc", "national"]
    assert found["feasibility"][0]["claimed_gpu_s"] == 100 * HOUR
    assert over["feasibility"] == [], "a window that is over has no outlook"
    assert outlook(cast.system)[0].now.deficit_gpu_s == 0


def test_the_year_is_that_of_the_zone(cast) -> None:
    zone = cast.factory.zone
    assert day_start(local_date(YEAR, zone), zone) == YEAR and Period(YEAR, YEAR + SECONDS).seconds == SECONDS
