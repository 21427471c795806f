"""The demo year: believable, consistent with the policy file, and the same for the same seed, for any factory."""

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import accumulate
from pathlib import Path

import pytest

import make
from conftest import FACTORIES
from rules import modes
from schmelz.demo.model import Year
from schmelz.demo.records import HEADER, node_list
from schmelz.demo.year import run, year
from schmelz.metering.attribute import attribute
from schmelz.metering.avoidable import avoidable
from schmelz.metering.sacct import read
from schmelz.metering.supply import Outage
from schmelz.metering.windows import shared
from schmelz.policy.load import load
from schmelz.policy.nodes import expand_nodes
from schmelz.policy.schema import Factory, System
from schmelz.rules.award import check_amount
from schmelz.rules.eligibility import Answers, assess
from schmelz.units import DAY, Period, iso, local_date

UNTIL = int(datetime.fromisoformat("2026-11-23T00:00:00+01:00").timestamp())


@dataclass(frozen=True)
class Ran:
    """A job that started, as its record says it; a job that runs on ends, for us, with the year."""

    project: str
    start: int
    end: int
    gpus: int
    nodes: tuple[str, ...]


@dataclass(frozen=True)
class Told:
    """A factory's demo year with its records, read as plain fields."""

    factory: Factory
    system: System
    year: Year
    text: bytes
    records: list[dict[str, str]]
    ran: list[Ran]


@lru_cache
def told(file: Path) -> Told:
    factory = load(file)
    made = year(factory, 1, UNTIL)
    text = run(factory, made)
    records = [dict(zip(HEADER, line.split("|"), strict=True)) for line in text.decode().splitlines()[1:]]
    ran = [_ran(record) for record in records if record["Start"] not in ("Unknown", "None")]
    return Told(factory, factory.system(made.system), made, text, records, ran)


def _ran(record: dict[str, str]) -> Ran:
    tres = dict(part.split("=") for part in record["AllocTRES"].split(","))
    start, nodes = instant(record["Start"]), expand_nodes(record["NodeList"])
    end = UNTIL if record["End"] == "Unknown" else instant(record["End"])
    assert end - start == int(record["ElapsedRaw"]) and len(nodes) == int(record["NNodes"]) == int(tres["node"])
    return Ran(record["Account"], start, end, int(tres["gres/gpu"]), nodes)


@pytest.fixture(params=sorted(FACTORIES))
def story(request: pytest.FixtureRequest) -> Told:
    return told(FACTORIES[request.param])


def instant(text: str) -> int:
    return int(datetime.fromisoformat(text + "+00:00").timestamp())


def test_how_much_of_everything(story: Told) -> None:
    year = story.year
    assert (len(year.organisations), len(year.applications), len(year.projects)) == (60, 120, 80)
    assert Counter(a.outcome for a in year.applications) == {"awarded": 80, "refused": 28, "pending": 12}
    assert 4_000 < len(year.jobs) < 6_500
    assert 364 * DAY < year.period.seconds <= 366 * DAY and year.until == UNTIL
    assert {p.pool for p in year.projects} == {pool.id for pool in story.system.pools}


def test_everybody_has_one_name(story: Told) -> None:
    year = story.year
    assert len({o.name for o in year.organisations}) == 60
    for names in ([p.handle for p in year.persons], [p.unix_name for p in year.persons]):
        assert len(set(names)) == len(names)
    assert {p.organisation for p in year.persons} <= {o.name for o in year.organisations}


def test_applications_follow_the_policy_file(story: Told) -> None:
    homes = {o.name: o for o in story.year.organisations}
    awards = [(a.organisation, a.decided or 0) for a in story.year.applications if a.outcome == "awarded"]
    assert [a.code for a in story.year.applications] == [f"a{n:05d}" for n in range(1, 121)]
    for one in story.year.applications:
        mode, home = story.factory.mode(one.mode), homes[one.organisation]
        earlier = sum(name == home.name and decided < one.submitted for name, decided in awards)
        answers = Answers(
            home.category, home.country, one.gpu_hours, one.months, home.founded, frozenset(mode.statements), 0, earlier
        )
        found = assess(story.factory, mode, story.system, answers, local_date(one.submitted, story.factory.zone).year)
        assert {f.rule: f.because for f in found if f.verdict != "yes"}.keys() <= {"open"}
        assert one.pool == mode.pool and bool(one.reason) == (one.outcome != "pending")


