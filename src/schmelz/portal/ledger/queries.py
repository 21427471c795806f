"""Reading the ledger: the head of the chain, the story of one thing, and the closed months."""

from schmelz.faults import BadInput
from schmelz.portal.ledger.models import Closing, Event
from schmelz.proof.chain import GENESIS
from schmelz.proof.heads import Closing as Closed, Countersigned


def head() -> tuple[int, str]:
    """The last event's number and hash; (0, genesis) for an empty ledger."""
    last = Event.objects.order_by("-seq").values_list("seq", "hash").first()
    return last or (0, GENESIS)


def story(subject: str) -> list[Event]:
    """All events about one thing, oldest first, with their actors."""
    return list(Event.objects.filter(subject=subject).select_related("actor"))


def closing(month: str) -> Closing:
    """The closing of a month. Raises BadInput for a month that is not closed."""
    found = Closing.objects.filter(month=month).first()
    if found is None:
        last = Closing.objects.last()
        raise BadInput(f"month: {month!r} is not closed" + (f"; the last that is: {last.month}" if last else ""))
    return found


def closings() -> list[Closing]:
    """The closed months in order, with who signed them."""
    return list(Closing.objects.prefetch_related("signatures__person"))


def closed(row: Closing) -> Closed:
    """A closed month as others read it: persons stand in it as commitments."""
    signatures = tuple(Countersigned(one.role, one.commitment) for one in row.signatures.all())
    return Closed(row.month, row.previous, row.inputs, row.totals, row.head, signatures)
