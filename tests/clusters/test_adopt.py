"""Taking over an existing cluster: what is proposed, the file that people edit, and the projects that come of it."""

from datetime import date
from pathlib import Path

import pytest

from make import factory as small
from schmelz.cluster.adopt import Standing, Use, propose
from schmelz.cluster.adopt_file import Takeover, parse, text
from schmelz.cluster.backends.slurm_adopt import parse as parse_tree
from schmelz.cluster.model import ClusterError
from schmelz.faults import BadInput, Refused
from schmelz.portal.ledger.models import Event
from schmelz.portal.people.actions import add_person
from schmelz.portal.projects.actions import next_code
from schmelz.portal.projects.adopted import LONGEST_CODE, take_over
from schmelz.portal.projects.models import Membership, Project

TODAY = date(2026, 11, 24)
FACTORY = small(
    overhead={"accounts": ["checks"], "cap_percent": 2, "booked_to": "national"},
    cluster={"backend": "slurm", "name": "old"},
)
SYSTEM = FACTORY.systems[0]
FOUND = (
    Standing("checks", "root", users=("op",)),
    Standing("chem", "uni", "chemistry | models", gpu_minutes=6010, users=("anna", "bruno"), coordinators=("bruno",)),
    Standing("empty", "root"),
    Standing("eurohpc", "root"),
    Standing("eurohpc-7", "root", "seven\nlines", gpu_minutes=600, users=("anna", "carl")),
    Standing("marked", "root", marked=True, users=("anna",)),
    Standing("much-too-long-a-name", "uni", users=("anna",)),
    Standing("uni", "root"),
)
USE = {
    "eurohpc-7": Use({"carl": 7200, "anna": 60}, date(2025, 2, 1), date(2025, 3, 1)),
    "gone": Use({"anna": 3600}, date(2024, 1, 1), date(2024, 1, 2)),
}
FILE = """\
system = "anvil"
cluster = "old"
[pools]
eurohpc = ["eurohpc-*"]
national = ["uni"]
[defaults]
mode = "open"
organisation = "University"
category = "startup"
country = "LU"
end = 2027-12-31
[[projects]]
account = "chem"
branch = ["uni"]
title = "Chemistry"
gpu_hours = 100
gpu_minutes = 10
start = 2025-01-01
leader = "anna"
members = ["anna", "carl"]
"""


def edited(old: str = "", new: str = "") -> tuple[Takeover, ...]:
    assert old in FILE
    return parse(FILE.replace(old, new), "a.toml", with_mode(), 12)[1]


def with_mode():
    """The small factory has no access mode; one of Luxembourg's by another name will do."""
    from schmelz.policy.load import load

    mode = load(Path(__file__).parent.parent.parent / "factory.toml").modes[0]
    return FACTORY.model_copy(update={"modes": (mode.model_copy(update={"id": "open"}),)})


# -- what is proposed


def test_every_account_is_a_project_or_has_a_reason_not_to_be() -> None:
    proposal = propose(SYSTEM, FOUND, USE, 12)
    assert [(p.standing.account, p.pool, p.leader) for p in proposal.projects] == [
        ("chem", None, "bruno"),
        ("eurohpc-7", "eurohpc", "carl"),
    ]
    reasons = dict(proposal.remarks)
    assert sorted(reasons) == ["checks", "empty", "eurohpc", "gone", "marked", "much-too-long-a-name", "uni"]
    assert reasons["gone"] == "Is no account any more; 1 GPU-hours were used from 2024-01-01 to 2024-01-02."


def test_an_account_is_of_the_pool_of_the_nearest_account_above_it() -> None:
    tree = (Standing("national", "root"), Standing("a", "national"), Standing("b", "a", users=("anna",)))
    (project,) = propose(SYSTEM, tree, {}, 12).projects
    assert (project.branch, project.pool) == (("a", "national"), "national")


