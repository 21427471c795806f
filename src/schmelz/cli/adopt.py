"""Taking over an existing cluster: `schmelz adopt` reads and proposes, `--check` and `--take` a file. Slurm is never written."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from schmelz.cli import ready
from schmelz.cli.access import Json
from schmelz.cli.machine import SystemOption
from schmelz.cli.show import put, put_json, say
from schmelz.faults import BadInput

if TYPE_CHECKING:
    from schmelz.cluster.adopt import Proposal

Since = Annotated[str | None, typer.Option("--since", metavar="DATE", help="Count jobs from this day; default: all.")]
Out = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write the file here; default: print it.")]
CheckFile = Annotated[Path | None, typer.Option("--check", metavar="FILE", help="Say what is wrong in an edited file.")]
TakeFile = Annotated[Path | None, typer.Option("--take", metavar="FILE", help="Make the projects of the file here.")]


def register(app: typer.Typer) -> None:
    app.command("adopt")(adopt)


def adopt(
    system: SystemOption = None,
    since: Since = None,
    out: Out = None,
    check: CheckFile = None,
    take: TakeFile = None,
    as_json: Json = False,
) -> None:
    """Read an existing Slurm and write a file to edit; then check it, then take its projects over."""
    if check and take:
        raise BadInput("--check and --take: one at a time; check the file first")
    ready.portal()
    if take:
        _take(take, as_json)
    elif check:
        _check(check, as_json)
    else:
        _propose(system, since, out, as_json)


def _propose(system: str | None, since: str | None, out: Path | None, as_json: bool) -> None:
    from schmelz.operate.adopt import proposed
    from schmelz.portal.people.queries import general_relations, roles
    from schmelz.rules.permissions import Permission, require

    machine, person = ready.system(system), ready.person()
    require(Permission.CLUSTER_ADOPT, general_relations(person, roles(person), machine.operator), person.name)
    proposal, text = proposed(machine, _day(since))
    if as_json:
        put_json(_facts(proposal))
    if out:
        _write(out, text)
    elif not as_json:
        put(text.rstrip("\n"))
    say(f"{len(proposal.projects)} projects proposed, {len(proposal.remarks)} accounts left out; nothing was changed")


def _day(text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise BadInput(f"--since: {text!r} is not a date; write for example 2026-01-01") from None


def _write(path: Path, text: str) -> None:
    """Somebody's edits are not written over."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise BadInput(f"--out {path}: is there already; choose another name, or remove it") from None
    except OSError as error:
        raise BadInput(f"--out {path}: cannot be written ({error.strerror}); choose another place") from None


def _facts(proposal: "Proposal") -> dict[str, Any]:
    projects = [
        {
            "account": project.standing.account,
            "branch": project.branch,
            "pool": project.pool,
            "title": project.standing.title,
            "gpu_minutes": project.standing.gpu_minutes,
            "used_gpu_s": project.use.gpu_seconds if project.use else 0,
            "first": project.use.first.isoformat() if project.use else None,
            "last": project.use.last.isoformat() if project.use else None,
            "leader": project.leader,
            "members": project.standing.users,
            "remarks": project.remarks,
        }
        for project in proposal.projects
    ]
    return {"projects": projects, "left_out": [{"account": name, "because": why} for name, why in proposal.remarks]}


def _check(path: Path, as_json: bool) -> None:
    from schmelz.operate.adopt import checked

    found = checked(path)
    if as_json:
        put_json({"projects": [asdict(takeover) for takeover in found.takeovers], "strangers": found.strangers})
    else:
        _say_strangers(found.strangers)
        put(f"{path}: {len(found.takeovers)} projects can be taken over")


def _take(path: Path, as_json: bool) -> None:
    from schmelz.operate.adopt import marking, take

    done, found = take(path, ready.person())
    if as_json:
        put_json({**asdict(done), "mark": marking(found)})
        return
    for code in done.differing:
        say(f"note: {code}: was taken over before with other facts; it stays as it is here")
    _say_strangers(done.strangers)
    say(f"{len(done.projects)} projects made, {len(done.members)} people added; the cluster was not touched")
    say("to hand the accounts to the plan, run this, then `schmelz plan`:")
    put(marking(found))


def _say_strangers(strangers: Mapping[str, tuple[str, ...]]) -> None:
    for name, codes in strangers.items():
        say(
            f"note: the Unix user {name} ({', '.join(codes)}) is nobody here: `schmelz person add ... --unix {name}`, then "
            "take the file again; else the first plan takes their access away"
        )
