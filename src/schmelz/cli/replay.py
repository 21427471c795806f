"""What `schmelz twin` does: from the words of its options to the figures of each policy, with a bar where it takes long.

The kernels release the interpreter while they run: the bar asks them how far they are. numba is loaded only when all words
of options are known to be right. The same options give the same figures, but for the times that compiling and running took.
"""

import csv
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from schmelz.cli.bar import progress
from schmelz.faults import BadInput

if TYPE_CHECKING:
    from schmelz.policy.schema import System
    from schmelz.twin.layout import Layout
    from schmelz.twin.policies import Timed
    from schmelz.twin.records import Rules
    from schmelz.twin.sharing import PoolOptions
    from schmelz.twin.workload import Schedule, Workload

    Seen = dict[str, tuple[Schedule, PoolOptions]]

POLICY_NAMES = ("fcfs", "easy", "conservative", "sjbf", "partition", "fairshare", "deficit")
MISSING = ("exact", "factor", "history")


@dataclass(frozen=True)
class Wish:
    """The options of the command, each as it was written."""

    source: Path | None
    gpus: int | None
    policies: list[str]
    order: Any
    form: str | None
    size: Any
    overrun: Any
    estimates: str
    pools: str | None
    modes: str | None
    columns: tuple[str, ...]
    layout: Path | None
    system: str | None
    sites: str | None
    weights: str | None
    rule: Mapping[str, Any]
    tau: int
    warm_up: int
    generate: int | None
    load: float
    seed: int
    save: Path | None
    starts: Path | None
    pdf: Path | None = None


def run(wish: Wish) -> list[dict[str, Any]]:
    """The figures of every policy. Raises BadInput."""
    system = _system(wish.system)
    laid_out = _layout(wish, system)
    gpus = wish.gpus or sum(laid_out.sites.values())
    if not gpus:
        raise BadInput("--gpus: how many GPUs has the machine?")
    from schmelz.twin.layout import applied
    from schmelz.twin.sharing import PoolOptions, checked

    jobs, sharing = applied(laid_out, _jobs(wish, gpus, laid_out, system), str(wish.layout or ""))
    options = PoolOptions(gpus, wish.order, sharing=sharing)
    if {*wish.policies} & {"partition", "fairshare", "deficit"}:
        checked(options, len(jobs.pools))
    seen: dict[str, tuple[Schedule, PoolOptions]] = {}
    results = [_result(name, jobs, options, wish, seen) for name in wish.policies]
    if wish.pdf:
        _pdf(wish.pdf, wish, jobs, seen)
    return results


def _system(name: str | None) -> "System | None":
    if name is None:
        return None
    from schmelz.policy.load import load

    path = Path(os.environ.get("SCHMELZ_FACTORY") or "factory.toml")
    systems = {one.id: one for one in load(path).systems}
    if name not in systems:
        raise BadInput(f"--system: {name!r} is none of {', '.join(systems)} in {path}")
    return systems[name]


def _layout(wish: Wish, system: "System | None") -> "Layout":
    """From the factory, or from a file, and over it what the options say."""
    from schmelz.twin.layout import Layout, changed, load, of_system

    if wish.layout and system:
        raise BadInput("--layout: means nothing beside --system; one of the two")
    found = load(wish.layout) if wish.layout else of_system(system) if system else Layout()
    given = dict(wish.rule)
    for key, text in (("sites", wish.sites), ("weights", wish.weights)):
        if text is not None:
            given[key] = dict(_counts(f"--{key}", text))
    return changed(found, given)


def _counts(option: str, text: str) -> Iterator[tuple[str, int]]:
    for pair in text.split(","):
        name, equals, number = (part.strip() for part in pair.partition("="))
        if not name or not equals or not number.isascii() or not number.isdecimal() or len(number) > 12:
            raise BadInput(f"{option}: {pair!r}: write name=NUMBER,name=NUMBER")
        yield name, int(number)


def _rules(wish: Wish, gpus: int) -> "Rules":
    from schmelz.twin.pool_map import pool_map
    from schmelz.twin.records import Rules

    missing, equals, text = wish.estimates.partition("=")
    try:
        factor = float(text) if equals else 2.0
    except ValueError:
        factor = 0.0
    if missing not in MISSING or (equals and missing != "factor") or not 1 <= factor <= 1000:
        raise BadInput(f"--estimates: {wish.estimates!r} is none of exact, factor=F (1 to 1000), history")
    pools = None if wish.pools is None else pool_map(wish.pools)
    modes = None if wish.modes is None else pool_map(wish.modes, "--modes")
    return Rules(gpus, wish.size, wish.overrun, pools, modes, missing, factor)  # type: ignore[arg-type]


def _jobs(wish: Wish, gpus: int, layout: "Layout", system: "System | None") -> "Workload":
    from schmelz.cli.traces import trace
    from schmelz.twin.records import workload
    from schmelz.twin.workload import Options, checked

    rules = _rules(wish, gpus)
    if wish.generate is not None:
        return _generated(wish, gpus, tuple(layout.weights) or ("all",))
    assert wish.source is not None
    try:
        records = trace(wish.source, wish.form, wish.columns)
        if system and rules.pools is None and records.columns:
            from schmelz.metering.attribute import pool_of

            rules = replace(rules, pools={name: pool_of(name, system, {}) for name in records.columns[0].names})
        jobs = workload(records, rules)
        checked(jobs, Options(gpus))
        return jobs
    except BadInput as error:
        named = [fault if str(wish.source) in fault else f"{wish.source}: {fault}" for fault in error.faults]
        raise BadInput(named) from None


