"""Applying: guards stand before the first command, the order is kept, and nothing is believed that was not read back."""

import multiprocessing
from contextlib import contextmanager
from dataclasses import replace

import pytest

from clusters.stage import Died, MemoryCluster
from schmelz.cluster.apply import Applied, apply
from schmelz.cluster.backends.slurm_call import Record
from schmelz.cluster.desired import Desired
from schmelz.cluster.diff import Kept, diff
from schmelz.cluster.journal import Journal
from schmelz.cluster.model import Account, ClusterError, Member, Observed, Qos
from schmelz.cluster.plan import make
from schmelz.faults import Refused

POOLS = (Account("eurohpc", "root", 50), Account("national", "root", 50))
OWN = Qos("own", 1000, 8)
WANT = Desired(
    (*POOLS, Account("p1", "eurohpc", gpu_minutes=9, qos=("own",)), Account("p2", "national")),
    (Member("anna", "p1"), Member("bo", "p2"), Member("bo", "p2", "north")),
    qos=(OWN,),
)
HAVE = Observed(
    "lab",
    (POOLS[0], Account("p1", "eurohpc", gpu_minutes=5), Account("p0", "eurohpc")),
    (Member("bo", "p0"), Member("bo", "p1")),
    defaults=(("bo", "p0"),),
)
STEPS = len(diff(WANT, HAVE))
REMOVED = ("account p0", "member p0/bo", "member p1/bo")


def standing(there: Observed = HAVE, kind: type[MemoryCluster] = MemoryCluster, **values) -> MemoryCluster:
    accounts = {account.name: account for account in there.accounts}
    return kind(accounts, set(there.members), defaults=dict(there.defaults), **values)


@pytest.fixture
def journal(tmp_path) -> Journal:
    return Journal(tmp_path / "journal")


@pytest.mark.parametrize("breath", range(STEPS))
def test_killed_half_way_the_next_apply_finishes(breath):
    backend = standing(breath=breath)
    with pytest.raises(Died):
        apply(backend, WANT, allow_remove=9)
    backend.breath = 100
    apply(backend, WANT, allow_remove=9)
    assert diff(WANT, backend.observe()) == ()
    assert STEPS == 11


def test_only_the_plan_that_was_read_is_applied():
    backend = standing()
    read = make(WANT, backend.observe()).hash
    backend.accounts["p1"] = replace(backend.accounts["p1"], shares=7)
    with pytest.raises(Refused, match=rf"{read[:12]}.*{make(WANT, backend.observe()).hash[:12]}"):
        apply(backend, WANT, expected_hash=read, allow_remove=9)
    assert backend.accounts == standing().accounts | {"p1": Account("p1", "eurohpc", 7, 5)}
    backend.accounts["p1"] = HAVE.accounts[1]
    for short in ("", read[:11]):
        with pytest.raises(Refused, match="moved since"):
            apply(backend, WANT, expected_hash=short, allow_remove=9)
    assert apply(backend, WANT, expected_hash=read[:12], allow_remove=9) == Applied(STEPS, read)


def test_the_brake():
    backend = standing()
    with pytest.raises(Refused, match=r"3 times .*--allow-remove 3"):
        apply(backend, WANT, allow_remove=2)
    assert backend.observe() == replace(standing().observe())
    assert apply(backend, WANT, allow_remove=3).changes == STEPS


@pytest.mark.parametrize("approved", [(), ("gilles",)])
def test_many_removals_need_a_second_person(approved):
    backend = standing()
    plan = make(WANT, HAVE)
    with pytest.raises(Refused) as refusal:
        apply(backend, WANT, allow_remove=3, who="gilles", alone=2, approved=approved)
    assert refusal.value.because.endswith("3 times; one operator may do that 2 times.")
    assert refusal.value.remedy == f"A second operator must approve this plan: schmelz approve {plan.hash}"
    assert backend.accounts == standing().accounts and backend.members == standing().members
    apply(backend, WANT, allow_remove=3, who="gilles", alone=2, approved={"gilles", "hanna"})
    assert diff(WANT, backend.observe()) == ()


def test_few_removals_need_one_person_and_the_brake_holds_whoever_approves():
    with pytest.raises(Refused, match="--allow-remove 3"):
        apply(standing(), WANT, allow_remove=2, who="gilles", alone=2, approved={"hanna"})
    assert apply(standing(), WANT, allow_remove=3, who="gilles", alone=3).changes == STEPS


def test_nothing_to_do_is_one_look_and_no_entry(journal):
    backend = standing(replace(HAVE, accounts=POOLS, members=(), defaults=()))
    assert apply(backend, Desired(POOLS, ()), journal=journal).changes == 0
    assert (backend.looks, journal.entries()) == (1, ())


def test_what_a_cluster_says_yes_to_and_does_not_do_is_found_out(journal):
    class Deaf(MemoryCluster):
        def change(self, accounts, qos=(), defaults=()):
            pass

    wanted = Desired((*POOLS[:1], replace(POOLS[1], shares=7)), ())
    backend = Deaf({account.name: account for account in POOLS})
    with pytest.raises(ClusterError, match=r"1 differences remain:\n  change account national"):
        apply(backend, wanted, journal=journal)
    (entry,) = journal.entries()
    assert (entry.state, entry.words.splitlines()[1]) == ("failed", "  change account national")