def test_time_goes_forward_and_awards_are_within_bounds(story: Told) -> None:
    submitted = [a.submitted for a in story.year.applications]
    assert submitted == sorted(submitted) and submitted[-1] < UNTIL
    for one in story.year.applications:
        assert (one.decided is None) == (one.outcome == "pending")
        assert one.decided is None or one.submitted < one.decided < UNTIL
        assert (one.award_gpu_hours is None) == (one.outcome != "awarded")
        if one.award_gpu_hours is not None:
            check_amount(story.factory.mode(one.mode), story.system, one.award_gpu_hours)
            assert one.award_gpu_hours <= one.gpu_hours


def test_projects_are_the_awards_in_the_order_of_decisions(story: Told) -> None:
    applications = {a.code: a for a in story.year.applications}
    handles = {p.handle: p for p in story.year.persons}
    prefix = story.factory.factory.project_prefix
    assert [p.code for p in story.year.projects] == [f"{prefix}{n:05d}" for n in range(1, 81)]
    decided = [applications[p.application].decided or 0 for p in story.year.projects]
    assert decided == sorted(decided)
    for project in story.year.projects:
        application = applications[project.application]
        assert (project.gpu_hours, project.pool) == (application.award_gpu_hours, application.pool)
        assert (application.decided or 0) < project.end and project.start < project.end
        assert project.members[0] == application.applicant
        assert set(project.members) <= set(handles) and len(set(project.members)) == len(project.members)


def test_jobs_are_within_the_time_and_the_grant_of_their_projects(story: Told) -> None:
    projects = {p.code: p for p in story.year.projects}
    unix_names = {p.handle: p.unix_name for p in story.year.persons}
    wanted: Counter[str] = Counter()
    assert [job.sim.job for job in story.year.jobs] == [str(1_000_001 + n) for n in range(len(story.year.jobs))]
    for job in story.year.jobs:
        sim, project = job.sim, projects[job.sim.project]
        assert project.start <= sim.submit < UNTIL and sim.submit + sim.limit <= project.end
        assert 0 < sim.run <= sim.limit <= story.system.cluster.max_time and sim.limit % 60 == 0
        assert job.user in {unix_names[member] for member in project.members}
        wanted[project.code] += sim.gpus * sim.run
    assert all(wanted[code] <= project.grant_gpu_s for code, project in projects.items())


def test_no_node_runs_two_jobs_and_where_gpus_are_charged_no_gpu_does(story: Told) -> None:
    """Whole nodes: of each node no more is used than it has. Single GPUs: records do not say which, so of them all."""
    whole = story.system.charge == "node"
    changes = defaultdict(list)
    for ran in story.ran:
        assert sum(set(ran.nodes) <= set(names) for names in story.system.node_names.values()) == 1
        for place in ran.nodes if whole else ("system",):
            gpus = story.system.gpus_per_node if whole else ran.gpus
            changes[place] += [(ran.start, gpus), (ran.end, -gpus)]
    for place, events in changes.items():
        most = story.system.gpus_per_node if whole else story.system.gpus()
        assert max(accumulate(gpus for _, gpus in sorted(events))) <= most, place


def test_no_project_uses_more_than_its_grant_or_outside_its_time(story: Told) -> None:
    projects = {p.code: p for p in story.year.projects}
    used: Counter[str] = Counter()
    for ran in story.ran:
        used[ran.project] += ran.gpus * (ran.end - ran.start)
        assert projects[ran.project].start <= ran.start and ran.end <= projects[ran.project].end
    assert all(used[code] <= project.grant_gpu_s for code, project in projects.items())
    assert 70 <= 100 * used.total() // (story.system.gpus() * story.year.period.seconds) <= 85


