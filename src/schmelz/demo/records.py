"""What the demo year's jobs leave behind: job records as `sacct -P` text, from the simulated machine.

Times are UTC without an offset. The simulated machine is emptied at the end of the year, because nobody runs it any more:
what still runs is cancelled then, and what still waits is cancelled unstarted, as at the end of a project.
"""

from collections.abc import Sequence
from itertools import groupby

from schmelz.demo.model import Job, Year
from schmelz.policy.nodes import node_matches
from schmelz.policy.schema import Factory, System
from schmelz.twin.machine import Outage, Placed, simulate
from schmelz.units import iso

HEADER = (
    "JobIDRaw",
    "Cluster",
    "User",
    "Account",
    "Partition",
    "QOS",
    "State",
    "Submit",
    "Eligible",
    "Start",
    "End",
    "ElapsedRaw",
    "TimelimitRaw",
    "AllocTRES",
    "ReqTRES",
    "NNodes",
    "ExitCode",
    "NodeList",
)
EXIT_CODES = {"COMPLETED": "0:0", "FAILED": "1:0", "TIMEOUT": "0:0", "CANCELLED": "0:15"}
FIRST_UID = 20_001


def run(factory: Factory, year: Year) -> bytes:
    """Work off the year on the simulated machine; the records of all its jobs."""
    system = factory.system(year.system)
    away = [*year.outages, *planned(system)]
    placed = {run.job: run for run in simulate(system, [job.sim for job in year.jobs], away, year.period, factory.zone)}
    uids = {person.unix_name: FIRST_UID + index for index, person in enumerate(year.persons)}
    records = (_record(system, job, placed.get(job.sim.job), year.until, uids[job.user]) for job in year.jobs)
    return "".join(f"{'|'.join(fields)}\n" for fields in (HEADER, *records)).encode()


def planned(system: System) -> tuple[Outage, ...]:
    """The maintenance windows of the policy file as outages."""
    return tuple(
        Outage(
            site, away, int(window.start.timestamp()), int(window.end.timestamp()), "maintenance", True, window.reason
        )
        for window in system.maintenance
        for site, names in system.node_names.items()
        if (away := tuple(name for name in names if node_matches(name, window.nodes)))
    )


def _record(system: System, job: Job, placed: Placed | None, until: int, uid: int) -> tuple[str, ...]:
    state, start, end, elapsed = _course(job, placed, until, uid)
    sites = (placed.site,) if placed else job.sim.sites
    nodes = len(placed.nodes) if placed else job.sim.nodes
    tres = f"billing={job.sim.gpus},gres/gpu={job.sim.gpus},node={nodes}"
    submit = _time(job.sim.submit)
    return (
        job.sim.job,
        system.cluster.name,
        job.user,
        job.sim.project,
        _partitions(system, sites),
        "normal",
        state,
        submit,
        submit,
        start,
        end,
        str(elapsed),
        str(job.sim.limit // 60),
        tres if placed else "",
        tres,
        str(nodes),
        EXIT_CODES.get(state.split()[0], "0:0"),
        node_list(placed.nodes) if placed else "None assigned",
    )


def _course(job: Job, placed: Placed | None, until: int, uid: int) -> tuple[str, str, str, int]:
    """State, start, end and seconds elapsed, as they stand at the end of the year."""
    if placed is None:
        return "CANCELLED by 0", "None", _time(until if job.sim.latest is None else min(job.sim.latest, until)), 0
    if placed.end > until:
        return "CANCELLED by 0", _time(placed.start), _time(until), until - placed.start
    state = f"CANCELLED by {uid}" if job.outcome == "CANCELLED" else job.outcome
    return state, _time(placed.start), _time(placed.end), placed.end - placed.start


def _time(instant: int) -> str:
    return iso(instant).removesuffix("Z")


def _partitions(system: System, sites: Sequence[str]) -> str:
    return ",".join(system.partitions.get(site, (site,))[0] for site in sites)


def node_list(names: Sequence[str]) -> str:
    """Node names as Slurm shortens them: mxb001, mxb002, mxb004 -> mxb[001-002,004]."""
    numbers: dict[tuple[str, int], list[str]] = {}
    for name in names:
        stem = name.rstrip("0123456789")
        digits = name[len(stem) :]
        numbers.setdefault((stem, len(digits)), []).append(digits)
    return ",".join(_bracket(stem, digits) for (stem, _), digits in numbers.items())


def _bracket(stem: str, digits: Sequence[str]) -> str:
    if len(digits) == 1:
        return stem + digits[0]
    runs = [[digit for _, digit in run] for _, run in groupby(enumerate(sorted(digits)), lambda at: int(at[1]) - at[0])]
    return f"{stem}[{','.join(run[0] if len(run) == 1 else f'{run[0]}-{run[-1]}' for run in runs)}]"