def test_the_order_is_qos_accounts_members_then_changes_then_removals():
    calls = []

    class Told(MemoryCluster):
        def create(self, accounts, members, qos=()):
            calls.append(([q.name for q in qos], [a.name for a in accounts], len(members)))
            super().create(accounts, members, qos)

        def change(self, accounts, qos=(), defaults=()):
            calls.append(([a.name for a in accounts], list(qos), list(defaults)))
            super().change(accounts, qos, defaults)

        def remove(self, members):
            calls.append(sorted(members))
            super().remove(members)

    apply(standing(kind=Told), WANT, allow_remove=3)
    assert calls == [
        (["own"], ["national", "p2"], 3),
        (["p0", "p1"], [], [("bo", "p2")]),
        [Member("bo", "p0"), Member("bo", "p1")],
    ]


def test_what_is_kept_is_sent_as_it_is():
    backend = standing(replace(HAVE, accounts=(*POOLS, Account("p1", "eurohpc", 3, 5)), members=(), defaults=()))
    wanted = Desired((*POOLS, Account("p1", "eurohpc", 1, 9)), ())
    keep = {("account", "p1", "shares"): Kept("left", (3,))}
    assert apply(backend, wanted, keep=keep).changes == 1
    assert backend.accounts["p1"] == Account("p1", "eurohpc", 3, 9)


# -- with a journal


def test_every_command_has_its_line_before_it_runs(journal):
    """A backend that tells its commands, as the one for Slurm does; here each looks what the disk says of it."""

    class Telling(MemoryCluster):
        @contextmanager
        def recorded(self, tell):
            self.tell = tell
            yield
            self.tell = lambda record: None

        def _breathe(self):
            record = Record(("sacctmgr", "modify"), "stdin", 1.5)
            self.tell(record)
            (path,) = journal.directory.glob("*.jsonl")
            assert b'"line":"command"' in path.read_bytes().splitlines()[-1]
            self.tell(replace(record, seconds=0.25, status=0, stdout=b"done\n", stderr="slow"))

    done = apply(standing(kind=Telling), WANT, allow_remove=3, journal=journal, who="gilles")
    header, state, *commands, end = journal.lines(done.journal)
    assert (header["who"], header["removals"], header["allow_remove"]) == ("gilles", list(REMOVED), 3)
    assert (header["plan"], header["changes"], header["cluster"]) == (done.hash, STEPS, "lab")
    assert [account["name"] for account in state["observed"]["accounts"]] == ["eurohpc", "p1", "p0"]
    assert [line["line"] for line in commands] == ["command", "answer"] * STEPS
    assert commands[1] == {
        "line": "answer",
        "argv": ["sacctmgr", "modify"],
        "started": 1.5,
        "seconds": 0.25,
        "status": 0,
        "out": "done\n",
        "said": "slow",
    }
    assert (end["state"], end["finished"]) == ("done", [])
    assert journal.desired(done.journal) == WANT == journal.last()


def test_the_removals_of_an_interrupted_apply_are_finished_and_no_others(journal):
    with pytest.raises(Died):
        apply(standing(breath=STEPS - 2), WANT, allow_remove=3, who="gilles", alone=2, approved={"h"}, journal=journal)
    (first,) = journal.entries()
    assert (first.state, first.removals, first.changes) == ("interrupted", REMOVED, STEPS)
    backend = standing()
    backend.members.add(Member("cleo", "p1"))
    with pytest.raises(Refused, match=r"takes access away 1 time .*allowed are 0.* --allow-remove 1"):
        apply(backend, WANT, journal=journal, who="hanna", alone=0)
    with pytest.raises(Refused, match="second operator"):
        apply(backend, WANT, journal=journal, who="hanna", alone=0, allow_remove=1)
    backend.members.remove(Member("cleo", "p1"))
    done = apply(backend, WANT, journal=journal, who="hanna", alone=0)
    assert [(e.id, e.state, e.finished) for e in journal.entries()] == [
        (done.journal, "done", (first.id,)),
        (first.id, "interrupted", ()),
    ]
    with pytest.raises(Refused, match="allowed are 0"):
        apply(standing(), WANT, journal=journal)


def test_killed_after_the_last_command_the_next_apply_closes_the_entry(journal):
    class Dies(MemoryCluster):
        def observe(self):
            if self.looks:
                raise Died
            return super().observe()

    backend = standing(kind=Dies)
    with pytest.raises(Died):
        apply(backend, WANT, allow_remove=3, journal=journal)
    done = apply(MemoryCluster(**vars(backend) | {"looks": 0}), WANT, journal=journal)
    assert (done.changes, [entry.state for entry in journal.entries()]) == (0, ["done", "interrupted"])
    assert journal.entries()[0].finished == (journal.entries()[1].id,)


def _applies(directory, ready, go) -> None:
    class Slow(MemoryCluster):
        def observe(self):
            ready.set(), go.wait(20)
            return super().observe()

    apply(standing(kind=Slow), WANT, allow_remove=3, journal=Journal(directory), who="gilles")


def test_two_applies_at_once_are_one_and_a_refusal(journal):
    processes = multiprocessing.get_context("fork")
    ready, go = processes.Event(), processes.Event()
    other = processes.Process(target=_applies, args=(journal.directory, ready, go))
    other.start()
    assert ready.wait(20)
    backend = standing()
    with pytest.raises(Refused, match=rf"^gilles has been applying a plan since \d{{4}}-.*Z \(process {other.pid}\)"):
        apply(backend, WANT, allow_remove=3, journal=journal, who="hanna")
    assert backend.looks == 0
    go.set(), other.join()
    assert [(entry.who, entry.state) for entry in journal.entries()] == [("gilles", "done")]
