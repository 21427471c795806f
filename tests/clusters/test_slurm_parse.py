"""Slurm's answers about accounts, QOS and nodes, recorded from the real thing (22.05): what is made of them.

The tapes hold invented people. `TREE` and the others are the recorded answers; `seen` reads all three.
"""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from make import factory
from schmelz.cluster.backends import slurm_nodes as nodes, slurm_qos as quality, slurm_read as read
from schmelz.cluster.model import Account, ClusterError, Member, Observed, Qos, Room

TAPES = Path(__file__).parent.parent / "tapes/slurm-22.05"
SITES = {"bissen": "mxb[001-002]", "bettembourg": "mxt[001-002]"}
SYSTEM = factory(sites=SITES, cluster={"backend": "slurm", "name": "schmelz"}).systems[0]


def tape(name: str) -> bytes:
    return (TAPES / f"{name}.txt").read_bytes()


TREE, USERS, QOS, NODES = (tape(name) for name in ("accounts", "users", "qos", "nodes"))
BORROW = ("eurohpc-borrow", "national-borrow")
EUROHPC, NATIONAL = (
    {"qos": (f"{pool}-borrow", f"{pool}-own"), "default_qos": f"{pool}-own"} for pool in ("eurohpc", "national")
)


def seen(tree: bytes = TREE, qos: bytes = QOS, users: bytes = USERS, cluster: str = "schmelz") -> read.Stand:
    return read.stand(tree, quality.qualities(qos), users, cluster)


# -- accounts, members, QOS


def test_the_tree_is_read_by_header_and_only_marked_objects_are_ours() -> None:
    assert seen().observed == Observed(
        "schmelz",
        (
            Account("eurohpc", "root", 50, coordinators=("tsbruno",), **EUROHPC),
            Account("national", "root", 50, **NATIONAL),
            Account("p200001", "eurohpc", 1, 6000, coordinators=("tsanna",), **EUROHPC),
            Account("p200002", "national", 1, 3, **NATIONAL),
            Account("p200003", "national", 1, 0, open=False, **NATIONAL),
            Account("p200004", "eurohpc", 1, 9, held=True, **EUROHPC),
            Account("p200005", "eurohpc", 1, 9),
        ),
        (
            Member("tsanna", "p200001"),
            Member("tsanna", "p200002"),
            Member("tsbruno", "p200001", "bettembourg"),
            Member("tsbruno", "p200001", "bissen"),
            Member("tsbruno", "p200004"),
        ),
        ("chem",),
        (
            Qos("eurohpc-borrow", 1, None, (), preemptible=True, exempt=7200),
            Qos("eurohpc-own", 1000, 10, BORROW),
            Qos("national-borrow", 1, None, (), preemptible=True, exempt=7200),
            Qos("national-own", 1000, 6, BORROW),
        ),
        ("debug", "normal"),
        (("tsanna", "chem"), ("tsbruno", "p200001")),
    )
    assert seen().former == {Member("tsbruno", "p200002")}


LEAVING = tape("leaving")
NOON = 1_795_812_542  # 2026-11-27T20:49:02Z, when bruno's job ended


def test_who_has_jobs_waits_runs_or_ended_only_just_now() -> None:
    both = {("anna", "root"), ("bruno", "root")}
    assert read.busy(LEAVING, "schmelz", NOON) == both
    ended = LEAVING.replace(b"schmelz|root|bruno|PENDING|N/A|\n", b"")
    assert read.busy(ended, "schmelz", NOON - 1) == both
    assert read.busy(ended, "schmelz", NOON) == {("anna", "root")}
    assert read.busy(ended, "schmelz", NOON + 3600) == {("anna", "root")}, (
        "a running job has a later end, or an old one"
    )
    assert read.busy(LEAVING.splitlines(keepends=True)[0], "schmelz", NOON) == set()
    for answer, said in (
        (b"", "squeue: the answer is empty"),
        (LEAVING[:-5], "squeue: the answer is cut off in the middle of a line"),
        (LEAVING.replace(b"END_TIME", b"END"), "squeue: the answer lacks the column END_TIME"),
        (LEAVING.replace(b"schmelz|root|bruno|P", b"other|root|bruno|P"), "about the cluster 'other', not about 'schm"),
    ):
        with pytest.raises(ClusterError, match=said):
            read.busy(answer, "schmelz", NOON)


def test_problems_of_ours_are_told_in_words() -> None:
    problems = tape("problems") + b"elsewhere||tsanna|Odd\nschmelz||tsanna|Strange\n"
    assert read.problems(problems, {"tsanna", "anna"}, "schmelz") == (
        "Strange: tsanna",
        "no Unix user where Slurm's data base runs, so no job of theirs can start: tsanna",
    )
    many = b"".join(b"||u%02d|User does not have a uid\n" % number for number in range(12))
    (line,) = read.problems(b"Cluster|Account|User|Problem\n" + many, {f"u{n:02}" for n in range(12)}, "schmelz")
    assert line.endswith("can start: u00, u01, u02, u03, u04, u05, u06, u07, u08, u09 and 2 more")
    assert read.problems(problems, set(), "schmelz") == ()
    with pytest.raises(ClusterError, match="sacctmgr show problem: the answer is empty"):
        read.problems(b"", {"tsanna"}, "schmelz")


