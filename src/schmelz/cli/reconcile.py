"""Two paths to one sum: `schmelz reconcile`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from schmelz.cli import ready
from schmelz.cli.access import Json
from schmelz.cli.figures import as_day
from schmelz.cli.machine import SystemOption, may_read
from schmelz.cli.show import put_json, put_table, say
from schmelz.units import day_period, day_start, iso

if TYPE_CHECKING:
    from schmelz.operate.reconcile import Reconciled


def register(app: typer.Typer) -> None:
    app.command("reconcile")(reconcile)


def reconcile(
    first: Annotated[str | None, typer.Option("--from", metavar="DATE", help="First day; else a week back.")] = None,
    last: Annotated[
        str | None, typer.Option("--to", metavar="DATE", help="Last day, included; else up to now.")
    ] = None,
    system: SystemOption = None,
    as_json: Json = False,
) -> None:
    """Our GPU-seconds against Slurm's own rollup, by account. Exit code 0: every difference has a cause; 3: not so."""
    begin, end = as_day("from", first), as_day("to", last)
    ready.portal()
    from schmelz.operate.reconcile import reconcile as work_out
    from schmelz.portal.policy import factory

    which, zone = ready.system(system), factory().zone
    may_read(which)
    found = work_out(which, day_start(begin, zone) if begin else None, day_period(end, zone).end if end else None)
    if as_json:
        put_json(_facts(which.id, found))
    else:
        _show(found)
    raise typer.Exit(3 if found.unexplained else 0)


def _facts(system: str, found: "Reconciled") -> dict[str, Any]:
    return {
        "system": system,
        "from": iso(found.period.start),
        "to": iso(found.period.end),
        "rolled_up_to": None if found.rolled_up_to is None else iso(found.rolled_up_to),
        "lines": [
            {
                "account": line.account,
                "ours_gpu_s": line.ours,
                "theirs_gpu_s": line.theirs,
                "difference_gpu_s": line.difference,
                "causes": dict(line.causes),
                "unexplained_gpu_s": line.unexplained,
            }
            for line in found.lines
        ],
    }


def _show(found: "Reconciled") -> None:
    say(f"{iso(found.period.start)} to {iso(found.period.end)}; GPU-seconds")
    put_table(
        ("account", "ours", "Slurm's", "difference", "because", "unexplained"),
        [
            (
                line.account,
                line.ours,
                line.theirs,
                line.difference,
                ", ".join(f"{cause} {gpu_s}" for cause, gpu_s in line.causes.items()),
                line.unexplained,
            )
            for line in found.lines
        ],
    )
