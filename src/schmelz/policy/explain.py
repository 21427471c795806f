"""The factory said aloud: `describe` turns a policy into plain sentences that its owners can check by reading.

One paragraph each for the factory, every system with its owners and their rule, the access modes by owner, and what
stands around them. Same factory, same text. Nothing is computed here that a reader could not find in the file.
"""

from collections.abc import Iterable, Iterator

from schmelz.policy.schema import Factory, Mode, Pool, Sharing, Size, System

STATES = {"planned": "It is planned", "in-service": "It is in service", "retired": "It is retired"}
BORROWED = {"full": "is charged in full", "none": "is not charged", "none-for-lost": "is charged without what was lost"}
ENGINES = {
    "local": "Jobs run as processes on this computer",
    "slurm": "Jobs run through Slurm",
    "tape": "Jobs are replayed from a recording",
    "none": "No engine is connected: no jobs run from here",
}
PACES = {
    "carry-over": "a grant is cut into months, and what a month leaves is for the next ones",
    "monthly": "a grant is cut into months, and what a month leaves is lost",
    "whole": "a grant may be used at any time",
}
ORDERS = {
    "first-in-first-out": "first in, first out",
    "ranked": "ranked by marks",
    "first-served-among-passing": "by arrival among those who pass",
}


def describe(factory: Factory) -> str:
    """The whole factory in plain sentences, one a line."""
    paragraphs = (
        _heading(factory),
        *(_system(factory, system) for system in factory.systems),
        _modes(factory),
        _around(factory),
    )
    return "\n\n".join("\n".join(paragraph) for paragraph in paragraphs) + "\n"


def _heading(factory: Factory) -> Iterator[str]:
    head = factory.factory
    free = _number(len(head.holidays), "public holiday")
    yield f"{head.name}: days, months and cut-offs are counted in {head.zone}; {free} known."
    yield f"{factory.partner(head.coordinator).name} coordinates. Pages and letters come in {_and(head.languages)}."
    yield f"The machines stand at {_number(len(factory.sites), 'site')}: {_and(s.title for s in factory.sites)}."
    for partner in factory.partners:
        functions = f"; functions: {_and(partner.functions)}" if partner.functions else ""
        yield f"  {partner.name} ({partner.id}): {partner.role}{functions}."


def _system(factory: Factory, system: System) -> Iterator[str]:
    operator = factory.partner(system.operator).name
    yield f"{system.title} ({system.id}), {system.kind}, run by {operator}. {_installed(factory, system)}"
    yield f"  {STATES[system.state]}. {ENGINES[system.cluster.backend]}."
    yield f"  Jobs are charged by the {system.charge}; people are told {system.unit}; {PACES[system.pacing]}."
    for pool in system.pools:
        yield from _pool(system, pool)
    yield from _sharing(system.sharing)
    yield from _nobodys(system)
    if system.cluster.backend != "none":
        yield from _following(system)


def _nobodys(system: System) -> Iterator[str]:
    if system.overhead:
        payer = system.pool(system.overhead.booked_to).title
        yield (
            f"  Health checks and the like run on {_and(system.overhead.accounts)}, "
            f"up to {system.overhead.cap_percent} %; what is above that is booked to {payer}."
        )
    for window in system.maintenance:
        yield f"  Maintenance of {window.nodes} from {window.start} to {window.end}: {window.reason}."


def _following(system: System) -> Iterator[str]:
    """What the cluster follows by itself, and what needs more than one person."""
    alone = f"{system.cluster.removals_alone} accounts or members"
    coordinates = " Principal investigators coordinate their accounts." if system.cluster.pi_coordinates else ""
    yield f"  One operator may close or take away {alone} in a plan; more needs a second.{coordinates}"
    if system.steering:
        yield (
            f"  Caps are steered only under a mandate that {_and(system.steering.signers)} signed, "
            f"for at most {_number(system.steering.longest_days, 'day')}."
        )