def turned(answer: bytes) -> bytes:
    """Columns in the opposite order, and one more in front that nobody asked for."""
    lines = [line.split("|") for line in answer.replace(b"uni | chemistry", b"uni").decode().splitlines()]
    return "".join("|".join(["new", *reversed(line)]) + "\n" for line in lines).encode()


def test_the_order_of_columns_means_nothing_and_unknown_ones_do_no_harm() -> None:
    qos = QOS.replace(b"for | trying", b"for trying")
    assert seen(turned(TREE), turned(qos), turned(USERS)) == seen()


def test_another_cluster_of_the_data_base_only_takes_names() -> None:
    other = b"p200009|old|root|||1|||||||uni\np200009|old||tsanna||1|||||||uni\neurohpc|old|root|||9|||||||schmelz\n"
    stand = seen(TREE + other)
    assert (stand.observed.foreign, "p200009" in stand.here) == (("chem", "p200009"), False)
    assert replace(stand.observed, foreign=()) == replace(seen().observed, foreign=())


def test_who_leads_the_parent_is_no_coordinator_of_each_account_below() -> None:
    """Slurm lists tsbruno, coordinator of eurohpc, with every account below it."""
    assert b"tsbruno|p200001|eurohpc,p200001,p200004,p200005\n" in USERS
    only = USERS.replace(b"eurohpc,p200001,p200004,p200005", b"p200004")
    assert [(a.name, a.coordinators) for a in seen(users=only).observed.accounts if a.coordinators] == [
        ("p200001", ("tsanna",)),
        ("p200004", ("tsbruno",)),
    ]


HEADER = TREE.splitlines(keepends=True)[0]
ACCOUNT = "sacctmgr show account"


@pytest.mark.parametrize(
    ("answer", "cluster", "sentence"),
    [
        (b"", "schmelz", f"{ACCOUNT}: the answer is empty"),
        (HEADER, "schmelz", "the cluster 'schmelz' has no root account; the data base knows the clusters: none"),
        (TREE, "other", "the cluster 'other' has no root account; the data base knows the clusters: schmelz"),
        (
            b"".join(line for line in TREE.splitlines(keepends=True) if not line.startswith(b"root|")),
            "schmelz",
            f"{ACCOUNT}: the answer is not whole: it lacks the root account of 'schmelz'",
        ),
        (TREE[:-9], "schmelz", f"{ACCOUNT}: the answer is cut off in the middle of a line"),
        (TREE.replace(b"|Org\n", b"|D\n"), "schmelz", f"{ACCOUNT}: the answer lacks the column Org"),
        (TREE + b"p2|schmelz\n", "schmelz", f"{ACCOUNT}: a line has not 13 fields: 'p2|schmelz'"),
        (
            TREE.replace(b"national|schmelz|root|||50", b"nat|schmelz|root|||50"),
            "schmelz",
            "account p200002: its parent 'national' is not in the answer",
        ),
        (
            TREE.replace(b"p200004|schmelz|eurohpc|||1|gres/gpu=9", b"p2|schmelz|eurohpc|||1|gres/gpu=9"),
            "schmelz",
            "the answer has members of p200004, but not the account itself",
        ),
        (TREE.replace(b"root|||50|", b"root|||x|"), "schmelz", "Share: 'x' is not a number"),
    ],
)
def test_half_an_answer_is_no_answer(answer: bytes, cluster: str, sentence: str) -> None:
    with pytest.raises(ClusterError) as fault:
        seen(answer, cluster=cluster)
    assert str(fault.value) == sentence


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ({"users": b""}, "sacctmgr show user: the answer is empty"),
        ({"users": USERS[:-10]}, "sacctmgr show user: the answer is cut off in the middle of a line"),
        (
            {"users": USERS[: USERS.index(b"tsbruno")]},
            "user tsbruno: has an association, but is not in the list of users",
        ),
        ({"users": USERS.replace(b"Def Acct", b"x")}, "sacctmgr show user: the answer lacks the column Def Acct"),
        ({"qos": b""}, "sacctmgr show qos: the answer is empty"),
        (
            {"qos": QOS[: QOS.index(b"normal")]},
            "sacctmgr show qos: the answer has none; every data base has one",
        ),
        (
            {"qos": QOS[: QOS.index(b"national-own")]},
            "account national: its QOS national-own is not in the answer",
        ),
        ({"qos": QOS.replace(b"02:00:00", b"soon")}, "PreemptExemptTime: 'soon' is not a time"),
    ],
)
def test_half_of_the_other_answers_is_none_either(parts: dict[str, bytes], sentence: str) -> None:
    with pytest.raises(ClusterError) as fault:
        seen(**parts)
    assert str(fault.value) == sentence


