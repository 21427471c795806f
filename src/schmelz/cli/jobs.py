"""Jobs: `schmelz submit`, `schmelz jobs`, `schmelz output`.

With --dry-run `submit` sends nothing: it says what the job costs at most, what would hold it and whether it would start
now (exit code 0: it would run sooner or later, 4: it would be refused or never start).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from schmelz.cli import ready
from schmelz.cli.access import Json
from schmelz.cli.show import put, put_json, put_table, say
from schmelz.faults import BadInput
from schmelz.units import iso

if TYPE_CHECKING:
    from schmelz.cluster.model import Job
    from schmelz.operate.expected import Start
    from schmelz.operate.fit import Look

PATIENCE = 5.0
WOULD = {"now": "would start now", "waits": "would wait", "never": "would be refused, or never start"}


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
    borrow: Annotated[
        bool, typer.Option("--borrow", help="On GPUs that others do not need; may be pre-empted.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Send nothing; say what would become of it.")] = False,
    as_json: Json = False,
) -> None:
    """Queue a job on a project's GPU-hours; prints the job's id."""
    limit = None if time is None else seconds(time)
    text = _read_script(script)
    ready.portal()
    from schmelz.operate.fit import Wish, look, pre_emption, submit_job

    wish = Wish(text, gpus, nodes, limit, site, borrow)
    if dry_run:
        return _tell(look(ready.person(), project, wish), as_json=as_json)
    job = submit_job(ready.person(), project, wish)
    if borrow:
        say(pre_emption(project))
    _cycle()
    put_json({"job": job, "project": project}) if as_json else put(job)
    return None


def _tell(found: "Look", *, as_json: bool) -> None:
    """What a look found; exit code 4 for a job that would never run."""
    start = _start(found)
    put_json(_facts(found) | {"expected_start": _range(start)}) if as_json else put("\n".join(_lines(found)))
    if start and not as_json:
        put(f"expected start: {_said(start)}")
    if found.verdict.starts == "never":
        raise typer.Exit(4)


def _start(found: "Look") -> "Start | None":
    """The likely start of a job that would have to wait."""
    if found.verdict.starts != "waits":
        return None
    from schmelz.operate.expected import expected_start

    return expected_start(found.verdict.case, PATIENCE)


def _facts(found: "Look") -> dict[str, object]:
    verdict, case, so_far = found.verdict, found.verdict.case, found.balance
    return {
        "project": found.project.code,
        "pool": found.project.pool,
        "qos": case.qos,
        "kind": case.kind,
        "gpus": case.request.gpus,
        "charged_gpus": case.gpus,
        "nodes": case.request.nodes,
        "limit_s": case.request.limit,
        "cost_gpu_s": case.cost,
        "settled_gpu_s": so_far.settled,
        "running_gpu_s": so_far.running,
        "committed_gpu_s": so_far.committed,
        "left_gpu_s": so_far.left,
        "left_after_gpu_s": so_far.left - case.cost,
        "month_left_gpu_s": found.month.left if found.month else None,
        "fits": verdict.starts != "never",
        "held_by": [{"limit": held.limit, "words": held.words} for held in verdict.held],
        "starts": verdict.starts,
        "starts_otherwise": {"kind": found.other.case.kind, "starts": found.other.starts},
        "notes": list(verdict.notes),
        "slurm_says": found.slurm_says,
        "as_of": iso(so_far.as_of),
    }


def _lines(found: "Look") -> Iterator[str]:
    from schmelz.cluster.fit import clock, hours

    verdict, case, so_far = found.verdict, found.verdict.case, found.balance
    size = f"{case.request.gpus} GPUs on {case.request.nodes} nodes for {clock(case.request.limit)}"
    yield f"{WOULD[verdict.starts]}: {case.kind} job ({case.qos}), {size}"
    yield f"costs at most {hours(case.cost)}: {case.gpus} charged GPUs, {case.cost} GPU-seconds"
    yield f"left of the grant: {hours(so_far.left)}, {hours(so_far.left - case.cost)} after it"
    used = f"settled {hours(so_far.settled)}, running {hours(so_far.running)}, committed {hours(so_far.committed)}"
    yield f"  ({used}, as of {iso(so_far.as_of)})"
    if found.month:
        yield f"left this month: {hours(found.month.left)}"
    yield from (f"{held.limit}: {held.words}" for held in verdict.held)
    yield f"as {'a borrowed' if case.kind == 'own' else 'an own'} job it {WOULD[found.other.starts]}"
    yield from verdict.notes
    if found.slurm_says:
        yield found.slurm_says


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
    starts = _starts(found)
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
                    "qos": j.qos,
                    "reason": j.reason,
                    "word": j.word,
                    "exit_code": j.exit_code,
                    "expected_start": _range(starts.get(j.job)),
                }
                for j in found
            ]
        )
    else:
        put_table(
            ("job", "project", "state", "GPUs", "site", "nodes", "why", *(("expected start",) if starts else ())),
            [
                (
                    *(j.job, j.account, j.state, j.gpus, j.site, j.node_list, j.reason),
                    *((_said(starts.get(j.job)),) if starts else ()),
                )
                for j in found
            ],
        )
        if not found:
            say("no jobs yet; `schmelz submit SCRIPT --project P --gpus N` queues one")


def _starts(found: "Iterable[Job]") -> "Mapping[str, Start]":
    """The likely starts of jobs that wait; nothing is loaded where none does."""
    if all(job.state != "PENDING" for job in found):
        return {}
    from schmelz.operate.expected import expected

    return expected(found, PATIENCE)


def _range(start: "Start | None") -> dict[str, str | None] | None:
    """A likely start as plain data."""
    if start is None:
        return None
    return {name: None if at is None else iso(at) for name, at in vars(start).items()}


def _said(start: "Start | None") -> str:
    if start is None:
        return ""
    if start.low is None:
        return "not within 14 days"
    return f"{iso(start.low)} to {'later than 14 days' if start.high is None else iso(start.high)}"


def output(job: Annotated[str, typer.Argument(help="The job's id.")]) -> None:
    """What a job printed so far."""
    ready.portal()
    from schmelz.operate.cluster import job_output

    put(job_output(ready.person(), job))
