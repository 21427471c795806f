"""Would this job run, and when? The rules of a submission before anything is sent. Pure: facts in, a verdict out.

A *limit* is a rule that can hold a job; `LIMITS` is the table of them. A job that a limit holds *waits* for something or
can *never* run like this; a job that none holds could start *now*. *Kind*: an own job has its pool's guaranteed GPUs; a
borrowed one runs on GPUs that nobody else needs, and may be put back into the queue. *Cost* is what a job is charged at
most: charged GPUs x time limit. Everything in GPU-seconds and UTC epoch seconds. The cluster has the last word: what is
said here is true as of `now`, and others submit jobs, too. Source: the definitions page, "committed", "preemptible".
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from schmelz.cluster.backends.admission import sites
from schmelz.cluster.backends.slots import charged
from schmelz.cluster.desired import borrow, own
from schmelz.cluster.model import Account, JobRequest
from schmelz.policy.system import System
from schmelz.units import HOUR, iso

Kind = Literal["own", "borrowed"]
Starts = Literal["now", "waits", "never"]


@dataclass(frozen=True)
class Facts:
    """What is known when somebody asks.

    `may_use`: how much of the grant may have been used by now, as the pacing says; `anew`: when it becomes more.
    `member` of the project, and with `access` on the cluster; `account` is None while the project is not there.
    `cap`: how many GPUs the pool's own jobs may use at once, `own_in_use` how many they use. `free`: by site, None where
    the cluster does not say.
    """

    now: int
    start: int
    end: int
    grant: int
    settled: int
    running: int
    committed: int
    may_use: int
    anew: int | None = None
    suspended: bool = False
    member: bool = True
    access: bool = True
    account: Account | None = None
    cap: int | None = None
    own_in_use: int = 0
    free: Mapping[str, int] | None = None

    @property
    def unused(self) -> int:
        return self.grant - self.settled - self.running

    @property
    def left(self) -> int:
        return self.unused - self.committed

    @property
    def left_now(self) -> int:
        """What the pacing leaves beside the jobs that run and wait."""
        return self.may_use - self.settled - self.running - self.committed


@dataclass(frozen=True)
class Case:
    """A job that somebody thinks about, own or borrowed, with what is known. The request's `qos` is not looked at."""

    system: System
    facts: Facts
    request: JobRequest
    kind: Kind
    pool_account: str

    @property
    def qos(self) -> str:
        return own(self.pool_account) if self.kind == "own" else borrow(self.pool_account)

    @property
    def gpus(self) -> int:
        """The GPUs that are charged: those of whole nodes where the policy says so."""
        return charged(self.system, self.request.gpus, self.request.nodes)

    @property
    def cost(self) -> int:
        return self.gpus * self.request.limit


@dataclass(frozen=True)
class Held:
    """A limit that holds the job: its name, what it does, and plain words with what to do."""

    limit: str
    starts: Starts
    words: str


@dataclass(frozen=True)
class Verdict:
    """What would become of the job: the limits that hold it, and notes for its owner."""

    case: Case
    held: tuple[Held, ...]
    notes: tuple[str, ...]

    @property
    def starts(self) -> Starts:
        found = {one.starts for one in self.held}
        return "never" if "never" in found else "waits" if found else "now"


def verdict(case: Case) -> Verdict:
    """All limits in the order of the table."""
    held = (Held(name, starts, words) for name, starts, rule, _ in LIMITS if (words := rule(case)))
    return Verdict(case, tuple(held), tuple(_notes(case)))


def _notes(case: Case) -> Iterator[str]:
    if case.kind == "borrowed":
        yield preemption(case.system)
    if case.facts.now < case.facts.end < case.facts.now + case.request.limit:
        yield f"The project ends on {day(case.facts.end - 1)}: a job that has not begun by then never starts."


