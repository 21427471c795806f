"""Decisions into accounts, members and QOS: who has access when, up to which use, where, and why."""

from dataclasses import replace

import pytest

from clusters import stage
from schmelz.cluster.desired import Desired, Project, desired
from schmelz.cluster.model import Account, Member, Qos
from schmelz.faults import BadInput

SYSTEM = stage.machine()
DAY = 86400
P1 = Project("p1", "eurohpc", 7200, 1 * DAY, 10 * DAY, members=("anna", "bruno"), coordinators=("anna",))


def account(project: Project, now: int) -> Account:
    return desired(SYSTEM, [project], now).accounts[-1]


def qualities(pool: str) -> dict[str, object]:
    return {"qos": (f"{pool}-borrow", f"{pool}-own"), "default_qos": f"{pool}-own"}


def test_pools_and_projects_become_accounts_with_their_qos():
    projects = [
        Project("p2", "national", 119, DAY, 9 * DAY, members=("bruno", "anna"), nameless=("Chiara",)),
        replace(P1, suspended=True),
    ]
    found = desired(SYSTEM, projects, 2 * DAY)
    assert found == Desired(
        accounts=(
            Account("eurohpc", "root", 50, **qualities("eurohpc")),
            Account("national", "root", 50, **qualities("national")),
            Account("p1", "eurohpc", gpu_minutes=120, open=False, coordinators=("anna",), **qualities("eurohpc")),
            Account("p2", "national", gpu_minutes=1, **qualities("national")),
        ),
        members=(Member("anna", "p1"), Member("anna", "p2"), Member("bruno", "p1"), Member("bruno", "p2")),
        warnings=("p2: Chiara has no Unix name, so gets no access to the cluster yet; give the person one",),
        qos=(
            Qos("eurohpc-borrow", 1, preemptible=True, exempt=7200),
            Qos("eurohpc-own", 1000, 8, preempts=("eurohpc-borrow", "national-borrow")),
            Qos("national-borrow", 1, preemptible=True, exempt=7200),
            Qos("national-own", 1000, 8, preempts=("eurohpc-borrow", "national-borrow")),
        ),
        stories=found.stories,
    )
    assert found == desired(SYSTEM, projects[::-1], 2 * DAY)


def test_caps_of_three_pools_add_up_to_what_is_installed():
    three = stage.machine(pools={"a": 50, "b": 35, "c": 15})
    assert [(qos.name, qos.gpus) for qos in desired(three, [], 0).qos if not qos.preemptible] == [
        ("a-own", 8),
        ("b-own", 6),  # 5.6 of 16 GPUs
        ("c-own", 2),  # 2.4
    ]


@pytest.mark.parametrize(
    ("now", "is_open", "held", "members"),
    [
        (1 * DAY - 1, True, True, 2),  # jobs are taken, none starts
        (1 * DAY, True, False, 2),
        (10 * DAY - 1, True, False, 2),
        (10 * DAY, False, False, 2),  # the last jobs may still run
        (12 * DAY - 1, False, False, 2),
        (12 * DAY, False, False, 0),
    ],
)
def test_access_from_the_start_until_the_last_job_can_have_ended(now, is_open, held, members):
    found = desired(SYSTEM, [replace(P1, nameless=("Bo",))], now)
    last = found.accounts[-1]
    assert (last.open, last.held, len(found.members)) == (is_open, held, members)
    assert (len(last.coordinators), len(found.warnings)) == (members // 2, members // 2)


def test_a_suspended_project_is_closed_before_its_start_too_and_keeps_its_members():
    found = desired(SYSTEM, [replace(P1, suspended=True)], 0)
    assert (found.accounts[-1].open, found.accounts[-1].held, len(found.members)) == (False, False, 2)


@pytest.mark.parametrize(("budget", "minutes"), [(None, 120), (3659, 60), (0, 0), (99_999, 120)])
def test_the_budget_is_what_the_pacing_allows_in_whole_minutes(budget, minutes):
    assert account(replace(P1, budget=budget), 2 * DAY).gpu_minutes == minutes


def test_a_project_with_sites_has_its_members_in_their_partitions():
    system = stage.machine(partitions={"north": ["fast", "gpu"], "south": ["far"]})
    some, none = replace(P1, sites=("north",)), replace(P1, id="p2", members=("anna",))
    assert desired(system, [some, none], 2 * DAY).members == (
        Member("anna", "p1", "fast"),
        Member("anna", "p1", "gpu"),
        Member("anna", "p2", ""),
        Member("bruno", "p1", "fast"),
        Member("bruno", "p1", "gpu"),
    )
    everywhere = desired(system, [replace(some, sites=("north", "south"))], 2 * DAY).members
    assert {member.partition for member in everywhere} == {"fast", "gpu", "far"}


def test_a_site_without_partitions_is_said_while_it_matters():
    system, project = stage.machine(partitions={"north": ["gpu"]}), replace(P1, sites=("north", "south"))
    with pytest.raises(BadInput, match=r"project p1: may run at south only, and anvil has no partitions there"):
        desired(system, [project], 2 * DAY)
    assert desired(system, [project], 12 * DAY).members == ()


def test_impossible_projects_are_refused_all_at_once():
    projects = [
        Project("eurohpc", "eurohpc", 1, 0, 1),
        Project("p1", "lunar", 1, 0, 1),
        Project("p2", "national", -1, 0, 1),
    ]
    with pytest.raises(BadInput) as refusal:
        desired(SYSTEM, projects, 0)
    assert [fault.split(":")[0] for fault in refusal.value.faults] == ["project eurohpc", "project p1", "project p2"]


@pytest.mark.parametrize(
    ("now", "story", "bruno"),
    [
        (0, "award of a1; held until it starts on 1970-01-02", "added by anna"),
        (2 * DAY, "award of a1", "added by anna"),
        (11 * DAY, "award of a1; ended on 1970-01-10", "added by anna"),
        (12 * DAY, "award of a1; ended on 1970-01-10", "the project ended on 1970-01-10"),
    ],
)
def test_stories_say_which_decision_and_what_the_calendar_adds(now, story, bruno):
    told = desired(SYSTEM, [replace(P1, stories={"": "award of a1", "bruno": "added by anna"})], now).stories
    assert (told["p1"], told["p1/bruno"]) == (story, bruno)
    assert told["eurohpc-own"] == told["eurohpc"] == "eurohpc owns 50 of 100 parts of anvil, says the policy file"
    assert ("p1/anna" in told) == (now == 12 * DAY)
