"""The cluster follows: `schmelz plan`, `schmelz apply`, and what was applied before: `schmelz applies`.

`--undo` means what stood there before the last apply, instead of what the decisions ask for.
"""

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from schmelz.cli import ready
from schmelz.cli.access import Json
from schmelz.cli.show import put, put_json, put_table, say
from schmelz.faults import BadInput

if TYPE_CHECKING:
    from schmelz.cluster.plan import Plan
    from schmelz.policy.schema import System

SystemOption = Annotated[str | None, typer.Option("--system", help="The system; default: the factory's main one.")]
Undo = Annotated[bool, typer.Option("--undo", help="Go back to what stood there before the last apply.")]
AllowRemove = Annotated[int, typer.Option("--allow-remove", min=0, help="How many removals are meant.")]
SHORTEST_HASH = 12


def register(app: typer.Typer) -> None:
    app.command("plan")(plan)
    app.command("apply")(apply)
    app.command("applies")(applies)


def plan(undo: Undo = False, system: SystemOption = None, as_json: Json = False) -> None:
    """What would change on the cluster. Exit code 0: nothing; 3: there are changes."""
    ready.portal()
    from schmelz.operate.applies import notices
    from schmelz.operate.follow import current_plan
    from schmelz.portal.clusters.queries import approvers

    which = ready.system(system)
    may_read(which)
    found = current_plan(which, undo=undo)
    said = notices(which)
    seconds = approvers(found.hash)
    for line in [*said, *_approvals(found, which, seconds)]:
        say(f"note: {line}")
    put_json(found.as_dict() | {"notices": said, "approved_by": list(seconds)}) if as_json else put(found.as_text())
    raise typer.Exit(3 if found.changes else 0)


def may_read(which: "System") -> None:
    """Raise Refused for a person who may not read plans; whoever owns the data directory may."""
    from schmelz.portal.people.queries import general_relations, roles
    from schmelz.rules.permissions import Permission, require

    person = ready.maybe_person()
    if person is not None:
        require(Permission.PLAN_READ, general_relations(person, roles(person), which.operator), person.name)


def _approvals(found: "Plan", which: "System", seconds: tuple[str, ...]) -> list[str]:
    if found.removals <= which.cluster.removals_alone:
        return []
    by = f"approved by {', '.join(seconds)}" if seconds else f"schmelz approve {found.hash}"
    return [f"more than {which.cluster.removals_alone} removals need a second operator: {by}"]


def apply(
    plan_hash: Annotated[
        str | None, typer.Option("--plan", metavar="HASH", help="Refuse if the plan is another one.")
    ] = None,
    allow_remove: AllowRemove = 0,
    undo: Undo = False,
    system: SystemOption = None,
    as_json: Json = False,
) -> None:
    """Make the cluster follow the decisions, and check that it did."""
    ready.portal()
    from schmelz.operate.follow import apply_plan

    expected = None if plan_hash is None else _hash(plan_hash)
    done = apply_plan(
        ready.person(), ready.system(system), expected_hash=expected, allow_remove=allow_remove, undo=undo
    )
    facts = {"hash": done.hash, "changes": done.changes, "journal": done.journal, "digest": done.digest}
    if as_json:
        put_json(facts)
    else:
        told(done.changes, done.journal)
        put(done.hash)


def told(changes: int, journal: str) -> None:
    """How an apply ended, for people."""
    if not changes:
        say("nothing to do" if not journal else f"nothing was left to do; {journal} finishes what was interrupted")
    else:
        say(f"applied {changes} change{'s' if changes > 1 else ''} ({journal}); the cluster is as planned")


def _hash(text: str) -> str:
    """A plan's hash, or its beginning. Raises BadInput."""
    if not SHORTEST_HASH <= len(text) <= 64 or not set(text) <= set("0123456789abcdef"):
        raise BadInput(f"--plan: {text[:70]!r} is not the hash of a plan, nor its first {SHORTEST_HASH} or more digits")
    return text


def applies(
    entry: Annotated[str, typer.Argument(metavar="[ID]", help="One apply, with every command and answer.")] = "",
    system: SystemOption = None,
    as_json: Json = False,
) -> None:
    """What was applied before, the newest first; with an ID, every command and answer of that."""
    ready.portal()
    from schmelz.operate.applies import applies as past, journal

    which = ready.system(system)
    may_read(which)
    if entry:
        lines = list(journal(which).lines(entry))
        put_json(lines) if as_json else put("\n".join(text for line in lines for text in _said(line)))
    else:
        rows = [one.as_dict() for one in past(which)]
        put_json(rows) if as_json else put_table(COLUMNS, [_row(row) for row in rows])


COLUMNS = ("id", "when", "who", "what", "plan", "changes", "removals", "state")


def _row(row: Mapping[str, Any]) -> tuple[object, ...]:
    state = f"{row['state']}, finished by {row['finished_by']}" if row["finished_by"] else row["state"]
    when, plan = row["at"][:16], row["hash"][:12]
    return row["id"], when, row["who"], row["what"], plan, row["changes"], len(row["removals"]), state


def _said(line: Mapping[str, Any]) -> list[str]:
    """A line of the journal for people."""
    match line["line"]:
        case "header":
            return [f"{line['id']} by {line['who']}: plan {line['plan']}, {line['changes']} changes"]
        case "command":
            stdin = [f"  < {text}" for text in str(line["stdin"] or "").splitlines()]
            return [f"$ {shlex.join(line['argv'])}", *stdin]
        case "answer":
            out = [f"  {text}" for part in ("out", "said") for text in _text(line[part]).splitlines()]
            return [*out, f"  = {line['status']} after {line['seconds']:.2f} s"]
        case "end":
            return [f"{line['state']} {line['words']}".strip()]
    return []


def _text(answer: object) -> str:
    return str(answer["cut"]) + f"\n... ({answer['bytes']} bytes)" if isinstance(answer, dict) else str(answer)
