"""Taking a person's names out of what others wrote: reasons, summaries, titles, letters.

Replaced are the whole name, the address, the handle and the Unix name in any spelling of capitals, and each part of the
name of three letters or more as it is written. The chain of events stays valid: it holds a salted commitment to each
reason, and the salt goes with the name (`portal.ledger`). Events from before reasons were sealed stay as they are.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import Model, Q

from schmelz.portal.calls.models import Application, Signature
from schmelz.portal.clusters.models import Choice, Comparison, Mandate, Move
from schmelz.portal.ledger.models import Event
from schmelz.portal.people.forget import NAME
from schmelz.portal.people.models import Letter, Person
from schmelz.portal.projects.models import Amendment, Project
from schmelz.portal.usage.models import NodeOutage

TEXTS: tuple[tuple[type[Model], tuple[str, ...]], ...] = (
    (Amendment, ("because",)),
    (Application, ("title", "summary")),
    (Choice, ("because",)),
    (Letter, ("subject", "body")),
    (Mandate, ("because",)),
    (Move, ("because",)),
    (NodeOutage, ("reason",)),
    (Project, ("title",)),
    (Signature, ("because",)),
)
SHORTEST = 3


@dataclass(frozen=True)
class Names:
    """What names somebody: texts in any capitals, words in any capitals, and words as they are written."""

    texts: tuple[str, ...]
    words: tuple[str, ...]
    parts: tuple[str, ...]

    @property
    def every(self) -> tuple[str, ...]:
        return (*self.texts, *self.words, *self.parts)

    def out_of(self, text: str) -> str:
        """The text without them."""
        for name in sorted(self.texts, key=len, reverse=True):
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", NAME, text, flags=re.IGNORECASE)
        text = self.words_out_of(text, NAME)
        for part in self.parts:
            text = re.sub(rf"(?<!\w){re.escape(part)}(?!\w)", NAME, text)
        return text

    def words_out_of(self, text: str, stranger: str) -> str:
        """The text with another word in the place of the handle and the Unix name."""
        for word in self.words:
            text = re.sub(rf"(?<![\w.-]){re.escape(word)}(?![\w-])", stranger, text, flags=re.IGNORECASE)
        return text


def names_of(person: Person) -> Names:
    parts = tuple(part for part in person.name.split() if len(part) >= SHORTEST)
    texts = tuple(filter(None, (person.name, person.email)))
    return Names(texts, tuple(filter(None, (person.handle, person.unix_name))), parts)


def redact(names: Names) -> int:
    """Take the names out of everything that was typed, inside the caller's transaction; how many rows changed."""
    changed = sum(_rows(model, fields, names) for model, fields in TEXTS)
    return changed + _events(names) + _comparisons(names)


def _rows(model: type[Model], fields: tuple[str, ...], names: Names) -> int:
    changed = 0
    for row in model._default_manager.filter(_holding(fields, names)):
        before = {field: getattr(row, field) for field in fields}
        after = {field: names.out_of(text)[: _longest(model, field)] for field, text in before.items()}
        if after != before:
            model._default_manager.filter(pk=row.pk).update(**after)
            changed += 1
    return changed


def _longest(model: type[Model], field: str) -> int | None:
    return getattr(model._meta.get_field(field), "max_length", None)


def _holding(fields: tuple[str, ...], names: Names) -> Q:
    found = Q()
    for field in fields:
        for name in names.every:
            found |= Q(**{f"{field}__icontains": name})
    return found


def _events(names: Names) -> int:
    """Reasons of events, with their salts: what the chain holds of them tells nothing any more."""
    changed = 0
    for event in Event.objects.filter(_holding(("because",), names)).exclude(sealed=""):
        text = names.out_of(event.because)
        if text != event.because:
            Event.objects.filter(pk=event.pk).update(because=text, salt="")
            changed += 1
    return changed


def _comparisons(names: Names) -> int:
    changed = 0
    for row in Comparison.objects.all():
        text = json.dumps(row.by_hand, ensure_ascii=False)
        if names.out_of(text) != text:
            Comparison.objects.filter(pk=row.pk).update(by_hand=json.loads(names.out_of(text)))
            changed += 1
    return changed


def unsealed(names: Names) -> Iterator[int]:
    """The numbers of older events whose reasons name them and cannot be changed."""
    for event in Event.objects.filter(_holding(("because",), names), sealed=""):
        if names.out_of(event.because) != event.because:
            yield event.seq
