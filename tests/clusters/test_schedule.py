"""The local cluster's decisions, without a process: places, order, budgets, and who may submit what."""

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from clusters import stage
from schmelz.cluster.backends.admission import SCRIPT_CAP, admit, check, rights
from schmelz.cluster.backends.schedule import Cycle, cycle
from schmelz.cluster.backends.slots import charged, choose, free_slots
from schmelz.cluster.backends.spool import End, Entry, Launch, Wait
from schmelz.cluster.model import Account, Member, Steering
from schmelz.faults import BadInput, Refused

BY_GPU, BY_NODE = stage.machine(), stage.machine(charge="node")
ACCOUNTS = {
    a.name: a
    for a in (
        Account("eurohpc", "root", 50),
        Account("national", "root", 50),
        Account("p1", "eurohpc"),
        Account("n1", "national"),
    )
}
MEMBERS = {Member("anna", "p1"), Member("anna", "n1")}
POOL_OF = {"p1": "eurohpc", "n1": "national"}


def entry(number: int, account: str = "p1", **values) -> Entry:
    return Entry(str(number), stage.request(account=account, pool=POOL_OF[account], **values), 1000 + number)


def run(entries, system=BY_GPU, now=2000, accounts=ACCOUNTS, members=MEMBERS, **steering) -> Cycle:
    return cycle(system, accounts, members, entries, now, Steering(**steering))


def carried_out(entries, cycle: Cycle) -> list[Entry]:
    launches, waits = dict(cycle.launches), dict(cycle.waits)
    return [replace(e, launch=launches.get(e.job, e.launch), wait=waits.get(e.job, e.wait)) for e in entries]


@st.composite
def stories(draw) -> list[list[tuple[str, int, int]]]:
    """Waves of submissions: account, GPUs, limit."""
    one = st.tuples(st.sampled_from(["p1", "n1"]), st.integers(1, 8), st.integers(1, 90))
    return draw(st.lists(st.lists(one, max_size=6), min_size=1, max_size=5))


