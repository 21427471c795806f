"""What differs on the cluster from what was applied, and what becomes of it: `schmelz drift`, `schmelz drift-choose`."""

from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from schmelz.cli import ready
from schmelz.cli.access import Json
from schmelz.cli.machine import AllowRemove, SystemOption, may_read, told
from schmelz.cli.show import put, put_json, put_table, say
from schmelz.faults import BadInput
from schmelz.units import day_start, iso

if TYPE_CHECKING:
    from schmelz.cluster.drift import Row
    from schmelz.operate.drift import Found
    from schmelz.portal.clusters.models import Choice


def register(app: typer.Typer) -> None:
    app.command("drift")(drift)
    app.command("drift-choose")(choose)


def drift(system: SystemOption = None, as_json: Json = False) -> None:
    """What stands on the cluster otherwise than decided. Exit code 0: nothing; 3: there is something."""
    ready.portal()
    from schmelz.operate.drift import find

    which = ready.system(system)
    may_read(which)
    found = find(which)
    if as_json:
        put_json(_facts(which.id, found))
    else:
        _show(found)
    raise typer.Exit(3 if found.rows else 0)


def _facts(system: str, found: "Found") -> dict[str, Any]:
    return {
        "system": system,
        "at": iso(found.at),
        "counts": found.counts,
        "rows": [_row(row) for row in found.rows],
        "left": [_left(choice) for choice in found.left],
        "problems": list(found.problems),
    }


def _row(row: "Row") -> dict[str, Any]:
    from schmelz.operate.drift import possible

    return {
        "part": row.part,
        "kind": row.kind,
        "name": row.name,
        "field": row.field,
        "seen": row.seen,
        "wanted": row.wanted,
        "because": row.because,
        "choices": list(possible(row)),
    }


def _left(choice: "Choice") -> dict[str, Any]:
    what = {"kind": choice.kind, "name": choice.name, "field": choice.field, "value": choice.value}
    return {**what, "until": iso(choice.until), "by": choice.person.handle, "because": choice.because}


def _show(found: "Found") -> None:
    from schmelz.cluster import words
    from schmelz.operate.drift import BY_HAND

    if not found.rows:
        say("no drift: the cluster stands as it was last applied, and nothing waits")
    if found.rows:
        put_table(
            ("part", "kind", "name", "field", "on the cluster", "decided"),
            [
                (
                    r.part,
                    r.kind,
                    r.name,
                    r.field,
                    words.said(r.field, r.seen),
                    words.said(r.field, r.wanted),
                )
                for r in found.rows
            ],
        )
    for choice in found.left:
        said = " ".join(filter(None, (choice.kind, choice.name, choice.field)))
        say(f"left: {said} until {iso(choice.until)[:10]} ({choice.person.handle}: {choice.because})")
    for problem in found.problems:
        put(f"problem {problem}")
    if any(row.part in BY_HAND for row in found.rows):
        say(
            "schmelz drift-choose KIND NAME FIELD --repair, --ignore-until DATE --because ..., or --decide --because ..."
        )


def choose(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="account, member, qos or user.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="For example p200001 or p200001/anna.")],
    field: Annotated[str, typer.Argument(metavar="[FIELD]", help="As --json tells it; none: the whole thing.")] = "",
    repair: Annotated[bool, typer.Option("--repair", help="Put it right: an apply of exactly this.")] = False,
    until: Annotated[str, typer.Option("--ignore-until", metavar="DATE", help="Leave it, that day included.")] = "",
    decide: Annotated[bool, typer.Option("--decide", help="Make it a decision.")] = False,
    because: Annotated[str, typer.Option("--because", help="Why, in a sentence.")] = "",
    allow_remove: AllowRemove = 0,
    system: SystemOption = None,
) -> None:
    """Choose what becomes of one change by hand."""
    ready.portal()
    from schmelz.operate import decide as decisions, drift as drifts

    if [repair, bool(until), decide].count(True) != 1:
        raise BadInput("choose one of --repair, --ignore-until DATE and --decide")
    person, which, place = ready.person(), ready.system(system), (kind, name, field)
    if repair:
        done = drifts.repair(person, which, place, allow_remove=allow_remove)
        told(done.changes, done.journal)
        put(done.hash)
    elif decide:
        put(decisions.decide(person, which, place, because=because))
    else:
        choice = drifts.leave(person, which, place, until=_end_of(until), because=because)
        say("the plan leaves it as it is until then")
        put(iso(choice.until))


def _end_of(text: str) -> int:
    """The end of a day in the factory's zone. Raises BadInput."""
    try:
        return day_start(date.fromisoformat(text) + timedelta(1), ready.factory().zone)
    except (ValueError, OverflowError):
        raise BadInput(f"--ignore-until: {text[:40]!r} is not a day; write for example 2027-01-31") from None
