"""Checking the closed months of an export: order, heads, signatures, frozen files, and the figures that follow from them.

A *finding* is a line that names file and place. The chain of events says which months were closed with which heads and
who countersigned them; a month that is changed, moved, put in or taken out stands against it and against its own head.
Whoever makes all of it anew, the chain too, makes other heads: against that, the owners keep theirs (`verify --head`).
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from schmelz.proof.chain import GENESIS
from schmelz.proof.closing import (
    EVENTS,
    TOTALS,
    changed,
    keys,
    of_month,
    pending,
    read_frozen,
    read_totals,
    totals,
    use_by_day,
)
from schmelz.proof.differences import in_rows
from schmelz.proof.facts import CLOSED, CLOSINGS, INPUTS, PENDING, Facts
from schmelz.proof.heads import Closing, Countersigned, following, head, read_line

CLOSE, SIGN = "month.close", "month.countersign"


def readable(directory: Path) -> list[Closing]:
    """The closings of an export that can be read; what cannot is found by `_order`."""
    return [closing for closing in _lines(directory) if isinstance(closing, Closing)]


def _lines(directory: Path) -> Iterator[Closing | str]:
    """Each line of closings.jsonl, or what is wrong with it."""
    path = directory / CLOSINGS
    texts = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    for number, text in enumerate(texts, start=1):
        try:
            yield read_line(text)
        except (ValueError, KeyError, TypeError, RecursionError):
            yield f"{CLOSINGS}: line {number}: is no closing"


def _order(directory: Path, facts: Facts, _: Mapping[str, Any]) -> Iterator[str]:
    """One month after the other, each with the head before, each head made of what it stands for."""
    previous, last = GENESIS, None
    for number, closing in enumerate(_lines(directory), start=1):
        if isinstance(closing, str):
            yield closing
            continue
        where = f"{CLOSINGS}: line {number}: {closing.month}"
        if last is not None and closing.month != following(last):
            yield f"{where}: follows {last}; after that comes {following(last)}"
        if closing.previous != previous:
            yield f"{where}: the head before it is claimed as {closing.previous}, it is {previous}"
        if {*closing.inputs} != {*INPUTS, EVENTS} or {*closing.totals} != {*TOTALS}:
            yield f"{where}: does not stand for the files of a closed month"
        ours = head(closing.month, closing.previous, closing.inputs, closing.totals)
        if closing.head != ours:
            yield f"{where}: its head is claimed as {closing.head}, recomputed {ours}"
        previous, last = closing.head, closing.month


def _in_chain(directory: Path, facts: Facts, _: Mapping[str, Any]) -> Iterator[str]:
    """The months that the chain says were closed are there with the same heads, right after the events they name."""
    closed = _events(facts, CLOSE)
    for closing in readable(directory):
        where, event = f"{CLOSINGS}: {closing.month}", closed.pop(closing.month, None)
        if event is None:
            yield f"{where}: the chain knows no such closing"
            continue
        if _data(event).get("head") != closing.head:
            yield f"{where}: its head is {closing.head}, in the chain {_data(event).get('head')}"
        before = _before(facts, event)
        if closing.inputs.get(EVENTS) != before:
            yield f"{where}: names {closing.inputs.get(EVENTS)} as the event before it; in the chain it is {before}"
    yield from (f"{CLOSINGS}: {month}: was closed but is missing" for month in sorted(closed))


def _signatures(directory: Path, facts: Facts, _: Mapping[str, Any]) -> Iterator[str]:
    """Who countersigned is who did in the chain: the head as it is, the roles of the policy, each another person."""
    signed: dict[str, dict[Countersigned, str]] = {}
    for event, _hash in facts.events:
        if event["kind"] == SIGN:
            signature = Countersigned(str(_data(event).get("role")), str(event["actor"]))
            signed.setdefault(_month(event), {})[signature] = str(_data(event).get("head"))
    for closing in readable(directory):
        known = signed.pop(closing.month, {})
        for one in closing.signatures:
            if known.pop(one, None) != closing.head:
                yield f"{CLOSINGS}: {closing.month}: the chain knows no signature of {one.signer} as {one.role} under its head"
        for one in known:
            yield f"{CLOSINGS}: {closing.month}: the signature of {one.signer} as {one.role} is missing"
        for name in ("role", "signer"):
            if len({getattr(one, name) for one in closing.signatures}) < len(closing.signatures):
                yield f"{CLOSINGS}: {closing.month}: one {name} signed twice"


def _frozen(directory: Path, facts: Facts, _: Mapping[str, Any]) -> Iterator[str]:
    """Frozen files are as they were closed, and every total follows from the inputs."""
    for closing in readable(directory):
        where = f"{CLOSED}/{closing.month}"
        yield from (f"{where}/{said}" for said in changed(closing, directory / where))
        try:
            inputs = read_frozen(directory / where, closing.month)
        except Exception as error:  # whatever somebody wrote into them
            yield f"{where}: the inputs cannot be read: {str(error).splitlines()[0]}"
            continue
        if (beside := inputs.runs.height - of_month(inputs, closing.month).runs.unique(maintain_order=True).height) > 0:
            yield f"{where}/runs.csv: {beside} runs stand there twice or do not touch the month"
        roles = [one.role for one in closing.signatures]
        for role in sorted({*roles} - {*inputs.factory.closing_signers}):
            yield f"{CLOSINGS}: {closing.month}: {role} does not countersign, by the policy of the month"
        yield from _totals(directory / where, where, totals(inputs, closing.month))


def _totals(directory: Path, where: str, ours: Mapping[str, Any]) -> Iterator[str]:
    for name, frame in ours.items():
        try:
            claimed = read_totals(directory, name)
        except Exception as error:
            yield f"{where}/{name}: cannot be read: {str(error).splitlines()[0]}"
            continue
        yield from in_rows(f"{where}/{name}", keys(name), claimed, frame)


def _corrections(directory: Path, facts: Facts, manifest: Mapping[str, Any]) -> Iterator[str]:
    """For each day of a closed month: what the records say today = frozen + booked + pending."""
    closings = readable(directory)
    if not closings and PENDING not in manifest["files"]:
        return
    months = [closing.month for closing in closings]
    booked = TOTALS[-1]
    for closing in closings:
        for month in read_totals(directory / CLOSED / closing.month, booked)["closed_month"].unique().sort():
            if month not in months or month >= closing.month:
                yield f"{CLOSED}/{closing.month}/{booked}: corrects {month}, which was not closed before"
    ours = pending(use_by_day(facts), closings, directory / CLOSED)
    yield from in_rows(PENDING, keys(booked), read_totals(directory, PENDING), ours)


def _events(facts: Facts, kind: str) -> dict[str, Mapping[str, object]]:
    return {_month(event): event for event, _ in facts.events if event["kind"] == kind}


def _month(event: Mapping[str, object]) -> str:
    return str(event["subject"]).partition(":")[2]


def _data(event: Mapping[str, object]) -> dict[str, Any]:
    said = json.loads(str(event["data"]))
    return said if isinstance(said, dict) else {}


def _before(facts: Facts, event: Mapping[str, object]) -> str:
    """The hash of the event before."""
    before = GENESIS
    for one, hashed in facts.events:
        if one is event:
            break
        before = hashed
    return before


CHECKS = (_order, _in_chain, _signatures, _frozen, _corrections)