def test_the_file_says_what_was_seen_and_asks_for_the_rest() -> None:
    written = text(propose(SYSTEM, FOUND, USE, 12), with_mode(), "anvil", TODAY)
    assert written == text(propose(SYSTEM, FOUND, USE, 12), with_mode(), "anvil", TODAY)
    with pytest.raises(BadInput) as refused:
        parse(written, "a.toml", with_mode(), 12)
    keys = {fault.split(": ")[1] for fault in refused.value.faults}
    assert keys == {f"defaults.{key}" for key in ("mode", "organisation", "category", "country", "end")} | {
        "projects[0].account"
    }
    values = '[defaults]\nmode = "open"\norganisation = "U"\ncategory = "startup"\ncountry = "LU"\nend = 2027-12-31\n'
    filled = written.replace("[defaults]", values + "#").replace('national = ["', 'national = ["uni", "')
    _, takeovers = parse(filled, "a.toml", with_mode(), 12)
    assert [(t.code, t.pool, t.title, t.grant_gpu_s, t.leader) for t in takeovers] == [
        ("chem", "national", "chemistry | models", 6010 * 60, "bruno"),
        ("eurohpc-7", "eurohpc", "seven lines", 600 * 60, "carl"),
    ]
    assert takeovers[1].start == 1738364400  # the day of the first job, in Luxembourg


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('"anvil"', '"avil"', "a.toml:1: system: no system of the policy file; one of: anvil"),
        ('cluster = "old"', 'cluster = "new"', "a.toml:2: cluster: anvil has the cluster 'old' by the policy file"),
        ('national = ["uni"]', "", "a.toml:13: projects[0].account: belongs to no pool: add it, or an account above it, to "
         "[pools], or write its pool = here"),
        ("national =", "nation =", "a.toml:5: pools.nation: 'nation' is no pool of the system; one of: eurohpc, national"),
        ('mode = "open"', 'mode = "opne"', "a.toml:12: projects[0].mode: 'opne' is not in the policy file; one of: open"),
        ('leader = "anna"', 'leader = "bob"', "a.toml:19: projects[0].leader: 'bob' is none of the members; name one of: "
         "anna, carl"),
        ("gpu_minutes = 10", "gpu_minutes = 60", "a.toml:17: projects[0].gpu_minutes: must be a whole number from 0 to 59; "
         "this is 60"),
        ("gpu_hours = 100", "gpuhours = 100", 'a.toml:16: projects[0].gpuhours: is not a key of this table; did you mean '
         '"gpu_hours"? (keys: mode, organisation, category, country, end, account, branch, title, pool, gpu_hours, '
         "gpu_minutes, start, leader, members)"),
        ("2025-01-01", "2028-01-01", "a.toml:18: projects[0].start: must not be later than the last day, 2027-12-31"),
        ('account = "chem"', 'account = "national"', "a.toml:13: projects[0].account: 'national' is pool national already"),
        ('account = "chem"', 'account = "chemistry-2025"', "a.toml:13: projects[0].account: is longer than 12 characters; "
         "leave this project out"),
        ('country = "LU"', "", "a.toml:6: defaults.country: is missing here and in chem"),
    ],
)  # fmt: skip
def test_each_fault_names_its_line_and_key(old: str, new: str, fault: str) -> None:
    with pytest.raises(BadInput) as refused:
        edited(old, new)
    assert fault in refused.value.faults


def test_the_same_account_twice_is_a_fault() -> None:
    again = FILE[FILE.index("[[projects]]") :]
    with pytest.raises(BadInput, match="'chem' is a project of this file already"):
        parse(FILE + again, "a.toml", with_mode(), 12)


def test_the_last_day_belongs_to_the_project() -> None:
    (takeover,) = edited()
    assert (takeover.grant_gpu_s, takeover.end) == (6010 * 60, 1830294000)  # midnight after 31 December, in Luxembourg


def test_an_answer_of_another_cluster_is_none() -> None:
    tree = b"Account|Cluster|ParentName|User|Partition|GrpTRESMins|GrpTRES|GrpJobs|GrpSubmit|GrpWall|QOS|Org\n"
    with pytest.raises(ClusterError, match="no such cluster"):
        parse_tree(tree + b"root|other|||||||||normal|root\n", b"Account|Coord Accounts|Descr\nroot||x\n", "old")