def test_records_are_of_every_kind_and_can_be_read(story: Told) -> None:
    states = Counter(record["State"].split()[0] for record in story.records)
    assert set(states) == {"COMPLETED", "FAILED", "TIMEOUT", "CANCELLED"}
    assert {record["Cluster"] for record in story.records} == {story.system.cluster.name}
    assert max(r["End"] for r in story.records) == iso(story.year.until).removesuffix("Z"), "the machine is empty then"
    reading = read(story.text, system=story.system.id, cluster="none")
    assert (reading.faults, reading.lines, reading.runs.height) == ((), len(story.records), len(story.records))
    assert reading.runs["job"].n_unique() == len(story.records)


def test_the_first_pool_is_slow_and_the_others_take_more_than_their_part_meanwhile(story: Told) -> None:
    """In the first quarter the others use more than they would own of all that is used; in the last the first does."""
    projects = {p.code: p.pool for p in story.year.projects}
    first = story.system.pools[0]
    quarters: list[Counter[bool]] = [Counter() for _ in range(4)]
    for job in story.year.jobs:
        quarter = 4 * (job.sim.submit - story.year.period.start) // story.year.period.seconds
        quarters[quarter][projects[job.sim.project] == first.id] += job.sim.gpus * job.sim.run
    parts = [100 * quarter[True] // quarter.total() for quarter in quarters]
    assert parts[0] < first.weight // 2 and parts[3] > first.weight


def test_an_outage_and_an_announced_maintenance(story: Told) -> None:
    maintenance, outage = story.year.outages
    assert maintenance.announced and maintenance.end - maintenance.start == DAY // 2
    assert not outage.announced and outage.end - outage.start == 2 * DAY
    clear = [ran for ran in story.ran if set(ran.nodes) & set(maintenance.nodes)]
    assert all(ran.end <= maintenance.start or ran.start >= maintenance.end for ran in clear)
    broken = [ran for ran in story.ran if set(ran.nodes) & set(outage.nodes)]
    assert not [ran for ran in broken if outage.start <= ran.start < outage.end]
    rows = story.year.node_outages()
    assert [row.node for row in rows] == [*maintenance.nodes, *outage.nodes]
    assert {row.kind for row in rows} == {"maintenance", "down"}


def test_no_gpu_idles_that_the_rule_would_fill(story: Told) -> None:
    """Promise 3, audited from the records alone: avoidable idle is 0."""
    system, window = story.system, shared(story.factory, story.system.id, UNTIL - 1)
    records = read(story.text, system=system.id, cluster=system.cluster.name).runs
    runs = attribute(records, story.factory, {project.code: project.pool for project in story.year.projects})
    away = [Outage(system.id, one.node, one.kind, one.start, one.end) for one in story.year.node_outages()]
    span = Period(window.start, UNTIL)
    found = avoidable(system, story.factory.zone, runs, away, span, window_s=window.seconds)
    assert found == 0


def test_another_seed_is_another_year_and_the_same_seed_the_same() -> None:
    file = FACTORIES["alpine"]
    assert year(load(file), 1, UNTIL) == told(file).year
    assert year(load(file), 2, UNTIL).jobs != told(file).year.jobs


def test_the_same_seed_gives_the_same_bytes_everywhere() -> None:
    """On a small machine, in any process: a change of this digest is a change of every demo."""
    factory = modes.factory(modes.mode(), modes.mode(id="forge", pool="national", gpu_hours={"default": 9}))
    text = run(factory, year(factory, 7, UNTIL))
    assert hashlib.sha256(text).hexdigest() == "9b87e3b00152b3ec8761c34c1b602085813cec10db4f21a4d83bbfe6ce9d7190"


def test_a_factory_without_access_modes_has_a_quiet_year() -> None:
    factory = make.factory()
    quiet = year(factory, 1, UNTIL)
    assert (quiet.applications, quiet.projects, quiet.jobs) == ((), (), ())
    assert run(factory, quiet).decode() == "|".join(HEADER) + "\n"


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["a1"], "a1"),
        (["n01", "n02", "n03", "n07"], "n[01-03,07]"),
        (["n9", "n10", "n11"], "n9,n[10-11]"),
        (["x", "y"], "x,y"),
        (["a1", "b1", "b2"], "a1,b[1-2]"),
    ],
)
def test_node_lists_are_short_and_can_be_expanded(names: list[str], short: str) -> None:
    assert node_list(names) == short
    assert list(expand_nodes(short)) == names
