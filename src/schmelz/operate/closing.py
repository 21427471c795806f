"""Closing months and countersigning them: who may, when a month can be closed, and in which order things are written.

The files of a month are written aside, synced and renamed before its row is committed; a directory without a row is what
a crash left, and the next try replaces it. All other writers of the ledger wait meanwhile, so that the frozen facts, the
last event before and the row belong together. Words and formula of the head: `proof.closing`, `proof.heads`.
"""

import os
import shutil
import tempfile
from pathlib import Path

import polars as pl
from django.db import transaction
from django.db.models import Max

from schmelz.faults import Refused
from schmelz.metering import store, sums
from schmelz.metering.attribute import with_pools
from schmelz.metering.runs import is_open
from schmelz.operate.hand_out import closed_directory, gather
from schmelz.operate.reading import sees_everything
from schmelz.policy.schema import Factory
from schmelz.portal.clock import now
from schmelz.portal.ledger import actions as ledger
from schmelz.portal.ledger.models import Closing, Countersignature
from schmelz.portal.ledger.queries import closed, closing, closings, head as last_event
from schmelz.portal.people.actions import write_letter
from schmelz.portal.people.models import Person
from schmelz.portal.people.queries import general_relations, holders, roles
from schmelz.portal.policy import factory
from schmelz.portal.projects.models import Project
from schmelz.portal.projects.queries import visible_to
from schmelz.portal.usage.models import Quarantined, Reading
from schmelz.portal.usage.queries import manifest, records_directory
from schmelz.proof import closing as proof
from schmelz.proof.closing import CORRECTIONS, of_month, period, touches, use
from schmelz.proof.heads import Closing as Closed, check_month, check_order
from schmelz.rules.permissions import Permission, Relation, require
from schmelz.units import Period, iso

# -- closing


@transaction.atomic
def close(month: str, person: Person) -> Closing:
    """Freeze a month that is over. Raises BadInput for what is no month, Refused when it cannot be closed now."""
    policy = factory()
    span = period(check_month(month), policy.zone)
    ledger.hold()
    require(Permission.CLOSING_CLOSE, _relations(policy, person), person.name)
    previous = check_order(month, _closed())
    _check_over(month, span)
    _check_read(policy, span)
    for row in closings():
        _check_unchanged(row)
    frozen = of_month(gather(_runs(span)), month)
    aside = _aside(month)
    try:
        done = proof.freeze(frozen, month, pending(), previous, last_event()[1], aside)
        _put(aside, closed_directory() / month)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    row = ledger.keep_closing(done, policy.closing_signers, person)
    _tell(row)
    return row


def _relations(policy: Factory, person: Person) -> set[Relation]:
    return general_relations(person, roles(person), policy.main_system.operator)


def _closed() -> tuple[Closed, ...]:
    return tuple(map(closed, closings()))


def _check_over(month: str, span: Period) -> None:
    if now() < span.end:
        raise Refused(f"{month} is not over.", f"It can be closed from {iso(span.end)} on.")


def _check_read(policy: Factory, span: Period) -> None:
    """Each system's records were read after the month had ended."""
    newest = dict(Reading.objects.order_by().values_list("system").annotate(Max("at")))
    read = [s for s in policy.systems if s.id in newest or (s.cluster.backend != "none" and s.state == "in-service")]
    for system in read:
        if newest.get(system.id, 0) < span.end and system.state != "retired":
            last = f"; the last reading was at {iso(newest[system.id])}" if system.id in newest else ""
            raise Refused(f"the records of {system.title} do not reach to {iso(span.end)}{last}.", "Read them first.")


def _check_unchanged(row: Closing) -> None:
    if faults := list(proof.changed(closed(row), closed_directory() / row.month)):
        raise Refused(f"closed/{row.month}/{faults[0]}.", "Restore the frozen files from the backup.")


def _runs(span: Period) -> pl.DataFrame:
    """The runs that touch the span, month of submission by month: memory does not grow with the years."""
    files = manifest()
    return pl.concat(store.load(records_directory(), files, [one]).filter(touches(span)) for one in ["", *files])


def _aside(month: str) -> Path:
    closed_directory().mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f".{month}-", dir=closed_directory()))


