"""Metrics: every figure from the database, in the format that monitoring reads, for people and for the token."""

import pytest
from django.db import transaction
from prometheus_client.parser import text_string_to_metric_families

from schmelz.operate import metrics
from schmelz.portal.clock import at, now
from schmelz.portal.clusters.choices import keep_comparison
from schmelz.portal.ledger.actions import record
from schmelz.portal.people.actions import write_letter
from schmelz.portal.usage.models import Quarantined, Reading


def _figures() -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(metrics.text().decode())
    found = [sample for family in families for sample in family.samples]
    return {(s.name, *(value for _, value in sorted(s.labels.items()))): s.value for s in found}


def test_an_empty_factory_has_only_the_counts(portal) -> None:
    names = {"schmelz_quarantined_lines", "schmelz_letters_waiting", "schmelz_letter_age_seconds"}
    assert _figures() == {(name,): 0 for name in names}


def test_what_happened_is_told_with_its_age(cast) -> None:
    moment = now()
    with at(moment - 90), transaction.atomic():
        keep_comparison(cast.system, {"by_hand": 2, "missing": 0}, ["a", "b"])
        reading = Reading.objects.create(
            at=now(), source="x", system=cast.system.id, lines=2, added=1, replaced=0, quarantined=1
        )
        Quarantined.objects.create(reading=reading, line=2, reason="?", text="")
        record("plan.failed", f"system:{cast.system.id}", cast.gilles)
    with at(moment - 30), transaction.atomic():
        record("plan.applied", f"system:{cast.system.id}", cast.gilles)
        write_letter(cast.anna, "Hello", "...", "x")
    with at(moment):
        found, system = _figures(), cast.system.id
    assert found == {
        ("schmelz_drift", "by_hand", system): 2,
        ("schmelz_drift", "missing", system): 0,
        ("schmelz_drift_age_seconds", system): 90,
        ("schmelz_reading_age_seconds", system): 90,
        ("schmelz_quarantined_lines",): 1,
        ("schmelz_letters_waiting",): 1,
        ("schmelz_letter_age_seconds",): 30,
        ("schmelz_apply_age_seconds", "applied", system): 30,
    }


def test_a_scrape_asks_no_cluster_and_few_questions(cast, monkeypatch, django_assert_max_num_queries) -> None:
    monkeypatch.setattr("schmelz.operate.cluster.backend", lambda system: pytest.fail("a scrape asked the cluster"))
    with django_assert_max_num_queries(10):
        metrics.text()


def test_who_reads_them(cast, client, monkeypatch) -> None:
    def status(**headers: str) -> int:
        return client.get("/metrics", headers=headers).status_code

    assert (status(), status(Authorization="Bearer ")) == (302, 403)
    monkeypatch.setenv("SCHMELZ_METRICS_TOKEN", "")
    assert status(Authorization="Bearer ") == 403
    monkeypatch.setenv("SCHMELZ_METRICS_TOKEN", "tell-me")
    assert (status(Authorization="Bearer tell-you"), status(Authorization="Bearer tell-me")) == (403, 200)
    client.force_login(cast.anna)
    assert status() == 403
    client.force_login(cast.gilles)
    answer = client.get("/metrics")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
