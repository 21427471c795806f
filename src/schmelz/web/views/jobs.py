"""Jobs: where they are and why, each in a sentence; what one printed."""

from dataclasses import dataclass
from hashlib import sha256
from typing import get_args
from zoneinfo import ZoneInfo

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from schmelz.cluster.desired import borrow, own
from schmelz.cluster.model import Job, JobState
from schmelz.operate import cluster
from schmelz.operate.expected import Start, expected
from schmelz.policy.schema import Factory
from schmelz.portal.clock import now
from schmelz.portal.people.models import Person
from schmelz.portal.policy import factory
from schmelz.portal.projects.models import Project
from schmelz.portal.projects.queries import visible_to
from schmelz.portal.projects.states import ProjectState
from schmelz.rules.permissions import Permission
from schmelz.units import iso, local_date, span
from schmelz.web.guard import needs, signed_in
from schmelz.web.listing import as_csv, of_rows, wants_csv
from schmelz.web.words import MINUTE, clock_time, counted, distance, short_day

LIGHTS: dict[str, str] = {
    "PENDING": "",
    "RUNNING": "warn",
    "COMPLETED": "ok",
    "FAILED": "stop",
    "TIMEOUT": "stop",
    "CANCELLED": "",
    "NODE_FAIL": "stop",
}
STATES: dict[str, str] = {
    "PENDING": "waits",
    "RUNNING": "runs",
    "COMPLETED": "done",
    "FAILED": "failed",
    "TIMEOUT": "out of time",
    "CANCELLED": "cancelled",
    "NODE_FAIL": "node failed",
}


@dataclass(frozen=True)
class Row:
    """A job with its state in words and its story in a sentence; the attributes that lists filter by."""

    job: Job
    state: str
    shown: str
    light: str
    sentence: str
    project: str


@needs(Permission.PROJECT_READ, rows=True)
def every(request: HttpRequest) -> HttpResponse:
    """The list; asked again by the page itself, it answers only when something changed."""
    person, whole = signed_in(request), wants_csv(request)
    policy, moment = factory(), now()
    jobs = cluster.list_jobs(person)
    foreseen = expected(jobs)
    rows = [row_of(policy, job, moment, foreseen.get(job.job)) for job in jobs]
    projects = sorted(
        {row.project for row in rows} | ({request.GET["project"]} if request.GET.get("project") else set())
    )
    found = of_rows(
        request,
        rows,
        choices={"state": get_args(JobState), "project": projects},
        whole=whole,
        searched=lambda row: f"{row.job.job} {row.project} {row.job.user} {row.sentence}",
    )
    if whole:
        return _csv([row.job for row in found.rows])
    seen = sha256(repr([(row.job.job, row.sentence) for row in found.rows]).encode()).hexdigest()[:16]
    if request.headers.get("HX-Request") and request.GET.get("seen") == seen:
        return HttpResponse(status=204)
    return render(
        request,
        "web/jobs.html",
        {
            "listing": found,
            "rows": found.rows,
            "seen": seen,
            "states": [(s, STATES[s]) for s in get_args(JobState)],
            "projects": projects,
            "submits": _may_submit(person),
        },
    )


def _may_submit(person: Person) -> list[Project]:
    """The projects on which this person can submit now."""
    mine = Project.objects.filter(memberships__person=person, end__gt=now()).exclude(state=ProjectState.ENDED)
    return list(mine.order_by("code"))


def _csv(jobs: list[Job]) -> HttpResponse:
    return as_csv(
        "jobs",
        (
            "job",
            "project",
            "user",
            "state",
            "gpus",
            "nodes",
            "limit_s",
            "site",
            "submitted",
            "started",
            "ended",
            "reason",
        ),
        [
            (
                j.job,
                j.account,
                j.user,
                j.state,
                j.gpus,
                j.nodes,
                j.limit,
                j.site or "",
                iso(j.submitted),
                "" if j.started is None else iso(j.started),
                "" if j.ended is None else iso(j.ended),
                j.reason,
            )
            for j in jobs
        ],
    )


