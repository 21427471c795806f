"""Django's PostgreSQL with one writer at a time, as SQLite's IMMEDIATE transactions have it. Django demands this file's name.

Every transaction begins with the same advisory lock of this database, so what an action reads is still so when it writes:
next numbers, manifests, whose turn it is, the end of the chain. Single statements outside of transactions, which is how
pages read, never wait. A transaction that waited PATIENCE seconds fails before it began. PostgreSQL keeps no text with a
NUL character: that is bad input.
"""

from typing import Any

from django.db.backends.postgresql import base
from psycopg.types.string import StrDumperUnknown

from schmelz.faults import BadInput

PATIENCE = 60
TURN = f"SET LOCAL lock_timeout = '{PATIENCE}s'; SELECT pg_advisory_xact_lock(7311); SET LOCAL lock_timeout = 0"


class Text(StrDumperUnknown):
    """Text on its way to the database."""

    def dump(self, obj: str) -> Any:
        if "\0" in obj:
            raise BadInput(f"text: {obj[:40]!r} holds a NUL character; leave it out")
        return super().dump(obj)


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection whose transactions take turns with those of all others."""

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        connection = super().get_new_connection(conn_params)
        connection.adapters.register_dumper(str, Text)
        return connection

    def _set_autocommit(self, autocommit: bool) -> None:
        super()._set_autocommit(autocommit)  # type: ignore[misc]  # django-stubs leave it out
        if autocommit:
            return
        try:
            with self.wrap_database_errors:
                self.connection.execute(TURN)
        except BaseException:
            self.close()  # another one is opened when it is needed
            raise
