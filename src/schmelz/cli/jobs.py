"""Jobs: `schmelz submit`, `schmelz jobs`, `schmelz output`."""

import re
from pathlib import Path
from typing import Annotated

import typer

from schmelz.cli import ready
from schmelz.cli.access import Json
from schmelz.cli.show import put, put_json, put_table, say
from schmelz.faults import BadInput
from schmelz.units import iso


def register(app: typer.Typer) -> None:
    app.command("submit")(submit)
    app.command("jobs")(jobs)
    app.command("output")(output)


def seconds(text: str) -> int:
    """A time limit as Slurm writes it: D-HH:MM:SS, D-HH, HH:MM:SS, MM:SS or minutes. Raises BadInput."""
    match = re.fullmatch(r"(?:(\d{1,5})-)?(\d{1,7})(?::(\d{1,2}))?(?::(\d{1,2}))?", text.strip())
    if match is None:
        raise BadInput(f"--time: {text!r} is not a time; write D-HH:MM:SS, for example 0-02:30:00")
    days, first, second, third = (None if part is None else int(part) for part in match.groups())
    if days is not None:
        total = days * 86400 + (first or 0) * 3600 + (second or 0) * 60 + (third or 0)
    elif third is not None:
        total = (first or 0) * 3600 + (second or 0) * 60 + third
    else:
        total = (first or 0) * 60 + (second or 0)
    if total <= 0:
        raise BadInput(f"--time: {text!r} is no time at all; write for example 0-00:10:00")
    return total


def submit(
    script: Annotated[Path, typer.Argument(help="The script to run.")],
    project: Annotated[str, typer.Option("--project", help="The project that pays.")],
    gpus: Annotated[int, typer.Option("--gpus", help="GPUs in all.")],
    nodes: Annotated[int | None, typer.Option("--nodes", help="Nodes; default: as few as hold the GPUs.")] = None,
    time: Annotated[str | None, typer.Option("--time", metavar="D-HH:MM:SS", help="The time limit.")] = None,
    site: Annotated[str | None, typer.Option("--site", help="The site; default: any.")] = None,
    as_json: Json = False,
) -> None:
    """Queue a job on a project's GPU-hours; prints the job's id."""
    limit = None if time is None else seconds(time)
    text = _read_script(script)
    ready.portal()
    from schmelz.operate.cluster import submit_job

    job = submit_job(ready.person(), project, script=text, gpus=gpus, nodes=nodes, limit=limit, site=site)
    _cycle()
    put_json({"job": job, "project": project}) if as_json else put(job)


def _read_script(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}); give a script file") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path}: is not UTF-8 text; give a script, not a program") from None


def _cycle() -> None:
    """A scheduling cycle by hand, for when no server runs the duties of this data directory."""
    from schmelz.operate.cluster import cycle, running_systems
    from schmelz.operate.loop import only_one

    with only_one() as mine:
        if mine:
            for system in running_systems():
                cycle(system)


def jobs(
    project: Annotated[str | None, typer.Option("--project", help="Of this project only.")] = None,
    as_json: Json = False,
) -> None:
    """The jobs of your projects, newest first."""
    ready.portal()
    from schmelz.operate.cluster import list_jobs

    person = ready.person()
    _cycle()
    found = list_jobs(person, project)
    if as_json:
        put_json(
            [
                {
                    "job": j.job,
                    "project": j.account,
                    "user": j.user,
                    "state": j.state,
                    "gpus": j.gpus,
                    "nodes": j.nodes,
                    "limit_s": j.limit,
                    "submitted": iso(j.submitted),
                    "started": iso(j.started) if j.started else None,
                    "ended": iso(j.ended) if j.ended else None,
                    "site": j.site,
                    "node_list": j.node_list,
                    "reason": j.reason,
                    "exit_code": j.exit_code,
                }
                for j in found
            ]
        )
    else:
        put_table(
            ("job", "project", "state", "GPUs", "site", "nodes", "why"),
            [(j.job, j.account, j.state, j.gpus, j.site, j.node_list, j.reason) for j in found],
        )
        if not found:
            say("no jobs yet; `schmelz submit SCRIPT --project P --gpus N` queues one")


def output(job: Annotated[str, typer.Argument(help="The job's id.")]) -> None:
    """What a job printed so far."""
    ready.portal()
    from schmelz.operate.cluster import job_output

    put(job_output(ready.person(), job))