def preemption(system: System) -> str:
    """What the owner of a borrowed job must know."""
    return (
        f"A borrowed job may be pre-empted after {clock(system.sharing.minimum_run)} of run time, when the owner of the "
        "GPUs needs them: it is then put back into the queue and later starts again from its beginning. "
        + CHARGES[system.sharing.borrowed_charge]
    )


CHARGES = {
    "full": "All its hours are charged, those of a pre-empted run too.",
    "none": "Its hours are not charged.",
    "none-for-lost": "Hours of a run that was pre-empted are not charged.",
}
LESS = "ask for fewer GPUs or a shorter time limit"
APPLY = "the operator has to apply the plan"

# The rules: plain words when the limit holds the job, else nothing.


def _no_unix_name(case: Case) -> str:
    return "" if case.request.user else "you have no Unix user on the cluster; the operator gives you one"


def _no_member(case: Case) -> str:
    who = f"you are not a member of {case.request.account}"
    return "" if case.facts.member else f"{who}; its principal investigator can invite you"


def _no_access(case: Case) -> str:
    held = case.facts.member and case.request.user and not case.facts.access
    return f"you have no access to {case.request.account} on the cluster yet; {APPLY}" if held else ""


def _ended(case: Case) -> str:
    over = case.facts.now >= case.facts.end
    return f"the project ended on {day(case.facts.end - 1)}; apply for a new one" if over else ""


def _suspended(case: Case) -> str:
    return "the project is suspended; ask the operator" if case.facts.suspended else ""


def _not_applied(case: Case) -> str:
    gone = case.facts.account is None and case.facts.now < case.facts.end
    return f"{case.request.account} is not on the cluster yet; {APPLY}" if gone else ""


def _closed(case: Case) -> str:
    account, known = case.facts.account, case.facts.suspended or case.facts.now >= case.facts.end
    return f"the project is closed on the cluster; {APPLY}" if account and not account.open and not known else ""


def _not_begun(case: Case) -> str:
    if case.facts.now < case.facts.start:
        return f"the project starts on {day(case.facts.start)}; the job waits until then"
    return f"the project is held on the cluster; {APPLY}" if case.facts.account and case.facts.account.held else ""


def _too_long(case: Case) -> str:
    limit, most = case.request.limit, case.system.cluster.max_time
    return f"a time limit of {clock(limit)} is longer than {clock(most)}; choose a shorter one" if limit > most else ""


def _no_place(case: Case) -> str:
    request, nodes = case.request, case.system.node_names
    if sites(request, case.system):
        return ""
    wished = [site for site in nodes if request.site in (None, site) and site in (request.sites or nodes)]
    if not wished:
        return f"jobs of {request.account} run at {', '.join(request.sites)} only; choose one of these sites"
    site = max(wished, key=lambda name: len(nodes[name]))
    return (
        f"{request.gpus} GPUs on {request.nodes} nodes are more than a site has, and a job runs at one site; "
        f"at most {len(nodes[site]) * case.system.gpus_per_node} GPUs on {len(nodes[site])} nodes, at {site}"
    )


def _no_qos(case: Case) -> str:
    account = case.facts.account
    missing = account and case.kind == "borrowed" and case.qos not in account.qos
    return f"{case.qos} is not on the cluster yet; {APPLY}" if missing else ""


def _over_grant(case: Case) -> str:
    rest = case.facts.unused
    over = f"it may need {hours(case.cost)}, and {hours(max(0, rest))} of the grant are unused; {LESS}"
    return over if case.cost > rest else ""


def _over_left(case: Case) -> str:
    rest = f"{hours(max(0, case.facts.left))} are left beside the jobs that run and wait"
    over = f"it may need {hours(case.cost)}, and {rest}; it starts when they end and give back what they did not use"
    return over if case.facts.left < case.cost <= case.facts.unused else ""


def _over_month(case: Case) -> str:
    """Larger than all that may have been used by now: no job that ends makes room for it."""
    return f"{_month(case)}; {LESS}" if case.facts.may_use < min(case.cost, case.facts.grant) else ""


