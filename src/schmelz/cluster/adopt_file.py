"""The file between reading a cluster and taking its projects over: written from a proposal, edited, read back. Pure.

`text` writes it, with what was seen beside each value; `parse` reads an edited one, `resolve` makes it whole: a project
takes from [defaults] what it does not say itself, and its pool from [pools] by its name, else by the accounts above it.
Each fault names line and key. Invariant: what is not known is asked for, never filled in.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Annotated

from pydantic import Field

from schmelz.cluster.adopt import Proposal, Proposed, patterns, pool_of
from schmelz.policy.fields import DISTINCT, Count, Country, Day, Fault, Id, KeyPath, Line, Table, said
from schmelz.policy.load import PolicyError, fault_lines, parse_as
from schmelz.policy.schema import Factory
from schmelz.units import HOUR, add_months, day_start

MINUTE = 60
UnixName = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_.-]{0,31}$"), said('a Unix user name, such as "anna"')]
Pattern = Annotated[str, Field(pattern=r"^[a-z0-9_.*?-]+$"), said('an account or a pattern, such as "ehpc-*"')]
ATTRIBUTES = ("mode", "organisation", "category", "country", "end")


class Attributes(Table):
    """What a cluster does not know of a project."""

    mode: Id | None = None
    organisation: Line | None = None
    category: Id | None = None
    country: Country | None = None
    end: Day | None = None


class Adopted(Attributes):
    """[[projects]]: an account to take over; `branch` are the accounts above it; `end` is its last day."""

    account: Line
    branch: tuple[Line, ...] = ()
    title: Line
    pool: Id | None = None
    gpu_hours: Count
    gpu_minutes: Annotated[int, Field(strict=True, ge=0, lt=60), said("a whole number from 0 to 59")] = 0
    start: Day
    leader: UnixName
    members: Annotated[tuple[UnixName, ...], DISTINCT]


class Adoption(Table):
    """The whole file."""

    system: Id
    cluster: Id
    pools: dict[Id, tuple[Pattern, ...]]
    defaults: Attributes = Attributes()
    projects: tuple[Adopted, ...] = ()


@dataclass(frozen=True)
class Takeover:
    """A project as it will be: attributes whole, amounts in GPU-seconds, [start, end) in UTC epoch seconds."""

    code: str
    title: str
    pool: str
    mode: str
    organisation: str
    category: str
    country: str
    grant_gpu_s: int
    start: int
    end: int
    leader: str
    members: tuple[str, ...]


# -- reading


def parse(text: str, name: str, factory: Factory, longest_name: int) -> tuple[Adoption, tuple[Takeover, ...]]:
    """The file and its projects made whole. Raises PolicyError with every fault, each with its line and key."""
    adoption = parse_as(Adoption, text, name)
    if faults := list(_faults(adoption, factory, longest_name)):
        raise PolicyError(fault_lines(faults, text, name))
    return adoption, tuple(_whole(adoption, project, factory) for project in adoption.projects)


def _faults(adoption: Adoption, factory: Factory, longest_name: int) -> Iterator[Fault]:
    system = next((system for system in factory.systems if system.id == adoption.system), None)
    if system is None:
        yield ("system",), f"no system of the policy file; one of: {', '.join(s.id for s in factory.systems)}"
        return
    if adoption.cluster != system.cluster.name:
        yield ("cluster",), f"{system.id} has the cluster {system.cluster.name!r} by the policy file"
    pools = [pool.id for pool in system.pools]
    yield from ((("pools", pool), _no_pool(pool, pools)) for pool in adoption.pools if pool not in pools)
    yield from _unsaid(adoption, factory)
    taken = {pool.account: f"pool {pool.id}" for pool in system.pools} | {system.cluster.root: "the root of the tree"}
    for index, project in enumerate(adoption.projects):
        path: KeyPath = ("projects", index)
        if project.account in taken:
            yield (*path, "account"), f"{project.account!r} is {taken[project.account]} already"
        if len(project.account) > longest_name:
            yield (*path, "account"), f"is longer than {longest_name} characters; leave this project out"
        taken[project.account] = "a project of this file"
        yield from ((path + inner, sentence) for inner, sentence in _of_project(adoption, project, factory, pools))


def _of_project(adoption: Adoption, project: Adopted, factory: Factory, pools: list[str]) -> Iterator[Fault]:
    pool = _pool(adoption, project)
    if pool is None:
        yield ("account",), "belongs to no pool: add it, or an account above it, to [pools], or write its pool = here"
    elif pool not in pools:
        yield ("pool",), _no_pool(pool, pools)
    values = _attributes(adoption, project)
    yield from _unknown(values, factory)
    end = values["end"]
    if isinstance(end, date) and end < project.start:
        yield ("start",), f"must not be later than the last day, {end}"
    if project.leader not in project.members:
        yield ("leader",), f"{project.leader!r} is none of the members; name one of: {', '.join(project.members)}"


def _unsaid(adoption: Adoption, factory: Factory) -> Iterator[Fault]:
    """Once for all projects, however many they are."""
    for key in ATTRIBUTES:
        without = [p.account for p in adoption.projects if _attributes(adoption, p)[key] is None]
        if without:
            others = f" and {len(without) - 1} more" if len(without) > 1 else ""
            yield ("defaults", key), f"is missing here and in {without[0]}{others}{_hint(key, factory)}"


def _unknown(values: dict[str, object], factory: Factory) -> Iterator[Fault]:
    for key, known in _known(factory).items():
        if values[key] is not None and values[key] not in known:
            yield (key,), f"{values[key]!r} is not in the policy file; one of: {', '.join(known)}"


def _hint(key: str, factory: Factory) -> str:
    known = _known(factory).get(key)
    return f"; one of: {', '.join(known)}" if known else ""


def _known(factory: Factory) -> dict[str, list[str]]:
    """The attributes that the policy file lists, and what it lists."""
    return {"mode": [mode.id for mode in factory.modes], "category": [kind.id for kind in factory.categories]}


def _no_pool(pool: str, pools: list[str]) -> str:
    return f"{pool!r} is no pool of the system; one of: {', '.join(pools)}"


def _pool(adoption: Adoption, project: Adopted) -> str | None:
    return project.pool or pool_of(project.account, project.branch, adoption.pools)


def _attributes(adoption: Adoption, project: Adopted) -> dict[str, object]:
    own = {key: getattr(project, key) for key in ATTRIBUTES}
    return {key: getattr(adoption.defaults, key) if value is None else value for key, value in own.items()}


def _whole(adoption: Adoption, project: Adopted, factory: Factory) -> Takeover:
    values = _attributes(adoption, project)
    end, zone = values.pop("end"), factory.zone
    assert isinstance(end, date), "checked before"
    return Takeover(
        code=project.account,
        title=project.title,
        pool=_pool(adoption, project) or "",
        grant_gpu_s=project.gpu_hours * HOUR + project.gpu_minutes * MINUTE,
        start=day_start(project.start, zone),
        end=add_months(day_start(end, zone), 0, zone),
        leader=project.leader,
        members=project.members,
        **{key: str(value) for key, value in values.items()},
    )


# -- writing


def text(proposal: Proposal, factory: Factory, system: str, today: date) -> str:
    """The file to edit. Same proposal, same bytes."""
    machine = factory.system(system)
    lines = [
        f"# What stands on the cluster {machine.cluster.name}, read on {today}; nothing was changed there. Edit this file, then:",
        "#   schmelz adopt --check FILE    says what is missing, with line and key",
        "#   schmelz adopt --take FILE     makes the projects here; the cluster stays as it is",
        "",
        f"system = {_quoted(machine.id)}",
        f"cluster = {_quoted(machine.cluster.name)}",
        "",
        "[pools]                                 # which accounts, or accounts above them, belong to which pool",
        *(f"{pool} = {_listed(names)}" for pool, names in patterns(machine).items()),
        "",
        "[defaults]                              # what a cluster does not know; a project may say otherwise for itself",
        *(f"# {key} = {example}" for key, example in _examples(factory, today)),
    ]
    for project in proposal.projects:
        lines += ["", *_project_lines(project, factory, today)]
    if proposal.remarks:
        lines += ["", "# Not proposed, and why:", *(f"#   {name}: {_plain(why)}" for name, why in proposal.remarks)]
    return "\n".join(lines) + "\n"


def _examples(factory: Factory, today: date) -> Iterator[tuple[str, str]]:
    for key in ATTRIBUTES[:-1]:
        yield key, f'"..."{_hint(key, factory).replace(";", "    #")}'
    yield "end", f"{date(today.year + 1, 12, 31)}    # the last day"


def _project_lines(project: Proposed, factory: Factory, today: date) -> Iterator[str]:
    account, use = project.standing, project.use
    minutes, start = account.gpu_minutes, use.first if use else today
    hours = "# gpu_hours =" if minutes is None else f"gpu_hours = {minutes // 60}"
    yield "[[projects]]"
    yield f"account = {_quoted(account.account)}"
    yield f"branch = {_listed(project.branch)}"
    yield f"# pool: {project.pool or 'not known'}"
    yield f"title = {_quoted(_plain(account.title) or account.account)}"
    yield f"{hours}    # used so far: {_used(project)}"
    if minutes is not None and minutes % 60:
        yield f"gpu_minutes = {minutes % 60}    # and so many minutes"
    yield f"start = {start}" + ("    # the first job" if use else "    # no job is known")
    yield f"leader = {_quoted(project.leader)}    # {project.guess}"
    yield f"members = {_listed(account.users)}"
    yield from (f"# {_plain(remark)}" for remark in project.remarks)


def _used(project: Proposed) -> str:
    use = project.use
    if use is None:
        return "nothing"
    return f"{use.gpu_seconds // HOUR} GPU-hours ({use.gpu_seconds} GPU-seconds), jobs from {use.first} to {use.last}"


def _plain(line: str) -> str:
    """What people typed, on one line and without control characters."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in line).split())


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _listed(values: tuple[str, ...]) -> str:
    return f"[{', '.join(map(_quoted, values))}]"
