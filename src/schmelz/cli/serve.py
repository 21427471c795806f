"""Running it: `schmelz check`, `schmelz up`, `schmelz demo`, `schmelz doctor`."""

import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from schmelz.cli import ready
from schmelz.cli.access import Json
from schmelz.cli.show import put, put_json, put_table, say
from schmelz.faults import BadInput


def register(app: typer.Typer) -> None:
    app.command("check")(check)
    app.command("up")(up)
    app.command("demo")(demo)
    app.command("doctor")(doctor)
    app.command("duties", hidden=True)(duties)


def check(
    file: Annotated[Path | None, typer.Argument(help="The policy file; default: the factory's.")] = None,
    as_json: Json = False,
) -> None:
    """Validate a policy file, and say the factory aloud; --json prints the normalised factory."""
    from schmelz.policy.explain import describe
    from schmelz.policy.load import load, normalised

    factory = load(file or Path(os.environ.get("SCHMELZ_FACTORY") or "factory.toml"))
    put_json(normalised(factory)) if as_json else put(describe(factory))


def up(
    host: Annotated[str, typer.Option("--host", help="The address to serve on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="The port to serve on.")] = 8000,
    with_demo: Annotated[bool, typer.Option("--demo", help="Fill an empty factory with demo data first.")] = False,
) -> None:
    """Bring the database up to date, serve the portal and run the duties until stopped."""
    from schmelz.cli import server

    server.check_address(host, port)
    ready.portal()
    server.check_engine(host)
    if with_demo:
        _fill_apart()
    say(
        f"Schmelz serves {ready.factory().factory.name} on http://{'[' + host + ']' if ':' in host else host}:{port} "
        "(Ctrl-C stops it)"
    )
    server.serve(host, port)


def demo(
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same year.")] = 1,
    until: Annotated[
        str | None, typer.Option("--until", metavar="DATE", help="The year ends as this day begins; default: today.")
    ] = None,
) -> None:
    """Fill an empty factory with a believable year; the same seed and date give the same data."""
    ready.portal()
    _fill(seed, _date(until))
    _sign_ins()


def _date(text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise BadInput(f"--until: {text!r} is not a date; write for example 2026-11-22") from None


def _fill_apart() -> None:
    """Fill an empty factory in a process of its own: the server forks, and the threads of polars would not survive that."""
    from schmelz.demo.fill import is_empty

    if not is_empty():
        _sign_ins()
        return
    done = subprocess.run([sys.executable, "-m", "schmelz.cli", "demo"], timeout=600)
    if done.returncode:
        raise typer.Exit(done.returncode)


def _fill(seed: int, until: date | None) -> None:
    from schmelz.demo.fill import fill

    say("filling the factory with a believable year ...")
    done = fill(ready.factory(), seed=seed, until=until, unix_user=ready.unix_user())
    say(", ".join(f"{count} {what}" for what, count in done.items()))


def _sign_ins() -> None:
    from schmelz.demo.fill import sign_ins

    rows = sign_ins()
    if rows:
        put_table(("sign in as", "password", "who"), rows)


def duties(
    parent: Annotated[int | None, typer.Option("--parent", help="Stop when this process is gone.")] = None,
) -> None:
    """Run the duties alone (the server does this by itself)."""
    ready.portal()
    from schmelz.operate.loop import run

    run(parent)


def doctor(as_json: Json = False) -> None:
    """What is installed, reachable and configured, and what to do about what is not. Exit code 1: something stops it."""
    from schmelz.cli.health import examine

    found = examine()
    if as_json:
        put_json([{"check": c.name, "state": c.state, "found": c.found, "remedy": c.remedy} for c in found])
    else:
        put_table(("check", "state", "found", "what to do"), [(c.name, c.state, c.found, c.remedy) for c in found])
    raise typer.Exit(1 if any(c.state == "stop" for c in found) else 0)