@given(st.integers(0, TREE.index(b"root|schmelz||||1") + 5))
def test_no_cut_makes_accounts_vanish_unseen(length: int) -> None:
    with pytest.raises(ClusterError):
        seen(TREE[:length])


def test_shares_that_somebody_took_away_by_hand_are_a_difference() -> None:
    answer = TREE.replace(b"national|schmelz|root|||50|", b"national|schmelz|root|||parent|")
    assert seen(answer).observed.accounts[1] == Account("national", "root", 0, **NATIONAL)


@pytest.mark.parametrize(
    ("span", "seconds"), [("", 0), ("00:00:00", 0), ("00:01:05", 65), ("5-00:00:00", 432_000), ("4-04:00:05", 360_005)]
)
def test_times_that_a_job_is_left_alone(span: str, seconds: int) -> None:
    ours, _ = quality.qualities(QOS.replace(b"02:00:00", span.encode()))
    assert (ours[0].name, ours[0].exempt) == ("eurohpc-borrow", seconds)


def test_who_loses_the_default_account_gets_another_but_not_with_the_last_one() -> None:
    stand = seen()
    everywhere = [Member("tsbruno", "p200001", "bissen"), Member("tsbruno", "p200001", "bettembourg")]
    assert read.new_defaults(stand, everywhere) == [("tsbruno", "p200002")]
    assert read.new_defaults(stand, everywhere[:1]) == [("tsbruno", "p200001")]  # still there, in the other partition
    assert read.new_defaults(stand, [Member("tsanna", "p200001")]) == []  # chem is the default
    rest = [Member("tsbruno", "p200002"), Member("tsbruno", "p200004")]
    assert read.new_defaults(stand, [*everywhere, *rest]) == []


# -- nodes


def test_gpus_that_are_up_and_free() -> None:
    """mxb001 has a job on 3 GPUs, mxb002 is down, mxt001 drained (its reason imitates a node), mxt002 in maintenance."""
    expected = {"bissen": Room(4, 1), "bettembourg": Room(0, 0)}
    assert nodes.rooms(NODES, SYSTEM) == expected
    assert nodes.rooms(NODES.replace(b"Reason=State=IDLE", b"Reason=no State=IDLE"), SYSTEM) == expected


@pytest.mark.parametrize(
    ("state", "up"),
    [
        *(("IDLE", 4), ("ALLOCATED", 4), ("MIXED+PLANNED", 4), ("ALLOCATED+COMPLETING", 4), ("IDLE+RESERVED", 4)),
        *(("MIXED+DRAIN", 0), ("DOWN", 0), ("DOWN+NOT_RESPONDING", 0), ("IDLE+NOT_RESPONDING", 0), ("FAIL", 0)),
        *(("IDLE+MAINTENANCE", 0), ("IDLE+REBOOT_REQUESTED", 0), ("UNKNOWN", 0), ("IDLE+SOMETHING_NEW", 0)),
    ],
)
def test_only_states_that_we_know_make_room(state: str, up: int) -> None:
    answer = NODES.replace(b" State=MIXED ", f" State={state} ".encode())
    assert nodes.rooms(answer, SYSTEM)["bissen"].up == up


def test_nodes_that_do_not_answer_are_no_room_and_no_node_is_no_answer() -> None:
    only, *others = NODES.splitlines(keepends=True)
    assert nodes.rooms(only, SYSTEM) == {"bissen": Room(4, 1), "bettembourg": Room(0, 0)}
    for answer in (b"", others[0].replace(b"mxb002", b"xyz001"), NODES.replace(b"gres/gpu", b"gres/x")):
        with pytest.raises(ClusterError, match="no GPUs of any node"):
            nodes.rooms(answer, SYSTEM)
    for end in (NODES.index(b"CfgTRES"), NODES.index(b"gres/gpu=3") + 8):
        with pytest.raises(ClusterError, match="is cut off"):
            nodes.rooms(NODES[:end], SYSTEM)


def test_events_of_nodes() -> None:
    assert nodes.events(tape("events"), "schmelz") == (
        ("mxb002", "drained", 1795479214, None, "GPU 3 | ECC errors"),
        ("mxb001", "down", 1795479271, 1795479274, "psu"),
        ("mxt001", "drained", 1795479271, 1795479273, "GPU 3 | ECC errors"),
    )
    with pytest.raises(ClusterError, match="'other' is not in the answer"):
        nodes.events(tape("events"), "other")


@pytest.mark.parametrize(
    ("state", "kind"),
    [("DRAIN", "drained"), ("IDLE+DRAIN", "drained"), ("DOWN", "down"), ("DOWN+DRAIN", "down"), ("FAIL", "down")],
)
def test_what_happened_to_a_node(state: str, kind: str) -> None:
    answer = tape("events").replace(b"|DRAIN|", f"|{state}|".encode())
    assert nodes.events(answer, "schmelz")[0][1] == kind