def test_separators_in_titles_and_organisations_do_no_harm() -> None:
    head = b"Account|Cluster|ParentName|User|Partition|GrpTRESMins|GrpTRES|GrpJobs|GrpSubmit|GrpWall|QOS|Org\n"
    rows = b"root|old|||||||||normal|root\nchem|old|root||||||||gold|uni | lu\nchem|old||anna|gpu||||||gold|uni | lu\n"
    titles = b"Account|Coord Accounts|Descr\nroot||root\nchem|anna|a | b\n"
    (found,) = parse_tree(head + rows, titles, "old")
    assert (found.title, found.users, found.coordinators) == ("a | b", ("anna",), ("anna",))
    assert found.remarks == (
        "its QOS gold: the plan gives it those of its pool",
        "anna may use only the partition gpu: the plan lets members use all",
    )


# -- what is made here


def wanted(cast, **changes: object) -> Takeover:
    facts: dict[str, object] = {
        "code": "old-1", "title": "Old models", "pool": cast.pool.id, "mode": cast.mode.id, "organisation": "University",
        "category": cast.mode.audience[0], "country": "LU", "grant_gpu_s": 3600, "start": 0, "end": 10**10,
        "leader": "bruno", "members": ("anna", "bruno", "carl"),
    }  # fmt: skip
    return Takeover(**facts | changes)  # type: ignore[arg-type]


def test_taking_over_makes_projects_and_memberships_once(cast) -> None:
    done = take_over(cast.factory, cast.system, [wanted(cast)], cast.gilles)
    assert (done.projects, done.members) == (("old-1",), ("old-1/anna", "old-1/bruno"))
    assert done.strangers == {"carl": ("old-1",)}
    assert list(Membership.objects.values_list("person__handle", "leads")) == [("bruno", True), ("anna", False)]
    events = Event.objects.count()
    again = take_over(cast.factory, cast.system, [wanted(cast)], cast.gilles)
    assert (again.projects, again.members, again.differing, Event.objects.count()) == ((), (), (), events)


def test_who_is_known_later_joins_later(cast) -> None:
    take_over(cast.factory, cast.system, [wanted(cast, leader="carl")], cast.gilles)
    add_person(cast.factory, handle="carl", name="Carl", email="carl@example.org", unix_name="carl")
    done = take_over(cast.factory, cast.system, [wanted(cast, leader="carl", title="Other")], cast.gilles)
    assert (done.members, done.differing, done.strangers) == (("old-1/carl",), ("old-1",), {})
    assert Project.objects.get().title == "Old models"
    assert Membership.objects.get(leads=True).person.handle == "carl"
    assert list(Event.objects.values_list("kind", flat=True)).count("project.member") == 1


def test_all_or_none_and_only_by_an_operator(cast) -> None:
    with pytest.raises(Refused, match="Anna may not"):
        take_over(cast.factory, cast.system, [wanted(cast)], cast.anna)
    Project.objects.create(
        code="ours", title="t", system=cast.system.id, pool=cast.pool.id, mode="m", application="a00001", organisation="o",
        category="c", country="LU", commercial=False, grant_gpu_s=1, start=0, end=1,
    )  # fmt: skip
    before = Event.objects.count()
    with pytest.raises(Refused, match="ours: a project of this name stands here already"):
        take_over(cast.factory, cast.system, [wanted(cast), wanted(cast, code="ours")], cast.gilles)
    assert (list(Project.objects.values_list("code", flat=True)), Event.objects.count()) == (["ours"], before)


def test_new_projects_are_numbered_past_those_that_were_taken_over(cast) -> None:
    prefix = cast.factory.factory.project_prefix
    codes = (f"{prefix}00123", f"{prefix}-physics", f"{prefix}7")
    take_over(cast.factory, cast.system, [wanted(cast, code=code) for code in codes], cast.gilles)
    assert next_code(cast.factory) == f"{prefix}00124"
    assert len(codes[1]) <= LONGEST_CODE
