"""Several writers at once on PostgreSQL: exactly one wins, nothing is lost, the chain has no gap and no fork."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import OperationalError, connection, transaction

import make
from schmelz.portal.calls import actions
from schmelz.portal.calls.models import Application
from schmelz.portal.ledger.actions import record
from schmelz.portal.ledger.models import Event
from schmelz.portal.people.actions import add_person
from schmelz.portal.postgres import base
from schmelz.portal.projects.models import Project
from schmelz.portal.usage.actions import keep_records
from schmelz.portal.usage.queries import runs
from schmelz.proof.chain import broken

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("connection.vendor != 'postgresql'", reason="`make test-postgres` runs it"),
]


def at_once(*works: Callable[[], object]) -> list[object]:
    """What each gave or raised, all started at the same moment, each with a connection of its own."""
    ready = Barrier(len(works))

    def run(work: Callable[[], object]) -> object:
        try:
            ready.wait(20)
            return work()
        except Exception as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


def whole_chain() -> int:
    """How many events there are, none missing and none twice."""
    events = list(Event.objects.order_by("seq"))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert broken((event.facts(), event.hash) for event in events) is None
    return len(events)


@pytest.fixture
def asked(cast) -> Application:
    return actions.submit(cast.factory, mode_id=cast.mode.id, person=cast.anna, answers=cast.answers())


def test_two_signers_at_once(cast, asked) -> None:
    actions.propose(cast.factory, asked.code, cast.signers[0], gpu_hours=asked.gpu_hours, because="fits")
    for signer in cast.signers[1:-1]:
        actions.sign(cast.factory, asked.code, signer)
    role = cast.pool.signers[-1]
    twins = [
        cast.signers[-1],
        *(
            add_person(cast.factory, handle=f"twin{n}", name=f"Twin {n}", email="t@example.org", roles=(role,))
            for n in range(3)
        ),
    ]
    ended = at_once(*(lambda who=who: actions.sign(cast.factory, asked.code, who) for who in twins))
    assert sorted(type(one).__name__ for one in ended) == ["Application", "Refused", "Refused", "Refused"], ended
    assert Project.objects.count() == 1
    assert [s.role for s in Application.objects.get().signatures.all()] == list(cast.pool.signers)
    whole_chain()


def test_applications_at_once_get_numbers_of_their_own(cast) -> None:
    work = lambda: actions.submit(cast.factory, mode_id=cast.mode.id, person=cast.anna, answers=cast.answers())  # noqa: E731
    ended = at_once(*[work] * 4)
    assert sorted(one.code for one in ended) == ["a00001", "a00002", "a00003", "a00004"]
    whole_chain()


def test_four_writers_one_chain(cast) -> None:
    before = whole_chain()

    def write() -> None:
        for number in range(25):
            with transaction.atomic():
                record("test", "thing:1", cast.gilles, number=number)

    assert at_once(*[write] * 4) == [None] * 4
    assert whole_chain() == before + 100


def test_two_readings_at_once_are_both_kept(cast) -> None:
    def read(number: int) -> object:
        return keep_records(make.runs({"job": str(number)}), (), 1, source=f"text {number}", system=cast.system.id)

    ended = at_once(*(lambda n=n: read(n) for n in range(1, 5)))
    assert all(getattr(one, "added", 0) == 1 for one in ended), ended
    assert sorted(runs()["job"]) == ["1", "2", "3", "4"]


def test_a_wait_has_an_end_and_leaves_a_connection_that_works(cast, monkeypatch) -> None:
    monkeypatch.setattr(base, "TURN", base.TURN.replace(f"{base.PATIENCE}s", "200ms"))

    def late() -> object:
        with pytest.raises(OperationalError), transaction.atomic():
            record("test", "thing:1", None)
        return Event.objects.count()

    with transaction.atomic():
        with ThreadPoolExecutor(1) as pool:
            before = Event.objects.count()
            assert pool.submit(at_once, late).result() == [before]
        record("test", "thing:1", None)
    assert whole_chain() == before + 1
