"""Why a job waits: Slurm's reason words in plain words, each with what its owner can do. Data only.

A *reason* is the word that squeue shows for a waiting job. Some words have a sentence of their own (`REASONS`); the words
of limits are made of parts - whose limit, of what kind, of which thing, over time or not, per job, node, person or
project - and so are their sentences (`LIMITS`). Every word of Slurm 22.05 to 25.11 has one; a word that is not here is
shown as it is, with the advice to ask. Source: job_state_reason.c of Slurm, and its page of job reason codes.
"""

import re
from typing import NamedTuple


class Why(NamedTuple):
    """Why a job waits, and what to do about it ("": nothing but to wait)."""

    because: str
    advice: str = ""

    def __str__(self) -> str:
        return f"{self.because}; {self.advice}" if self.advice else self.because


CANCEL = "it can never start like this: cancel it and ask for less"
OPERATOR = "ask the operator"
LEADER = "ask the principal investigator of the project"
OTHERS_END = "it starts when jobs that run now have ended"

REASONS = {
    "AccountNotAllowed": Why("its project may not use this partition", "cancel it and leave the partition out"),
    "AccountingPolicy": Why("a limit of its project or of its pool forbids it now", OPERATOR),
    "AssocGrpGRESMinutes": Why(
        "the project's remaining GPU-hours do not cover its time limit",
        "ask for a shorter time limit, or wait: jobs that end early give hours back, and a project that is paced by "
        "months gets the next hours on the first",
    ),
    "AssocGrpJobsLimit": Why("its project has not begun, is closed, or runs as many jobs as it may", LEADER),
    "AssocGrpSubmitJobsLimit": Why("its project is closed for new jobs", LEADER),
    "AssocGrpWallLimit": Why("the run time of the project's jobs is used up", LEADER),
    "AssocMaxJobsLimit": Why("its owner left the project, or runs as many jobs as allowed", LEADER),
    "AssocMaxSubmitJobLimit": Why("its owner left the project, or has as many jobs in the queue as allowed", LEADER),
    "AssocMaxWallDurationPerJobLimit": Why("its time limit is longer than its project allows", CANCEL),
    "AssociationJobLimit": Why("its project runs as many jobs as it may", OTHERS_END),
    "AssociationResourceLimit": Why("its project already uses what it may at once", OTHERS_END),
    "AssociationTimeLimit": Why("the hours of its project do not cover its time limit", "ask for a shorter time limit"),
    "BadConstraints": Why("asks for something that this cluster does not have", CANCEL),
    "BeginTime": Why(
        "its earliest start has not come yet", "a job that was put back into the queue waits some minutes like this"
    ),
    "BlockFreeAction": Why("the nodes it needs are being prepared"),
    "BlockMaxError": Why("the nodes it needs had a fault", OPERATOR),
    "BurstBufferOperation": Why("moving its data failed", OPERATOR),
    "BurstBufferResources": Why("waits for space in the burst buffer", OTHERS_END),
    "BurstBufferStageIn": Why("its data are being brought in"),
    "Cleaning": Why("an earlier run of it is still being cleaned up"),
    "Constraints": Why("asks for a feature of nodes that none of them has now", "leave the constraint out, or wait"),
    "DeadLine": Why("can no longer be done before its deadline", "cancel it and choose a later one"),
    "Dependency": Why("waits for another job"),
    "DependencyNeverSatisfied": Why("waits for another job that cannot end as it must", "cancel it"),
    "FedJobLock": Why("another cluster decides about it at this moment"),
    "FrontEndDown": Why("the machine that would start it is down", OPERATOR),
    "InactiveLimit": Why("was idle for too long", "submit it again"),
    "InvalidAccount": Why("its project is not known to the cluster", OPERATOR),
    "InvalidQOS": Why("its quality of service is not known to the cluster", "cancel it and leave --qos out"),
    "JobArrayTaskLimit": Why("as many tasks of this array run as it allows"),
    "JobHeldAdmin": Why("was held by the operator", OPERATOR),
    "JobHeldUser": Why("was held by its owner", "release it: scontrol release JOB"),
    "JobHoldMaxRequeue": Why("was put back into the queue too often and is held", OPERATOR),
    "JobLaunchFailure": Why("could not be started", "look at its script and folder, then submit it again"),
    "Licenses": Why("waits for a licence", OTHERS_END),
    "MaxJobsPerAccount": Why("its project runs as many jobs as one project may", OTHERS_END),
    "MaxMemPerLimit": Why("asks for more memory per core or node than its partition allows", CANCEL),
    "MaxSubmitJobsPerAccount": Why("its project has as many jobs in the queue as one project may", OTHERS_END),
    "NodeDown": Why("a node that it needs is down", "leave the node's name out, or wait"),
    "NonZeroExitCode": Why("its last run ended with an error", "look at what it printed"),
    "None": Why("waits for the next scheduling cycle"),
    "OutOfMemory": Why("its last run needed more memory than it had asked for", "ask for more memory"),
    "PartitionConfig": Why("asks for something that its partition does not allow", CANCEL),
    "PartitionDown": Why("its partition is down", "its site is under maintenance, or broken: wait"),
    "PartitionInactive": Why("its partition starts no jobs now", "its site is under maintenance, or broken: wait"),
    "PartitionNodeLimit": Why("asks for more nodes than its partition allows, or some of them are down", CANCEL),
    "PartitionTimeLimit": Why("its time limit is longer than its partition allows", CANCEL),
    "PowerNotAvail": Why("there is not enough electric power for it now"),
    "PowerReserved": Why("the electric power for it is reserved for others now"),
    "Priority": Why("other jobs go first", "a shorter time limit may let it start in a gap"),
    "Prolog": Why("its nodes are being prepared"),
    "QOSGrpGRES": Why(
        "the guaranteed GPUs of its pool are in use",
        "wait, or submit it as a borrowed job (--borrow) that may start now",
    ),
    "QOSGrpJobsLimit": Why("its pool runs as many jobs as it may", OTHERS_END),
    "QOSGrpSubmitJobsLimit": Why("its pool has as many jobs in the queue as it may", OTHERS_END),
    "QOSGrpWallLimit": Why("the run time of its pool's jobs is used up", OPERATOR),
    "QOSJobLimit": Why("its pool runs as many jobs as it may", OTHERS_END),
    "QOSMaxJobsPerUserLimit": Why("its owner runs as many jobs as one person may", OTHERS_END),
    "QOSMaxSubmitJobPerUserLimit": Why("its owner has as many jobs in the queue as one person may", OTHERS_END),
    "QOSMaxWallDurationPerJobLimit": Why("its time limit is longer than its quality of service allows", CANCEL),
    "QOSNotAllowed": Why("its quality of service is not allowed in this partition", "leave --qos or --partition out"),
    "QOSResourceLimit": Why("its pool already uses what it may at once", OTHERS_END),
    "QOSTimeLimit": Why("the hours of its quality of service do not cover its time limit", CANCEL),
    "QOSUsageThreshold": Why(
        "its pool used more than its share of the machine lately", "it starts when others had theirs"
    ),
    "RaisedSignal": Why("its last run was ended by a signal", "look at what it printed"),
    "ReqNodeNotAvail": Why("a node that it needs is down or reserved", "leave the node's name out, or wait"),
    "Reservation": Why("waits for its reservation"),
    "ReservationDeleted": Why("its reservation is gone", "cancel it and leave --reservation out"),
    "ReservationInvalid": Why("its reservation is not one that it may use", "cancel it and leave --reservation out"),
    "Resources": Why("waits for free GPUs"),
    "SchedDefer": Why("the scheduler looks at it later"),
    "SystemFailure": Why("Slurm itself, the file system or the network failed", OPERATOR),
    "TimeLimit": Why("its last run reached its time limit", "ask for a longer one"),
    "job_requeued_in_held_state": Why("was put back into the queue and is held", OPERATOR),
    "launch_failed_requeued_held": Why("could not be started and is held", OPERATOR),
    "user_env_retrieval_failed_requeued_held": Why("its owner's login files failed, so it is held", OPERATOR),
}

