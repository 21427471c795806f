"""What if: these applications awarded, the machine otherwise than it is; the forecast of that beside that of today.

Both forecasts start from the same present and draw the same jobs for the same projects, so that they differ by what is
asked about alone. Who may ask: see `forecast:read`; and an application only by those who may read it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from schmelz.faults import BadInput, Refused
from schmelz.metering.claims import Claim
from schmelz.metering.promises import Promise, promise, steps
from schmelz.operate import future as present
from schmelz.operate.changes import AS_IS, Change, told
from schmelz.operate.future import SOON, Ask, Built
from schmelz.policy.schema import System
from schmelz.portal.calls import queries as calls
from schmelz.portal.calls.models import Application
from schmelz.portal.calls.states import WAITING
from schmelz.portal.clock import now
from schmelz.portal.people.models import Person
from schmelz.portal.people.queries import general_relations, roles
from schmelz.portal.policy import factory
from schmelz.portal.projects.models import Project
from schmelz.portal.projects.outlook import over_ceiling
from schmelz.rules.permissions import Permission, Relation, require
from schmelz.twin.forecast import forecast
from schmelz.twin.foreseen import Forecast
from schmelz.units import HOUR, Period, add_months, hours

SEEDS, SEEDS_AT_MOST, AWARDS_AT_MOST = 20, 200, 100


@dataclass(frozen=True)
class Award:
    """An application as it would be awarded."""

    application: Application
    gpu_hours: int


@dataclass(frozen=True)
class Side:
    """One forecast: what is likely to come, and what each pool has promised."""

    forecast: Forecast
    promises: tuple[Promise, ...]


@dataclass(frozen=True)
class WhatIf:
    """Both sides, and everything that a reader needs to judge them."""

    system: System
    window: str
    period: Period
    as_of: int
    seeds: int
    awards: tuple[Award, ...]
    changes: tuple[str, ...]
    assumed: tuple[str, ...]
    warnings: tuple[str, ...]
    today: Side
    then: Side


def relations(person: Person | None, system: System) -> set[Relation]:
    """What a person is to the forecasts of a system: whoever signs for any of its pools is a signer."""
    held = roles(person)
    found = general_relations(person, held, system.operator)
    modes = {role for mode in factory().modes if system.id in mode.systems for role in mode.signers or ()}
    if not held.isdisjoint(modes | {role for pool in system.pools for role in pool.signers}):
        found.add(Relation.SIGNER)
    return found


def check(person: Person, system: System) -> None:
    """Raise Refused for somebody who may not see forecasts."""
    require(Permission.FORECAST_READ, relations(person, system), person.name)


def awards(person: Person, wanted: Iterable[str]) -> tuple[Award, ...]:
    """The applications of these codes, CODE or CODE=GPU-HOURS, that wait for a decision.

    Raises BadInput for a code that is not known, is named twice, or is of another system than the first; Refused for one
    that is decided, and for one that the person may not read.
    """
    found: list[Award] = []
    for text in wanted:
        code, equals, amount = text.strip().partition("=")
        application = calls.by_code(code)
        require(Permission.APPLICATION_READ, calls.relations(factory(), person, application), person.name)
        if application.state not in WAITING:
            raise Refused(f"{code} {_decided(application)}", "Name applications that wait for a decision.")
        gpu_hours = _amount(code, amount) if equals else application.award_gpu_hours or application.gpu_hours
        found.append(Award(application, gpu_hours))
    codes = [award.application.code for award in found]
    if twice := sorted({code for code in codes if codes.count(code) > 1}):
        raise BadInput([f"award: {code} is named twice" for code in twice])
    if len(found) > AWARDS_AT_MOST:
        raise BadInput(f"award: {len(found)} applications are too many; at most {AWARDS_AT_MOST}")
    if len({award.application.system for award in found}) > 1:
        where = ", ".join(f"{award.application.code} on {award.application.system}" for award in found)
        raise BadInput(f"award: the applications are for several systems ({where}); ask for one system at a time")
    return tuple(found)


def _amount(code: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= len(text) <= 9 and int(text)):
        raise BadInput(f"award: {code}={text[:20]} names no GPU-hours; write for example {code}=5000")
    return int(text)


def _decided(application: Application) -> str:
    if project := Project.objects.filter(application=application.code).values_list("code", flat=True).first():
        return f"is awarded already: it is project {project}, which every forecast counts."
    return f"is {application.get_state_display()} already: there is nothing to foresee."


def check_seeds(seeds: int) -> int:
    """The number of draws. Raises BadInput."""
    if not 1 <= seeds <= SEEDS_AT_MOST:
        raise BadInput(f"seeds: {seeds} cannot be; write 1 to {SEEDS_AT_MOST}")
    return seeds


def whatif(
    system: System,
    granted: Sequence[Award] = (),
    change: Change = AS_IS,
    *,
    seeds: int = SEEDS,
    window: str | None = None,
    renew: bool | None = None,
    told_of: Callable[[int], None] = lambda done: None,
) -> WhatIf:
    """Today's forecast and that of the change. `renew`: new awards follow; by default where the machine is changed."""
    follow = bool(change) if renew is None else renew
    given = tuple((_claim(award), _sites(award)) for award in granted)
    then = present.build(system, Ask(given, change, window, follow))
    today = present.build(system, Ask((), AS_IS, then.window, follow))
    before = Side(forecast(today.future, seeds, told_of), promises(system, today, ()))
    after = forecast(then.future, seeds, lambda done: told_of(seeds + done))
    titles = {site.id: site.title for site in factory().sites}
    return WhatIf(
        system,
        then.window,
        then.future.window,
        then.future.now,
        seeds,
        tuple(granted),
        tuple(told(system, change, titles, factory().zone)),
        then.said,
        tuple(_warnings(system, granted, then)),
        before,
        Side(after, promises(system, then, [claim for claim, _ in given])),
    )


