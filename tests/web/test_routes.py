"""Every address has an owner: a permission of the table, or one of the two marks."""

import pytest
from django.urls import URLPattern

from schmelz.rules.permissions import Permission
from schmelz.web.urls import urlpatterns

MARKS = {"public", "mine", *Permission}
OPEN = {"home", "words", "sign-in", "calls", "door", "split", "statements", "annual-public", "pool-statement"}


@pytest.mark.parametrize("route", urlpatterns, ids=lambda route: route.name)
def test_every_route_says_who_may_open_it(route: URLPattern) -> None:
    assert getattr(route.callback, "opens_for", None) in MARKS, (
        "mark the view with public, mine or needs(Permission...)"
    )


def test_the_open_pages_are_these() -> None:
    marks = {route.name: route.callback.opens_for for route in urlpatterns}
    assert {name for name, mark in marks.items() if mark in ("public", Permission.SPLIT_READ)} == OPEN
    assert {name for name, mark in marks.items() if mark == "mine"} == {"sign-out", "letters", "letter"}
