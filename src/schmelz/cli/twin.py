"""The twin: `schmelz twin TRACE --gpus N` runs the jobs of a trace through a policy, or through several to compare them.

Needs no data directory and no factory. Figures go to standard output, the rules by which the trace was read to standard
error, or into `rules` of the JSON. `jobs_per_s` is the compiled kernel alone, `compile_s` what came before it.
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from schmelz.cli.access import Json
from schmelz.cli.show import put_json, put_table, say
from schmelz.faults import BadInput

if TYPE_CHECKING:
    from schmelz.twin.workload import Options, Schedule, Workload

MOST_GPUS = 10_000_000
POLICY_NAMES = ("fcfs", "easy", "conservative", "sjbf", "partition", "fairshare", "deficit")
SHOWN = {
    "jobs": "jobs",
    "mean_wait_s": "mean wait s",
    "max_wait_s": "max wait s",
    "mean_bounded_slowdown": "slowdown",
    "utilisation": "utilisation",
}


def register(app: typer.Typer) -> None:
    app.command("twin")(twin)


def twin(
    source: Annotated[Path, typer.Argument(metavar="TRACE", help="The trace: a file, plain or gzip.")],
    gpus: Annotated[int, typer.Option("--gpus", metavar="N", help="How many GPUs the machine has.")],
    policy: Annotated[
        str, typer.Option("--policy", metavar="P[,P...]", help=f"{', '.join(POLICY_NAMES)}; several are compared.")
    ] = "easy",
    order: Annotated[
        str, typer.Option("--order", metavar="batch|serial", help="What happens first at equal times.")
    ] = "batch",
    form: Annotated[
        str | None, typer.Option("--format", metavar="swf|sacct|csv", help="Else guessed from the name or first line.")
    ] = None,
    size: Annotated[
        str, typer.Option("--size", metavar="requested|allocated", help="Which size counts.")
    ] = "requested",
    overrun: Annotated[
        str, typer.Option("--overrun", metavar="kill|extend", help="A run beyond its estimate: cut, or kept.")
    ] = "kill",
    pools: Annotated[
        str | None, typer.Option("--pools", metavar="MAP", help="A file of lines name,pool; or a=pool,b=pool.")
    ] = None,
    starts: Annotated[
        Path | None, typer.Option("--starts", metavar="FILE", help="Write every job's start there.")
    ] = None,
    columns: Annotated[
        list[str] | None, typer.Option("--map", metavar="MEANING=COLUMN", help="What columns of a CSV mean.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Simulate the jobs of a trace: waits, slowdown and use under a policy."""
    chosen = _policies(policy)
    _one_of("--order", order, ("batch", "serial"))
    _one_of("--size", size, ("requested", "allocated"))
    _one_of("--overrun", overrun, ("kill", "extend"))
    if not 1 <= gpus <= MOST_GPUS:
        raise BadInput(f"--gpus: {gpus} is not 1 to {MOST_GPUS}")
    if starts and len(chosen) > 1:
        raise BadInput("--starts: takes the starts of one policy; name one with --policy")
    results, jobs = _run(
        source,
        gpus,
        chosen,
        starts,
        form=form,
        columns=columns or (),
        pools=pools,
        order=order,
        size=size,
        overrun=overrun,
    )
    if as_json:
        put_json(results[0] if len(results) == 1 else {"policies": results})
        return
    for note in jobs.notes:
        say(f"rule: {note}")
    _tables(results)


def _policies(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    for name in names:
        _one_of("--policy", name, POLICY_NAMES)
    if len(set(names)) < len(names):
        raise BadInput(f"--policy: {text!r} names a policy twice")
    return names


def _one_of(option: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise BadInput(f"{option}: {value!r} is none of {', '.join(known)}")


def _run(
    source: Path, gpus: int, policies: Sequence[str], starts: Path | None, *, form: str | None, columns: Sequence[str],
    pools: str | None, order: Any, size: Any, overrun: Any,
) -> "tuple[list[dict[str, Any]], Workload]":  # fmt: skip
    """The figures of every policy, and the jobs. numba is loaded here, where words of options are known to be right."""
    from schmelz.cli.traces import trace
    from schmelz.twin.pool_map import pool_map
    from schmelz.twin.records import Rules, workload
    from schmelz.twin.workload import Options

    rules = Rules(gpus, size, overrun, None if pools is None else pool_map(pools))
    try:
        jobs = workload(trace(source, form, columns), rules)
    except BadInput as error:
        raise BadInput([fault if str(source) in fault else f"{source}: {fault}" for fault in error.faults]) from None
    return [_result(name, jobs, Options(gpus, order), starts) for name in policies], jobs


def _result(policy: str, jobs: "Workload", options: "Options", starts: Path | None) -> dict[str, Any]:
    from schmelz.twin.policies import timed
    from schmelz.twin.results import summary

    done = timed(policy, jobs, options)
    if starts:
        _write(starts, jobs, done.schedule)
    return {
        "policy": policy,
        "order": options.order,
        "gpus": options.gpus,
        **summary(jobs, done.schedule, options.gpus),
        **dict(jobs.counts),
        **({"figures": dict(done.schedule.figures)} if done.schedule.figures else {}),
        "jobs_per_s": round(len(jobs) / max(done.kernel_s, 1e-9)),
        "compile_s": round(done.compile_s, 3),
        "rules": list(jobs.notes),
    }


def _write(path: Path, jobs: "Workload", schedule: "Schedule") -> None:
    """The starts, whole or not at all."""
    from schmelz.twin.results import STARTS, starts

    aside = path.with_name(f".{path.name}.part")
    try:
        with aside.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(STARTS)
            writer.writerows(starts(jobs, schedule))
        aside.replace(path)
    except OSError as error:
        raise BadInput(f"--starts {path}: cannot be written ({error.strerror})") from None


def _tables(results: Sequence[dict[str, Any]]) -> None:
    """One column for each policy; below, the pools."""
    names = [result["policy"] for result in results]
    rows = [(shown, *(_rounded(result[name]) for result in results)) for name, shown in SHOWN.items()]
    for number, pool in enumerate(results[0]["pools"] if len(results[0]["pools"]) > 1 else ()):
        rows += [
            (f"{pool['pool']}: {shown}", *(_rounded(result["pools"][number][name]) for result in results))
            for name, shown in SHOWN.items()
        ]
    rows += [
        (name, *(result[key] for result in results))
        for name, key in (("jobs/s", "jobs_per_s"), ("compile s", "compile_s"))
    ]
    put_table(("figure", *names), rows)


def _rounded(value: float | None) -> object:
    return f"{value:.4f}" if isinstance(value, float) else value
