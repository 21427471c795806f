"""The one table of permissions: complete, alphabetical, and equal to its page."""

from pathlib import Path

import pytest

from schmelz.faults import Refused
from schmelz.rules.permissions import NAMES, PERMISSIONS, Permission, Relation, matrix, may, require

GOLDEN = Path(__file__).parent.parent / "golden/permissions.md"


def test_every_permission_has_a_rule_and_the_table_is_alphabetical() -> None:
    assert list(PERMISSIONS) == list(Permission) == sorted(Permission, key=str)


def test_every_rule_is_a_sentence_and_grants_somebody() -> None:
    for rule in PERMISSIONS.values():
        assert rule.sentence[0].isupper() and rule.sentence.endswith(".") and rule.granted_to


def test_every_relation_has_a_name() -> None:
    assert list(NAMES) == list(Relation)


def test_the_page_is_as_it_was_agreed() -> None:
    """Whoever changes the table changes this file too, where a reviewer sees the whole of it."""
    assert matrix() == GOLDEN.read_text()


@pytest.mark.parametrize("permission", Permission)
def test_exactly_the_relations_of_the_rule_grant_it(permission: Permission) -> None:
    granted = {relation for relation in Relation if may(permission, [relation])}
    assert granted == PERMISSIONS[permission].granted_to
    assert may(permission, list(Relation))
    assert not may(permission, [])


def test_a_refusal_names_who_may() -> None:
    require(Permission.PLAN_APPLY, [Relation.SIGNED_IN, Relation.OPERATOR], "Gilles")
    with pytest.raises(Refused) as refused:
        require(Permission.JOB_SUBMIT, [Relation.SIGNED_IN], "Franco")
    assert refused.value.because == "Franco may not: submit jobs on a project's GPU-hours."
    assert refused.value.remedy == "Allowed: a member of the project or its principal investigator."
