"""Drift: each difference in its part, and nothing to tell where nothing differs."""

from dataclasses import replace

import pytest

from schmelz.cluster.desired import Desired
from schmelz.cluster.diff import Kept
from schmelz.cluster.drift import Row, drift
from schmelz.cluster.model import Account, Member, Observed, Qos

EUROHPC, NATIONAL = Account("eurohpc", "root", 50), Account("national", "root", 50)
P1, P2 = Account("p1", "eurohpc", 1, 60), Account("p2", "national", 1, 90)
LAST = Desired((EUROHPC, NATIONAL, P1, P2), (Member("anna", "p1"), Member("bo", "p2")), qos=(Qos("own", 1000, 8),))
SEEN = Observed("lab", LAST.accounts, LAST.members, ("bench",), LAST.qos, ("normal",), (("anna", "p1"), ("bo", "p2")))


def accounts(*changed: Account, without: str = "") -> tuple[Account, ...]:
    new = {account.name: account for account in (*LAST.accounts, *changed)}
    return tuple(account for name, account in new.items() if name != without)


def test_as_applied_and_as_decided_is_no_drift():
    assert drift(LAST, SEEN, LAST) == ()


@pytest.mark.parametrize(
    ("seen", "wanted", "rows"),
    [
        ({"accounts": accounts(replace(P1, shares=7))}, {}, [("by_hand", "account", "p1", "shares", 7, 1)]),
        ({}, {"accounts": accounts(replace(P1, shares=7))}, [("pending", "account", "p1", "shares", 1, 7)]),
        (
            {"accounts": accounts(replace(P1, shares=7, gpu_minutes=1))},
            {"accounts": accounts(replace(P1, shares=7, gpu_minutes=2))},
            [("by_hand", "account", "p1", "gpu_minutes", 1, 2)],
        ),
        (
            {"accounts": accounts(without="p2"), "members": LAST.members[:1], "defaults": SEEN.defaults[:1]},
            {},
            [("missing", "account", "p2", "", False, True), ("missing", "member", "p2/bo", "", False, True)],
        ),
        (
            {},
            {"accounts": accounts(Account("p3", "eurohpc")), "members": (*LAST.members, Member("bo", "p3"))},
            [("pending", "account", "p3", "", False, True), ("pending", "member", "p3/bo", "", False, True)],
        ),
        ({"members": (*LAST.members, Member("cleo", "p1"))}, {}, [("extra", "member", "p1/cleo", "", True, False)]),
        ({}, {"members": LAST.members[:1]}, [("pending", "member", "p2/bo", "", True, False)]),
        ({"left": (Member("cleo", "p1"),)}, {}, [("pending", "member", "p1/cleo", "", True, False)]),
        ({"leaving": (Member("cleo", "p1"),)}, {}, []),
        ({"accounts": accounts(Account("px", "root"))}, {}, [("extra", "account", "px", "open", True, False)]),
        ({"accounts": accounts(Account("px", "root", open=False))}, {}, []),
        ({}, {"accounts": accounts(without="p2"), "members": LAST.members[:1]}, [
            ("pending", "account", "p2", "open", True, False),
            ("pending", "member", "p2/bo", "", True, False),
        ]),
        ({"qos": (Qos("own", 1000, 8), Qos("odd"))}, {}, [("extra", "qos", "odd", "", True, False)]),
        ({"qos": (Qos("own", 1000, 3),)}, {}, [("by_hand", "qos", "own", "gpus", 3, 8)]),
        ({"qos": ()}, {}, [("missing", "qos", "own", "", False, True)]),
        (
            {"accounts": accounts(without="p2"), "members": LAST.members[:1], "foreign": ("p2",)},
            {},
            [("unmarked", "account", "p2", "", None, None)],
        ),
        ({"qos": (), "foreign_qos": ("own",)}, {}, [("unmarked", "qos", "own", "", None, None)]),
        (
            {"accounts": accounts(Account("p3", "eurohpc")), "defaults": (("anna", "p3"), ("bo", "p2"))},
            {"accounts": accounts(Account("p3", "eurohpc"))},
            [("by_hand", "user", "anna", "default_account", "p3", "p1")],
        ),
    ],
)  # fmt: skip
def test_each_difference_in_its_part(seen, wanted, rows):
    found = drift(LAST, replace(SEEN, **seen), replace(LAST, **wanted))
    assert [(r.part, r.kind, r.name, r.field, r.seen, r.wanted) for r in found] == rows


def test_changes_by_hand_come_first_and_nothing_was_applied_means_pending():
    seen = replace(SEEN, accounts=accounts(replace(P1, shares=7), replace(P2, shares=8)))
    wanted = replace(LAST, accounts=accounts(replace(P1, gpu_minutes=1)))
    assert [(row.part, row.field) for row in drift(LAST, seen, wanted)] == [
        ("by_hand", "shares"),
        ("by_hand", "shares"),
        ("pending", "gpu_minutes"),
    ]
    assert {row.part for row in drift(None, seen, wanted)} == {"pending"}


def test_what_was_chosen_to_stay_is_no_drift():
    seen = replace(SEEN, accounts=accounts(replace(P1, shares=7)))
    assert drift(LAST, seen, LAST, {("account", "p1", "shares"): Kept("until May", (7,))}) == ()
    (row,) = drift(LAST, seen, LAST, {("account", "p1", "shares"): Kept("until May", (6,))})
    assert row == Row("by_hand", "account", "p1", "shares", 7, 1, row.because)
