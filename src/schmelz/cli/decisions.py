"""Decisions about running projects and plans: `suspend`, `resume`, `amend`, `amend-sign`, `approve`."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from schmelz.cli import ready
from schmelz.cli.access import Because, Json
from schmelz.cli.machine import SystemOption
from schmelz.cli.show import put, put_json, say
from schmelz.faults import BadInput
from schmelz.units import HOUR, iso

if TYPE_CHECKING:
    from schmelz.portal.projects.models import Amendment, Project

ProjectName = Annotated[str, typer.Argument(metavar="PROJECT", help="The project.")]


def register(app: typer.Typer) -> None:
    for name, command in COMMANDS.items():
        app.command(name)(command)


def suspend(project: ProjectName, because: Because, as_json: Json = False) -> None:
    """Stop a project: it takes and starts no jobs from the next plan on; jobs that run go on."""
    ready.portal()
    from schmelz.portal.projects.actions import suspend as act

    _switched(act(ready.factory(), project, ready.person(), because=because), as_json)


def resume(project: ProjectName, because: Because, as_json: Json = False) -> None:
    """Let a suspended project go on, from the next plan on."""
    ready.portal()
    from schmelz.portal.projects.actions import resume as act

    _switched(act(ready.factory(), project, ready.person(), because=because), as_json)


def amend(
    project: ProjectName,
    gpu_hours: Annotated[int, typer.Option("--gpu-hours", help="The whole grant as it shall be.")],
    because: Because,
    as_json: Json = False,
) -> None:
    """Propose another amount for a running project as the pool's first signer."""
    ready.portal()
    from schmelz.portal.projects.amend import propose

    _amended(propose(ready.factory(), project, ready.person(), gpu_hours=gpu_hours, because=because), as_json)


def amend_sign(
    project: ProjectName,
    refuse: Annotated[bool, typer.Option("--refuse", help="Refuse it instead; needs a reason.")] = False,
    because: Annotated[str, typer.Option("--because", help="The reason of a refusal, in a sentence.")] = "",
    as_json: Json = False,
) -> None:
    """Sign the proposed amount when it is your turn; with the last signature the grant changes."""
    ready.portal()
    from schmelz.portal.projects import amend as acts

    if because and not refuse:
        raise BadInput("--because: goes with --refuse only; a signature needs no reason")
    factory, person = ready.factory(), ready.person()
    done = acts.refuse(factory, project, person, because=because) if refuse else acts.sign(factory, project, person)
    _amended(done, as_json)


def approve(
    plan_hash: Annotated[str, typer.Argument(metavar="HASH", help="The plan, as `schmelz plan` tells its hash.")],
    system: SystemOption = None,
    as_json: Json = False,
) -> None:
    """Approve, as a second operator, what the plan of this moment takes away."""
    ready.portal()
    from schmelz.operate.approve import approve as act
    from schmelz.portal.clusters.queries import approvers

    plan = act(ready.person(), ready.system(system), plan_hash)
    say(f"approved: {plan.radius}")
    if as_json:
        put_json(
            {"hash": plan.hash, "removals": plan.removals, "radius": plan.radius, "by": list(approvers(plan.hash))}
        )
    else:
        put(plan.hash)


COMMANDS: dict[str, Callable[..., None]] = {
    "suspend": suspend,
    "resume": resume,
    "amend": amend,
    "amend-sign": amend_sign,
    "approve": approve,
}


def _switched(project: "Project", as_json: bool) -> None:
    word = "suspended" if project.suspended else "goes on"
    say(f"{project.code} {word} with the next plan that is applied")
    put_json({"project": project.code, "suspended": project.suspended}) if as_json else put(f"{project.code} {word}")


def _amended(amendment: "Amendment", as_json: bool) -> None:
    facts = _facts(amendment)
    if waits := facts["waits_for"]:
        say(f"it waits for {waits}")
    put_json(facts) if as_json else put(f"{facts['project']} {facts['state']} {facts['gpu_hours']}")


def _facts(amendment: "Amendment") -> dict[str, Any]:
    from schmelz.portal.projects.queries import pool_of
    from schmelz.portal.projects.states import AmendmentState

    done = list(amendment.signatures.select_related("person"))
    signers = pool_of(ready.factory(), amendment.project).signers
    return {
        "project": amendment.project.code,
        "state": str(amendment.state),
        "gpu_hours": amendment.grant_gpu_s // HOUR,
        "before_gpu_hours": amendment.before_gpu_s // HOUR,
        "because": amendment.because,
        "waits_for": signers[len(done)] if amendment.state == AmendmentState.PROPOSED else None,
        "signatures": [{"role": s.role, "by": s.person.handle, "at": iso(s.at)} for s in done],
    }
