"""A small machine's facts over four months, and months that are closed one after the other."""

from dataclasses import asdict, replace
from datetime import date
from pathlib import Path

import polars as pl

import make
from schmelz.metering.runs import latest
from schmelz.metering.supply import Outage
from schmelz.metering.usage import Attributes
from schmelz.proof.chain import GENESIS, canonical, commitment, link
from schmelz.proof.closing import freeze, of_month, pending, use_by_day
from schmelz.proof.facts import PROJECT_COLUMNS, Facts
from schmelz.proof.heads import Closing, Countersigned, check_order
from schmelz.units import DAY

ACADEMIC = Attributes("p1", date(2026, 1, 5), "LU", "m", "academia", "", False, False, "Uni")
MONTHS = ("2026-02", "2026-03", "2026-04")
FEBRUARY, MARCH, APRIL, MAY = 1769900400, 1772319600, 1774994400, 1777586400  # as they begin in Luxembourg


def facts(closed: Path) -> Facts:
    """Two projects and strangers; runs in each month, over midnight and over the end of a month; a node that was down."""
    rows = [
        {
            "job": f"{n}{begin // DAY}",
            "account": account,
            "start": begin + n * 40000,
            "elapsed": 30000 + n,
            "nodes": node,
        }
        for begin in (FEBRUARY, MARCH, APRIL)
        for n, (account, node) in enumerate((("p1", "n01"), ("p2", "s01"), ("strangers", "n02"), ("p1", "s02")))
    ]
    rows.append({"job": "900", "account": "p2", "start": MARCH - 7000, "elapsed": 20000, "nodes": "s02", "gpus": 2})
    factory = make.factory()
    projects = [(f"p{n}", make.SYSTEM, pool, 360000, 1, 2 * 10**9) for n, pool in ((1, "eurohpc"), (2, "national"))]
    empty = Facts(
        factory=factory,
        projects=pl.DataFrame(projects, schema=PROJECT_COLUMNS, orient="row"),
        runs=make.runs(*rows),
        outages=(Outage(make.SYSTEM, "n02", "down", FEBRUARY + 500000, MARCH + 5000),),
        events=(),
        as_of=MAY + DAY,
        closed=closed,
        attributes=(ACADEMIC, replace(ACADEMIC, project="p2", country="DE")),
    )
    for row, pool in zip(empty.attributes, ("eurohpc", "national"), strict=True):
        award = {"pool": pool, "gpu_s": 360000, "start": 1, "end": 2 * 10**9}
        said = {**asdict(row), "since": row.since.isoformat()}
        del said["project"]
        empty = event(empty, "project.open", f"project:{row.project}", "", **award, attributes=said)
    return empty


def now_counts_as(facts: Facts, project: str, since: date, **changes: object) -> Facts:
    """The facts after somebody said what a project counts as from a day on."""
    before = [row for row in facts.attributes if row.project == project][-1]
    rows = sorted(
        (*facts.attributes, replace(before, since=since, **changes)), key=lambda row: (row.project, row.since)
    )
    facts = event(facts, "project.attributes", f"project:{project}", "", since=since.isoformat(), **changes)
    return replace(facts, attributes=tuple(rows))


def event(facts: Facts, kind: str, subject: str, actor: str, **data: object) -> Facts:
    """One more event at the end of the chain."""
    said = {"seq": len(facts.events) + 1, "at": 1, "kind": kind, "subject": subject, "actor": actor}
    said |= {"because": "", "data": canonical(data)}
    return replace(facts, events=(*facts.events, (said, link(last_event(facts), said))))


def last_event(facts: Facts) -> str:
    return facts.events[-1][1] if facts.events else GENESIS


def closed_month(facts: Facts, month: str) -> Facts:
    """The facts after the month was closed, and countersigned by two."""
    booked = pending(use_by_day(facts), facts.closings, facts.closed)
    previous = check_order(month, facts.closings)
    (facts.closed / month).mkdir(parents=True)
    done = freeze(of_month(facts, month), month, booked, previous, last_event(facts), facts.closed / month)
    facts = event(facts, "month.close", f"month:{month}", "", head=done.head, previous=previous)
    signed = []
    for number, role in enumerate(facts.factory.closing_signers[:2]):
        signed.append(Countersigned(role, commitment("salt", f"owner{number}")))
        facts = event(facts, "month.countersign", f"month:{month}", signed[-1].signer, head=done.head, role=role)
    closing = Closing(month, previous, done.inputs, done.totals, done.head, tuple(signed))
    return replace(facts, closings=(*facts.closings, closing))


def late(facts: Facts, *runs: dict[str, object]) -> Facts:
    """The facts after records of these runs came in: of new ones, and of known ones with another word."""
    return replace(facts, runs=latest([facts.runs, make.runs(*({"submit": 1, **run} for run in runs))]))


def year(closed: Path) -> Facts:
    """Three closed months; a late run of February is booked in March, another of March in April, one is pending."""
    now = closed_month(facts(closed), "2026-02")
    now = closed_month(late(now, {"job": "late1", "account": "p1", "start": FEBRUARY + 90, "elapsed": 7}), "2026-03")
    now = now_counts_as(now, "p1", date(2026, 4, 2), category="industry", commercial=True)
    now = closed_month(late(now, {"job": "late2", "account": "p2", "start": MARCH + 90, "elapsed": 9}), "2026-04")
    return late(now, {"job": "late3", "account": "p1", "start": MARCH + 90, "elapsed": 11})
