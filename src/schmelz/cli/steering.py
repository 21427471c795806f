"""The fast share steering: `schmelz mandate propose|sign|revoke|list`, and `schmelz steer`."""

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from schmelz.cli import ready
from schmelz.cli.access import Json
from schmelz.cli.machine import SystemOption
from schmelz.cli.show import put, put_json, put_table, say
from schmelz.faults import Refused
from schmelz.units import iso

if TYPE_CHECKING:
    from schmelz.operate.steer import Steerer, Step
    from schmelz.policy.schema import System
    from schmelz.portal.clusters.models import Mandate

Code = Annotated[str, typer.Argument(metavar="CODE", help="The mandate, for example m00001.")]
Because = Annotated[str, typer.Option("--because", help="Why, in a sentence.")]
mandate = typer.Typer(help="Who allowed the steering of the caps, how far, how often and until when.")


def register(app: typer.Typer) -> None:
    app.add_typer(mandate, name="mandate")
    app.command("steer")(steer)


@mandate.command("propose")
def propose(
    lowest: Annotated[int, typer.Option("--lowest", metavar="P", help="Caps are never below P % of the GPUs.")],
    highest: Annotated[int, typer.Option("--highest", metavar="P", help="Caps are never above P % of the GPUs.")],
    moves_per_hour: Annotated[int, typer.Option("--moves-per-hour", metavar="N", help="Moves in any hour.")],
    days: Annotated[int, typer.Option("--days", metavar="D", help="How long it lasts.")],
    because: Because,
    system: SystemOption = None,
) -> None:
    """Ask for a mandate, as the first signer of the policy's list."""
    ready.portal()
    from schmelz.portal.clusters import mandates

    made = mandates.propose(
        ready.factory(), ready.system(system), ready.person(), lowest=lowest, highest=highest,
        moves_per_hour=moves_per_hour, days=days, because=because,
    )  # fmt: skip
    say(f"{made.code} is proposed and signed by you; {mandates.turn(ready.system(system), made)} is next")
    put(made.code)


@mandate.command("sign")
def sign(code: Code) -> None:
    """Sign a mandate when it is your turn; with the last signature it is in force."""
    ready.portal()
    from schmelz.portal.clusters import mandates

    made = mandates.sign(ready.factory(), code, ready.person())
    following = mandates.turn(ready.factory().system(made.system), made)
    say(
        f"{code} is signed; {following} is next" if following else f"{code} is signed by all, until {iso(made.expires)}"
    )
    put(code)


@mandate.command("revoke")
def revoke(code: Code, because: Because) -> None:
    """End a mandate at once. The caps stay; the next plan brings the shares back."""
    ready.portal()
    from schmelz.portal.clusters import mandates

    mandates.revoke(ready.factory(), code, ready.person(), because=because)
    say(f"{code} is ended; `schmelz plan` shows what brings the shares back")
    put(code)


@mandate.command("list")
def every(system: SystemOption = None, as_json: Json = False) -> None:
    """All mandates of a system, the newest first."""
    ready.portal()
    from schmelz.portal.clusters import mandates

    which = ready.system(system)
    _may_read(which)
    rows = [_row(found) for found in mandates.mandates(which.id)]
    if as_json:
        put_json(rows)
    else:
        put_table(
            ("mandate", "state", "range", "moves/h", "from", "until", "signed by"),
            [
                (row["mandate"], row["state"], f"{row['lowest_percent']}-{row['highest_percent']} %",
                 row["moves_per_hour"], row["from"][:16], row["until"][:16], ", ".join(row["signed_by"]))
                for row in rows
            ],
        )  # fmt: skip


def _row(found: "Mandate") -> dict[str, Any]:
    return {
        "mandate": found.code,
        "system": found.system,
        "state": found.state,
        "lowest_percent": found.lowest_percent,
        "highest_percent": found.highest_percent,
        "moves_per_hour": found.moves_per_hour,
        "from": iso(found.start),
        "until": iso(found.expires),
        "because": found.because,
        "signed_by": [signature.person.handle for signature in found.signatures.all()],
    }


def _may_read(which: "System") -> None:
    from schmelz.portal.clusters import mandates
    from schmelz.rules.permissions import Permission, require

    person = ready.maybe_person()
    if person is not None:
        require(Permission.MANDATE_READ, mandates.relations(ready.factory(), person, which), person.name)


def steer(
    once: Annotated[bool, typer.Option("--once", help="One step, and end.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would do now, and why.")] = False,
    system: SystemOption = None,
    as_json: Json = False,
) -> None:
    """Steer the caps of a Slurm cluster inside the mandate in force. `schmelz up` does it by itself.

    With --once the exit code is 4 when it may not steer: no mandate in force, an old ledger, no moves left.
    """
    ready.portal()
    from schmelz.operate.steer import Steerer

    which = ready.system(system)
    _may_read(which)
    steerer = Steerer(which)
    if once or dry_run:
        step = steerer.step(dry=dry_run)
        _tell(step, as_json=as_json)
        if not dry_run and step.word != "steers":
            raise typer.Exit(4)
        return
    while True:
        _try(steerer, as_json=as_json)
        time.sleep(steerer.every)


def _try(steerer: "Steerer", *, as_json: bool) -> None:
    """One step of many: a cluster that is silent for a while, or another process that steers, does not end them."""
    from schmelz.cluster.model import ClusterError

    try:
        _tell(steerer.step(), as_json=as_json)
    except (ClusterError, Refused) as error:
        say(f"{error}\nThe caps stay as they are; it is tried again in {steerer.every} s.")


def _tell(step: "Step", *, as_json: bool) -> None:
    put_json(step.as_dict()) if as_json else put(_said(step))


def _said(step: "Step") -> str:
    if step.word != "steers":
        return f"{iso(step.at)} does not steer: {step.because}"
    done = "moved" if step.moved else "would move" if step.due else "stays"
    caps = ", ".join(f"{name} {_cap(step, name)}" for name in step.after)
    return f"{iso(step.at)} {done} ({caps}): {step.because}"


def _cap(step: "Step", name: str) -> str:
    before = "no cap" if step.before[name] is None else str(step.before[name])
    return f"{before} -> {step.after[name]}" if step.due and step.before[name] != step.after[name] else before