def row_of(policy: Factory, job: Job, moment: int, foreseen: Start | None = None) -> Row:
    words = sentence(policy, job, moment, foreseen)
    return Row(job, job.state, STATES[job.state], LIGHTS[job.state], words, job.account)


def is_borrowed(policy: Factory, job: Job) -> bool:
    """Whether the job was submitted on what others do not need: it may be pre-empted."""
    return job.qos in {borrow(pool.account) for system in policy.systems for pool in system.pools}


def sentence(policy: Factory, job: Job, moment: int, foreseen: Start | None = None) -> str:
    """Where the job is and why, and when it is likely to start."""
    zone, gpus = policy.zone, counted(job.gpus, "borrowed GPU" if is_borrowed(policy, job) else "GPU")
    at = f" in {_site(policy, job.site)}" if job.site else ""
    because = f": {job.reason}" if job.reason else ""
    if job.state == "PENDING" or job.started is None:
        likely = f", {start_said(foreseen, moment, zone)}{_share(policy, job)}" if foreseen else ""
        return f"Waits for {gpus}{at}{because}{likely}" if job.state == "PENDING" else f"Ended before it began{because}"
    if job.state == "RUNNING":
        latest = clock_time(job.started + job.limit, zone)
        return f"Runs on {gpus}{at} since {clock_time(job.started, zone)}, until {latest} at the latest"
    ran = span((job.ended or moment) - job.started)
    return f"{_END[job.state]} after {ran} on {gpus}{at}{_when(job, zone, moment)}{because}"


def _share(policy: Factory, job: Job) -> str:
    """On whose GPUs it will run, where the job says so; a borrowed one was said to be."""
    if is_borrowed(policy, job):
        return ""
    accounts = {pool.account for system in policy.systems for pool in system.pools}
    return ", runs on your own share" if job.qos in {own(account) for account in accounts} else ""


def start_said(start: Start, moment: int, zone: ZoneInfo) -> str:
    """expected 14:20 to 15:40; with the days where it is not today."""
    if start.low is None:
        return "not expected to start within fourteen days"
    first, last = _clock(start.low, moment, zone), "" if start.high is None else _clock(start.high, moment, zone)
    if start.low <= moment + MINUTE and start.high is not None and start.high <= moment + MINUTE:
        return "expected to start within a minute"
    return (
        f"expected from {first} on"
        if start.high is None
        else f"expected {first}{'' if first == last else f' to {last}'}"
    )


def _clock(instant: int, moment: int, zone: ZoneInfo) -> str:
    clock = clock_time(instant, zone)
    return clock if local_date(instant, zone) == local_date(moment, zone) else f"{short_day(instant, zone)}, {clock}"


_END: dict[str, str] = {
    "COMPLETED": "Done",
    "FAILED": "Failed",
    "TIMEOUT": "Stopped at its time limit",
    "CANCELLED": "Cancelled",
    "NODE_FAIL": "Its node failed",
}


def _when(job: Job, zone: ZoneInfo, moment: int) -> str:
    return "" if job.ended is None else f", {distance(job.ended, moment, zone)}".replace(", now", ", just now")


def _site(policy: Factory, site: str) -> str:
    return next((s.title for s in policy.sites if s.id == site), site)


@needs(Permission.PROJECT_READ, rows=True)
def one(request: HttpRequest, job: str) -> HttpResponse:
    person, policy = signed_in(request), factory()
    found = next((j for j in cluster.list_jobs(person) if j.job == job), None)
    if found is None:
        raise Http404(f"job: {job!r} is not known, or not of a project of yours")
    title = visible_to(policy, person).filter(code=found.account).values_list("title", flat=True).first()
    return render(
        request,
        "web/job.html",
        {
            "row": row_of(policy, found, now(), expected([found]).get(job)),
            "job": found,
            "title": title or "",
            "output": cluster.job_output(person, job),
            "section": "jobs",
            "borrowed": is_borrowed(policy, found),
            "over": found.state not in ("PENDING", "RUNNING"),
        },
    )
