"""Reading the ledger: the head of the chain, and the story of one thing."""

from schmelz.portal.ledger.models import Event
from schmelz.proof.chain import GENESIS


def head() -> tuple[int, str]:
    """The last event's number and hash; (0, genesis) for an empty ledger."""
    last = Event.objects.order_by("-seq").values_list("seq", "hash").first()
    return last or (0, GENESIS)


def story(subject: str) -> list[Event]:
    """All events about one thing, oldest first, with their actors."""
    return list(Event.objects.filter(subject=subject).select_related("actor"))
