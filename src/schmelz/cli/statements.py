"""Statements: `schmelz statement project|pool|annual|kpi`, and `schmelz attribute`, what a project counts as from a day on."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from schmelz.cli import ready
from schmelz.cli.access import Because, Json
from schmelz.cli.machine import SystemOption
from schmelz.cli.show import put, put_json, put_table, say
from schmelz.faults import BadInput

if TYPE_CHECKING:
    from schmelz.metering.statement import Statement

Format = Annotated[Literal["text", "json", "csv", "pdf"], typer.Option("--format", help="pdf goes with --out.")]
Out = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write to this file.")]
Year = Annotated[str, typer.Argument(metavar="YEAR", help="For example 2026.")]

statements = typer.Typer(no_args_is_help=True, help="Statements of a project, a pool, a year.")


def register(app: typer.Typer) -> None:
    app.add_typer(statements, name="statement")
    app.command("attribute")(attribute)


@statements.command("project")
def project(
    code: Annotated[str, typer.Argument(metavar="PROJECT", help="The project.")],
    month: Annotated[str, typer.Option("--month", help="For example 2026-10; this month unless said.")] = "month",
    form: Format = "text",
    out: Out = None,
    as_json: Json = False,
) -> None:
    """A project's month: use by day and member, what is left, what can still be reached."""
    ready.portal()
    from schmelz.operate.statements import of_project

    _give(of_project(ready.maybe_person(), code, month), form, out, as_json)


@statements.command("pool")
def pool(
    pool_id: Annotated[str, typer.Argument(metavar="POOL", help="The pool.")],
    quarter: Annotated[
        str, typer.Option("--quarter", help="For example 2026-Q3; this quarter unless said.")
    ] = "quarter",
    system: SystemOption = None,
    form: Format = "text",
    out: Out = None,
    as_json: Json = False,
) -> None:
    """The split of a quarter as the owners sign it."""
    ready.portal()
    from schmelz.operate.pool_statements import of_pool

    _give(of_pool(ready.system(system), pool_id, quarter), form, out, as_json)


@statements.command("annual")
def annual(
    year: Year,
    public: Annotated[bool, typer.Option("--public", help="Small groups put together.")] = False,
    form: Format = "text",
    out: Out = None,
    as_json: Json = False,
) -> None:
    """The pack of a year: access time by country, category, mode, field and size, by system and pool."""
    ready.portal()
    from schmelz.operate.annual import annual as made, check_report

    if not public:
        check_report(ready.maybe_person())
    _give(made(year, public), form, out, as_json)


@statements.command("kpi")
def kpi(
    year: Annotated[str, typer.Option("--year", help="For example 2026; this year unless said.")] = "year",
    form: Format = "text",
    out: Out = None,
    as_json: Json = False,
) -> None:
    """The key figures of a year."""
    ready.portal()
    from schmelz.operate.annual import check_report
    from schmelz.operate.key_figures import key_figures

    check_report(ready.maybe_person())
    _give(key_figures(year), form, out, as_json)


def attribute(
    code: Annotated[str, typer.Argument(metavar="PROJECT", help="The project.")],
    since: Annotated[str, typer.Option("--from", metavar="DATE", help="The first day on which it holds.")],
    because: Because,
    country: Annotated[str | None, typer.Option(help="Two letters.")] = None,
    mode: Annotated[str | None, typer.Option(help="The access mode it is counted under.")] = None,
    category: Annotated[str | None, typer.Option(help="The category of user.")] = None,
    field: Annotated[str | None, typer.Option(help="The field of science or sector.")] = None,
    organisation: Annotated[str | None, typer.Option(help="The organisation.")] = None,
    sme: Annotated[bool | None, typer.Option("--sme/--no-sme", help="Small or medium-sized.")] = None,
    commercial: Annotated[bool | None, typer.Option("--commercial/--not-commercial", help="Commercial use.")] = None,
    as_json: Json = False,
) -> None:
    """Say what a project counts as from a day on; what it was before stays. Only what is named changes."""
    ready.portal()
    from schmelz.portal.projects.attributes import add_attributes, as_dict

    named = {
        "country": country,
        "mode": mode,
        "category": category,
        "field": field,
        "organisation": organisation,
        "sme": sme,
        "commercial": commercial,
    }
    changes = {name: value for name, value in named.items() if value is not None}
    row = add_attributes(ready.factory(), code, ready.person(), since=_day(since), because=because, changes=changes)
    put_json(as_dict(row)) if as_json else put_table(("what", "value"), list(as_dict(row).items()))


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadInput(f"--from: {text!r} is not a date; write for example 2026-07-01") from None


def _give(statement: "Statement", form: str, out: Path | None, as_json: bool) -> None:
    """The statement in the form asked for, to the terminal or to a file."""
    from schmelz.operate.forms import in_form

    chosen = "json" if as_json else form
    if chosen == "text" and out is None:
        _show(statement)
        return
    if chosen == "text" or (chosen == "pdf" and out is None):
        raise BadInput(
            "--out: goes with --format pdf, csv or json" if out else "--format pdf: say where with --out FILE"
        )
    _, data = in_form(statement, chosen)
    if out is None:
        put(data.decode().rstrip("\n"))
        return
    try:
        out.write_bytes(data)
    except OSError as error:
        raise BadInput(f"--out {out}: cannot be written ({error.strerror}); give a file that you may write") from None
    say(f"{out}: {statement.title}, {len(data)} bytes")


def _show(statement: "Statement") -> None:
    from schmelz.metering.statement import moment, said

    zone = ready.factory().zone
    put(f"{statement.title}\nas of {moment(statement.as_of, zone)}\n")
    put_table(("", ""), statement.facts)
    for table in said(statement, zone):
        put(f"\n{table.title}" + (f", {table.unit}" if table.unit else ""))
        if table.note:
            say(table.note)
        rows = [[cell.replace("\u2212", "-") for cell in row] for row in table.rows]
        put_table(table.titles, rows) if rows else put("  nothing")
    for line in statement.signatures:
        put(f"\n{line.title}: {line.name or '(not signed)'}" + (f", {moment(line.at, zone)}" if line.at else ""))
