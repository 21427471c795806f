"""The database as one file, as of one instant, and back: SQLite's own copy, or what pg_dump writes (custom format).

A *snapshot* is that file together with what the database named at that very instant: record files, closed months, and the
head of the chain. Nothing else waits meanwhile. A password never stands in the words of a command.
"""

import os
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import connection

from schmelz.faults import BadInput, Refused

SQLITE, POSTGRES = "database.sqlite3", "database.dump"
Ask = Callable[[str], list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Snapshot:
    """What the database named at the instant of its copy."""

    records: tuple[str, ...]
    closed: tuple[str, ...]
    events: int
    head: str


def dump(directory: Path, hold: Callable[[Snapshot], None]) -> Snapshot:
    """Copy the database into the directory, while others write on; `hold` is told at once what the copy names."""
    if connection.vendor == "postgresql":
        return _dump_postgres(directory / POSTGRES, hold)
    return _dump_sqlite(directory / SQLITE, hold)


def _dump_sqlite(path: Path, hold: Callable[[Snapshot], None]) -> Snapshot:
    connection.ensure_connection()
    with closing(sqlite3.connect(path)) as copy:
        connection.connection.backup(copy)
        hold(snapshot := _named(lambda question: copy.execute(question).fetchall()))
        copy.execute("PRAGMA journal_mode=DELETE")  # one file, without the log beside it
    return snapshot


def _dump_postgres(path: Path, hold: Callable[[Snapshot], None]) -> Snapshot:
    import psycopg

    address, environment = _libpq()
    with psycopg.connect(os.environ["SCHMELZ_DATABASE"]) as reader:
        reader.isolation_level, reader.read_only = psycopg.IsolationLevel.REPEATABLE_READ, True
        hold(snapshot := _named(lambda question: reader.execute(question).fetchall()))
        ((instant,),) = reader.execute("SELECT pg_export_snapshot()")
        words = ["--format=custom", "--no-owner", "--no-privileges", f"--snapshot={instant}", f"--file={path}"]
        _run(["pg_dump", *words, f"--dbname={address}"], environment)
    return snapshot


def _named(ask: Ask) -> Snapshot:
    last = ask("SELECT seq, hash FROM ledger_event ORDER BY seq DESC LIMIT 1")
    records = ask("SELECT file FROM usage_recordfile ORDER BY month")
    closed = ask("SELECT month FROM ledger_closing ORDER BY month")
    events, head = last[0] if last else (0, "")
    return Snapshot(tuple(row[0] for row in records), tuple(row[0] for row in closed), events, head)


def check_target(names: set[str]) -> None:
    """Raise Refused unless this backup can go into the database that is configured, and that one is empty."""
    address = os.environ.get("SCHMELZ_DATABASE")
    if (POSTGRES in names) != bool(address):
        held = "PostgreSQL" if POSTGRES in names else "SQLite"
        remedy = "Set SCHMELZ_DATABASE to a new, empty one." if POSTGRES in names else "Unset SCHMELZ_DATABASE."
        raise Refused(f"the backup is one of {held}.", remedy)
    if address and _tables(address):
        raise Refused("the database in SCHMELZ_DATABASE is not empty.", "Make a new one by createdb.")


def _tables(address: str) -> int:
    import psycopg

    try:
        with psycopg.connect(address) as reader:
            ((found,),) = reader.execute("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'")
    except psycopg.Error as error:
        raise BadInput(f"SCHMELZ_DATABASE: {str(error).strip()}; give the address of an empty database") from None
    return int(found)


def put_back(directory: Path) -> None:
    """Bring the copy in the directory to where the portal looks for it; PostgreSQL takes it whole or not at all."""
    if (directory / SQLITE).exists():
        (directory / SQLITE).rename(directory / "schmelz.sqlite3")
        return
    address, environment = _libpq()
    words = ["--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error", f"--dbname={address}"]
    _run(["pg_restore", *words, str(directory / POSTGRES)], environment)
    (directory / POSTGRES).unlink()


def _libpq() -> tuple[str, dict[str, str]]:
    """The address without its password, and an environment with it."""
    from psycopg import conninfo

    parts = conninfo.conninfo_to_dict(os.environ["SCHMELZ_DATABASE"])
    password = parts.pop("password", None)
    return conninfo.make_conninfo("", **parts), {**os.environ, **({"PGPASSWORD": str(password)} if password else {})}


def _run(words: list[str], environment: dict[str, str]) -> None:
    try:
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=3600)
    except FileNotFoundError:
        raise Refused(f"{words[0]} is not found.", "Install Debian's package postgresql-client.") from None
    if done.returncode:
        raise RuntimeError(f"{words[0]}: {done.stderr.strip()[-500:]}")