def _claim(award: Award) -> Claim:
    one, policy = award.application, factory()
    end = add_months(now(), one.months, policy.zone)
    return Claim(one.code, one.pool, policy.category(one.category).commercial, award.gpu_hours * HOUR, now(), end)


def _sites(award: Award) -> tuple[str, ...]:
    return calls.mode_of(factory(), award.application.mode).sites


def promises(system: System, built: Built, more: Sequence[Claim]) -> tuple[Promise, ...]:
    """What each pool has promised, with the claims of awards that are not made yet."""
    every, future = [*built.claims, *more], built.future
    last = max((claim.end for claim in every), default=future.now)
    away = [(one.site, one.gpus, one.start, one.end) for one in future.sharing.away]
    coming = steps(future.sharing.sites, away, future.now, max(last, future.now + 1))
    deficits = {pool.pool: pool.deficit_gpu_s for pool in built.split.pools}
    ends = min((*future.sharing.windows, future.window.end))
    return tuple(
        promise(pool.id, pool.weight, system.weight_sum, every, coming, deficits[pool.id], ends)
        for pool in system.pools
    )


def _warnings(system: System, granted: Sequence[Award], built: Built) -> Iterator[str]:
    future, commercial = built.future, dict.fromkeys((pool.id for pool in system.pools), 0)
    for award in granted:
        if factory().category(award.application.category).commercial:
            commercial[award.application.pool] += award.gpu_hours * HOUR
    yield from filter(None, (over_ceiling(system, pool, gpu_s, future.now) for pool, gpu_s in commercial.items()))
    if future.window.start > future.now:
        yield f"the window told, {built.window}, is still to come: only what is used in it counts in its split"
    elif future.window.end - future.now < SOON:
        yield f"the window {built.window} ends soon: little of what is asked about can show in it"
    for award in granted:
        if award.gpu_hours * HOUR > future.gpus * (_claim(award).end - future.now):
            amount = f"{award.application.code}: {hours(award.gpu_hours * HOUR)} GPU-hours"
            yield f"{amount} are more than the whole machine gives in {award.application.months} months"
