"""Jobs in Slurm's answers: the controller's queue and the accounting, as the portal shows jobs. Pure.

Both tell the same of an ended job; the controller knows it first and forgets it after minutes. Jobs are numbered as
JobIDRaw everywhere, so that a job, its record and its output file carry one number. Times are UTC epoch seconds.
"""

import re

from schmelz.cluster.backends import slurm_read as read
from schmelz.cluster.backends.slurm_reasons import why, word_of
from schmelz.cluster.backends.slurm_words import BY_STATE, STATES
from schmelz.cluster.model import ClusterError, Job, JobState
from schmelz.policy.nodes import expand_nodes
from schmelz.policy.system import System

QUEUE = (
    "JOBID", "CLUSTER", "ACCOUNT", "USER", "STATE", "PARTITION", "QOS", "NODES", "TRES_ALLOC", "NODELIST", "REASON",
    "SUBMIT_TIME", "START_TIME", "END_TIME", "TIME_LIMIT", "EXIT_CODE",
)  # fmt: skip
ENDED = (
    "JobIDRaw", "Cluster", "User", "Account", "Partition", "QOS", "State", "Submit", "Start", "End", "Timelimit",
    "ReqTRES", "AllocTRES", "NNodes", "ExitCode", "NodeList",
)  # fmt: skip
RECORDS = (
    "JobIDRaw", "Cluster", "User", "Account", "Partition", "QOS", "State", "Submit", "Eligible", "Start", "End",
    "ElapsedRaw", "TimelimitRaw", "AllocTRES", "ReqTRES", "NNodes", "ExitCode", "NodeList",
)  # fmt: skip
_GPUS = re.compile(r"(?:^|,)gres/gpu(:[^=,]+)?=([0-9]+)")
_TASKS = re.compile(r"([0-9]+)(?:-([0-9]+)(?::([1-9][0-9]*))?)?")
_LIMIT = re.compile(r"(?:([0-9]+)-)?(?:([0-9]+):)?([0-9]+):([0-9]+)")


def queue(source: bytes, system: System) -> list[Job]:
    """The jobs that the controller has in its memory."""
    return [_queued(row, system) for row in _of_cluster(read.table(source, QUEUE, "squeue"), "CLUSTER", system)]


def ended(source: bytes, system: System) -> list[Job]:
    """The ended jobs of the accounting."""
    rows = _of_cluster(read.table(source, ENDED, "sacct"), "Cluster", system)
    jobs = [_recorded(row, system) for row in rows if row["JobIDRaw"].isdigit()]
    return [job for job in jobs if job.state not in ("PENDING", "RUNNING")]


def _of_cluster(rows: list[dict[str, str]], column: str, system: System) -> list[dict[str, str]]:
    if strange := next((row[column] for row in rows if row[column] != system.cluster.name), None):
        raise ClusterError(f"the answer is about the cluster {strange!r}, not about {system.cluster.name!r}")
    return rows


def _queued(row: read.Row, system: System) -> Job:
    state = STATES.get(row["STATE"], "RUNNING")
    live, waits = state in ("PENDING", "RUNNING"), state == "PENDING"
    status = read.number(row, "EXIT_CODE")  # as wait(2) gives it
    code = _code(state, status >> 8, status & 127)
    return Job(
        job=row["JOBID"],
        account=row["ACCOUNT"],
        user=row["USER"],
        state=state,
        gpus=gpus(row["TRES_ALLOC"]),
        nodes=read.number(row, "NODES"),
        limit=_limit(row["TIME_LIMIT"], system),
        submitted=read.instant(row["SUBMIT_TIME"]) or 0,
        started=None if waits else _start(row["START_TIME"], row["NODELIST"]),
        ended=None if live else read.instant(row["END_TIME"]),
        site=site(row["NODELIST"], row["PARTITION"], system),
        node_list=row["NODELIST"],
        reason=_waiting(row) if waits else how(row["STATE"], code),
        exit_code=code,
        qos=row["QOS"],
        word=word_of(row["REASON"]) if waits else row["STATE"],
        tasks=tasks(row.get("ARRAY_TASK_ID", "")) if waits else 1,
    )


def _recorded(row: read.Row, system: System) -> Job:
    word = row["State"].partition(" ")[0]  # "CANCELLED by 1001"
    state = STATES.get(word, "FAILED")
    status, _, signal = row["ExitCode"].partition(":")
    code = _code(state, int(status or 0), int(signal or 0))
    nodes = "" if row["NodeList"] in ("None assigned", "None") else row["NodeList"]
    return Job(
        job=row["JobIDRaw"],
        account=row["Account"],
        user=row["User"],
        state=state,
        gpus=gpus(row["AllocTRES"] or row["ReqTRES"]),
        nodes=read.number(row, "NNodes"),
        limit=_limit(row["Timelimit"], system),
        submitted=read.instant(row["Submit"]) or 0,
        started=_start(row["Start"], nodes),
        ended=read.instant(row["End"]),
        site=site(nodes, row["Partition"], system),
        node_list=nodes,
        reason=how(word, code),
        exit_code=code,
        qos=row["QOS"],
        word=word,
    )


def _code(state: JobState, status: int, signal: int) -> int | None:
    """A shell's exit code; none for a job that somebody else ended: there controller and accounting disagree."""
    if state not in ("COMPLETED", "FAILED"):
        return None
    return status or (128 + signal if signal else 0)


def tasks(text: str) -> int:
    """How many tasks of an array wait in one row ("3-9,12,20-30:2%6"), at most as many as may run at once."""
    listed, _, most = text.partition("%")
    count = sum((int(last or first) - int(first)) // int(step or 1) + 1 for first, last, step in _TASKS.findall(listed))
    return max(1, min(count, int(most)) if most.isdigit() else count)


def _waiting(row: read.Row) -> str:
    """The state says more than the reason where somebody or something put the job back into the queue."""
    return str(why(row["REASON"])) if row["STATE"] == "PENDING" else BY_STATE.get(row["STATE"], row["STATE"])


def how(word: str, code: int | None) -> str:
    """What became of a job, in plain words."""
    return BY_STATE.get(word, word).format(code=code)


def gpus(tres: str) -> int:
    """GPUs in a TRES text: the untyped number where it is given, else the sum of the typed ones."""
    found = _GPUS.findall(tres)
    plain = [int(number) for kind, number in found if not kind]
    return plain[0] if plain else sum(int(number) for _, number in found)


def site(nodes: str, partition: str, system: System) -> str | None:
    """The site of a job: where its first node is, else the one site of its partition; None while it is open."""
    first = _first(nodes)
    for known, its_nodes in system.node_names.items():
        if first in its_nodes:
            return known
    wished = partition.split(",")
    places = [known for known, partitions in system.partitions.items() if set(wished) <= set(partitions)]
    return places[0] if len(places) == 1 else None


def _first(nodes: str) -> str:
    try:
        return expand_nodes(nodes)[0] if nodes else ""
    except ValueError:  # a name that no policy could hold
        return ""


def _start(text: str, nodes: str) -> int | None:
    """When it began; a job that never had nodes never began, whatever is written there."""
    return read.instant(text) if nodes else None


def _limit(text: str, system: System) -> int:
    """Seconds of [D-][HH:]MM:SS; a job without a limit has the longest that the policy knows."""
    found = _LIMIT.fullmatch(text)
    if found is None:
        return system.cluster.max_time
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
