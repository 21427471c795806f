"""Four eyes, in the order of the signers; amounts and reasons."""

import pytest

from rules import modes
from schmelz.faults import BadInput, Refused
from schmelz.rules.award import Signature, check_amount, check_reason, check_signer, next_role

FACTORY = modes.factory(modes.mode())
SYSTEM, MODE = FACTORY.systems[0], FACTORY.modes[0]
POOL = SYSTEM.pool("eurohpc")
FIRST, SECOND = POOL.signers
SIGNED = Signature("gilles", FIRST)


def test_the_roles_sign_in_order() -> None:
    assert next_role(POOL, []) == FIRST
    assert next_role(POOL, [SIGNED]) == SECOND
    assert next_role(POOL, [SIGNED, Signature("eva", SECOND)]) is None


def test_who_holds_the_role_whose_turn_it_is_may_sign() -> None:
    assert check_signer(POOL, [], "gilles", {FIRST}) == FIRST
    assert check_signer(POOL, [SIGNED], "eva", {SECOND}) == SECOND


def test_nobody_signs_twice_whatever_roles_they_hold() -> None:
    with pytest.raises(Refused) as refused:
        check_signer(POOL, [SIGNED], "gilles", {FIRST, SECOND})
    assert refused.value.because == "gilles has signed already; a second pair of eyes is needed."
    assert refused.value.remedy == f"It waits for {SECOND}."


@pytest.mark.parametrize(("signed", "roles"), [([], {SECOND}), ([], set()), ([SIGNED], {FIRST})])
def test_out_of_turn_is_refused(signed: list[Signature], roles: set[str]) -> None:
    role = SECOND if signed else FIRST
    with pytest.raises(Refused) as refused:
        check_signer(POOL, signed, "eva", roles)
    assert str(refused.value) == f"it waits for {role}, and eva does not hold this role. Somebody of {role} must sign."


def test_after_the_last_signature_nothing_is_left_to_sign() -> None:
    with pytest.raises(Refused, match="everybody has signed already"):
        check_signer(POOL, [SIGNED, Signature("eva", SECOND)], "dario", {FIRST, SECOND})


@pytest.mark.parametrize("gpu_hours", [10, 11, 100])
def test_an_award_within_the_bounds(gpu_hours: int) -> None:
    check_amount(MODE, SYSTEM, gpu_hours)


@pytest.mark.parametrize("gpu_hours", [-1, 0, 9, 101])
def test_an_award_outside_the_bounds(gpu_hours: int) -> None:
    with pytest.raises(BadInput) as bad:
        check_amount(MODE, SYSTEM, gpu_hours)
    assert bad.value.faults == (f"gpu_hours: {gpu_hours} is outside Kipinä; award 10 to 100 GPU-hours",)


def test_nothing_is_no_award_even_where_the_mode_names_no_least_amount() -> None:
    mode = modes.factory(modes.mode(gpu_hours={"min": 0, "default": 1})).modes[0]
    check_amount(mode, SYSTEM, 10**9)
    with pytest.raises(BadInput, match="award at least 1 GPU-hours"):
        check_amount(mode, SYSTEM, 0)


def test_a_decision_says_why() -> None:
    assert check_reason("  fits well \n") == "fits well"
    assert check_reason("x" * 2000) == "x" * 2000
    for text, fault in (("", "is empty"), (" \n", "is empty"), ("x" * 2001, "has 2001 characters")):
        with pytest.raises(BadInput, match=fault):
            check_reason(text)
