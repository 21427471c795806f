"""Closed months: `schmelz close`, `closings`, `corrections`, `countersign` and `head`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from schmelz.cli import ready
from schmelz.cli.access import Json
from schmelz.cli.show import put, put_json, put_table, say
from schmelz.faults import BadInput

Month = Annotated[str, typer.Argument(metavar="MONTH", help="For example 2026-10.")]


def register(app: typer.Typer) -> None:
    for command in (close, closings, corrections, countersign, head):
        app.command()(command)


def close(month: Month, as_json: Json = False) -> None:
    """Close a month: freeze its facts and figures; prints its head, for the owners to countersign and keep."""
    ready.portal()
    from schmelz.operate import closing

    row = closing.close(month, ready.person())
    facts = closing.facts(row)
    if still := closing.open_runs(row):
        say(f"note: {still} runs end inside the month without having ended; what comes of them will be a correction")
    if bad := closing.quarantined():
        say(f"note: {bad} lines lie in quarantine and are in no figure; what comes of them will be a correction")
    say(f"{month} is closed; to countersign: {', '.join(row.signers)}")
    put_json(facts) if as_json else put(row.head)


def closings(as_json: Json = False) -> None:
    """The closed months, their heads, and who signed them."""
    ready.portal()
    from schmelz.operate.closing import facts
    from schmelz.portal.ledger.queries import closings as closed

    rows = closed()
    if as_json:
        put_json([facts(row) for row in rows])
        return
    signed = [(row, len(row.signatures.all())) for row in rows]
    put_table(("month", "head", "signed"), [(row.month, row.head, f"{n} of {len(row.signers)}") for row, n in signed])


def corrections(as_json: Json = False) -> None:
    """What changed about closed months: booked in a later closing, or pending until the next one."""
    ready.portal()
    from schmelz.operate.closing import corrections as found

    every = found(ready.maybe_person())
    if as_json:
        put_json(every)
        return
    names = ("closed_month", "pool", "project", "site", "day", "gpu_s", "runs")
    rows = [[row[name] for name in names] + [row.get("booked_in", "")] for kind in every.values() for row in kind]
    put_table((*names, "booked in"), rows)


def countersign(
    month: Month,
    held: Annotated[str | None, typer.Option("--head", help="The head that you hold; another one is refused.")] = None,
    as_json: Json = False,
) -> None:
    """Sign a closed month's head as one of its signers; each signature is another person's."""
    ready.portal()
    from schmelz.operate import closing

    signature = closing.countersign(month, ready.person(), held)
    if as_json:
        put_json(closing.facts(signature.closing))
    else:
        put(f"{month}: signed as {signature.role}; keep the head: schmelz head {month} --out FILE")


def head(
    month: Month,
    out: Annotated[Path | None, typer.Option("--out", help="Write it to this file.")] = None,
    as_json: Json = False,
) -> None:
    """The head of a closed month with its signatures: the few lines that an owner keeps."""
    ready.portal()
    from schmelz.operate.closing import head_to_keep

    kept = head_to_keep(month)
    if out is None:
        put_json(kept) if as_json else put(str(kept["head"]))
        return
    try:
        out.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
    except OSError as error:
        raise BadInput(f"{out}: cannot be written ({error.strerror}); name another file") from None
    put_json(kept) if as_json else put(str(out))
