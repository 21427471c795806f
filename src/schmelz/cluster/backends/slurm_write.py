"""The commands that change a cluster, as argument lists, and the file that makes new accounts. Pure.

Equal values go into one command for many names; different values into several that may run side by side. A command
never goes out with an empty list of names: to Slurm that would mean every account there is. Names are checked, because
the load file is text. Source: sacctmgr and sbatch of Slurm 22.05, tried out on the real thing.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from schmelz.cluster.backends.slots import nodes_needed
from schmelz.cluster.model import MARK, Account, ClusterError, JobRequest, Member
from schmelz.faults import BadInput
from schmelz.policy.system import System

Command = tuple[str, ...]
Change = tuple[Account, Account]

LOAD: Command = ("sacctmgr", "-i", "load", "file=/dev/stdin")  # one transaction: all of it or nothing
MOST_NAMES = 500  # a thousand in one list was fine
_NOT_FOR_US = re.compile(r"^#SBATCH\s+(?:.*\s)?(-W|--wait|--test-only)(?:\s|=|$)", re.MULTILINE)
_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,79}")


def check_names(names: Iterable[str]) -> None:
    """Slurm turns names into small letters and the load file has quotes and colons of its own."""
    if faults := [
        f"{name!r}: not a name that Slurm keeps as it is; small letters, digits and . _ - only"
        for name in sorted(set(names))
        if not _NAME.fullmatch(name)
    ]:
        raise BadInput(faults)


def check_directives(script: str) -> None:
    """sbatch would not come back before the job's end, or would queue nothing."""
    if found := _NOT_FOR_US.search(script):
        raise BadInput(f"script: #SBATCH {found[1]} is of no use here; leave it out")


def load_file(cluster: str, accounts: Iterable[Account], members: Iterable[Member]) -> str:
    """What `sacctmgr load` reads: new accounts under their parents, then members under their accounts.

    It names only what is to be made: a line about an account that is there would change it, even move it. Users get no
    DefaultAccount: whoever has one keeps it, for others Slurm takes the first account. A cluster that is not there
    would be made, so somebody must have looked first. Members' limits are lifted: some were members before.
    """
    lines = [f"Cluster - '{cluster}'"]
    below: dict[str, list[Account]] = {}
    for account in sorted(accounts):
        below.setdefault(account.parent, []).append(account)
    new = {account.name for group in below.values() for account in group}
    parents = sorted(parent for parent in below if parent not in new)
    for parent in parents:  # grows while it is walked: parents before children
        lines.append(f"Parent - '{parent}'")
        for account in below.pop(parent):
            lines.append(_account_line(account))
            parents += [account.name] if account.name in below else []
    if below:
        raise ClusterError(f"the accounts {', '.join(sorted(below))} are parents of each other")
    users: dict[str, list[str]] = {}
    for member in sorted(members):
        users.setdefault(member.account, []).append(member.user)
    for name, theirs in sorted(users.items()):
        lines += [f"Parent - '{name}'", *(f"User - '{user}':MaxJobs=-1:MaxSubmitJobs=-1" for user in theirs)]
    return "\n".join([*lines, ""])


def _account_line(account: Account) -> str:
    values = [f"Organization='{MARK}'", f"Fairshare={account.shares}"]
    values += [f"GrpTRESMins=gres/gpu={account.gpu_minutes}"] if account.gpu_minutes is not None else []
    values += [] if account.open else ["GrpJobs=0", "GrpSubmitJobs=0"]
    return ":".join([f"Account - '{account.name}'", *values])


def moves(cluster: str, pairs: Iterable[Change]) -> list[Command]:
    """Commands that hang accounts under other parents; they shift the whole tree, so one after the other."""
    return _modifications(
        cluster, ((new.name, (f"parent={new.parent}",)) for old, new in sorted(pairs) if old.parent != new.parent)
    )


def settings(cluster: str, pairs: Iterable[Change]) -> list[Command]:
    """Commands that set what differs, one for each value; they may run side by side."""
    return _modifications(cluster, ((new.name, value) for old, new in sorted(pairs) for value in _values(old, new)))


def _values(old: Account, new: Account) -> Iterator[Command]:
    if old.shares != new.shares:
        yield (f"Fairshare={new.shares}",)
    if old.gpu_minutes != new.gpu_minutes:
        yield (f"GrpTRESMins=gres/gpu={-1 if new.gpu_minutes is None else new.gpu_minutes}",)
    if old.open != new.open:  # GrpJobs holds back what waits already; running jobs go on
        yield ("GrpJobs=-1", "GrpSubmitJobs=-1") if new.open else ("GrpJobs=0", "GrpSubmitJobs=0")


def _modifications(cluster: str, wishes: Iterable[tuple[str, Command]]) -> list[Command]:
    groups: dict[Command, list[str]] = {}
    for name, value in wishes:
        groups.setdefault(value, []).append(name)
    modify = ("sacctmgr", "-i", "modify", "account", "where")
    return [
        (*modify, f"name={','.join(part)}", f"cluster={cluster}", "set", *value)
        for value, names in groups.items()
        for part in _parts(names)
    ]


def removals(cluster: str, members: Iterable[Member]) -> list[tuple[Command, tuple[Member, ...]]]:
    """A command for each account, with the members that it takes away."""
    delete = ("sacctmgr", "-i", "delete", "user")
    return [
        (
            (*delete, f"name={','.join(users)}", f"account={account}", f"cluster={cluster}"),
            tuple(Member(user, account) for user in users),
        )
        for account, users in _by_account(members)
    ]


def endings(cluster: str, members: Iterable[Member]) -> list[Command]:
    """For members whose jobs still run: no new jobs, waiting ones do not start, running ones go on."""
    return [
        (
            "sacctmgr",
            "-i",
            "modify",
            "user",
            "where",
            f"name={','.join(users)}",
            f"account={account}",
            f"cluster={cluster}",
            "set",
            "MaxJobs=0",
            "MaxSubmitJobs=0",
        )
        for account, users in _by_account(members)
    ]


def default_accounts(cluster: str, moves: dict[str, list[str]]) -> list[Command]:
    """Another default account for those who lose theirs and keep others."""
    return [
        (
            "sacctmgr",
            "-i",
            "modify",
            "user",
            "where",
            f"name={','.join(part)}",
            f"cluster={cluster}",
            "set",
            f"DefaultAccount={account}",
        )
        for account, users in sorted(moves.items())
        for part in _parts(users)
    ]


def _by_account(members: Iterable[Member]) -> list[tuple[str, list[str]]]:
    users: dict[str, list[str]] = {}
    for member in sorted(members):
        users.setdefault(member.account, []).append(member.user)
    return [(account, part) for account, theirs in sorted(users.items()) for part in _parts(theirs)]


def _parts(names: list[str]) -> list[list[str]]:
    return [names[first : first + MOST_NAMES] for first in range(0, len(names), MOST_NAMES)]


def submission(request: JobRequest, system: System, sites: Sequence[str], folder: str, output: str) -> Command:
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
    what = ("sbatch", "--parsable", f"--account={request.account}", f"--nodes={nodes}", *size, *where)
    how = (f"--time={-(-request.limit // 60)}", f"--chdir={folder}", f"--output={output}")
    return (*what, *how, "--get-user-env", "--propagate=NONE")
