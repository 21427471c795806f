"""The list of who was forgotten, by number: it names nobody, and makes a restored backup forget them again.

A backup that is older than a forgetting still holds the person. So the list lies outside of it: `forgotten.json` in the
data directory, and beside every backup, written anew with each. It follows from the chain of events and can be made again
at any time; `first` is the hash of the first event, so that the list of another factory is refused. Numbers are never used
twice. A restore takes the list that lies beside the backup, or the one that is given.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from schmelz.faults import BadInput
from schmelz.operate.forget import erase_everywhere
from schmelz.operate.forgotten import LIST
from schmelz.portal.ledger.models import Event
from schmelz.portal.people.models import Person

KIND = "person.forgotten"


def forgotten() -> dict[str, Any]:
    """Who was forgotten and when, from the chain."""
    first = Event.objects.order_by("seq").values_list("hash", flat=True).first()
    rows = Event.objects.filter(kind=KIND).order_by("seq").values_list("subject", "at")
    return {"first": first, "persons": [{"person": int(subject.partition(":")[2]), "at": at} for subject, at in rows]}


def write_list(to: Path) -> Path:
    """Write the list into a directory, whole or not at all; not where nobody was forgotten and none is there."""
    path, said = to / LIST, forgotten()
    if not said["persons"] and not path.exists():
        return path
    aside = path.with_name(f".{LIST}")
    aside.write_text(json.dumps(said, indent=1) + "\n", "utf-8")
    aside.replace(path)
    return path


def keep_list() -> Path:
    """The list in the data directory, as of now."""
    return write_list(Path(settings.DATA))


@transaction.atomic
def forget_again(said: Mapping[str, Any], path: Path) -> Sequence[int]:
    """Forget those on the list whom the restored database still knows; their numbers. Raises BadInput."""
    here = forgotten()
    if said["persons"] and said["first"] != here["first"]:
        raise BadInput(f"{path}: is the list of another factory; give the one that lies beside this one's backups")
    known = {one["person"] for one in here["persons"]}
    numbers = sorted({one["person"] for one in said["persons"]} - known)
    found = list(Person.objects.select_for_update().filter(pk__in=numbers))
    for person in found:
        erase_everywhere(person, None, "Was forgotten after the backup that was restored.")
    return [person.pk for person in found]
