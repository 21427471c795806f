"""Moves out of a table of transitions."""

import pytest

from schmelz.faults import Refused
from schmelz.rules.lifecycle import Transition, diagram, transition
from schmelz.rules.permissions import Permission

SIGN = Transition("sign", ("open", "proposed"), "signed", Permission.DECISION_SIGN, "Somebody signs.")
DROP = Transition("drop", ("open",), "dropped", Permission.APPLICATION_WITHDRAW, "It is taken back.")
TABLE = (SIGN, DROP)


def test_a_move_that_is_possible() -> None:
    assert transition(TABLE, "sign", "proposed") is SIGN
    assert transition(TABLE, "drop", "open") is DROP


@pytest.mark.parametrize(
    ("name", "state", "possible"),
    [
        ("drop", "proposed", "sign"),
        ("burn", "open", "sign, drop"),
        ("sign", "signed", "nothing"),
    ],
)
def test_a_move_that_is_not_says_what_is(name: str, state: str, possible: str) -> None:
    with pytest.raises(Refused) as refused:
        transition(TABLE, name, state)
    assert refused.value.because == f"it is {state}, so it cannot be moved by {name!r}."
    assert refused.value.remedy == f"Possible now: {possible}."


def test_the_diagram_has_an_arrow_for_every_move() -> None:
    assert diagram(TABLE) == (
        "stateDiagram-v2\n    open --> signed: sign\n    proposed --> signed: sign\n    open --> dropped: drop"
    )
