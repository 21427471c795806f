"""The call planner: `schmelz call-planner`: how many GPU-hours each pool should call for, and by when."""

import typer

from schmelz.cli import ready
from schmelz.cli.access import Json
from schmelz.cli.machine import SystemOption
from schmelz.cli.show import put, put_json, put_table, say


def register(app: typer.Typer) -> None:
    app.command("call-planner")(call_planner)


def call_planner(system: SystemOption = None, as_json: Json = False) -> None:
    """How many GPU-hours to call for, and when, for each pool: 90 days and a year ahead."""
    ready.portal()
    from schmelz.metering.statement import said
    from schmelz.operate.calls_ahead import advice, as_dict, sentence, statement
    from schmelz.operate.whatif import check

    chosen = ready.system(system)
    check(ready.person(), chosen)
    found = advice(chosen)
    if as_json:
        put_json(as_dict(chosen, found))
        return
    for one in found:
        say(f"{one.pool.title}: {sentence(one)}")
    for table in said(statement(chosen, found), ready.factory().zone):
        put(f"\n{table.title}" + (f", in {table.unit}" if table.unit else ""))
        put_table(table.titles, table.rows)
