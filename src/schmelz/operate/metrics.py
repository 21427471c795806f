"""Figures for monitoring, in the text format that Prometheus reads. From the database alone: a scrape asks no cluster.

Ages are whole seconds. What never happened has no line, so that an alarm for a missing line is possible.
Source of the format: Prometheus, "Text-based format"; names end with their unit as its manual asks.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from django.db.models import Count, Max, Min, Q
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, Gauge, generate_latest

from schmelz.operate.reconcile import Compared, compared
from schmelz.portal.clock import now
from schmelz.portal.clusters.models import Comparison, Mandate, Move
from schmelz.portal.clusters.states import MandateState
from schmelz.portal.ledger.models import Closing, Event
from schmelz.portal.people.models import Letter
from schmelz.portal.policy import factory
from schmelz.portal.usage.models import Quarantined, Reading
from schmelz.proof.closing import period

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
ENDS = {"plan.applied": "applied", "plan.failed": "failed"}
Values = Iterable[tuple[tuple[str, ...], int]]


class Figure(NamedTuple):
    """A gauge: its name, what it says, its labels, and where its values come from."""

    name: str
    says: str
    labels: tuple[str, ...]
    values: Callable[[], Values]


def text() -> bytes:
    """All figures as one answer to a scrape."""
    registry = CollectorRegistry()
    for figure in FIGURES:
        gauge = Gauge(figure.name, figure.says, figure.labels, registry=registry)
        for labels, value in figure.values():
            (gauge.labels(*labels) if labels else gauge).set(value)
    return generate_latest(registry)


def _drift() -> Values:
    for found in Comparison.objects.order_by("system"):
        counts: Mapping[str, int] = found.counts
        yield from (((found.system, kind), count) for kind, count in sorted(counts.items()))


def _comparisons() -> Values:
    return [((system,), now() - at) for system, at in Comparison.objects.order_by("system").values_list("system", "at")]


def _readings() -> Values:
    rows = Reading.objects.order_by("system").values_list("system").annotate(Max("at"))
    return [((system,), now() - at) for system, at in rows]


def _compared() -> list[tuple[str, Compared]]:
    return [(system.id, found) for system in factory().systems if (found := compared(system))]


def _second_path() -> Values:
    return [((system,), found.gpu_s) for system, found in _compared()]


def _second_path_age() -> Values:
    return [((system,), now() - found.at) for system, found in _compared()]


def _closed() -> Values:
    zone, last = factory().zone, Closing.objects.last()
    return [] if last is None else [((last.month,), max(0, now() - period(last.month, zone).end))]


def _quarantined() -> Values:
    return [((), Quarantined.objects.count())]


def _letters() -> Values:
    return [((), Letter.objects.filter(sent=None).count())]


def _oldest_letter() -> Values:
    oldest = Letter.objects.filter(sent=None).aggregate(oldest=Min("written"))["oldest"]
    return [((), 0 if oldest is None else now() - oldest)]


def _applies() -> Values:
    """The last apply of each system: how it ended, and how long ago that was."""
    last = Event.objects.filter(kind__in=ENDS).order_by("subject").values_list("subject").annotate(Max("seq"))
    events = Event.objects.filter(seq__in=[seq for _, seq in last]).order_by("subject")
    return [((e.subject.partition(":")[2], ENDS[e.kind]), now() - e.at) for e in events]


def _mandates() -> Values:
    holds = Q(state=MandateState.SIGNED, start__lte=now(), expires__gt=now())
    rows = Mandate.objects.order_by("system").values_list("system").annotate(n=Count("pk", filter=holds))
    return [((system,), count) for system, count in rows]


def _moves() -> Values:
    rows = Move.objects.order_by("mandate__system").values_list("mandate__system").annotate(Max("at"))
    return [((system,), now() - at) for system, at in rows]


FIGURES = (
    Figure("schmelz_drift", "Differences between cluster and decisions at the last look.", ("system", "kind"), _drift),
    Figure("schmelz_drift_age_seconds", "Since the last look for drift.", ("system",), _comparisons),
    Figure("schmelz_reading_age_seconds", "Since job records last brought news.", ("system",), _readings),
    Figure("schmelz_quarantined_lines", "Lines of job records that could not be read.", (), _quarantined),
    Figure("schmelz_unexplained_gpu_seconds", "Of our sums against Slurm's own.", ("system",), _second_path),
    Figure("schmelz_reconcile_age_seconds", "Since our sums were held against Slurm's.", ("system",), _second_path_age),
    Figure("schmelz_closing_age_seconds", "Since the end of the last closed month.", ("month",), _closed),
    Figure("schmelz_letters_waiting", "Letters in the outbox.", (), _letters),
    Figure("schmelz_letter_age_seconds", "How long the oldest letter has waited.", (), _oldest_letter),
    Figure("schmelz_apply_age_seconds", "Since the last apply, by how it ended.", ("system", "state"), _applies),
    Figure("schmelz_mandates_in_force", "Mandates of steering that hold now.", ("system",), _mandates),
    Figure("schmelz_move_age_seconds", "Since steering last moved a cap.", ("system",), _moves),
)