def _generated(wish: Wish, gpus: int, pools: tuple[str, ...]) -> "Workload":
    from schmelz.twin.generator import as_swf, generated

    jobs = generated(wish.generate or 0, gpus, load=wish.load, seed=wish.seed, pools=pools)
    if wish.save:
        with _written("--save", wish.save) as file:
            file.writelines(as_swf(jobs))
    return jobs


def _result(policy: str, jobs: "Workload", options: "PoolOptions", wish: Wish, seen: "Seen") -> dict[str, Any]:
    from schmelz.twin.avoidable import NOT_TOLD, avoidable
    from schmelz.twin.policies import timed
    from schmelz.twin.pool_results import pool_results
    from schmelz.twin.results import Counting, summary

    counting, (own, notes) = Counting(wish.tau, wish.warm_up), _own(policy, options)
    done = _watched(policy, len(jobs), lambda watch: timed(policy, jobs, replace(own, watch=watch)))
    if wish.starts:
        _write(wish.starts, jobs, done.schedule)
    if wish.pdf:
        seen[policy] = (done.schedule, own)
    figures = summary(jobs, done.schedule, own, counting)
    split = pool_results(jobs, done.schedule, own)
    idle = avoidable(policy, jobs, done.schedule, own)
    notes += (NOT_TOLD,) if idle is None else ()
    pools = [{**waits, **shares} for waits, shares in zip(figures.pop("pools"), split.pop("pools"), strict=True)]
    return {
        "policy": policy,
        "order": options.order,
        "gpus": options.gpus,
        **figures,
        **split,
        "avoidable_idle_gpu_s": idle,
        **dict(jobs.counts),
        **dict(done.schedule.figures),
        "jobs_per_s": round(len(jobs) / max(done.kernel_s, 1e-9)),
        "compile_s": round(done.compile_s, 3),
        "pools": pools,
        "rules": [*jobs.notes, counting.said(), *notes],
    }


def _own(policy: str, options: "PoolOptions") -> "tuple[PoolOptions, tuple[str, ...]]":
    """What the policy knows of the options, and a word on what it does not."""
    from schmelz.twin.policies import CLASSIC

    sharing = options.sharing
    if policy not in CLASSIC or not (len(sharing.sites) > 1 or sharing.away or sharing.budgets):
        return options, ()
    one = replace(sharing, sites=(), away=(), job_sites=None, budgets=None)
    return replace(options, sharing=one), (f"{policy} knows one machine: no sites, outages and budgets",)


def _watched(policy: str, jobs: int, work: "Callable[[list[Callable[[], int]]], Timed]") -> "Timed":
    """Do it; where it takes long, and somebody looks on, with a bar."""
    watch: list[Callable[[], int]] = []
    if not sys.stderr.isatty():
        return work(watch)
    with ThreadPoolExecutor(1) as thread, progress(jobs, f"{policy}, {jobs:,} jobs") as told:
        future = thread.submit(work, watch)
        while not wait([future], 0.2).done:
            told(watch[-1]() if watch else 0)
        return future.result()


@contextmanager
def _written(option: str, path: Path) -> Iterator[TextIO]:
    """A file that is written whole or not at all."""
    aside = path.parent / f".{path.name}.part"
    try:
        with aside.open("w", newline="", encoding="utf-8") as file:
            yield file
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise BadInput(f"{option} {path}: cannot be written ({error.strerror})") from None


def _pdf(path: Path, wish: Wish, jobs: "Workload", seen: "Seen") -> None:
    """Tables and charts of all policies, side by side; times are the trace's own, in UTC."""
    from zoneinfo import ZoneInfo

    from schmelz.twin.side_by_side import compare
    from schmelz.web.side_by_side import TINTS, Side, as_pdf, statement

    found, start, zone = compare(jobs, seen), int(jobs.submit[0]), ZoneInfo("UTC")
    weights = next(iter(seen.values()))[1].sharing.weights or (1,) * len(jobs.pools)
    pools = [Side(n, n, TINTS[i % len(TINTS)], w) for i, (n, w) in enumerate(zip(jobs.pools, weights, strict=True))]
    source = wish.source.name if wish.source else "made-up jobs"
    as_of = next(iter(found.values())).moments[-1]
    document = statement(f"The twin: {source}", "twin", as_of, pools, found, jobs.notes, zone)
    try:
        path.write_bytes(as_pdf(document, pools, found, start, "Schmelz", zone))
    except OSError as error:
        raise BadInput(f"--pdf {path}: cannot be written ({error.strerror})") from None


def _write(path: Path, jobs: "Workload", schedule: "Schedule") -> None:
    from schmelz.twin.results import STARTS, starts

    with _written("--starts", path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(STARTS)
        writer.writerows(starts(jobs, schedule))
