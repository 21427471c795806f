"""Whether a Slurm's settings keep budgets and the split true: what it says of itself against what has to be set. Pure.

A *finding* is one setting: `stop` where budgets or the split would be false, `warn` where less is lost, `ok` otherwise;
with the line to write into slurm.conf. Read from `scontrol show config` and `scontrol -o show partition`, once each.
Source: slurm.conf's manual page; that use decays, and that limits need priority/multifactor, was seen on 22.05.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from schmelz.cluster.backends.slurm_call import ask
from schmelz.cluster.model import ClusterError
from schmelz.policy.system import System

CONFIG = ("scontrol", "show", "config")
PARTITIONS = ("scontrol", "-o", "show", "partition")
ENFORCED = ("associations", "limits", "safe", "qos")
RIVALS = ("FairShare", "Age", "Assoc", "JobSize", "Partition")
BILLING = 'TRESBillingWeights="CPU=0,Mem=0,GRES/gpu=1"'
_ZERO = re.compile(r"(0-)?0?0:00:00|0")

Config = Mapping[str, str]
State = Literal["ok", "warn", "stop"]


@dataclass(frozen=True)
class Finding:
    """A setting: how bad it is, what was found, and the line of slurm.conf that mends it."""

    setting: str
    state: State
    found: str
    remedy: str = ""


@dataclass(frozen=True)
class Demand:
    """What a setting must be (`holds`), how bad it is when it is not, why, and the line to write."""

    setting: str
    state: State
    holds: Callable[[str], bool]
    why: str
    line: str


def examine(system: System) -> tuple[Finding, ...]:
    """The findings about the cluster that Slurm's commands reach. Raises ClusterError when it does not answer."""
    config = parse_config(ask(CONFIG).decode("utf-8", "replace"))
    return findings(config, parse_partitions(ask(PARTITIONS).decode("utf-8", "replace")), system)


def parse_config(text: str) -> dict[str, str]:
    """`scontrol show config` as setting -> value. Raises ClusterError for a text that is none."""
    pairs = (line.partition(" = ") for line in text.splitlines())
    config = {name.strip(): value.strip() for name, equals, value in pairs if equals}
    if "ClusterName" not in config:
        raise ClusterError("scontrol show config: the answer names no cluster")
    return config


def parse_partitions(text: str) -> dict[str, dict[str, str]]:
    """`scontrol -o show partition` as partition -> setting -> value."""
    rows = [dict(re.findall(r"(\w+)=(\S*)", line)) for line in text.splitlines() if line.strip()]
    return {row.get("PartitionName", ""): row for row in rows}


def findings(config: Config, partitions: Mapping[str, Config], system: System) -> tuple[Finding, ...]:
    """What is wrong, worst first; one `ok` when nothing is."""
    faults = [*_faults(config, system), *_order(config, system), *_unweighted(partitions, system)]
    faults.sort(key=lambda finding: finding.state != "stop")
    fine = f"{config['ClusterName']}: budgets stay, limits are enforced, borrowed GPUs can be taken back"
    return tuple(faults) or (Finding("settings", "ok", fine),)


def _faults(config: Config, system: System) -> Iterator[Finding]:
    for demand in _demands(system):
        value = config.get(demand.setting, "")
        if not demand.holds(value):
            yield Finding(demand.setting, demand.state, f"is {value or 'not set'}: {demand.why}", demand.line)


def _demands(system: System) -> tuple[Demand, ...]:
    """Taking back matters where there is somebody to lend to."""
    name, lent = system.cluster.name, len(system.pools) > 1
    return (
        Demand("ClusterName", "stop", name.__eq__, f"the policy file means {name}", f"ClusterName={name}"),
        *ALWAYS,
        *(LENDING if lent else ()),
    )


def _has(*words: str) -> Callable[[str], bool]:
    return lambda value: set(words) <= {word.strip().lower() for word in value.split(",")}


ALWAYS = (
    Demand(
        "AccountingStorageType", "stop", "accounting_storage/slurmdbd".__eq__,
        "there is no tree of accounts without it", "AccountingStorageType=accounting_storage/slurmdbd",
    ),
    Demand(
        "AccountingStorageEnforce", "stop", _has(*ENFORCED),
        "accounts and budgets bind nobody unless all four are there", f"AccountingStorageEnforce={','.join(ENFORCED)}",
    ),
    Demand(
        "AccountingStorageTRES", "stop", _has("gres/gpu"),
        "GPUs are not counted", "AccountingStorageTRES=gres/gpu",
    ),
    Demand(
        "PriorityType", "stop", "priority/multifactor".__eq__,
        "without it Slurm does not add up what an account uses", "PriorityType=priority/multifactor",
    ),
    Demand(
        "PriorityDecayHalfLife", "stop", lambda value: bool(_ZERO.fullmatch(value)),
        "use is forgotten, so spent budgets come back", "PriorityDecayHalfLife=0",
    ),
    Demand(
        "PriorityUsageResetPeriod", "stop", "NONE".__eq__,
        "use is set to 0 each period, so spent budgets come back", "PriorityUsageResetPeriod=NONE",
    ),
)  # fmt: skip
LENDING = (
    Demand(
        "PreemptType", "stop", "preempt/qos".__eq__,
        "what a pool lends cannot be taken back", "PreemptType=preempt/qos",
    ),
    Demand(
        "PreemptMode", "stop", _has("requeue"),
        "borrowed jobs are not put back into the queue", "PreemptMode=REQUEUE",
    ),
    Demand(
        "JobRequeue", "warn", "1".__eq__,
        "a borrowed job that is taken back is lost unless it was sent with --requeue", "JobRequeue=1",
    ),
)  # fmt: skip


def _order(config: Config, system: System) -> Iterator[Finding]:
    """Guaranteed jobs must come before borrowed ones, whatever else counts: fair share most, when one pool is behind."""
    if len(system.pools) < 2:
        return
    weights = {name: _weight(config, name) for name in ("QOS", *RIVALS)}
    need = max(2 * weights["FairShare"], sum(weights[name] for name in RIVALS) + 1)
    if weights["QOS"] < need:
        rivals = ", ".join(f"PriorityWeight{name} {weights[name]}" for name in RIVALS if weights[name])
        said = (
            f"is {weights['QOS']}, against {rivals or 'nothing else'}: borrowed jobs can start before guaranteed ones"
        )
        yield Finding(
            "PriorityWeightQOS", "warn", said, f"PriorityWeightQOS={10 * sum(weights[name] for name in RIVALS) or 1000}"
        )


def _weight(config: Config, name: str) -> int:
    value = config.get(f"PriorityWeight{name}", "")
    return int(value) if value.isdecimal() else 0


def _unweighted(partitions: Mapping[str, Config], system: System) -> Iterator[Finding]:
    """Without weights Slurm bills CPUs: fair share and priorities then follow those, not GPUs."""
    named = {name for names in system.partitions.values() for name in names}
    for name in sorted(named & set(partitions) or partitions):
        weights = partitions[name].get("TRESBillingWeights", "")
        if not re.search(r"(?:^|,)GRES/gpu=", weights, re.IGNORECASE):
            said = f"is {weights or 'not set'}: Slurm weighs CPUs, and fair share follows those"
            yield Finding(f"TRESBillingWeights of {name}", "warn", said, f"PartitionName={name} ... {BILLING}")
