"""Slurm's own settings against what budgets and the split need; the texts are recorded from a real 22.05."""

import re
from pathlib import Path

import pytest

from make import factory
from schmelz.cluster.backends.slurm_doctor import Finding, findings, parse_config, parse_partitions
from schmelz.cluster.model import ClusterError

TAPES = Path(__file__).parent.parent / "tapes/slurm-22.05"
CONFIG, PARTITIONS = (TAPES / "config.txt").read_text(), (TAPES / "partitions.txt").read_text()
SITES = {"bissen": "mxb[001-002]", "bettembourg": "mxt[001-002]"}
SYSTEM = factory(
    sites=SITES,
    cluster={"backend": "slurm", "name": "schmelz"},
    partitions={site: [site] for site in SITES},
).systems[0]


def found(config: str = CONFIG, partitions: str = PARTITIONS, system=SYSTEM) -> tuple[Finding, ...]:
    return findings(parse_config(config), parse_partitions(partitions), system)


def changed(setting: str, value: str) -> str:
    text, count = re.subn(rf"^({setting} +=).*$", rf"\1 {value}", CONFIG, flags=re.MULTILINE)
    assert count == 1
    return text


def test_a_cluster_that_keeps_budgets_and_the_split_is_fine() -> None:
    assert [(f.setting, f.state) for f in found()] == [("settings", "ok")]


@pytest.mark.parametrize(
    ("setting", "value", "state", "line"),
    [
        ("PriorityDecayHalfLife", "7-00:00:00", "stop", "PriorityDecayHalfLife=0"),
        ("PriorityDecayHalfLife", "00:02:00", "stop", "PriorityDecayHalfLife=0"),
        ("PriorityUsageResetPeriod", "MONTHLY", "stop", "PriorityUsageResetPeriod=NONE"),
        ("PriorityType", "priority/basic", "stop", "PriorityType=priority/multifactor"),
        ("AccountingStorageEnforce", "none", "stop", "AccountingStorageEnforce=associations,limits,safe,qos"),
        ("AccountingStorageEnforce", "associations,limits,qos", "stop",
         "AccountingStorageEnforce=associations,limits,safe,qos"),
        ("AccountingStorageTRES", "cpu,mem,energy,node,billing,fs/disk,vmem,pages", "stop",
         "AccountingStorageTRES=gres/gpu"),
        ("AccountingStorageType", "accounting_storage/none", "stop",
         "AccountingStorageType=accounting_storage/slurmdbd"),
        ("PreemptType", "preempt/none", "stop", "PreemptType=preempt/qos"),
        ("PreemptMode", "SUSPEND,GANG", "stop", "PreemptMode=REQUEUE"),
        ("JobRequeue", "0", "warn", "JobRequeue=1"),
        ("ClusterName", "other", "stop", "ClusterName=schmelz"),
    ],
)  # fmt: skip
def test_each_setting_that_would_falsify_them_is_named_with_its_line(
    setting: str, value: str, state: str, line: str
) -> None:
    (fault,) = found(changed(setting, value))
    assert (fault.setting, fault.state, fault.remedy) == (setting, state, line)
    assert fault.found.startswith(f"is {value}: ")


@pytest.mark.parametrize(
    ("weights", "line", "named"),
    [
        ({"QOS": 100_000}, "PriorityWeightQOS=1000000", "FairShare 100000"),
        ({"QOS": 199_999}, "PriorityWeightQOS=1000000", "FairShare 100000"),
        ({"QOS": 200_000}, None, ""),
        ({"QOS": 0, "FairShare": 0}, "PriorityWeightQOS=1000", "nothing else"),
        ({"QOS": 1, "FairShare": 0}, None, ""),
        ({"QOS": 300_000, "Age": 200_000}, "PriorityWeightQOS=3000000", "FairShare 100000, PriorityWeightAge 200000"),
        ({"QOS": 300_001, "Age": 200_000}, None, ""),
    ],
)
def test_guaranteed_jobs_have_to_come_before_borrowed_ones(weights, line, named) -> None:
    text = CONFIG
    for name, value in ({"FairShare": 100_000} | weights).items():
        text = re.sub(rf"^(PriorityWeight{name} +=).*$", rf"\1 {value}", text, flags=re.MULTILINE)
    faults = found(text)
    if line is None:
        assert [fault.state for fault in faults] == ["ok"]
    else:
        assert [(one.setting, one.state, one.remedy) for one in faults] == [("PriorityWeightQOS", "warn", line)]
        assert faults[0].found.startswith(f"is {weights['QOS']}, against ") and named in faults[0].found
    alone = factory({"all": 100}, SITES, cluster={"backend": "slurm", "name": "schmelz"}).systems[0]
    assert [fault.state for fault in found(text, system=alone)] == ["ok"]


def test_what_a_newer_slurm_writes_in_another_order_is_the_same() -> None:
    assert found(changed("PreemptMode", "GANG,REQUEUE")) == found()
    assert found(changed("AccountingStorageEnforce", "associations,limits,nosteps,qos,safe")) == found()


def test_one_owner_alone_lends_to_nobody() -> None:
    alone = factory({"all": 100}, SITES, cluster={"backend": "slurm", "name": "schmelz"}).systems[0]
    assert [f.state for f in found(changed("PreemptType", "preempt/none"), system=alone)] == ["ok"]


def test_only_our_partitions_need_weights() -> None:
    plain = PARTITIONS.replace(" TRESBillingWeights=CPU=0,Mem=0,GRES/gpu=1", "")
    assert [(f.setting, f.state) for f in found(partitions=plain)] == [
        ("TRESBillingWeights of bettembourg", "warn"),
        ("TRESBillingWeights of bissen", "warn"),
    ]
    other = PARTITIONS + PARTITIONS.splitlines()[0].replace("PartitionName=bissen", "PartitionName=cpu").replace(
        "TRESBillingWeights=CPU=0,Mem=0,GRES/gpu=1", ""
    )
    assert [f.state for f in found(partitions=other)] == ["ok"]


def test_stops_come_first_and_a_setting_that_is_not_shown_is_not_set() -> None:
    text = re.sub(r"^PriorityDecayHalfLife.*\n", "", changed("JobRequeue", "0"), flags=re.MULTILINE)
    assert [(f.setting, f.state) for f in found(text)] == [("PriorityDecayHalfLife", "stop"), ("JobRequeue", "warn")]


def test_an_answer_that_is_none_is_no_clean_bill() -> None:
    with pytest.raises(ClusterError, match="names no cluster"):
        parse_config("slurm_load_ctl_conf error: Unable to contact slurm controller\n")
