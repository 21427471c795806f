"""Signing in and out. After ten failures for a handle within ten minutes, that handle waits."""

from django.contrib.auth import authenticate, login, logout
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme

from schmelz.faults import Refused
from schmelz.portal.people.models import Person
from schmelz.web.guard import mine, posted, public

FAILURES, WITHIN = 10, 600


@public
def sign_in(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        return _try(request)
    return _form(request, request.GET.get("as", ""))


@mine
@posted
def sign_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return redirect("home")


def _try(request: HttpRequest) -> HttpResponse:
    handle = request.POST.get("handle", "").strip()[:40]
    # counted per server process: a brake for guessing, no lock that an outsider could keep somebody out with for long
    key = f"sign-in:{handle.encode().hex()}"
    if cache.get(key, 0) >= FAILURES:
        raise Refused(
            f"There were {FAILURES} failures for this handle within ten minutes.", "Wait ten minutes, then try again."
        )
    person = authenticate(request, username=handle, password=request.POST.get("password", "")[:200])
    if person is None:
        cache.add(key, 0, WITHIN)
        cache.incr(key)
        return _form(request, handle, "This handle and this password do not belong together.", 400)
    cache.delete(key)
    login(request, person)
    return redirect(_back(request))


def _back(request: HttpRequest) -> str:
    """Where to go after signing in; never to another host."""
    wanted = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if safe else resolve_url("home")


def _form(request: HttpRequest, handle: str, fault: str = "", status: int = 200) -> HttpResponse:
    back = request.POST.get("next") or request.GET.get("next", "")
    return render(
        request,
        "web/sign_in.html",
        {"handle": handle, "fault": fault, "next": back, "demo": _demo_persons()},
        status=status,
    )


def _demo_persons() -> list[Person]:
    """In demo data everybody may look through the eyes of the people of the story."""
    persons = (
        Person.objects.filter(demo=True, is_active=True).select_related("organisation").prefetch_related("functions")
    )
    return list(persons.order_by("pk")[:12])
