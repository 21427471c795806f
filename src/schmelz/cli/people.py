"""People: `schmelz person add`, `schmelz person list`, `schmelz project list|add-member|remove-member`."""

import sys
from typing import Annotated

import typer

from schmelz.cli import ready
from schmelz.cli.access import Json
from schmelz.cli.show import put, put_json, put_table, say
from schmelz.faults import BadInput
from schmelz.units import iso

persons = typer.Typer(no_args_is_help=True, help="Persons and the functions they hold.")
projects = typer.Typer(no_args_is_help=True, help="Projects and their members.")


def register(app: typer.Typer) -> None:
    app.add_typer(persons, name="person")
    app.add_typer(projects, name="project")
    app.command("forget")(forget)


@persons.command("add")
def add(
    handle: Annotated[str, typer.Argument(help="The name to sign in with.")],
    name: Annotated[str, typer.Option("--name", help="The full name.")],
    email: Annotated[str, typer.Option("--email", help="The address for letters.")],
    unix: Annotated[str | None, typer.Option("--unix", help="The Unix user on the cluster.")] = None,
    role: Annotated[
        list[str] | None, typer.Option("--role", help="A function, partner:function; may be repeated.")
    ] = None,
    password: Annotated[bool, typer.Option("--password", help="Read a password from standard input.")] = False,
) -> None:
    """Add a person. Whoever owns the data directory may do this."""
    ready.portal()
    from schmelz.portal.people.actions import add_person

    secret = sys.stdin.readline().rstrip("\n") if password else None
    person = add_person(
        ready.factory(),
        handle=handle,
        name=name,
        email=email,
        unix_name=unix,
        roles=role or (),
        password=secret,
        actor=ready.maybe_person(),
    )
    put(person.handle)


@persons.command("list")
def list_persons(as_json: Json = False) -> None:
    """Everybody who can act, with their functions."""
    ready.portal()
    from schmelz.portal.people.models import Person

    rows = [
        {"person": p.handle, "name": p.name, "unix": p.unix_name, "roles": [f.role for f in p.functions.all()]}
        for p in Person.objects.filter(is_active=True).prefetch_related("functions")
    ]
    if as_json:
        put_json(rows)
    else:
        put_table(
            ("person", "name", "unix", "roles"),
            [(r["person"], r["name"], r["unix"], ", ".join(r["roles"] or ())) for r in rows],
        )


@projects.command("list")
def list_projects(as_json: Json = False) -> None:
    """The projects that you may read."""
    ready.portal()
    from schmelz.portal.projects.queries import visible_to

    rows = [
        {
            "project": p.code,
            "system": p.system,
            "pool": p.pool,
            "state": p.state,
            "grant_gpu_s": p.grant_gpu_s,
            "start": iso(p.start),
            "end": iso(p.end),
            "title": p.title,
        }
        for p in visible_to(ready.factory(), ready.person())
    ]
    if as_json:
        put_json(rows)
    else:
        put_table(
            ("project", "pool", "state", "GPU-seconds", "until", "title"),
            [(r["project"], r["pool"], r["state"], r["grant_gpu_s"], r["end"], r["title"]) for r in rows],
        )


@projects.command("add-member")
def add_member(
    project: Annotated[str, typer.Argument(help="The project.")],
    person: Annotated[str, typer.Argument(help="Who joins it.")],
) -> None:
    """Add a person to a project of yours; they reach the cluster with the next plan."""
    ready.portal()
    from schmelz.portal.people.queries import by_handle
    from schmelz.portal.projects.actions import add_member as act
    from schmelz.portal.projects.queries import by_code

    act(ready.factory(), by_code(project), by_handle(person), actor=ready.person())
    say(f"{person} is a member of {project}")


@projects.command("remove-member")
def remove_member(
    project: Annotated[str, typer.Argument(help="The project.")],
    person: Annotated[str, typer.Argument(help="Who leaves it.")],
) -> None:
    """Take a person out of a project of yours; they lose access with the next plan."""
    ready.portal()
    from schmelz.portal.people.models import Person
    from schmelz.portal.projects.actions import remove_member as act
    from schmelz.portal.projects.queries import by_code

    member = Person.objects.filter(handle=person).first()
    if member is None:
        raise BadInput(f"person: {person!r} is not known")
    act(ready.factory(), by_code(project), member, actor=ready.person())
    say(f"{person} is no member of {project} any more")


def forget(
    handle: Annotated[str, typer.Argument(help="Who is to be forgotten.")],
    because: Annotated[str, typer.Option("--because", help="The reason, in a sentence without the name.")],
    as_json: Json = False,
) -> None:
    """Forget a person for good: name, addresses, letters, and the Unix name in the job records. It cannot be undone."""
    ready.portal()
    from dataclasses import asdict

    from schmelz.operate.forget import LEFT, forget as act
    from schmelz.operate.forget_again import keep_list
    from schmelz.portal.people.queries import by_handle

    done = act(ready.factory(), by_handle(handle), ready.person(), because)
    say(f"the list of who was forgotten, by number: {keep_list()}; keep it beside the backups, a restore reads it")
    if done.events:
        say(f"reasons of older events that cannot be changed still have the name: {', '.join(map(str, done.events))}")
    months = f"; job records written anew: {', '.join(done.months)}" if done.months else ""
    for left in LEFT:
        say(f"stays: {left}")
    put_json({**asdict(done), "left": LEFT}) if as_json else put(f"forgotten: now {done.handle}{months}")
