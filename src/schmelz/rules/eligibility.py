"""Is this request eligible in this access mode, and why: findings that explain themselves.

A *finding* is one rule's answer: yes, no, or unknown (a person must look), with *because* and what would change it.
The verdict over all findings is no if any says no, unknown if any is unknown, else yes. Nothing here refuses: people
decide, and the findings stand beside their decision. Source of every rule: the access mode in the policy file.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from schmelz.policy.schema import Factory, Mode, State, System
from schmelz.rules.texts import english

Verdict = Literal["yes", "no", "unknown"]

_BEST: tuple[Verdict, ...] = ("yes", "unknown", "no")
_READY: tuple[State, ...] = ("open", "paused", "closed")


@dataclass(frozen=True)
class Answers:
    """What an applicant says. None means: not said yet."""

    category: str | None = None
    country: str | None = None
    gpu_hours: int | None = None
    months: int | None = None
    founded: int | None = None
    statements: frozenset[str] = frozenset()
    inference_percent: int | None = None
    earlier_awards: int = 0


@dataclass(frozen=True)
class Finding:
    """One rule's answer about one request."""

    rule: str
    verdict: Verdict
    because: str
    remedy: str = ""


@dataclass(frozen=True)
class Fit:
    """How well an access mode fits some answers."""

    mode: Mode
    verdict: Verdict
    findings: tuple[Finding, ...]


def verdict(findings: Sequence[Finding]) -> Verdict:
    said = {finding.verdict for finding in findings}
    return "no" if "no" in said else "unknown" if "unknown" in said else "yes"


def assess(factory: Factory, mode: Mode, system: System, answers: Answers, year: int) -> tuple[Finding, ...]:
    """Every rule of the mode applied to the answers, in the order in which people ask them."""
    return tuple(_findings(factory, mode, system, answers, year))


def doors(factory: Factory, answers: Answers, year: int) -> tuple[Fit, ...]:
    """All access modes with their findings: best fit first, open before paused before closed, then as in the file."""
    found = ((mode, assess(factory, mode, factory.system(mode.systems[0]), answers, year)) for mode in factory.modes)
    fits = (Fit(mode, verdict(findings), findings) for mode, findings in found)
    return tuple(sorted(fits, key=lambda fit: (_BEST.index(fit.verdict), _READY.index(fit.mode.state))))


def _findings(factory: Factory, mode: Mode, system: System, answers: Answers, year: int) -> Iterator[Finding]:
    yield _state(mode)
    yield _audience(factory, mode, answers)
    if mode.regions:
        yield _country(factory, mode, answers)
    yield _size(mode, system, answers)
    yield _months(mode, answers)
    for statement in mode.statements:
        yield _statement(factory, statement, answers)
    yield from _limits(mode, answers, year)


def _state(mode: Mode) -> Finding:
    if mode.state == "open":
        return Finding("open", "yes", "The access mode is open.")
    return Finding("open", "no", f"The access mode is {mode.state}.", "Ask the coordinator when it opens again.")


def _audience(factory: Factory, mode: Mode, answers: Answers) -> Finding:
    titles = {category.id: english(category.title) for category in factory.categories}
    wanted = ", ".join(titles[category] for category in mode.audience)
    if answers.category is None:
        return Finding(
            "audience", "unknown", f"It is for: {wanted}. You have not said what you are.", "Say what you are."
        )
    because = f"It is for: {wanted}; you are: {titles.get(answers.category, answers.category)}."
    if answers.category in mode.audience:
        return Finding("audience", "yes", because)
    return Finding("audience", "no", because, "Choose an access mode for your category.")


def _country(factory: Factory, mode: Mode, answers: Answers) -> Finding:
    names = " or ".join(english(region.title) for region in factory.regions if region.id in mode.regions)
    if answers.country is None:
        return Finding(
            "country", "unknown", f"The organisation must be established in {names}.", "Say in which country."
        )
    if answers.country in factory.countries(mode.regions):
        return Finding("country", "yes", f"{answers.country} belongs to {names}.")
    return Finding(
        "country",
        "no",
        f"{answers.country} does not belong to {names}.",
        "Apply with a partner that is established there.",
    )


def _size(mode: Mode, system: System, answers: Answers) -> Finding:
    size = mode.size(system)
    bounds = f"at least {size.min}" if size.max is None else f"{size.min} to {size.max}"
    if answers.gpu_hours is None:
        return Finding("size", "unknown", f"It grants {bounds} GPU-hours.", f"If unsure, ask for {size.default}.")
    if size.min <= answers.gpu_hours and (size.max is None or answers.gpu_hours <= size.max):
        return Finding("size", "yes", f"{answers.gpu_hours} GPU-hours are within {bounds}.")
    return Finding("size", "no", f"{answers.gpu_hours} GPU-hours are outside {bounds}.", f"Ask for {bounds} GPU-hours.")


def _months(mode: Mode, answers: Answers) -> Finding:
    allowed = ", ".join(map(str, mode.months))
    if answers.months is None:
        return Finding("duration", "unknown", f"It runs for {allowed} months.", "Say for how many months.")
    if answers.months in mode.months:
        return Finding("duration", "yes", f"{answers.months} months are possible ({allowed}).")
    return Finding("duration", "no", f"{answers.months} months are not possible.", f"Choose one of: {allowed} months.")


def _statement(factory: Factory, statement: str, answers: Answers) -> Finding:
    text = english(next(s.text for s in factory.statements if s.id == statement))
    if statement in answers.statements:
        return Finding(statement, "yes", f"You declared: {text}")
    return Finding(statement, "no", f"Not declared: {text}", "Declare it, if it is true.")


def _limits(mode: Mode, answers: Answers, year: int) -> Iterator[Finding]:
    limits = mode.limits
    if limits.inference_percent is not None:
        yield _inference(limits.inference_percent, answers.inference_percent)
    if limits.founded_within_years is not None:
        yield _founded(limits.founded_within_years, answers.founded, year)
    if limits.first_award_only:
        yield _first_award(answers.earlier_awards)


def _first_award(earlier: int) -> Finding:
    if earlier == 0:
        return Finding("first award", "yes", "No earlier award was found.")
    return Finding(
        "first award",
        "no",
        f"Earlier awards found: {earlier}.",
        "Choose an access mode that is open to returning users.",
    )


def _inference(limit: int, said: int | None) -> Finding:
    if said is None:
        return Finding("inference", "unknown", f"At most {limit} % of the grant may be inference.", "Say how much.")
    if said <= limit:
        return Finding("inference", "yes", f"{said} % inference is within {limit} %.")
    return Finding("inference", "no", f"{said} % inference is over {limit} %.", f"Plan at most {limit} % inference.")


def _founded(limit: int, founded: int | None, year: int) -> Finding:
    if founded is None:
        return Finding("founded", "unknown", f"It is for organisations founded at most {limit} years ago.", "Say when.")
    if year - founded <= limit:
        return Finding("founded", "yes", f"Founded in {founded}, at most {limit} years ago.")
    return Finding(
        "founded",
        "no",
        f"Founded in {founded}, more than {limit} years ago.",
        "Choose an access mode without this limit.",
    )
