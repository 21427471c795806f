"""The twin: `schmelz twin TRACE --gpus N` runs the jobs of a trace through a policy, or through several to compare them.

Needs no data directory, and a factory only with --system. Figures go to standard output, the rules by which the trace was
read and counted to standard error, or into `rules` of the JSON. `jobs_per_s` is the compiled kernel alone, `compile_s` what
came before it.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from schmelz.cli.access import Json
from schmelz.cli.replay import POLICY_NAMES, Wish, run
from schmelz.cli.show import put_json, put_table, say
from schmelz.faults import BadInput

MOST_GPUS = 10_000_000
MOST_JOBS = 10_000_000
SHOWN = {
    "jobs": "jobs",
    "mean_wait_s": "mean wait s",
    "p50_wait_s": "p50 wait s",
    "p95_wait_s": "p95 wait s",
    "max_wait_s": "max wait s",
    "mean_bounded_slowdown": "slowdown",
    "utilisation": "utilisation",
}
IDLE = {"idle_while_waiting_gpu_s": "idle while jobs wait", "avoidable_idle_gpu_s": "avoidable idle"}
OF_POOL = {**SHOWN, "share_ppm": "share ppm", "shortfall_gpu_s": "shortfall GPU s", "lent_gpu_s": "lent GPU s"}


def register(app: typer.Typer) -> None:
    app.command("twin")(twin)


def _option(*names: str, metavar: str | None = None, help: str) -> Any:
    return typer.Option(*names, metavar=metavar, help=help)


def twin(
    source: Annotated[Path | None, typer.Argument(metavar="TRACE", help="The trace: a file, plain or gzip.")] = None,
    gpus: Annotated[int | None, _option("--gpus", metavar="N", help="How many GPUs the machine has.")] = None,
    policy: Annotated[
        list[str] | None, _option("--policy", metavar="P[,P...]", help=f"{', '.join(POLICY_NAMES)}; several are compared.")
    ] = None,
    order: Annotated[Literal["batch", "serial"], _option("--order", help="What happens first at equal times.")] = "batch",
    form: Annotated[
        Literal["swf", "sacct", "csv"] | None, _option("--format", help="Else guessed from the name or first line.")
    ] = None,
    size: Annotated[Literal["requested", "allocated"], _option("--size", help="Which size counts.")] = "requested",
    overrun: Annotated[
        Literal["kill", "extend"], _option("--overrun", help="A run beyond its estimate: cut, or kept.")
    ] = "kill",
    estimates: Annotated[
        str, _option("--estimates", metavar="exact|factor=F|history", help="Where a job has none.")
    ] = "exact",
    pools: Annotated[
        str | None, _option("--pools", metavar="MAP", help="A file of lines name,pool; or a=pool,b=pool.")
    ] = None,
    modes: Annotated[str | None, _option("--modes", metavar="MAP", help="The same for access modes.")] = None,
    columns: Annotated[
        list[str] | None, _option("--map", metavar="MEANING=COLUMN", help="What columns of a CSV mean.")
    ] = None,
    layout: Annotated[
        Path | None, _option("--layout", metavar="FILE", help="Sites, weights, outages, budgets (docs/twin.md).")
    ] = None,
    system: Annotated[
        str | None, _option("--system", metavar="ID", help="Sites, pools and rule of a system of the factory.")
    ] = None,
    sites: Annotated[str | None, _option("--sites", metavar="A=N,B=N", help="GPUs of each site.")] = None,
    weights: Annotated[str | None, _option("--weights", metavar="P=W,Q=W", help="The pools' weights.")] = None,
    floor: Annotated[
        int | None, _option("--floor", metavar="PERCENT", help="What a waiting pool never stays below.")
    ] = None,
    dead_band: Annotated[
        int | None, _option("--dead-band", metavar="PPM", help="Deficits so close count as equal.")
    ] = None,
    half_life: Annotated[
        str | None, _option("--half-life", metavar="7d", help="Of use, for fairshare.")
    ] = None,
    no_lend: Annotated[bool, _option("--no-lend", help="Every pool has its part of the machine for itself.")] = False,
    preempt_after: Annotated[
        str | None, _option("--preempt-after", metavar="2h", help="Take back from jobs over a share that ran so long.")
    ] = None,
    tau: Annotated[int, _option("--tau", metavar="SECONDS", help="The bound of the slowdown.")] = 10,
    warm_up: Annotated[int, _option("--warm-up", metavar="SECONDS", help="Jobs submitted so early count nowhere.")] = 0,
    generate: Annotated[int | None, _option("--generate", metavar="JOBS", help="Make up so many jobs, with no trace.")] = None,
    load: Annotated[float, _option("--load", help="For --generate: the offered load.")] = 0.9,
    seed: Annotated[int, _option("--seed", help="For --generate: the same seed, the same jobs.")] = 1,
    save: Annotated[Path | None, _option("--save", metavar="FILE", help="For --generate: write the jobs as SWF.")] = None,
    starts: Annotated[Path | None, _option("--starts", metavar="FILE", help="Write every job's start there.")] = None,
    pdf: Annotated[Path | None, _option("--pdf", metavar="FILE", help="Write tables and charts as PDF.")] = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Simulate the jobs of a trace: waits, slowdown and use under a policy."""
    if gpus is not None and not 1 <= gpus <= MOST_GPUS:
        raise BadInput(f"--gpus: {gpus} is not 1 to {MOST_GPUS}")
    if tau < 1 or warm_up < 0:
        raise BadInput("--tau: is 1 s or more; --warm-up: is 0 s or more")
    if (source is None) == (generate is None):
        raise BadInput("name a trace, or --generate JOBS; one of the two")
    if generate is not None and not (1 <= generate <= MOST_JOBS and 0 < load <= 100 and seed >= 0):
        raise BadInput(f"--generate: 1 to {MOST_JOBS} jobs; --load: more than 0, at most 100; --seed: 0 or more")
    if save and generate is None:
        raise BadInput("--save: goes with --generate; a trace is there already")
    chosen = _policies(policy or ["easy"])
    if starts and len(chosen) > 1:
        raise BadInput("--starts: takes the starts of one policy; name one with --policy")
    rule = {"floor_percent": floor, "dead_band_ppm": dead_band, "half_life": half_life, "minimum_run": preempt_after}
    if no_lend:
        rule["lend"] = False
    if preempt_after is not None:
        rule["marked"] = "over-share"
    wish = Wish(
        source, gpus, chosen, order, form, size, overrun, estimates, pools, modes, tuple(columns or ()), layout, system,
        sites, weights, {key: value for key, value in rule.items() if value is not None}, tau, warm_up, generate, load,
        seed, save, starts, pdf,
    )  # fmt: skip
    results = run(wish)
    if as_json:
        put_json(results[0] if len(results) == 1 else {"policies": results})
        return
    for note in dict.fromkeys(note for result in results for note in result["rules"]):
        say(f"rule: {note}")
    _tables(results)


