"""The journal of applies on a real disk: order, locks, cut and damaged lines, no room, and the way back."""

import hashlib
import json
import os
import resource
from contextlib import contextmanager
from dataclasses import replace

import pytest

from clusters.stage import Died, MemoryCluster
from schmelz.cluster.apply import apply
from schmelz.cluster.backends.slurm_call import Record
from schmelz.cluster.desired import Desired
from schmelz.cluster.journal import Entry, Journal, before
from schmelz.cluster.model import Account, ClusterError, Member, Observed, Qos
from schmelz.cluster.plan import make
from schmelz.faults import BadInput, Refused

POOL = Account("eurohpc", "root", 50, qos=("own",), default_qos="own")
BARE = Desired((POOL,), (), ("look at this",), (Qos("own", 1000, 8, ("lent",)),), {"eurohpc": "the policy file"})
FULL = replace(
    BARE, accounts=(POOL, Account("p1", "eurohpc", 1, 60, coordinators=("anna",))), members=(Member("anna", "p1"),)
)


@pytest.fixture
def journal(tmp_path) -> Journal:
    return Journal(tmp_path / "a" / "journal", clock=lambda: 1_777_777_777.5)


def filled(journal: Journal) -> MemoryCluster:
    """Two applies of two states, and one that was killed."""
    backend = MemoryCluster()
    apply(backend, BARE, journal=journal, who="gilles")
    apply(backend, FULL, journal=journal, who="hanna")
    backend.breath = 0
    with pytest.raises(Died):
        apply(backend, BARE, journal=journal, allow_remove=2, who="gilles")
    backend.breath = 99
    return backend


def test_entries_tell_what_was_done_the_newest_first(journal):
    filled(journal)
    assert [(e.id, e.at, e.who, e.changes, e.removals, e.state) for e in journal.entries()] == [
        ("000003-20260503T030937Z", 1_777_777_777, "gilles", 2, ("account p1", "member p1/anna"), "interrupted"),
        ("000002-20260503T030937Z", 1_777_777_777, "hanna", 2, (), "done"),
        ("000001-20260503T030937Z", 1_777_777_777, "gilles", 2, (), "done"),
    ]
    assert journal.last() == FULL
    assert [journal.desired(entry.id) for entry in journal.entries()] == [BARE, FULL, BARE]
    assert [entry.id[:6] for entry in journal.unfinished()] == ["000003"]
    assert journal.directory.stat().st_mode & 0o777 == 0o700


def test_a_clock_that_jumps_back_changes_no_order(journal):
    backend = MemoryCluster()
    for number, wanted in enumerate((BARE, FULL, BARE)):
        later = Journal(journal.directory, clock=lambda at=10**9 - number * 10**8: at)
        apply(backend, wanted, journal=later, allow_remove=9)
    assert [entry.id[:6] for entry in journal.entries()] == ["000003", "000002", "000001"]
    assert [entry.at for entry in journal.entries()] == [8 * 10**8, 9 * 10**8, 10**9]


def test_the_digest_is_that_of_the_closed_entry(journal):
    done = apply(MemoryCluster(), FULL, journal=journal)
    path = journal.directory / f"{done.journal}.jsonl"
    assert done.digest == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_way_back_is_the_state_before(journal):
    with pytest.raises(Refused, match="nothing was applied before that"):
        before(journal)
    filled(journal)
    third, second, first = (entry.id for entry in journal.entries())
    assert (before(journal), before(journal, third), before(journal, second)) == (FULL, FULL, BARE)
    with pytest.raises(Refused):
        before(journal, first)
    with pytest.raises(BadInput, match="'7' is not in the journal"):
        before(journal, "7")
    with pytest.raises(BadInput, match=r"'\.\./x' is not in the journal"):
        journal.desired("../x")


@pytest.mark.parametrize("lines", [1, 2, 3])
def test_a_line_cut_in_the_middle_of_a_write_is_no_line(journal, lines):
    """Cut in the state, in the end, and behind the header: the entry is interrupted, and the next apply finishes."""
    backend = MemoryCluster()
    done = apply(backend, FULL, journal=journal)
    path = journal.directory / f"{done.journal}.jsonl"
    whole = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(whole[:lines]) + (whole[lines][:-9] if lines < len(whole) else b'{"line'))
    state = "interrupted" if lines < 3 else "done"
    assert [entry.state for entry in journal.entries()] == [state]
    if lines == 1:
        with pytest.raises(ClusterError, match="the desired state is not whole; nothing was done by it"):
            journal.desired(done.journal)
    apply(backend, BARE, journal=journal, allow_remove=9)
    assert [entry.state for entry in journal.entries()] == ["done", state]


def test_a_header_that_was_never_whole_is_no_entry_and_its_number_is_not_used_again(journal):
    done = apply(MemoryCluster(), FULL, journal=journal)
    path = journal.directory / f"{done.journal}.jsonl"
    path.write_bytes(path.read_bytes()[:20])
    assert journal.entries() == ()
    assert apply(MemoryCluster(), FULL, journal=journal).journal.startswith("000002")


