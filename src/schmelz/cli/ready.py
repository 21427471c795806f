"""Making the portal ready for one command: the data directory, Django, the database's tables, and who acts."""

import fcntl
import gc
import os
import pwd
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from schmelz.faults import BadInput, Refused

if TYPE_CHECKING:
    from schmelz.policy.schema import Factory, System
    from schmelz.portal.people.models import Person


@cache
def portal() -> None:
    """Set up Django over the data directory; an empty one gets its database now."""
    import django
    from django.conf import settings

    from schmelz.policy.load import current

    current(Path(os.environ.get("SCHMELZ_FACTORY") or "factory.toml"))  # a faulty factory leaves no directory behind
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "schmelz.portal.settings")
    _make_directory(Path(os.environ.get("SCHMELZ_DATA") or ".data"))
    django.setup()
    _migrate(Path(settings.DATA))
    gc.freeze()  # all that is loaded stays; from here on rubbish is looked for as usual, among what comes later
    gc.set_threshold(700, 10, 10)


def _make_directory(data: Path) -> None:
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (data / "migrate.lock").open("a"):
            pass
    except OSError as error:
        raise BadInput(
            f"--data {data}: cannot be used ({error.strerror}); give a directory that you may write to"
        ) from None


def _migrate(data: Path) -> None:
    """Bring the tables up to date; the mark in `schema` spares every later command the question."""
    mark = data / "schema"
    wanted = _schema_version()
    if mark.exists() and mark.read_text() == wanted and _has_database(data):
        return
    with (data / "migrate.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (mark.exists() and mark.read_text() == wanted and _has_database(data)):
            _make_tables()
            mark.write_text(wanted)


def _make_tables() -> None:
    """All new migrations in one transaction: a kill in the middle leaves the tables as they were."""
    from django.core.management import call_command
    from django.db import connection, transaction

    connection.disable_constraint_checking()  # SQLite changes tables inside a transaction only without it
    try:
        with transaction.atomic():
            call_command("migrate", verbosity=0, interactive=False, skip_checks=True)
            connection.check_constraints()
    finally:
        connection.enable_constraint_checking()


def _has_database(data: Path) -> bool:
    return bool(os.environ.get("SCHMELZ_DATABASE")) or (data / "schmelz.sqlite3").exists()


def _schema_version() -> str:
    """The migrations that this code has, and which database they were made for."""
    from schmelz import portal as room

    names = sorted(
        str(p.relative_to(Path(room.__file__).parent)) for p in Path(room.__file__).parent.glob("*/migrations/0*.py")
    )
    database = sha256(os.environ.get("SCHMELZ_DATABASE", "sqlite").encode()).hexdigest()  # it may hold a password
    return "\n".join([database, *names])


def factory() -> "Factory":
    """The factory; its faults end the command with exit code 2."""
    from schmelz.portal.policy import factory as current

    return current()


def system(wanted: str | None) -> "System":
    """The system of this id, or the factory's main one. Raises BadInput."""
    from schmelz.portal.policy import main_system

    if wanted is None:
        return main_system()
    found = next((s for s in factory().systems if s.id == wanted), None)
    if found is None:
        raise BadInput(f"--system: {wanted!r} is not known; one of: {', '.join(s.id for s in factory().systems)}")
    return found


def maybe_person() -> "Person | None":
    """Who acts: --as in demo data, else the person mapped to this Unix user; None for an unmapped Unix user."""
    from schmelz.portal.people.queries import by_handle, by_unix_name

    handle = os.environ.get("SCHMELZ_AS")
    if handle is not None:
        person = by_handle(handle)
        if not person.demo:
            raise Refused("--as works in demo data only.", "Act as the Unix user who is mapped to the person.")
        return person
    return by_unix_name(unix_user())


def unix_user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def person() -> "Person":
    """Who acts. Raises Refused for a Unix user who is nobody here."""
    found = maybe_person()
    if found is None:
        raise Refused(
            f"the Unix user {unix_user()} is mapped to no person.",
            "In demo data say --as PERSON; elsewhere an administrator runs `schmelz person add`.",
        )
    return found
