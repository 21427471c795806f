"""A plan in words: a line per change, and in one sentence how far it reaches (its *radius*).

The radius tells gains first, then losses, then what becomes of running jobs: those of closed or held accounts and of
members who lose access are *touched*: they run on, none is ever cancelled by a plan. Pure.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from schmelz.cluster.desired import Desired
from schmelz.cluster.diff import Change, Field, Value
from schmelz.cluster.model import Job, Observed

SIGNS = {"add": "+", "change": "~", "remove": "-"}
Jobs = Sequence[Job] | Callable[[], Sequence[Job]]

_ALWAYS = ("opened", "budget", "gains")
_GAINS = {
    "opened": ("account opened", "accounts opened"),
    "prepared": ("account made, still closed", "accounts made, still closed"),
    "waits": ("account made, its jobs wait for its start", "accounts made, their jobs wait for their start"),
    "started": ("account started", "accounts started"),
    "budget": ("budget changed", "budgets changed"),
    "shares": ("share changed", "shares changed"),
    "moved": ("account moved", "accounts moved"),
    "gains": ("member gains access", "members gain access"),
    "partition": ("member changes partition", "members change partition"),
    "coordinators": ("account gets other coordinators", "accounts get other coordinators"),
    "rights": ("account gets other qualities of service", "accounts get other qualities of service"),
    "qos": ("quality of service made or changed", "qualities of service made or changed"),
    "user": ("default account changed", "default accounts changed"),
    "cleared": ("locked association cleared away", "locked associations cleared away"),
}
_LOSSES = {
    "closed": ("account closed", "accounts closed"),
    "held": ("account held", "accounts held"),
    "loses": ("member loses access", "members lose access"),
}
_EFFECTS = {
    "gpu_minutes": "budget",
    "shares": "shares",
    "parent": "moved",
    "qos": "rights",
    "default_qos": "rights",
    "coordinators": "coordinators",
}
_WORDS = {
    "parent": "below",
    "gpu_minutes": "GPU-minutes",
    "default_qos": "default qos",
    "gpus": "cap",
    "preempts": "takes back from",
    "exempt": "exempt seconds",
    "default_account": "default account",
}
_SILENT = ("held", "qos", "default_qos", "coordinators", "preempts", "preemptible", "exempt")
"""Fields that a new object does not mention while they are empty."""


def radius(changes: Sequence[Change], desired: Desired, observed: Observed, touched: int | None) -> str:
    """How far the changes reach, in one sentence; `touched` is None when nobody looked at the jobs."""
    if not changes:
        return "nothing changes: the cluster is as decided"
    had = {(member.user, member.account) for member in observed.members}
    stay = had & {(member.user, member.account) for member in desired.members}
    count = Counter(effect for change in changes for effect in _effects(change, stay))
    count["partition"] = len(stay & {whose(one) for one in changes if one.kind == "member" and not _clears(one)})
    gains = [_phrase(count[name], words) for name, words in _GAINS.items() if count[name] or name in _ALWAYS]
    losses = [_phrase(count[name], words) for name, words in _LOSSES.items() if count[name] or name != "held"]
    jobs = (
        "running jobs go on" if touched is None else _phrase(touched, ("running job touched", "running jobs touched"))
    )
    return f"{', '.join(gains)}; {', '.join(losses)}, {jobs}, 0 cancelled"


def _effects(change: Change, stay: set[tuple[str, str]]) -> set[str]:
    """What a change does to people, as names of phrases; members who stay change their partition at most."""
    if _clears(change):
        return {"cleared"}
    if change.kind == "member":
        return set() if whose(change) in stay else {"gains" if change.op == "add" else "loses"}
    return set(_account_effects(change)) if change.kind == "account" else {change.kind}


def _clears(change: Change) -> bool:
    """Whether it only clears away what somebody left over."""
    return change.op == "remove" and not change.removes


def _account_effects(change: Change) -> Iterator[str]:
    new = {field: value for field, _, value in change.fields}
    if change.op == "add":
        yield "prepared" if not new["open"] else "waits" if new["held"] else "opened"
        return
    yield from (_EFFECTS[field] for field in new if field in _EFFECTS)
    if "open" in new:
        yield "opened" if new["open"] else "closed"
    elif "held" in new:
        yield "held" if new["held"] else "started"


def whose(change: Change) -> tuple[str, str]:
    """The user and the account of a member's change."""
    facts = {field: old or new for field, old, new in change.fields}
    return str(facts["user"]), str(facts["account"])


def touched(changes: Sequence[Change], jobs: Jobs | None) -> int | None:
    """How many running jobs are those of somebody who loses something; nobody is asked when nobody does."""
    lossy = [change for change in changes if change.removes]
    if not lossy or jobs is None:
        return None if lossy else 0
    accounts = {change.name for change in lossy if change.kind == "account"}
    members = {whose(change) for change in lossy if change.kind == "member"}
    found = jobs() if callable(jobs) else jobs
    return sum(
        job.state == "RUNNING" and (job.account in accounts or (job.user, job.account) in members) for job in found
    )


def lines(change: Change) -> list[str]:
    """A change for people: what, and below it, why."""
    said = f"{SIGNS[change.op]} {change.kind:<7} {change.name}"
    if change.kind != "member":
        said += ": " + ", ".join(_field(change, field) for field in change.fields if _mentioned(change, field))
    return [said, f"    because: {change.because}"] if change.because else [said]


def _mentioned(change: Change, field: Field) -> bool:
    return change.op != "add" or field[0] not in _SILENT or bool(field[2])


def _field(change: Change, field: Field) -> str:
    name, old, new = field
    word = named(name)
    return f"{word} {said(name, new)}" if change.op == "add" else f"{word} {said(name, old)} -> {said(name, new)}"


def named(field: str) -> str:
    """A field for people."""
    return _WORDS.get(field, field)


def said(field: str, value: Value) -> str:
    """A field's value for people."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return " ".join(value) or "none"
    if value is None:
        return "unlimited" if field == "gpu_minutes" else "none"
    return "none" if value == "" else str(value)


def _phrase(number: int, words: tuple[str, str]) -> str:
    return f"{number} {words[number != 1]}"