def _policies(texts: list[str]) -> list[str]:
    names = [name.strip() for text in texts for name in text.split(",")]
    for name in names:
        if name not in POLICY_NAMES:
            raise BadInput(f"--policy: {name!r} is none of {', '.join(POLICY_NAMES)}")
    if len(set(names)) < len(names):
        raise BadInput(f"--policy: {','.join(names)!r} names a policy twice")
    return names


def _tables(results: list[dict[str, Any]]) -> None:
    """One column for each policy; below, the pools."""
    names = [result["policy"] for result in results]
    rows: list[tuple[object, ...]] = [
        (shown, *(_rounded(result[name]) for result in results)) for name, shown in SHOWN.items()
    ]
    rows += [(f"{shown} GPU s", *(result.get(name) for result in results)) for name, shown in IDLE.items()]
    if len(results[0]["pools"]) > 1:
        rows.append(("share error ppm", *(_rounded(result["share_error_ppm"]) for result in results)))
        for number, pool in enumerate(results[0]["pools"]):
            of_pool = [result["pools"][number] for result in results]
            rows += [
                (f"{pool['pool']}: {shown}", *(_rounded(p[name]) for p in of_pool)) for name, shown in OF_POOL.items()
            ]
    rows += [
        (name, *(result[key] for result in results))
        for name, key in (("jobs/s", "jobs_per_s"), ("compile s", "compile_s"))
    ]
    put_table(("figure", *names), rows)


def _rounded(value: float | None) -> object:
    return f"{value:.4f}" if isinstance(value, float) else value
