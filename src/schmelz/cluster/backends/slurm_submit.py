"""Around sbatch: its command, where a job starts and prints, and what its answer means for the person who asked.

Slurm keeps no path of a job's output for long, so the path follows from the person and the job's number alone. With
*test-only* Slurm says when it would start a job and keeps nothing of it; it looks at rights, sizes and free nodes then,
not at budgets and not at the caps of pools (seen with 22.05), so that our own check comes first. Parameters never reach
a shell. Source: sbatch's manual, tried out on the real thing.
"""

import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from schmelz.cluster.backends.slots import nodes_needed
from schmelz.cluster.backends.slurm_call import Answer, person
from schmelz.cluster.backends.slurm_words import ANSWERED, NO_ANSWERS, REFUSALS, SCRIPT_FAULTS
from schmelz.cluster.model import ClusterError, JobRequest
from schmelz.faults import BadInput, Refused
from schmelz.policy.system import System

TEST_ONLY = "--test-only"
_NOT_FOR_US = re.compile(r"^#SBATCH\s+(?:.*\s)?(-W|--wait|--test-only)(?:\s|=|$)", re.MULTILINE)
_WOULD_START = re.compile(r"Job \d+ to start at (\S+) using \d+ processors on (?:nodes )?(\S+)")


def folder(user: str) -> Path:
    """Where a job starts and prints: the home, if it is there and theirs, else /tmp (for trying out on one machine)."""
    entry = person(user)
    home = Path(entry.pw_dir)
    return home if home.is_dir() and home.stat().st_uid == entry.pw_uid else Path("/tmp")  # noqa: S108


def output(user: str, job: str) -> Path:
    """The user's number keeps names in /tmp apart, where somebody else's file of the same job would stop the job."""
    return folder(user) / f"schmelz-{person(user).pw_uid}-{job}.out"


def check_directives(script: str) -> None:
    """sbatch would not come back before the job's end, or would queue nothing."""
    if found := _NOT_FOR_US.search(script):
        raise BadInput(f"script: #SBATCH {found[1]} is of no use here; leave it out")


def submission(request: JobRequest, system: System, sites: Sequence[str], folder: str, output: str) -> tuple[str, ...]:
    """sbatch, script on standard input. What stands here wins over #SBATCH lines of the script.

    Not --export=NONE: then srun inside the job finds no PATH. The environment is clean already, and --get-user-env
    gives the job its owner's login environment; our own resource limits stay ours (--propagate). Where whole nodes are
    charged, whole nodes are asked for. Without a wish any site will do: no free GPU waits for another.
    """
    nodes = nodes_needed(system, request.gpus, request.nodes)
    size = (
        ["--exclusive", f"--gpus-per-node={-(-request.gpus // nodes)}"]
        if system.charge == "node"
        else [f"--gpus={request.gpus}"]
    )
    partitions = [system.partitions[site][0] for site in sites if system.partitions.get(site)]
    where = [f"--partition={','.join(dict.fromkeys(partitions))}"] if len(partitions) == len(sites) else []
    right = [f"--account={request.account}", *([f"--qos={request.qos}"] if request.qos else [])]
    what = ("sbatch", "--parsable", *right, f"--nodes={nodes}", *size, *where)
    how = (f"--time={-(-request.limit // 60)}", f"--chdir={folder}", f"--output={output}")
    return (*what, *how, "--get-user-env", "--propagate=NONE")


def refusal(answer: Answer, request: JobRequest) -> Exception:
    """What Slurm's no means for the person."""
    said = answer.complaint
    if any(words in said for words in NO_ANSWERS):
        return ClusterError(f"sbatch: {answer.last_word}")
    for words, fault in SCRIPT_FAULTS.items():
        if words in said:
            return BadInput(fault)
    for words, (because, remedy) in REFUSALS.items():
        if words in said:
            return Refused(because.format_map(asdict(request)), remedy)
    if ANSWERED in said:
        return Refused(f"Slurm refuses it: {answer.last_word.rpartition(': ')[2]}.", "Ask the operator what it means.")
    return ClusterError(f"sbatch failed (exit status {answer.status}): {answer.last_word}")


def forecast(answer: Answer, request: JobRequest) -> str:
    """What Slurm says about a job that it did not keep. Raises ClusterError when it gave no answer."""
    if found := _WOULD_START.search(answer.complaint):
        return f"Slurm could start it at {found[1]} on {found[2]}, budgets and caps not looked at"
    no = refusal(answer, request)
    if isinstance(no, ClusterError) and "allocation failure" in answer.complaint:
        return f"Slurm would refuse it: {answer.last_word.rpartition(': ')[2]}"
    if isinstance(no, ClusterError):
        raise no
    return f"Slurm would refuse it: {no}"