def test_a_damaged_entry_is_said(journal):
    done = apply(MemoryCluster(), FULL, journal=journal)
    path = journal.directory / f"{done.journal}.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join((lines[0], b"x" + lines[1], lines[2])))
    with pytest.raises(ClusterError, match=r"jsonl, line 2: is damaged .*restore the journal from a backup"):
        list(journal.lines(done.journal))


def test_while_it_runs_an_entry_is_running(journal):
    class Looks(MemoryCluster):
        def create(self, accounts, members, qos=()):
            seen.extend(journal.entries())
            super().create(accounts, members, qos)

    seen: list[Entry] = []
    apply(Looks(), FULL, journal=journal)
    assert [entry.state for entry in seen] == ["running"]


def test_long_answers_are_cut_and_their_sum_is_kept(journal):
    out = b"x" * 65_535 + "é".encode() + b"y" * 9
    plan = make(FULL, Observed("lab", (), ()))
    with journal.lock():
        entry = journal.begin(plan, "gilles", 0)
        record = Record(("sacctmgr", "show"), "", 1.0, 2.0, None, out, "too slow")
        entry.command(record), entry.command(replace(record, stdout=out[:65_535] + b"z"))
        entry.end("done"), entry.close()
    _, _, long, short, _ = journal.lines(entry.id)
    assert long["out"]["bytes"] == len(out) and long["out"]["sha256"] == hashlib.sha256(out).hexdigest()
    assert (long["out"]["cut"][:-1], long["status"], long["said"]) == ("x" * 65_535, None, "too slow")
    assert short["out"] == "x" * 65_535 + "z"


# -- no room, no right


@contextmanager
def room(size: int):
    """The kernel lets no file of ours grow beyond this."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


NO_ROOM = r"jsonl: the journal cannot be written \(File too large\), and without it nothing more is done on the cluster"


@pytest.mark.parametrize("size", [0, 100, 600])
def test_without_room_for_the_beginning_nothing_is_done(journal, size):
    backend = MemoryCluster()
    with room(size), pytest.raises(ClusterError, match=NO_ROOM):
        apply(backend, FULL, journal=journal)
    assert (backend.accounts, journal.entries(), list(journal.directory.glob("*.jsonl"))) == ({}, (), [])
    assert apply(backend, FULL, journal=journal).changes == 4


def test_without_room_for_a_command_it_is_not_run_and_the_next_apply_finishes(journal):
    class Telling(MemoryCluster):
        @contextmanager
        def recorded(self, tell):
            self.tell = tell
            yield

        def _breathe(self):
            self.tell(Record(("sacctmgr", "x" * 300), "", 1.0))

    begun = apply(MemoryCluster(), FULL, journal=Journal(journal.directory.parent / "other")).journal
    size = (journal.directory.parent / "other" / f"{begun}.jsonl").stat().st_size
    backend = Telling()
    with room(size + 400), pytest.raises(ClusterError, match=NO_ROOM):
        apply(backend, FULL, journal=journal)
    assert len(backend.qos) == 1 and backend.accounts == {}, "the first command had its line, the second had none"
    (entry,) = journal.entries()
    assert [line["line"] for line in journal.lines(entry.id)] == ["header", "state", "command"]
    assert entry.state == "interrupted"
    apply(backend, FULL, journal=journal)
    assert journal.entries()[0].finished == (entry.id,)


def test_after_a_line_that_could_not_be_written_none_follows(journal):
    with journal.lock():
        entry = journal.begin(make(FULL, Observed("lab", (), ())), "gilles", 0)
    size = entry.path.stat().st_size
    command = Record(("sacctmgr", "x" * 300), "", 1.0)
    with room(size + 100), pytest.raises(ClusterError, match=NO_ROOM):
        entry.command(command)
    for write in (lambda: entry.command(command), lambda: entry.end("done")):
        with pytest.raises(ClusterError, match=NO_ROOM):
            write()
    entry.close()
    assert (len(list(journal.lines(entry.id))), entry.path.stat().st_size) == (2, size + 100)


def test_a_journal_that_cannot_be_written_is_said_before_the_cluster_is_asked(tmp_path):
    (tmp_path / "file").write_text("")
    backend = MemoryCluster()
    with pytest.raises(ClusterError, match=r"file/journal: the journal cannot be written \(Not a directory\); nothing"):
        apply(backend, FULL, journal=Journal(tmp_path / "file" / "journal"))
    assert backend.looks == 0
    assert Journal(tmp_path / "none").entries() == ()


def test_a_lock_that_somebody_left_is_free(journal):
    """Nobody holds the lock of a process that is gone, whatever its file says."""
    journal.directory.mkdir(parents=True)
    (journal.directory / "lock").write_text(json.dumps({"who": "gone", "pid": 1, "at": 0}) + " " * 99)
    with journal.lock("gilles"):
        assert json.loads((journal.directory / "lock").read_text()) == {
            "who": "gilles",
            "pid": os.getpid(),
            "at": 1_777_777_777,
        }
