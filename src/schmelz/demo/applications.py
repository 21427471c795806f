"""Who applied for what, and what people decided: 120 applications, 80 of them awarded.

Applications follow their mode's rhythm: where there are cut-offs they come in the fortnight before one, else at any
time; decisions keep the promised working days. In every pool but the first, awards begin early; the first is slow to
start: that is what the others borrow from. Together, a pool's awards are a little more than its share could use.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from schmelz.demo import names
from schmelz.demo.applicants import STORY, offered
from schmelz.demo.ceiling import round_off, within_ceiling
from schmelz.demo.model import Application, Organisation, Outcome, Person, Scene
from schmelz.policy.schema import Mode
from schmelz.rules.clock import due, is_working_day
from schmelz.units import DAY, HOUR, Period, add_months, day_start, local_date, split_by_weight

COUNTS: tuple[tuple[Outcome, int], ...] = (("awarded", 80), ("refused", 28), ("pending", 12))
LONGEST_WAIT = 150 * DAY
GRANTED_PERCENT = 115


@dataclass(frozen=True)
class Draft:
    """An application in the making; for an award also the time of its project."""

    mode: Mode
    organisation: Organisation
    outcome: Outcome
    months: int
    submitted: int
    decided: int | None
    project: Period
    gpu_hours: int = 0


def drafts(scene: Scene, organisations: Sequence[Organisation]) -> tuple[Draft, ...]:
    """All applications of the year with their sizes, in the order of submission."""
    made = _placed(scene, organisations)
    sized = [
        draft
        for pool in scene.system.pools
        for draft in within_ceiling(
            scene, pool, _sized(scene, pool.weight, [draft for draft in made if draft.mode.pool == pool.id])
        )
    ]
    return tuple(sorted(sized, key=lambda draft: (draft.submitted, draft.organisation.name, draft.mode.id)))


# -- when, in which mode, by whom


def _placed(scene: Scene, organisations: Sequence[Organisation]) -> list[Draft]:
    """In the order of the wished starts, so that those who come later know who was there before."""
    made: list[Draft] = []
    for number, (wish, outcome, pool) in enumerate(sorted(_wishes(scene))):
        usable = [
            mode for mode in offered(scene.factory) if mode.pool == pool and (outcome != "pending" or _is_simple(mode))
        ]
        turn = number % max(1, len(usable))
        for mode in usable[turn:] + usable[:turn]:
            if choices := _applicants(scene, mode, organisations, made):
                made.append(_draft(scene, mode, scene.rng.choice(choices), outcome, wish))
                break
    return made


def _wishes(scene: Scene) -> Iterator[tuple[int, Outcome, str]]:
    """When each project should start, in thousandths of the year: (instant, outcome, pool)."""
    pools = [pool for pool in scene.system.pools if any(mode.pool == pool.id for mode in offered(scene.factory))]
    for outcome, total in COUNTS:
        for pool, number in zip(pools, split_by_weight(total, [pool.weight for pool in pools]), strict=True):
            for index in range(number):
                part = (1000 * index + scene.rng.randrange(900)) // number
                part = 80 + part * 84 // 100 if pool is scene.system.pools[0] else part * 102 // 100 - 100
                wish = scene.period.start + scene.period.seconds // 1000 * part
                yield scene.period.end if outcome == "pending" else wish, outcome, pool.id


def _is_simple(mode: Mode) -> bool:
    """Decided by signatures alone, and open: what people can go on with."""
    return mode.state == "open" and mode.order != "ranked" and not {"peer-review", "panel"} & set(mode.steps)


def _applicants(
    scene: Scene, mode: Mode, organisations: Sequence[Organisation], earlier: Sequence[Draft]
) -> list[Organisation]:
    """Who may apply in the mode now. Newcomers who were in a mode for newcomers are left out of all others."""
    awards = [draft for draft in earlier if draft.outcome == "awarded"]
    fitting = [
        one
        for one in organisations[STORY:]
        if _fits(scene, mode, one) and not _too_commercial(scene, mode, one, awards)
    ]
    if mode.limits.first_award_only:
        known = {draft.organisation.name for draft in awards}
        return [one for one in fitting if one.name not in known]
    newcomers = {draft.organisation.name for draft in earlier if draft.mode.limits.first_award_only}
    others = [one for one in fitting if one.name not in newcomers]
    doors = [other for other in offered(scene.factory) if other.limits.first_award_only]
    return [one for one in others if not any(_fits(scene, door, one) for door in doors)] or others


def _fits(scene: Scene, mode: Mode, organisation: Organisation) -> bool:
    year, young = local_date(scene.period.end, scene.factory.zone).year, mode.limits.founded_within_years
    return (
        organisation.category in mode.audience
        and (not mode.regions or organisation.country in scene.factory.countries(mode.regions))
        and (young is None or year - organisation.founded <= young)
    )


def _too_commercial(scene: Scene, mode: Mode, organisation: Organisation, awards: Sequence[Draft]) -> bool:
    """Where commercial use has a ceiling, people award less than half of it, counted in awards."""
    ceiling = scene.system.pool(mode.pool).commercial_ceiling_percent
    mine = [draft.organisation.commercial for draft in awards if draft.mode.pool == mode.pool]
    return organisation.commercial and ceiling is not None and 200 * (sum(mine) + 1) > ceiling * (len(mine) + 1)


def _draft(scene: Scene, mode: Mode, organisation: Organisation, outcome: Outcome, wish: int) -> Draft:
    months = scene.rng.choice(mode.months)
    if outcome != "pending":
        return _decided(scene, Draft(mode, organisation, outcome, months, wish, None, Period(0, 0)))
    submitted = scene.period.end - scene.rng.randint(HOUR, 20 * HOUR * max(1, mode.answer_in))
    return Draft(mode, organisation, "pending", months, submitted, None, Period(0, 0))


def _decided(scene: Scene, draft: Draft) -> Draft:
    """Submission, decision and the project's time, worked back from the wished start that `submitted` holds so far."""
    rng, zone, mode, wish = scene.rng, scene.factory.zone, draft.mode, draft.submitted
    promised = max(1, mode.answer_in)
    cut_off = _cut_off(scene, mode, wish)
    before = rng.randint(6 * HOUR, 14 * DAY) if cut_off else (promised * 3 // 2 + 5) * DAY
    submitted = _at_work(scene, (cut_off or wish) - before)
    decided = _answered(scene, max(submitted, cut_off or 0), rng.randint((promised + 1) // 2, promised))
    first_day = local_date(decided, zone) + timedelta(days=rng.randint(1, 6))
    start = max(scene.period.start, day_start(first_day, zone))
    project = Period(start, add_months(start, draft.months, zone))
    return replace(draft, submitted=submitted, decided=decided, project=project)


def _cut_off(scene: Scene, mode: Mode, wish: int) -> int | None:
    """The last cut-off whose answers are due before the wished start, if it is not too long ago."""
    known = [int(moment.timestamp()) for moment in mode.cut_offs]
    zone, holidays = scene.factory.zone, scene.factory.factory.holidays
    answered = [moment for moment in known if due(moment, mode.answer_in, zone, holidays) < wish]
    return answered[-1] if answered and answered[-1] > wish - LONGEST_WAIT else None


def _at_work(scene: Scene, instant: int) -> int:
    """The same day between eight and six."""
    zone = scene.factory.zone
    return day_start(local_date(instant, zone), zone) + scene.rng.randint(8 * HOUR, 18 * HOUR)


def _answered(scene: Scene, instant: int, working_days: int) -> int:
    day = local_date(instant, scene.factory.zone)
    while working_days:
        day += timedelta(days=1)
        working_days -= is_working_day(day, scene.factory.factory.holidays)
    return _at_work(scene, day_start(day, scene.factory.zone))


# -- how much


def _sized(scene: Scene, weight: int, mine: Sequence[Draft]) -> list[Draft]:
    """Sizes within the modes' bounds. Awards without an upper bound divide what is left of their pool's share."""
    system = scene.system
    share = system.gpus() * scene.period.seconds // HOUR * weight * GRANTED_PERCENT // (100 * system.weight_sum)
    sized = [replace(draft, gpu_hours=_bounded(scene, draft)) for draft in mine]
    awards = [index for index, draft in enumerate(sized) if draft.outcome == "awarded"]
    left = max(0, share - sum(sized[index].gpu_hours for index in awards))
    large = [index for index in awards if sized[index].mode.size(system).max is None]
    appetites = [_active_days(scene, sized[index]) * _appetite(scene, sized[index]) for index in large]
    parts = split_by_weight(left, appetites)
    for index, part in zip(large, parts, strict=True):
        draft = sized[index]
        whole = part * draft.project.seconds // (DAY * max(1, _active_days(scene, draft)))
        sized[index] = replace(draft, gpu_hours=max(draft.gpu_hours, round_off(min(whole, 2 * part))))
    return sized


def _appetite(scene: Scene, draft: Draft) -> int:
    """How much of the rest a project takes; commercial ones, which pay or stay below a ceiling, take half."""
    return scene.rng.randint(60, 140) // (2 if draft.organisation.commercial else 1)


def _active_days(scene: Scene, draft: Draft) -> int:
    """The days of the project that lie in the year."""
    return draft.project.clip(scene.period).seconds // DAY


def _bounded(scene: Scene, draft: Draft) -> int:
    size, rng = draft.mode.size(scene.system), scene.rng
    if size.max is not None:
        return max(1, size.min, round_off(rng.randint((size.default + size.max) // 2, size.max)))
    return max(1, size.min) if draft.outcome == "awarded" else round_off(rng.randint(size.default, 4 * size.default))


# -- what it says


def applications(scene: Scene, made: Sequence[Draft], persons: Sequence[Person]) -> tuple[Application, ...]:
    """The drafts as applications: numbered, with applicants, topics and reasons."""
    return tuple(_application(scene, draft, f"a{number:05d}", persons) for number, draft in enumerate(made, start=1))


def _application(scene: Scene, draft: Draft, code: str, persons: Sequence[Person]) -> Application:
    rng = scene.rng
    applicant = rng.choice([person for person in persons if person.organisation == draft.organisation.name])
    title = f"{rng.choice(names.METHODS)} for {rng.choice(names.SUBJECTS)}"
    award = draft.gpu_hours if draft.outcome == "awarded" else None
    asked = draft.gpu_hours if award is None else _asked(scene, draft, award)
    return Application(
        code,
        draft.mode.id,
        draft.mode.pool,
        scene.system.id,
        draft.organisation.name,
        applicant.handle,
        title,
        names.SUMMARY.format(title),
        asked,
        draft.months,
        draft.submitted,
        draft.outcome,
        award,
        _reason(scene, draft.outcome, asked == award),
        draft.decided,
    )


def _asked(scene: Scene, draft: Draft, award: int) -> int:
    """What was asked for: the award or somewhat more, within the mode's bounds."""
    wished = award * scene.rng.choice((100, 100, 115, 130)) // 100
    return max(award, round_off(min(wished, draft.mode.size(scene.system).max or wished)))


def _reason(scene: Scene, outcome: Outcome, in_full: bool) -> str:
    if outcome == "awarded":
        return scene.rng.choice(names.AWARDED_IN_FULL if in_full else names.AWARDED_LESS)
    return scene.rng.choice(names.REFUSED) if outcome == "refused" else ""