WHOSE = {"Assoc": "its project", "QOS": "its pool", "": "its project"}
THINGS = {  # what is limited, and the same over time
    "bb": ("burst buffer space", "burst buffer hours"),
    "billing": ("billing units", "billing hours"),
    "cpu": ("processor cores", "core-hours"),
    "energy": ("electric energy", "watt-hours"),
    "gres": ("GPUs", "GPU-hours"),
    "license": ("licences", "licence-hours"),
    "mem": ("memory", "memory-hours"),
    "node": ("nodes", "node-hours"),
    "unknown": ("units of what Slurm counts", "hours of what Slurm counts"),
}
LIMITS = {  # the kind of limit, over time or not, per what -> words; {things} or {hours} of `whose`
    ("Grp", "", ""): Why("{whose} already uses all the {things} that it may at once", OTHERS_END),
    ("Grp", "Minutes", ""): Why("the {hours} of {whose} do not cover its time limit", "ask for a shorter time limit"),
    ("Grp", "RunMinutes", ""): Why("the running jobs of {whose} have reserved all the {hours} they may", OTHERS_END),
    ("Max", "", ""): Why("asks for more {things} than {whose} gives to one job", CANCEL),
    ("Max", "", "Job"): Why("asks for more {things} than {whose} gives to one job", CANCEL),
    ("Max", "", "Node"): Why("asks for more {things} on one node than {whose} may have there", CANCEL),
    ("Max", "", "User"): Why("its owner already uses all the {things} that one person may at once", OTHERS_END),
    ("Max", "", "Account"): Why("its project already uses all the {things} that one project may at once", OTHERS_END),
    ("Max", "Minutes", "Job"): Why("asks for more {hours} than {whose} gives to one job", CANCEL),
    ("Min", "", ""): Why("asks for not enough {things}: its pool has a least amount", "cancel it and ask for more"),
}
_LIMIT = re.compile(
    r"(?P<whose>Assoc|QOS|)(?P<kind>Grp|Max|Min)(?P<thing>BB|Billing|C(?i:pu)|Energy|GRES|License|Mem|Node|Unknown)(?:ory)?"
    r"(?P<time>RunMinutes|Minutes|)(?:Per(?P<per>Job|Node|User|Account))?(?:Limit|NotSatisfied)?"
)


