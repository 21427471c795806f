"""The files that Slurm reads in the lab: slurm.conf, slurmdbd.conf and gres.conf, and the folders around them; beside
them a policy file for Schmelz that is ours but for the machine, and what a shell needs to know of both.

Same settings, same bytes. GPUs are what counts: billing is by GPU, use never decays, limits are enforced with their
reserve (`safe`), preemption goes by QOS and requeues. Source of the lines: the manual pages of Slurm 22.05, and what
Debian 12 was seen to need.
"""

import contextlib
import secrets
import sys
from pathlib import Path

from cluster.lab_conf import SITES, LabError, Settings, own_name, short_host, write

CPUS_PER_NODE = 64
MEGABYTES_PER_NODE = 512_000
OPEN = ("etc", "run", "log", "dev", "spool")
FOLDERS = {**dict.fromkeys(OPEN, 0o755), "state": 0o700, "db": 0o700, "work": 0o1777}


def write_files(settings: Settings) -> None:
    """Slurm's files, the key of munge (once), and the pretended GPUs, in folders of the right mode."""
    place = settings.directory
    for folder, mode in FOLDERS.items():
        (place / folder).mkdir(exist_ok=True)
        (place / folder).chmod(mode)
    for name, (mode, text) in texts(settings).items():
        write(place / name, mode, text.encode())
    if not (place / "etc/munge.key").exists():
        write(place / "etc/munge.key", 0o600, secrets.token_bytes(128))
    write(place / "env", 0o644, exports(settings).encode())
    if not (place / "factory.toml").exists():  # somebody may have changed it
        write(place / "factory.toml", 0o644, factory_toml(settings).encode())
    for index in range(settings.gpus):
        # 22.05 counts no GPU without a file, and tells jobs its number only where that is a device
        with contextlib.suppress(FileExistsError):
            (place / f"dev/gpu{index}").symlink_to("/dev/null")


def texts(settings: Settings) -> dict[str, tuple[int, str]]:
    """Each file of Slurm under the directory: its mode and its text."""
    return {
        "etc/slurm.conf": (0o644, slurm_conf(settings)),
        "etc/slurmdbd.conf": (0o600, slurmdbd_conf(settings)),
        "etc/gres.conf": (0o644, gres_conf(settings)),
    }


def exports(settings: Settings) -> str:
    """For a shell: where Slurm's file is, Schmelz's state and policy, and its command."""
    place = settings.directory
    values = {
        "CLUSTER": place,
        "SLURM_CONF": settings.conf,
        "SCHMELZ_DATA": place / "data",
        "SCHMELZ_FACTORY": place / "factory.toml",
        "PATH": f"{Path(sys.executable).parent}:$PATH:/usr/sbin:/sbin",
    }
    return "".join(f'export {name}="{value}"\n' for name, value in values.items())


def factory_toml(settings: Settings) -> str:
    """Our own policy file with this cluster as the first machine."""
    text = (Path(__file__).parent.parent.parent / "factory.toml").read_text(encoding="utf-8")
    nodes = {site: f"{names[0][:3]}[001-{len(names):03}]" for site in SITES if (names := settings.nodes_of(site))}
    changes = {
        "gpus_per_node = 4 ": f"gpus_per_node = {settings.gpus} ",
        'backend = "local" ': 'backend = "slurm" ',
        'name = "local" ': f'name = "{settings.name}" ',
        **{f'{site} = "{nodes[site][:3]}[001-126]"': f'{site} = "{nodes[site]}"' for site in SITES},
        **{f'{site} = ["gpu-{site}", "{site}"]': f'{site} = ["{site}"]' for site in SITES},
    }
    for ours, theirs in changes.items():
        if ours not in text:
            raise LabError(f"factory.toml: has no {ours.strip()!r} any more; tell lab_files.py what stands there")
        text = text.replace(ours, theirs, 1)
    return text


def gres_conf(settings: Settings) -> str:
    names, last = ",".join(settings.node_names), settings.gpus - 1
    return f"NodeName={names} AutoDetect=off Name=gpu File={settings.directory}/dev/gpu[0-{last}]\n"


def slurmdbd_conf(settings: Settings) -> str:
    place = settings.directory
    return f"""\
AuthType=auth/munge
AuthInfo=socket={place}/run/munge.sock
DbdHost=localhost
DbdPort={settings.ports[0]}
CommunicationParameters=NoInAddrAny
SlurmUser={own_name()}
PidFile={place}/run/slurmdbd.pid
LogFile={place}/log/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser={own_name()}
StorageLoc=slurm_accounting
"""


def slurm_conf(settings: Settings) -> str:
    return _controller(settings) + _nodes(settings) + _partitions(settings)


def _controller(settings: Settings) -> str:
    place, user, host = settings.directory, own_name(), short_host()
    return f"""\
ClusterName={settings.name}
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={settings.ports[1]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
# a requeued job waits as long as its credential lives: 15 s here instead of 2 minutes
AuthInfo=socket={place}/run/munge.sock,cred_expire=15
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation={place}/state
SlurmdSpoolDir={place}/spool/%n
SlurmctldPidFile={place}/run/slurmctld.pid
SlurmdPidFile={place}/run/slurmd.%n.pid
SlurmctldLogFile={place}/log/slurmctld.log
SlurmdLogFile={place}/log/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
MpiDefault=none
MailProg=/bin/true
ReturnToService=2
SlurmdParameters=config_overrides
KillWait=2
GresTypes=gpu
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=1000
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=1,batch_sched_delay=0
PriorityType=priority/multifactor
PriorityDecayHalfLife=0
PriorityUsageResetPeriod=NONE
PriorityCalcPeriod=00:01:00
PriorityWeightFairshare=100000
PriorityWeightQOS=1000000
PreemptType=preempt/qos
PreemptMode=REQUEUE
PreemptExemptTime=0
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={settings.ports[0]}
# without this line sacct and sacctmgr look for the machine's own munge
AccountingStoragePass={place}/run/munge.sock
AccountingStorageTRES=gres/gpu
AccountingStorageEnforce=associations,limits,qos,safe
AccountingStoreFlags=job_comment
"""


def _nodes(settings: Settings) -> str:
    shape = f"CPUs={CPUS_PER_NODE} RealMemory={MEGABYTES_PER_NODE} Gres=gpu:{settings.gpus} State=UNKNOWN"
    where = f"NodeHostname={short_host()} NodeAddr=127.0.0.1"
    named = zip(settings.node_names, settings.ports[2:], strict=True)
    return "".join(f"NodeName={name} {where} Port={port} {shape}\n" for name, port in named)


def _partitions(settings: Settings) -> str:
    rest = 'MaxTime=2-0 DefaultTime=10 State=UP TRESBillingWeights="CPU=0,Mem=0,GRES/gpu=1"'
    lines = [f"PartitionName={site} Nodes={','.join(settings.nodes_of(site))} {rest}" for site in SITES]
    return "\n".join([lines[0] + " Default=YES", *lines[1:]]) + "\n"
