"""Signing in: by handle and password, back to where one came from, slowly for whoever guesses."""

from pathlib import Path

import pytest
from django.core.cache import cache
from django.test import Client

from schmelz.portal.people.models import Person
from schmelz.web.views.sign import FAILURES


@pytest.fixture
def factory_file() -> Path:
    """One factory is enough here."""
    return Path(__file__).parents[2] / "factory.toml"


@pytest.fixture
def anna(db, settings) -> Person:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    cache.clear()
    person = Person(handle="anna", name="Anna", email="anna@example.org")
    person.set_password("right")
    person.save()
    return person


def _try(client: Client, password: str = "right", handle: str = "anna", back: str = "") -> tuple[int, str]:
    response = client.post("/sign-in", {"handle": handle, "password": password, "next": back})
    return response.status_code, getattr(response, "url", "")


def test_in_and_out(anna, portal) -> None:
    client = Client()
    assert _try(client, back="/projects?state=active") == (302, "/projects?state=active")
    assert client.get("/projects").status_code == 200
    assert client.post("/sign-out").url == "/"
    assert client.get("/projects").status_code == 302


def test_never_to_another_host(anna, portal) -> None:
    for elsewhere in (
        "https://example.org/",
        "//example.org",
        "javascript:alert(1)",
        "/\\example.org",
        "http:///example.org",
    ):
        assert _try(Client(), back=elsewhere) == (302, "/")


def test_what_does_not_open(anna, portal) -> None:
    for handle, password in (
        ("anna", "wrong"),
        ("anna", ""),
        ("", ""),
        ("nobody", "right"),
        ("anna\x00", "right"),
        ("a" * 5000, "x"),
    ):
        assert _try(Client(), password, handle)[0] == 400
    anna.is_active = False
    anna.save()
    assert _try(Client())[0] == 400


def test_guessing_is_slowed_down_for_one_handle_only(anna, portal) -> None:
    assert [_try(Client(), "wrong")[0] for _ in range(FAILURES)] == [400] * FAILURES
    assert _try(Client(), "right")[0] == 403
    assert _try(Client(), "wrong", "bruno")[0] == 400
    cache.clear()
    assert _try(Client(), "right")[0] == 302
