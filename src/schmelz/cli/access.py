"""Applications and decisions: `schmelz modes`, `schmelz application ...`, `schmelz decision ...`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from schmelz.cli import ready
from schmelz.cli.show import put, put_json, put_table, say
from schmelz.faults import BadInput
from schmelz.units import iso

if TYPE_CHECKING:
    from schmelz.portal.calls.models import Application

applications = typer.Typer(no_args_is_help=True, help="Apply for GPU-hours, and see what became of it.")
decisions = typer.Typer(no_args_is_help=True, help="Propose, sign or refuse an award.")
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Because = Annotated[str, typer.Option("--because", help="The reason, in a sentence.")]


def register(app: typer.Typer) -> None:
    app.add_typer(applications, name="application")
    app.add_typer(decisions, name="decision")


@applications.command("form")
def form(mode: Annotated[str, typer.Option("--mode", help="The access mode.")]) -> None:
    """Print a form to fill in for an access mode, as JSON."""
    ready.portal()
    from schmelz.portal.calls.forms import template
    from schmelz.portal.calls.queries import mode_of

    put_json(template(mode_of(ready.factory(), mode), ready.factory()))


@applications.command("new")
def new(
    mode: Annotated[str, typer.Option("--mode", help="The access mode.")],
    answers: Annotated[Path, typer.Option("--from", help="The form's answers as JSON; - reads standard input.")],
    as_json: Json = False,
) -> None:
    """Apply; prints the application's id."""
    ready.portal()
    from schmelz.portal.calls.actions import submit
    from schmelz.portal.calls.queries import findings, mode_of

    wanted, person, said = mode_of(ready.factory(), mode).id, ready.person(), _read_answers(answers)
    try:
        application = submit(ready.factory(), mode_id=wanted, person=person, answers=said)
    except BadInput as error:
        raise BadInput([f"{answers}: {fault}" for fault in error.faults]) from None
    for finding in findings(ready.factory(), application):
        if finding.verdict != "yes":
            say(f"note: {finding.rule}: {finding.because} {finding.remedy}".rstrip())
    say(f"received; an answer is due by {iso(application.due)}")
    put_json(_facts(application)) if as_json else put(application.code)


def _read_answers(path: Path) -> object:
    try:
        text = (sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: cannot be read ({error}); give a JSON file in UTF-8") from None
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path}: is not JSON ({error}); `schmelz application form --mode M` prints a form") from None


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not a number")


@applications.command("show")
def show(code: Annotated[str, typer.Argument(metavar="ID")], as_json: Json = False) -> None:
    """What was asked, where it stands, and why."""
    ready.portal()
    from schmelz.portal.calls.queries import by_code, findings, relations
    from schmelz.rules.permissions import Permission, require

    factory, person, application = ready.factory(), ready.person(), by_code(code)
    require(Permission.APPLICATION_READ, relations(factory, person, application), person.name)
    facts = _facts(application)
    facts["eligibility"] = [
        {"rule": f.rule, "verdict": f.verdict, "because": f.because, "remedy": f.remedy}
        for f in findings(factory, application)
    ]
    if as_json:
        put_json(facts)
        return
    rows = [(key, value) for key, value in facts.items() if not isinstance(value, list)]
    put_table(("what", "value"), rows)
    put_table(("rule", "verdict", "because"), [(f["rule"], f["verdict"], f["because"]) for f in facts["eligibility"]])
    put_table(
        ("signed as", "by", "when", "because"),
        [(s["role"], s["by"], s["at"], s["because"]) for s in facts["signatures"]],
    )


@applications.command("list")
def list_(as_json: Json = False) -> None:
    """The applications that you may read, oldest first."""
    ready.portal()
    from schmelz.portal.calls.queries import visible_to

    found = list(visible_to(ready.factory(), ready.person()).prefetch_related("signatures__person"))
    if as_json:
        put_json([_facts(a) for a in found])
    else:
        put_table(
            ("id", "mode", "organisation", "GPU-hours", "state", "title"),
            [(a.code, a.mode, a.organisation, a.gpu_hours, a.state, a.title) for a in found],
        )


def _facts(application: "Application") -> dict[str, Any]:
    from schmelz.portal.calls.queries import turn
    from schmelz.portal.projects.models import Project

    a = application
    project = (
        Project.objects.filter(application=a.code).values_list("code", flat=True).first()
        if a.state == "awarded"
        else None
    )
    return {
        "id": a.code,
        "mode": a.mode,
        "system": a.system,
        "pool": a.pool,
        "title": a.title,
        "summary": a.summary,
        "applicant": a.applicant.handle,
        "organisation": a.organisation,
        "category": a.category,
        "country": a.country,
        "gpu_hours": a.gpu_hours,
        "months": a.months,
        "state": a.state,
        "waits_for": turn(ready.factory(), a),
        "submitted": iso(a.submitted),
        "due": iso(a.due),
        "decided": iso(a.decided) if a.decided else None,
        "award_gpu_hours": a.award_gpu_hours,
        "project": project,
        "signatures": [
            {"role": s.role, "by": s.person.handle, "at": iso(s.at), "because": s.because} for s in a.signatures.all()
        ],
    }


@decisions.command("propose")
def propose(
    code: Annotated[str, typer.Argument(metavar="ID")],
    gpu_hours: Annotated[int, typer.Option("--gpu-hours", help="The award; it may differ from the request.")],
    because: Because,
    as_json: Json = False,
) -> None:
    """Propose an award as the pool's first signer."""
    ready.portal()
    from schmelz.portal.calls.actions import propose as act
    from schmelz.portal.calls.queries import ceiling_warning

    done = act(ready.factory(), _known(code), ready.person(), gpu_hours=gpu_hours, because=because)
    if warning := ceiling_warning(ready.factory(), done):
        say(f"warning: {warning}")
    _decided(done, as_json)


@decisions.command("sign")
def sign(code: Annotated[str, typer.Argument(metavar="ID")], because: Because = "", as_json: Json = False) -> None:
    """Sign a proposed award as the next signer."""
    ready.portal()
    from schmelz.portal.calls.actions import sign as act

    _decided(act(ready.factory(), _known(code), ready.person(), because=because), as_json)


@decisions.command("refuse")
def refuse(code: Annotated[str, typer.Argument(metavar="ID")], because: Because, as_json: Json = False) -> None:
    """Refuse an application when it is your turn."""
    ready.portal()
    from schmelz.portal.calls.actions import refuse as act

    _decided(act(ready.factory(), _known(code), ready.person(), because=because), as_json)


def _known(code: str) -> str:
    from schmelz.portal.calls.queries import by_code

    return by_code(code).code


def _decided(application: "Application", as_json: bool) -> None:
    facts = _facts(application)
    if as_json:
        put_json(facts)
    else:
        put(" ".join(filter(None, [facts["id"], facts["state"], facts["project"]])))
