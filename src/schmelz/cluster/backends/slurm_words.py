"""Slurm's words and ours: where a job is, how it ended, why one is refused. Data only; why one waits: `slurm_reasons`.

The names on the left are those of Slurm 22.05 to 25.11 (its page of job state codes, the error texts of sbatch); a word
that is not here is shown as it is.
"""

from schmelz.cluster.model import JobState

STATES: dict[str, JobState] = {
    "BOOT_FAIL": "NODE_FAIL",
    "CANCELLED": "CANCELLED",
    "COMPLETED": "COMPLETED",
    "COMPLETING": "RUNNING",
    "CONFIGURING": "RUNNING",
    "DEADLINE": "TIMEOUT",
    "EXPEDITING": "PENDING",
    "FAILED": "FAILED",
    "LAUNCH_FAILED": "PENDING",
    "NODE_FAIL": "NODE_FAIL",
    "OUT_OF_MEMORY": "FAILED",
    "PENDING": "PENDING",
    "POWER_UP_NODE": "RUNNING",
    "PREEMPTED": "CANCELLED",
    "RECONFIG_FAIL": "NODE_FAIL",
    "REQUEUED": "PENDING",
    "REQUEUE_FED": "PENDING",
    "REQUEUE_HOLD": "PENDING",
    "RESIZING": "RUNNING",
    "RESV_DEL_HOLD": "PENDING",
    "REVOKED": "CANCELLED",
    "RUNNING": "RUNNING",
    "SIGNALING": "RUNNING",
    "SPECIAL_EXIT": "PENDING",
    "STAGE_OUT": "RUNNING",
    "STOPPED": "RUNNING",
    "SUSPENDED": "RUNNING",
    "TIMEOUT": "TIMEOUT",
    "UPDATE_DB": "RUNNING",
}

BY_STATE = {
    "BOOT_FAIL": "was lost: a node did not start",
    "CANCELLED": "was cancelled",
    "COMPLETED": "ended well",
    "COMPLETING": "is ending",
    "CONFIGURING": "its nodes are being prepared",
    "DEADLINE": "its deadline passed",
    "EXPEDITING": "waits to be started again, before all others",
    "FAILED": "ended with exit code {code}",
    "LAUNCH_FAILED": "could not be started and waits",
    "NODE_FAIL": "was lost: a node went away",
    "OUT_OF_MEMORY": "used more memory than it had asked for",
    "PENDING": "waits",
    "POWER_UP_NODE": "its nodes are being switched on",
    "PREEMPTED": "gave its GPUs back to their owner",
    "RECONFIG_FAIL": "was lost: a node could not be prepared",
    "REQUEUED": "waits to be started again",
    "REQUEUE_FED": "waits to be started again",
    "REQUEUE_HOLD": "is held after it was put back into the queue",
    "RESIZING": "changes its size",
    "RESV_DEL_HOLD": "is held: its reservation is gone",
    "REVOKED": "was taken over by another cluster",
    "RUNNING": "runs",
    "SIGNALING": "is being sent a signal",
    "SPECIAL_EXIT": "is held after it ended in a special way",
    "STAGE_OUT": "is ending",
    "STOPPED": "is stopped and keeps its GPUs",
    "SUSPENDED": "is suspended",
    "TIMEOUT": "was stopped at its time limit",
    "UPDATE_DB": "is ending",
}

# Slurm's texts at submission, looked for in this order: about the script, about rights and limits, about the cluster.

SCRIPT_FAULTS = {
    "This does not look like a batch script": "script: the first line must say what runs it, such as #!/bin/bash",
    "Batch script is empty": "script: is empty; write a first line such as #!/bin/bash and what to run",
    "DOS line breaks": "script: has line ends of Windows; save it with Unix line ends",
    "contains NULL character": "script: contains a NUL byte; plain text",
    "unrecognized option": "script: an #SBATCH line asks for an option that sbatch does not have",
    "invalid option": "script: an #SBATCH line asks for an option that sbatch does not have",
    "Pathname of a file, directory or other parameter too long": "script: is too long for this cluster; call a program",
}

REFUSALS = {
    "Invalid account or account/partition": (
        "{user} may not use the project {account} on the cluster.",
        "A new project or member gets there when the operator applies the plan.",
    ),
    "AssocGrpSubmitJobsLimit": (
        "the project {account} is closed for new jobs.",
        "Ask the principal investigator or the operator.",
    ),
    "AssocMaxSubmitJobLimit": (
        "{user} is no member of {account} any more, or has as many jobs in the queue as allowed.",
        "Ask the principal investigator.",
    ),
    "AssocGrpGRESMinutes": (
        "the job may need more GPU-hours than {account} has.",
        "Ask for fewer GPUs or a shorter time limit.",
    ),
    "AssocGrpGRES": ("the job asks for more GPUs than {account} may use at once.", "Ask for fewer GPUs."),
    "QOSGrpGRESMinutes": (
        "the job may need more GPU-hours than its quality of service has.",
        "Ask for fewer GPUs or less time.",
    ),
    "QOSGrpGRES": ("the job asks for more GPUs than its share of the machine has.", "Ask for fewer GPUs."),
    "Invalid qos": (
        "the quality of service that was asked for is not one of {account}.",
        "Leave it out; borrowed jobs are possible when the operator has applied the plan.",
    ),
    "Requested node configuration is not available": (
        "no nodes of the cluster fit {gpus} GPUs on {nodes} nodes with what the script asks for beside.",
        "Ask for less per node.",
    ),
    "Requested time limit is invalid": ("the time limit is longer than the cluster allows.", "Choose a shorter one."),
    "Access denied to requested reservation": ("{account} may not use that reservation.", "Leave it out."),
    "Invalid partition": ("the cluster has no such partition.", "The operator compares factory file and cluster."),
    "Job violates accounting/QOS policy": (
        "a limit of {account} or of its quality of service forbids this job.",
        "Ask for less.",
    ),
}

NO_ANSWERS = (
    "Unable to contact slurm controller",
    "Socket timed out",
    "Zero Bytes were transmitted",
    "Slurm temporarily unable",
    "Slurm database",
    "Connection refused",
    "Protocol authentication error",
)
ANSWERED = "submission failed"