def _installed(factory: Factory, system: System) -> str:
    if not system.gpus():
        return "It has no GPUs that could be counted."
    titles = {site.id: site.title for site in factory.sites}
    parts = [
        f"{len(names)} nodes with {_thousands(system.gpus(site))} GPUs at {titles[site]}"
        for site, names in system.node_names.items()
    ]
    return f"{_thousands(system.gpus())} GPUs, {system.gpus_per_node} a node: {_and(parts)}."


def _pool(system: System, pool: Pool) -> Iterator[str]:
    ceiling = pool.commercial_ceiling_percent
    capped = "" if ceiling is None else f" At most {ceiling} % of that is for commercial use."
    yield f"  {pool.title} ({pool.id}) owns {pool.weight} of {system.weight_sum} parts.{capped}"
    first, *others = pool.signers
    yield f"    An award is proposed by {first} and signed by {_and(others)}, each another person."


def _sharing(rule: Sharing) -> Iterator[str]:
    carried = f"Up to {rule.carry_percent} % of a share is" if rule.carry_percent else "Nothing is"
    yield (
        f"  Every {rule.window} each owner gets its part of what is {rule.basis}. Who waits is never left under "
        f"{rule.floor_percent} % for longer than one job."
    )
    yield (
        f"  What an owner does not ask for is lent. A lent job runs at least {_span(rule.minimum_run)}; taken back, "
        f"it {BORROWED[rule.borrowed_charge]}. {carried} carried over to the next {rule.window}."
    )


def _modes(factory: Factory) -> Iterator[str]:
    states = [f"{sum(mode.state == state for mode in factory.modes)} {state}" for state in ("open", "paused", "closed")]
    yield f"There are {_number(len(factory.modes), 'access mode')}: {_and(states)}."
    first = factory.factory.languages[0]
    for mode in factory.modes:
        yield f"  {mode.title[first]} ({mode.id}), {mode.state}: {_mode(mode)}."


def _mode(mode: Mode) -> str:
    size = f"{_size(mode.gpu_hours)} GPU-hours" if mode.gpu_hours else f"{_size(mode.node_hours)} node-hours"
    within = f"{_number(max(mode.months), 'month')} on {_and(mode.systems)}"
    answer = f"{_and(mode.steps)}, {ORDERS[mode.order]}, answer in {_number(mode.answer_in, 'working day')}"
    where = f"; at {_and(mode.sites)} only" if mode.sites else ""
    pace = f"; {PACES[mode.pacing]}" if mode.pacing else ""
    return f"{mode.pool}, for {_and(mode.audience)}; {size} within {within}{where}{pace}; {answer}"


def _around(factory: Factory) -> Iterator[str]:
    services, sisters = _number(len(factory.services), "service"), len(factory.network)
    yield f"Beside GPU-hours it offers {services}; sister factories known: {sisters}."
    keep = factory.retention
    yield (
        f"Kept after the end, in months: applications {keep.applications}, letters {keep.letters}, "
        f"job records {keep.job_records}, ledger {keep.ledger}."
    )
    yield f"The head of a closed month is countersigned by {_and(factory.closing_signers)}, each another person."


def _size(size: Size | None) -> str:
    assert size, "every mode has a size in one of the two units"
    if size.max is None:
        return f"{_thousands(size.min)} or more" if size.min > 1 else "any number of"
    if size.min == size.max:
        return f"exactly {_thousands(size.max)}"
    return f"{f'{_thousands(size.min)} to' if size.min > 1 else 'up to'} {_thousands(size.max)}"


def _span(seconds: int) -> str:
    for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds and seconds % size == 0:
            return _number(seconds // size, unit)
    return _number(seconds, "second")


def _number(number: int, name: str) -> str:
    return f"{number} {name if number == 1 else f'{name}s'}"


def _thousands(number: int) -> str:
    return f"{number:,}"


def _and(names: Iterable[str]) -> str:
    *others, last = list(names) or ["nobody"]
    return f"{', '.join(others)} and {last}" if others else last