def _month_used_up(case: Case) -> str:
    paced = case.facts.may_use < case.facts.grant
    return _month(case) if paced and case.facts.left_now < case.cost <= case.facts.may_use else ""


def _month(case: Case) -> str:
    more = f"; the next come on {day(case.facts.anew)}" if case.facts.anew is not None else ""
    return f"it may need {hours(case.cost)}, and {hours(max(0, case.facts.left_now))} of this month are left{more}"


def _over_cap(case: Case) -> str:
    cap = case.facts.cap
    over = case.kind == "own" and cap is not None and case.gpus > cap
    return f"own jobs of the pool have {cap} GPUs at most; ask for fewer, or borrow (--borrow)" if over else ""


def _cap_in_use(case: Case) -> str:
    cap = case.facts.cap
    if case.kind == "borrowed" or cap is None or not cap - case.facts.own_in_use < case.gpus <= cap:
        return ""
    rest = max(0, cap - case.facts.own_in_use)
    return f"{rest} of the {cap} GPUs of the pool's own jobs are free; wait, or borrow (--borrow)"


def _no_room(case: Case) -> str:
    if case.facts.free is None:
        return "how many GPUs are free is not known at this moment"
    most = max((case.facts.free.get(site, 0) for site in sites(case.request, case.system)), default=case.gpus)
    taken_back = " or borrowed jobs give theirs back" if case.kind == "own" else ""
    return f"{most} GPUs are free at one site; it starts when others end{taken_back}" if most < case.gpus else ""


LIMITS: tuple[tuple[str, Starts, Callable[[Case], str], str], ...] = (  # name, effect, rule, and what must hold
    ("unix-name", "never", _no_unix_name, "whoever runs jobs has a Unix user"),
    ("member", "never", _no_member, "only members of a project run jobs on it"),
    ("access", "never", _no_access, "members have access once the plan is applied"),
    ("ended", "never", _ended, "the project has not ended"),
    ("suspended", "never", _suspended, "the project is not suspended"),
    ("not-applied", "never", _not_applied, "the project is on the cluster"),
    ("closed", "never", _closed, "the cluster takes jobs of the project"),
    ("start", "waits", _not_begun, "the project has begun"),
    ("max-time", "never", _too_long, "no time limit is longer than the longest"),
    ("site", "never", _no_place, "a job fits into one site, one of its project's"),
    ("qos", "never", _no_qos, "the cluster knows borrowed jobs of the pool"),
    ("budget", "never", _over_grant, "the unused grant covers the job"),
    ("budget", "waits", _over_left, "and does so beside the jobs that run and wait"),
    ("month", "never", _over_month, "what may be used by now covers the job (paced projects)"),
    ("month", "waits", _month_used_up, "and does so beside what is used, runs and waits"),
    ("cap", "never", _over_cap, "an own job is no larger than its pool's guaranteed GPUs"),
    ("cap", "waits", _cap_in_use, "and finds enough of them that own jobs do not use"),
    ("room", "waits", _no_room, "a site has enough free GPUs"),
)


def hours(gpu_seconds: int) -> str:
    """GPU-hours for a person, rounded up; two digits for small ones, so that no job costs nothing."""
    if gpu_seconds < 10 * HOUR and gpu_seconds % HOUR:
        return f"{-(-gpu_seconds * 100 // HOUR) / 100:.2f} GPU-hours"
    whole = -(-gpu_seconds // HOUR)
    return f"{whole:,} GPU-hour{'' if whole == 1 else 's'}".replace(",", "\u202f")


def clock(seconds: int) -> str:
    """A span as time limits are written: 36:00:00."""
    return f"{seconds // HOUR}:{seconds % HOUR // 60:02}:{seconds % 60:02}"


def day(instant: int) -> str:
    return iso(instant)[:10]
