"""What somebody would change: outages of a site, another number of nodes, another floor; awards, each by its application.

An outage is written SITE:FROM..TO, or SITE/NODES:FROM..TO for a part of the site; days begin at midnight of the factory's
zone, and the nodes are back as the day TO begins. Nodes are spread over the sites as the present ones are.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from zoneinfo import ZoneInfo

from schmelz.faults import BadInput
from schmelz.policy.fields import expand_nodes
from schmelz.policy.schema import System
from schmelz.twin.sharing import Away
from schmelz.units import DAY, day_start, split_by_weight

NODES_AT_MOST, YEARS_AHEAD = 100_000, 3
OUTAGE = re.compile(r"([a-z0-9-]{1,40})(?:/(\d{1,6}))?:([0-9T:+Z-]{8,25})\.\.([0-9T:+Z-]{8,25})", re.ASCII)


@dataclass(frozen=True)
class Change:
    """The machine otherwise than it is; empty: as it is."""

    outages: tuple[Away, ...] = ()
    nodes: int | None = None
    floor: int | None = None

    def __bool__(self) -> bool:
        return self != AS_IS


AS_IS = Change()


def change(
    system: System,
    zone: ZoneInfo,
    now: int,
    outages: Iterable[str] = (),
    nodes: int | None = None,
    floor: int | None = None,
) -> Change:
    """The change that these words mean. Raises BadInput, one line for each fault."""
    faults: list[str] = []
    away = []
    for text in outages:
        try:
            away.append(_outage(system, zone, now, text))
        except BadInput as error:
            faults += error.faults
    least = len(system.nodes)
    if nodes is not None and not least <= nodes <= NODES_AT_MOST:
        faults.append(f"nodes: {nodes} cannot be; write {least} to {NODES_AT_MOST}, one or more for each site")
    most = 100 // len(system.pools)
    if floor is not None and not 0 <= floor <= most:
        faults.append(f"floor: {floor} per cent for each of {len(system.pools)} pools cannot be; write 0 to {most}")
    if faults:
        raise BadInput(faults)
    return Change(tuple(away), nodes, floor)


def _outage(system: System, zone: ZoneInfo, now: int, text: str) -> Away:
    match = OUTAGE.fullmatch(text.strip())
    if match is None:
        raise BadInput(
            f"outage: {text[:60]!r} is none; write for example {next(iter(system.nodes))}:2027-03-01..2027-03-08"
        )
    site, number, first, last = match.groups()
    if site not in system.nodes:
        raise BadInput(f"outage: {site!r} is no site of {system.title}; one of: {', '.join(system.nodes)}")
    there = len(system.node_names[site])
    nodes = there if number is None else int(number)
    if not 1 <= nodes <= there:
        raise BadInput(f"outage: {nodes} nodes of {site} cannot be away; it has {there}")
    start, end = _moment(first, zone), _moment(last, zone)
    if end <= start:
        raise BadInput(f"outage: {text.strip()} ends before it begins; write FROM..TO, the earlier one first")
    if end <= now:
        raise BadInput(f"outage: {text.strip()} is over; name one to come")
    if start > now + YEARS_AHEAD * 366 * DAY:
        raise BadInput(f"outage: {text.strip()} lies more than {YEARS_AHEAD} years ahead; no forecast reaches that far")
    return Away(site, nodes * system.gpus_per_node, max(start, now), end, announced=True)


def _moment(text: str, zone: ZoneInfo) -> int:
    try:
        if len(text) == len("2027-03-01"):
            return day_start(date.fromisoformat(text), zone)
        found = datetime.fromisoformat(text)
        return int((found if found.tzinfo else found.replace(tzinfo=zone)).timestamp())
    except (ValueError, OverflowError):
        raise BadInput(f"outage: {text!r} is no day and no time; write for example 2027-03-01") from None


def sites(system: System, nodes: int | None) -> tuple[tuple[str, int], ...]:
    """GPUs by site, with another number of nodes in all."""
    names, counts = list(system.nodes), [len(names) for names in system.node_names.values()]
    spread = counts if nodes is None else [max(1, part) for part in split_by_weight(nodes, counts)]
    return tuple((name, count * system.gpus_per_node) for name, count in zip(names, spread, strict=True))


def announced(system: System) -> tuple[Away, ...]:
    """The planned maintenance of the policy file, site by site."""
    found = []
    for one in system.maintenance:
        gone = set(expand_nodes(one.nodes))
        for site, names in system.node_names.items():
            if here := len(gone & set(names)) * system.gpus_per_node:
                found.append(Away(site, here, int(one.start.timestamp()), int(one.end.timestamp()), announced=True))
    return tuple(found)


def told(system: System, change: Change, titles: Mapping[str, str], zone: ZoneInfo) -> list[str]:
    """The change in sentences."""
    say = partial(day_of, zone=zone)
    there = sum(len(names) for names in system.node_names.values())
    lines = [
        f"{one.gpus // system.gpus_per_node} nodes of {titles[one.site]} are away from {say(one.start)} to {say(one.end)}"
        for one in change.outages
    ]
    if change.nodes is not None:
        lines.append(f"{change.nodes} nodes instead of {there}, spread over the sites as today")
    if change.floor is not None:
        lines.append(f"a floor of {change.floor} % instead of {system.sharing.floor_percent} %")
    return lines


def day_of(moment: int, zone: ZoneInfo) -> str:
    """A moment as a day, with the hour where it is not midnight."""
    local = datetime.fromtimestamp(moment, zone)
    day = f"{local:%a} {local.day} {local:%b %Y}"
    return day if not (local.hour or local.minute) else f"{day}, {local:%H:%M}"
