"""What a job must be like to be queued, and what must hold for it to start. Pure.

*Checked* at submission: the request itself (bad input, all faults at once), then the right to run it (refusals with
because and remedy). *Held* before each start: a job of a closed or held account, of a person who left, or whose time limit does
not fit the project's budget any more waits with a plain reason and is not eligible; the budget counts running jobs with
their whole limit, so that nobody can start more than was granted.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping

from schmelz.cluster.backends.slots import charged, nodes_needed
from schmelz.cluster.model import Account, JobRequest, Member
from schmelz.faults import BadInput, Refused
from schmelz.policy.system import System

SCRIPT_CAP = 1024 * 1024
Rights = Mapping[tuple[str, str], Collection[str]]
"""In which partitions a Unix user may use an account; "" is all of them."""


def check(request: JobRequest, system: System) -> None:
    """Raise BadInput with a line per fault of the request."""
    if faults := [*_number_faults(request, system.cluster.max_time), *_script_faults(request.script)]:
        raise BadInput(faults)


def _number_faults(request: JobRequest, longest: int) -> Iterator[str]:
    for name in ("gpus", "nodes", "limit"):
        if (number := getattr(request, name)) <= 0:
            yield f"{name}: {number} is not possible; 1 or more"
    if request.limit > longest:
        yield f"limit: {request.limit} s is too long; at most {longest} s"


def _script_faults(script: str) -> Iterator[str]:
    try:
        size = len(script.encode())
    except UnicodeEncodeError:
        yield "script: is not text; UTF-8 without lone surrogates"
        return
    if not script.strip():
        yield "script: is empty; a program's text, best beginning with a line such as #!/bin/bash"
    if "\0" in script:
        yield "script: contains a NUL byte; plain text"
    if size > SCRIPT_CAP:
        yield f"script: {size} bytes are too many; at most {SCRIPT_CAP}"


def rights(members: Iterable[Member]) -> Rights:
    """The members, to be asked by user and account."""
    found: dict[tuple[str, str], set[str]] = {}
    for member in members:
        found.setdefault((member.user, member.account), set()).add(member.partition)
    return found


def admit(request: JobRequest, system: System, accounts: Mapping[str, Account], members: Rights) -> None:
    """Raise Refused unless this person may run this job here, once there is room."""
    account = accounts.get(request.account)
    if account is None:
        raise Refused(
            f"there is no account {request.account!r} on the cluster.",
            "A project's account is made when the plan after its award is applied.",
        )
    if because := _not_entitled(request, account, members):
        raise Refused(because, "Ask the project's principal investigator or the operator.")
    _refuse_pool(request, system, account)
    _refuse_size(request, system)
    _refuse_place(request, system, members)
    _refuse_qos(request, account)
    need = charged(system, request.gpus, request.nodes) * request.limit
    if account.gpu_minutes is not None and need > account.gpu_minutes * 60:
        raise Refused(
            f"the job may need {_minutes(need)} GPU-minutes, which is more than the whole budget of "
            f"{account.name}, {account.gpu_minutes}.",
            "Ask for fewer GPUs or a shorter time limit.",
        )


def _not_entitled(request: JobRequest, account: Account, members: Rights) -> str:
    if not account.open:
        return f"the account {account.name} is closed."
    if (request.user, account.name) not in members:
        return f"{request.user} is not a member of {account.name}."
    return ""


def _refuse_pool(request: JobRequest, system: System, account: Account) -> None:
    owner = next((pool.id for pool in system.pools if pool.account in (account.name, account.parent)), None)
    if owner is not None and owner != request.pool:
        raise Refused(f"{account.name} belongs to the pool {owner}, not to {request.pool!r}.", f"Submit it to {owner}.")


def _refuse_size(request: JobRequest, system: System) -> None:
    if request.site is not None and request.site not in system.node_names:
        raise Refused(f"there is no site {request.site!r}.", f"One of: {', '.join(system.node_names)}.")
    per_node = system.gpus_per_node
    if request.nodes * per_node < request.gpus:
        raise Refused(
            f"{request.gpus} GPUs do not fit on {request.nodes} nodes of {per_node} GPUs.",
            f"{request.gpus} GPUs need {-(-request.gpus // per_node)} nodes." if per_node else "",
        )
    if not sites(request, system):
        wished = [request.site] if request.site else list(system.node_names)
        site = max(wished, key=lambda name: len(system.node_names[name]))
        most = len(system.node_names[site])
        raise Refused(
            f"{request.gpus} GPUs on {request.nodes} nodes are more than a site has; a job runs at one site.",
            f"The largest possible job has {most * per_node} GPUs on {most} nodes, at {site}.",
        )


def _refuse_place(request: JobRequest, system: System, members: Rights) -> None:
    if not places(request, system, members):
        own = _own_sites(request, system, members)
        raise Refused(
            f"{request.user} may use {request.account} only at {', '.join(own) or 'sites that are no more'}, "
            "where this job cannot run.",
            "Ask for that site, or for fewer nodes.",
        )


def _refuse_qos(request: JobRequest, account: Account) -> None:
    if request.qos and request.qos not in account.qos:
        raise Refused(
            f"the jobs of {account.name} may not have the quality of service {request.qos!r}.",
            f"One of: {', '.join(account.qos)}." if account.qos else "Leave it out.",
        )


def _own_sites(request: JobRequest, system: System, members: Rights) -> list[str]:
    """The sites of the partitions in which this person is a member of the account."""
    own = members.get((request.user, request.account), ())
    return [site for site in system.node_names if "" in own or {site, *system.partitions.get(site, ())} & set(own)]


def places(request: JobRequest, system: System, members: Rights) -> tuple[str, ...]:
    """The sites at which this person's job could run on an empty machine, in the order of the policy file."""
    own = _own_sites(request, system, members)
    return tuple(site for site in sites(request, system) if site in own)


def sites(request: JobRequest, system: System) -> tuple[str, ...]:
    """The sites at which a job could run on an empty machine, in the order of the policy file; of its own ones, if named."""
    if not system.gpus_per_node:
        return ()
    need = nodes_needed(system, request.gpus, request.nodes)
    return tuple(
        site
        for site, nodes in system.node_names.items()
        if request.site in (None, site) and (site in request.sites or not request.sites) and len(nodes) >= need
    )


def hold(request: JobRequest, system: System, account: Account | None, members: Rights, used: int) -> str:
    """Why a waiting job may not start now, empty when it may; `used` is what its account used and reserved so far."""
    if account is None:
        return f"the account {request.account} is gone"
    if because := _not_entitled(request, account, members):
        return because.rstrip(".")
    if account.held:
        return f"the project of {account.name} has not begun yet"
    if not places(request, system, members):
        return "no site of the machine that it may use is large enough any more"
    need = charged(system, request.gpus, request.nodes) * request.limit
    if account.gpu_minutes is not None and used + need > account.gpu_minutes * 60:
        left = max(0, account.gpu_minutes * 60 - used) // 60
        return (
            f"the budget of {account.name} does not cover its time limit: it may need {_minutes(need)} "
            f"GPU-minutes, {left} are left beside running jobs"
        )
    return ""


def _minutes(gpu_seconds: int) -> int:
    return -(-gpu_seconds // 60)
