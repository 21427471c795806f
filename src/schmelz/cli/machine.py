"""The cluster follows: `schmelz plan` and `schmelz apply`."""

from typing import Annotated

import typer

from schmelz.cli import ready
from schmelz.cli.access import Json
from schmelz.cli.show import put, put_json, say

SystemOption = Annotated[str | None, typer.Option("--system", help="The system; default: the factory's main one.")]


def register(app: typer.Typer) -> None:
    app.command("plan")(plan)
    app.command("apply")(apply)


def plan(system: SystemOption = None, as_json: Json = False) -> None:
    """What would change on the cluster. Exit code 0: nothing; 3: there are changes."""
    ready.portal()
    from schmelz.operate.cluster import current_plan
    from schmelz.portal.people.queries import general_relations, roles
    from schmelz.rules.permissions import Permission, require

    which, person = ready.system(system), ready.maybe_person()
    if person is not None:
        require(Permission.PLAN_READ, general_relations(person, roles(person), which.operator), person.name)
    found = current_plan(which)
    put_json(found.as_dict()) if as_json else put(found.as_text())
    raise typer.Exit(3 if found.changes else 0)


def apply(
    plan_hash: Annotated[
        str | None, typer.Option("--plan", metavar="HASH", help="Refuse if the plan is another one.")
    ] = None,
    allow_remove: Annotated[int, typer.Option("--allow-remove", min=0, help="How many removals are meant.")] = 0,
    system: SystemOption = None,
    as_json: Json = False,
) -> None:
    """Make the cluster follow the decisions, and check that it did."""
    ready.portal()
    from schmelz.operate.cluster import apply_plan

    done = apply_plan(ready.person(), ready.system(system), expected_hash=plan_hash, allow_remove=allow_remove)
    if as_json:
        put_json({"hash": done.hash, "changes": done.changes})
    else:
        say("nothing to do" if not done.changes else f"applied {done.changes} changes; the cluster is as planned")
        put(done.hash)
