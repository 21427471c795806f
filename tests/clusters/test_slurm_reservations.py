"""Reservations as Slurm's accounting and its controller tell them, recorded with 22.05."""

from pathlib import Path

import pytest

from schmelz.cluster.backends.slurm_nodes import named, reservations
from schmelz.cluster.model import ClusterError, Reservation

TAPES = Path(__file__).parent.parent / "tapes/slurm-22.05"
TOLD, NOW, ASSOCIATIONS = (
    (TAPES / f"{name}.txt").read_bytes() for name in ("reservations", "reservations-now", "associations")
)


def test_the_recorded_reservations() -> None:
    found = reservations(TOLD, ASSOCIATIONS, NOW, "schmelz")
    assert [(one.name, one.nodes, one.maintenance, one.accounts) for one in found] == [
        ("daily", ("mxt002",), False, ()),  # for all but luxembourg
        ("eu_later", ("mxb001", "mxb002"), False, ("p200001", "p200002")),
        ("eu_next", ("mxb001",), False, ("eurohpc",)),
        ("eu_res", ("mxt002",), False, ("eurohpc",)),
        ("maint1", ("mxt001",), True, ("root",)),
        ("maint2", ("mxt001",), True, ("root",)),
        ("maint3", ("mxt001", "mxt002"), True, ("root",)),
        ("pp", ("mxt002",), False, ("p200002",)),
    ]
    assert {one.name: (one.start, one.end) for one in found}["eu_res"] == (1_795_494_742, 1_795_494_922)


def test_the_controller_is_asked_for_those_that_the_accounting_knows_nobody_of() -> None:
    assert [name for name, numbers in named(TOLD, "schmelz").items() if not numbers] == ["daily"]
    live = b"ReservationName=daily Flags=DAILY Accounts=eurohpc,-p2 QOS=eurohpc-own State=ACTIVE\n"
    daily = reservations(TOLD, ASSOCIATIONS, live, "schmelz")[0]
    assert (daily.accounts, daily.qos) == (("eurohpc",), ("eurohpc-own",))


def test_other_clusters_and_rows_without_nodes_are_left_out() -> None:
    head = TOLD.splitlines(keepends=True)[0]
    rows = b"3|other|Unknown||1|a|n1|2026-11-24T05:00:00\n3|schmelz|Unknown||2|licences||2026-11-24T05:00:00\n"
    assert reservations(head + rows, b"", b"", "schmelz") == ()
    still = b"9|schmelz|Unknown||1|a|n1|2026-11-24T05:00:00\n"
    assert reservations(head + still, ASSOCIATIONS, b"", "schmelz") == (
        Reservation("a", ("n1",), 1_795_496_400, None, False),
    )


def test_an_answer_that_is_cut_off_is_none() -> None:
    for wrong in (TOLD[:-9], TOLD.replace(b"NodeName", b"Nodes"), TOLD.replace(b"mxt[001-002]", b"mxt[001-"), b""):
        with pytest.raises(ClusterError):
            reservations(wrong, ASSOCIATIONS, NOW, "schmelz")
