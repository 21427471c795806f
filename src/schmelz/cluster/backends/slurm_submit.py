"""Around sbatch: where a job starts and prints, and what a refusal means for the person who asked.

Slurm keeps no path of a job's output for long, so the path follows from the person and the job's number alone.
"""

from dataclasses import asdict
from pathlib import Path

from schmelz.cluster.backends.slurm_call import Answer, person
from schmelz.cluster.backends.slurm_words import ANSWERED, NO_ANSWERS, REFUSALS, SCRIPT_FAULTS
from schmelz.cluster.model import ClusterError, JobRequest
from schmelz.faults import BadInput, Refused


def folder(user: str) -> Path:
    """Where a job starts and prints: the home, if it is there and theirs, else /tmp (for trying out on one machine)."""
    entry = person(user)
    home = Path(entry.pw_dir)
    return home if home.is_dir() and home.stat().st_uid == entry.pw_uid else Path("/tmp")  # noqa: S108


def output(user: str, job: str) -> Path:
    """The user's number keeps names in /tmp apart, where somebody else's file of the same job would stop the job."""
    return folder(user) / f"schmelz-{person(user).pw_uid}-{job}.out"


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
