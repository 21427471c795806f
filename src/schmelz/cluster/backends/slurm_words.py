"""Slurm's words and ours: why a job waits, how it ended, why one is refused. Data only.

The names on the left are those of Slurm 22.05 and newer (job states, reason codes and error texts of its manual pages);
a word that is not here is shown as it is.
"""

from schmelz.cluster.model import JobState

STATES: dict[str, JobState] = {
    "BOOT_FAIL": "NODE_FAIL",
    "CANCELLED": "CANCELLED",
    "COMPLETED": "COMPLETED",
    "COMPLETING": "RUNNING",
    "CONFIGURING": "RUNNING",
    "DEADLINE": "TIMEOUT",
    "FAILED": "FAILED",
    "NODE_FAIL": "NODE_FAIL",
    "OUT_OF_MEMORY": "FAILED",
    "PENDING": "PENDING",
    "PREEMPTED": "CANCELLED",
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
}

BY_STATE = {
    "BOOT_FAIL": "was lost: a node did not start",
    "CANCELLED": "was cancelled",
    "COMPLETED": "ended well",
    "COMPLETING": "is ending",
    "CONFIGURING": "its nodes are being prepared",
    "DEADLINE": "its deadline passed",
    "FAILED": "ended with exit code {code}",
    "NODE_FAIL": "was lost: a node went away",
    "OUT_OF_MEMORY": "used more memory than it had asked for",
    "PREEMPTED": "gave its GPUs back to their owner",
    "REQUEUED": "waits to be started again",
    "REQUEUE_HOLD": "is held after it was put back into the queue",
    "RUNNING": "runs",
    "STAGE_OUT": "is ending",
    "STOPPED": "is stopped and keeps its GPUs",
    "SUSPENDED": "is suspended",
    "TIMEOUT": "was stopped at its time limit",
}

REASONS = {
    "AccountNotAllowed": "its project may not use this partition",
    "AssocGrpGRES": "its project already uses as many GPUs as it may at once",
    "AssocGrpGRESMinutes": "the project's remaining GPU-hours do not cover its time limit",
    "AssocGrpGRESRunMinutes": "the project's running jobs have reserved what it may reserve",
    "AssocGrpJobsLimit": "its project is closed, or runs as many jobs as it may",
    "AssocGrpSubmitJobsLimit": "its project is closed for new jobs",
    "AssocMaxJobsLimit": "its owner left the project, or runs as many jobs as allowed",
    "AssocMaxSubmitJobLimit": "its owner left the project",
    "BadConstraints": "asks for something this cluster does not have",
    "BeginTime": "its earliest start has not come yet",
    "Cleaning": "an earlier run of it is still being cleaned up",
    "Dependency": "waits for another job",
    "DependencyNeverSatisfied": "waits for another job that cannot end as it must",
    "InvalidAccount": "its project is not known to the cluster",
    "InvalidQOS": "its quality of service is not known to the cluster",
    "JobArrayTaskLimit": "as many tasks of this array run as it allows",
    "JobHeldAdmin": "was held by the operator",
    "JobHeldUser": "was held by its owner",
    "JobHoldMaxRequeue": "was put back into the queue too often and is held",
    "Licenses": "waits for a licence",
    "NodeDown": "a node that it needs is down",
    "None": "waits for the next scheduling cycle",
    "PartitionDown": "its partition is down",
    "PartitionInactive": "its partition starts no jobs now",
    "PartitionNodeLimit": "asks for more nodes than its partition allows",
    "PartitionTimeLimit": "its time limit is longer than its partition allows",
    "Priority": "other jobs go first",
    "QOSGrpGRES": "its share of the machine is fully used",
    "QOSGrpGRESMinutes": "the GPU-hours of its quality of service do not cover its time limit",
    "QOSMaxGRESPerUser": "its owner already uses as many GPUs as one person may",
    "QOSMaxJobsPerUserLimit": "its owner runs as many jobs as one person may",
    "QOSMaxWallDurationPerJobLimit": "its time limit is longer than its quality of service allows",
    "QOSNotAllowed": "its quality of service is not allowed in this partition",
    "ReqNodeNotAvail": "a node that it needs is down or reserved",
    "Reservation": "waits for its reservation",
    "ReservationDeleted": "its reservation is gone",
    "Resources": "waits for free GPUs",
    "SchedDefer": "the scheduler looks at it later",
    "launch_failed_requeued_held": "could not be started and is held",
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
    "Invalid qos": ("the quality of service that the script asks for is not one of {account}.", "Leave it out."),
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