def _put(aside: Path, place: Path) -> None:
    if place.exists():
        shutil.rmtree(place)
    aside.rename(place)
    handle = os.open(place.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _tell(row: Closing) -> None:
    body = (
        f"{row.month} is closed. Its head, which stands for all its facts and figures and for the months before it, is\n\n"
        f"  {row.head}\n\nCheck it (schmelz export, schmelz verify), countersign it (schmelz countersign {row.month} "
        f"--head {row.head}) and keep it (schmelz head {row.month}).\n"
    )
    for role in row.signers:
        for holder in holders(role):
            write_letter(holder, f"{row.month} is closed", body, f"month:{row.month}")


def open_runs(row: Closing) -> int:
    """How many runs the records called running though nothing is known of them up to the month's end."""
    frozen = proof.read_frozen(closed_directory() / row.month, row.month)
    return frozen.runs.filter(is_open() & (pl.col("start") + pl.col("elapsed") < frozen.as_of)).height


def quarantined() -> int:
    """How many lines could not be read, so that they are in no month."""
    return Quarantined.objects.count()


# -- countersigning


@transaction.atomic
def countersign(month: str, person: Person, held: str | None = None) -> Countersignature:
    """Somebody says that they hold this month's head. Raises Refused for another head and for changed files."""
    ledger.hold()
    row = closing(check_month(month))
    role = _turn(row, person)
    if held is not None and held != row.head:
        raise Refused(f"the head of {month} is {row.head}, not {held}.", "Find out who gave you another one.")
    _check_unchanged(row)
    return ledger.keep_countersignature(row, role, person)


def _turn(row: Closing, person: Person) -> str:
    """The role that the person signs for. Raises Refused; nobody signs twice."""
    signed = {one.role: one.person_id for one in row.signatures.all()}
    if person.pk in signed.values():
        raise Refused(f"{person.name} has signed {row.month}.", "Each signature is another person's.")
    mine: list[str] = [role for role in row.signers if role in roles(person)]
    waiting: list[str] = [role for role in mine if role not in signed]
    if mine and not waiting:
        raise Refused(f"{row.month} is signed for {' and '.join(mine)}.", "Nothing is left to sign.")
    related = _relations(factory(), person) | ({Relation.NEXT_SIGNER} if waiting else set())
    require(Permission.CLOSING_SIGN, related, person.name)
    return waiting[0]


# -- asking


def facts(row: Closing) -> dict[str, object]:
    """A closed month for JSON: totals in GPU-seconds, corrections booked in it, who signs and who signed."""
    directory = closed_directory() / row.month
    used = proof.read_totals(directory, proof.USAGE).select(pl.col(proof.USED).sum()).row(0, named=True)
    signed = {one.role: one.person.handle if one.person else "forgotten" for one in row.signatures.all()}
    return {
        "month": row.month,
        "head": row.head,
        "previous": row.previous,
        "inputs": row.inputs,
        "totals": {**used, "files": row.totals},
        "corrections": plain(proof.read_totals(directory, CORRECTIONS)),
        "signers": [{"role": role, "person": signed.get(role)} for role in row.signers],
    }


def head_to_keep(month: str) -> dict[str, object]:
    """What an owner keeps of a closed month."""
    row = closing(check_month(month))
    signatures = [{"role": s.role, "signer": s.commitment, "at": iso(s.at)} for s in row.signatures.all()]
    return {"month": row.month, "head": row.head, "previous": row.previous, "signatures": signatures}


def pending() -> pl.DataFrame:
    """What the records say today about closed months beyond what is frozen and booked."""
    if not (done := _closed()):
        return pl.DataFrame(schema=proof.SCHEMAS[CORRECTIONS])
    policy, projects = factory(), dict(Project.objects.values_list("code", "pool"))
    rows = with_pools(sums.load(records_directory(), manifest(), policy), policy, projects)
    return proof.pending(use(rows), done, closed_directory())


def booked() -> pl.DataFrame:
    """The corrections that closings booked, each with the month it was booked in."""
    frames = [
        proof.read_totals(closed_directory() / row.month, CORRECTIONS).with_columns(booked_in=pl.lit(row.month))
        for row in closings()
    ]
    schema = {**proof.SCHEMAS[CORRECTIONS], "booked_in": pl.String()}
    return pl.concat([pl.DataFrame(schema=schema), *frames])


def corrections(person: Person | None) -> dict[str, list[dict[str, object]]]:
    """Pending and booked corrections; of the person's own projects where they may not see all."""
    policy = factory()
    found = {"pending": pending(), "booked": booked()}
    if not sees_everything(policy, person):
        codes = list(visible_to(policy, person).values_list("code", flat=True))
        found = {name: frame.filter(pl.col("project").is_in(codes)) for name, frame in found.items()}
    return {name: plain(frame) for name, frame in found.items()}


def plain(frame: pl.DataFrame) -> list[dict[str, object]]:
    """Rows for JSON: days as ISO dates."""
    return frame.with_columns(pl.col("day").cast(pl.String)).to_dicts()