@given(stories(), st.sampled_from([BY_GPU, BY_NODE]))
def test_no_two_running_jobs_share_a_slot_and_every_start_has_its_place(story, system):
    entries: list[Entry] = []
    held: dict[tuple[str, int], int] = {}
    for number, wave in enumerate(story):
        now = 2000 + 30 * number
        entries = [
            replace(e, end=End("COMPLETED", 0, 0, e.launch.start + 45))
            if e.launch and not e.end and e.launch.start + 45 <= now
            else e
            for e in entries
        ]
        entries += [
            entry(len(entries) + i, account, gpus=gpus, nodes=-(-gpus // 4), limit=limit)
            for i, (account, gpus, limit) in enumerate(wave)
        ]
        before = entries
        entries = carried_out(entries, run(entries, system, now))
        assert run(entries, system, now) == Cycle((), ()), "after a cycle there is nothing left to start"
        for old, new in zip(before, entries, strict=True):
            if new.launch != old.launch:
                place = [(node, slot) for node, slots in new.launch.slots.items() for slot in slots]
                assert len(place) == new.launch.charged == charged(system, new.request.gpus, new.request.nodes)
                assert {node for node, _ in place} <= set(system.node_names[new.launch.site])
                assert all(held.get(slot, 0) <= new.launch.start for slot in place)
                held |= dict.fromkeys(place, new.launch.start + 45)


def test_slots_fill_started_nodes_and_spread_as_little_as_possible():
    free = free_slots(BY_GPU, [{"n01": (0, 2)}])
    assert free["north"] == {"n01": (1, 3), "n02": (0, 1, 2, 3)}
    assert choose(free["north"], 2) == {"n01": (1, 3)}
    assert choose(free["north"], 3) == {"n02": (0, 1, 2)}
    assert choose(free["north"], 5) == {"n01": (1,), "n02": (0, 1, 2, 3)}


def test_whole_nodes_where_nodes_are_charged():
    assert free_slots(BY_NODE, [{"n01": (0,)}])["north"] == {"n02": (0, 1, 2, 3)}
    assert run([entry(1, gpus=1)], BY_NODE).launches == (("1", Launch("north", {"n01": (0, 1, 2, 3)}, 4, 2000, 1001)),)
    assert [charged(BY_NODE, gpus, nodes) for gpus, nodes in ((1, 1), (5, 1), (1, 2))] == [4, 8, 8]


def test_the_larger_deficit_goes_first_whatever_came_first():
    waiting = [entry(1, gpus=8, nodes=2), entry(2, gpus=8, nodes=2), entry(3, "n1", gpus=8, nodes=2)]
    assert [job for job, _ in run(waiting, deficits={"eurohpc": 0, "national": 0}).launches] == ["1", "2"]
    assert [job for job, _ in run(waiting, deficits={"eurohpc": 0, "national": 9}).launches] == ["3", "1"]
    assert [job for job, _ in run(waiting, deficits={"eurohpc": 0, "national": 9}, dead_band=9).launches] == ["1", "2"]


def budget(minutes: int) -> dict[str, Account]:
    return ACCOUNTS | {"p1": Account("p1", "eurohpc", gpu_minutes=minutes, qos=("lent", "own"))}


def test_the_budget_counts_running_jobs_whole_and_jobs_started_in_one_cycle():
    waiting = [entry(1, gpus=4, limit=60), entry(2, gpus=4, limit=60), entry(3, gpus=1, limit=60)]
    first = run(waiting, accounts=budget(7))
    assert [job for job, _ in first.launches] == ["1", "3"]
    assert first.waits == (
        (
            "2",
            Wait(
                "the budget of p1 does not cover its time limit: it may need 4 GPU-minutes, "
                "2 are left beside running jobs",
                None,
            ),
        ),
    )
    ended = [replace(e, end=End("COMPLETED", 0, 0, 2010)) if e.launch else e for e in carried_out(waiting, first)]
    second = run(ended, accounts=budget(7), now=2020)
    assert [(job, launch.start, launch.eligible) for job, launch in second.launches] == [("2", 2020, 2020)]


def test_who_waits_for_what_is_said_and_only_changes_are_told():
    large = [entry(1, gpus=8, nodes=2), entry(2, gpus=8, nodes=2)]
    full = carried_out(large, run(large))
    closed = ACCOUNTS | {"n1": Account("n1", "national", open=False)}
    waiting = [*full, entry(3, gpus=2, site="south"), entry(4, "n1")]
    told = run(waiting, accounts=closed, members=MEMBERS - {Member("anna", "n1")})
    assert dict(told.waits) == {
        "3": Wait("waits until 2 GPUs are free at south and it is its turn", 1003),
        "4": Wait("the account n1 is closed", None),
    }
    again = carried_out(waiting, told)
    assert run(again, accounts=closed) == Cycle((), ())
    assert dict(run(again, now=2500).waits) == {"4": Wait("waits until 1 GPU is free and it is its turn", 2500)}
    left = {Member("anna", "p1")}
    assert dict(run(again, members=left).waits) == {"4": Wait("anna is not a member of n1", None)}


def test_jobs_of_a_held_account_wait_until_it_starts():
    held = ACCOUNTS | {"p1": Account("p1", "eurohpc", held=True)}
    admit(stage.request(), BY_GPU, held, rights(MEMBERS))
    told = run([entry(1), entry(2, "n1")], accounts=held)
    assert [number for number, _ in told.launches] == ["2"]
    assert dict(told.waits) == {"1": Wait("the project of p1 has not begun yet", None)}
    (first,) = carried_out([entry(1)], told)
    assert [(number, launch.eligible) for number, launch in run([first], now=2500).launches] == [("1", 2500)]


TWO_QUEUES = stage.machine(partitions={"north": ["n-gpu"], "south": ["s-gpu", "s-long"]})


@pytest.mark.parametrize(
    ("partitions", "sites"),
    [([""], "north south"), (["s-gpu"], "south"), (["s-long", "n-gpu"], "north south"), (["south"], "south")],
)
def test_a_member_of_a_partition_runs_only_at_its_site(partitions, sites):
    members = {Member("anna", "p1", partition) for partition in partitions}
    crowd = [entry(number, gpus=4) for number in range(4)]
    told = run(crowd, TWO_QUEUES, members=members)
    assert {launch.site for _, launch in told.launches} == set(sites.split())
    assert len(told.launches) == 2 * len(sites.split())
    for site in ("north", "south"):
        asked = stage.request(site=site)
        if site in sites:
            admit(asked, TWO_QUEUES, ACCOUNTS, rights(members))
        else:
            with pytest.raises(Refused, match=f"anna may use p1 only at {sites}, where this job cannot run"):
                admit(asked, TWO_QUEUES, ACCOUNTS, rights(members))
            moved = run([entry(9, site=site)], TWO_QUEUES, members=members)
            assert moved.waits[0][1].reason == "no site of the machine that it may use is large enough any more"


def test_a_place_is_never_given_before_its_last_job_ended():
    place = Launch("north", {"n01": (0, 1, 2, 3)}, 4, 1990, 1001)
    gone = replace(entry(1, gpus=4), launch=place, end=End("COMPLETED", 0, 0, 2007))
    launches = dict(run([gone, entry(2, gpus=4), entry(3, gpus=4)]).launches)
    assert {(tuple(launch.slots), launch.start) for launch in launches.values()} == {(("n01",), 2007), (("n02",), 2000)}


@pytest.mark.parametrize(
    ("values", "faults"),
    [
        (
            {"gpus": 0, "nodes": -1, "limit": 0},
            [
                "gpus: 0 is not possible; 1 or more",
                "nodes: -1 is not possible; 1 or more",
                "limit: 0 is not possible; 1 or more",
            ],
        ),
        ({"limit": 172801}, ["limit: 172801 s is too long; at most 172800 s"]),
        ({"script": " \n"}, ["script: is empty; a program's text, best beginning with a line such as #!/bin/bash"]),
        ({"script": "a\0b"}, ["script: contains a NUL byte; plain text"]),
        ({"script": "\ud800"}, ["script: is not text; UTF-8 without lone surrogates"]),
        (
            {"script": "é" * (SCRIPT_CAP // 2) + "x"},
            [f"script: {SCRIPT_CAP + 1} bytes are too many; at most {SCRIPT_CAP}"],
        ),
    ],
)
def test_bad_requests(values, faults):
    with pytest.raises(BadInput) as refusal:
        check(stage.request(**values), BY_GPU)
    assert list(refusal.value.faults) == faults


@pytest.mark.parametrize(
    ("values", "because"),
    [
        ({"account": "p9"}, "there is no account 'p9' on the cluster."),
        ({"account": "shut"}, "the account shut is closed."),
        ({"user": "franco"}, "franco is not a member of p1."),
        ({"pool": "national"}, "p1 belongs to the pool eurohpc, not to 'national'."),
        ({"site": "moon"}, "there is no site 'moon'. One of: north, south."),
        ({"gpus": 5}, "5 GPUs do not fit on 1 nodes of 4 GPUs. 5 GPUs need 2 nodes."),
        ({"gpus": 9, "nodes": 3}, "The largest possible job has 8 GPUs on 2 nodes, at north."),
        ({"qos": "mine"}, "the jobs of p1 may not have the quality of service 'mine'. One of: lent, own."),
        ({"gpus": 4, "limit": 151}, "the job may need 11 GPU-minutes, which is more than the whole budget of p1, 10."),
    ],
)
def test_refusals_say_because(values, because):
    accounts = budget(10) | {"shut": Account("shut", "eurohpc", open=False)}
    with pytest.raises(Refused) as refusal:
        admit(stage.request(**values), BY_GPU, accounts, rights(MEMBERS | {Member("anna", "shut")}))
    assert because in str(refusal.value)
    admit(stage.request(gpus=4, limit=150, qos="lent"), BY_GPU, accounts, rights(MEMBERS))