def why(reason: str) -> Why:
    """The plain words for what squeue says, such as "(ReqNodeNotAvail, UnavailableNodes:mxb001)"."""
    word = word_of(reason)
    return REASONS.get(word) or _limit(word) or Why(reason, "ask the operator what it means")


def word_of(reason: str) -> str:
    """The word alone, without brackets and what follows a comma."""
    return reason.partition(",")[0].strip("() ").replace(" ", "_")


def _limit(word: str) -> Why | None:
    parts = _LIMIT.fullmatch(word)
    words = parts and LIMITS.get((parts["kind"], parts["time"], parts["per"] or ""))
    if not parts or not words:
        return None
    things, hours = THINGS[parts["thing"].lower()]
    return Why(words.because.format(whose=WHOSE[parts["whose"]], things=things, hours=hours), words.advice)


def page() -> str:
    """All of it as a page for people: one row per word, and one per family of limits."""
    own = [f"| `{word}` | {why.because} | {why.advice} |" for word, why in REASONS.items()]
    shape = {
        "whose": "its project or pool",
        "things": "GPUs (or cores, memory, ...)",
        "hours": "GPU-hours (or core-hours, ...)",
    }
    made = [
        f"| `{kind}...{time}{per and 'Per' + per}` | {words.because.format(**shape)} | {words.advice} |"
        for (kind, time, per), words in LIMITS.items()
    ]
    head = "| Slurm's word | why the job waits | what to do |\n|---|---|---|\n"
    return f"{head}{chr(10).join(own)}\n\n{head}{chr(10).join(made)}\n"
