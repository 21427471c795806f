"""How the command line shows things: JSON for machines, tables of at most 100 columns for people, words on stderr."""

import csv
import io
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl


def say(text: str) -> None:
    """Words for a person."""
    print(text, file=sys.stderr)  # noqa: T201


def put(text: str) -> None:
    """Data."""
    print(text)  # noqa: T201


def put_json(value: object) -> None:
    put(json.dumps(value, indent=2, ensure_ascii=False))


def put_json_rows(frame: "pl.DataFrame") -> None:
    """A JSON list with one row to a line: for long tables, many times faster than `put_json`."""
    if frame.is_empty():
        put("[]")
        return
    lines = io.BytesIO()
    frame.write_ndjson(lines)
    sys.stdout.flush()
    out = sys.stdout.buffer  # bytes all the way: the texts need not be decoded and encoded again
    out.write(b"[\n")
    out.write(lines.getvalue().rstrip(b"\n").replace(b"\n", b",\n"))
    out.write(b"\n]\n")
    out.flush()


def put_csv(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_safe(row[column]) for column in columns] for row in rows)


def _safe(value: object) -> object:
    """A spreadsheet must not take a text for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def put_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A plain table: numbers to the right, thin spaces in large ones."""
    from rich.console import Console  # here: who wants JSON does not wait for it
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    shown = [[_text(value) for value in row] for row in rows]
    numeric = [bool(shown) and all(_is_number(row[i]) for row in shown) for i in range(len(columns))]
    for name, right in zip(columns, numeric, strict=True):
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for row in shown:
        table.add_row(*row)
    console = Console(highlight=False, markup=False, soft_wrap=False)
    console.width = min(console.width, 100) if console.is_terminal else 100
    console.print(table)


def _text(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}".replace(",", "\u202f")
    return "" if value is None else str(value)


def _is_number(text: str) -> bool:
    return text == "" or text.replace("\u202f", "").lstrip("-").isdigit()
