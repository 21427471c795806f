"""Who may open which page. Every route carries exactly one of three marks; a test fails for a route without.

`public`  anyone.
`mine`    somebody who is signed in; the page shows only what is their own (letters, their session).
`needs`   a permission of the table. With a `thing` (an application, a project, a system) the person's relations to it
          decide, and the view gets the thing itself; with `rows=True` the page is a list, and its query shows only what
          the permission lets this person read.
Whoever is not signed in is sent to the sign-in page and back; a refusal says who would be allowed.
"""

from collections.abc import Callable, Set as AbstractSet
from dataclasses import dataclass
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import resolve_url

from schmelz.faults import BadInput
from schmelz.policy.schema import System
from schmelz.portal.calls import queries as calls
from schmelz.portal.people.models import Person
from schmelz.portal.people.queries import general_relations, roles
from schmelz.portal.policy import factory, main_system
from schmelz.portal.projects import queries as projects
from schmelz.rules.permissions import Permission, Relation, may, require

View = Callable[..., HttpResponse]


@dataclass(frozen=True)
class Found:
    """What a route is about, and what the person is to it."""

    relations: AbstractSet[Relation]
    things: tuple[object, ...] = ()


Thing = Callable[..., Found]


def person_of(request: HttpRequest) -> Person | None:
    """Who asks; None for somebody who is not signed in."""
    return request.user if isinstance(request.user, Person) else None


def signed_in(request: HttpRequest) -> Person:
    """Who asks, on a page that only opens for somebody who is signed in."""
    person = person_of(request)
    assert person is not None
    return person


def the_factory(request: HttpRequest) -> Found:
    """The factory as a whole."""
    person = person_of(request)
    return Found(general_relations(person, roles(person), main_system().operator))


def the_system(request: HttpRequest) -> Found:
    """The system that the address names with ?system=, else the main one. Page not found for one that is not there."""
    person, system = person_of(request), system_named(request.POST.get("system") or request.GET.get("system"))
    return Found(general_relations(person, roles(person), system.operator), (system,))


def system_named(wanted: str | None) -> System:
    """The system of this id, the main one for none. Page not found for one that is not there."""
    if not wanted:
        return main_system()
    found = next((s for s in factory().systems if s.id == wanted), None)
    if found is None:
        raise Http404(f"system: {wanted!r} is not known; one of: {', '.join(s.id for s in factory().systems)}")
    return found


def the_application(request: HttpRequest, code: str) -> Found:
    try:
        application = calls.by_code(code)
    except BadInput as error:
        raise Http404(str(error)) from None
    return Found(calls.relations(factory(), person_of(request), application), (application,))


def the_project(request: HttpRequest, code: str) -> Found:
    try:
        project = projects.by_code(code)
    except BadInput as error:
        raise Http404(str(error)) from None
    return Found(projects.relations(factory(), person_of(request), project), (project,))


def the_mode(request: HttpRequest, mode: str) -> Found:
    try:
        found = calls.mode_of(factory(), mode)
    except BadInput as error:
        raise Http404(str(error)) from None
    return Found(the_factory(request).relations, (found,))


def public(view: View) -> View:
    """Anyone may open it."""
    return _marked(view, view, "public")


def mine(view: View) -> View:
    """Only for somebody who is signed in, and only what is their own."""

    @wraps(view)
    def guarded(request: HttpRequest, **named: Any) -> HttpResponse:
        return view(request, **named) if person_of(request) else _to_sign_in(request)

    return _marked(guarded, view, "mine")


def needs(permission: Permission, thing: Thing = the_factory, *, rows: bool = False) -> Callable[[View], View]:
    """Only for those whom the table of permissions allows it."""

    def mark(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, **named: Any) -> HttpResponse:
            person = person_of(request)
            if person is None and not may(permission, {Relation.ANYONE}):
                return _to_sign_in(request)
            if rows:
                return view(request, **named)
            found = thing(request, **named)
            require(permission, found.relations, person.name if person else "somebody who is not signed in")
            return view(request, *found.things)

        return _marked(guarded, view, permission)

    return mark


def posted(view: View) -> View:
    """Only by sending a form; never by following a link."""

    @wraps(view)
    def guarded(request: HttpRequest, *given: Any, **named: Any) -> HttpResponse:
        return view(request, *given, **named) if request.method == "POST" else HttpResponseNotAllowed(["POST"])

    return guarded


def _marked(guarded: View, view: View, mark: str) -> View:
    guarded.opens_for = mark  # type: ignore[attr-defined]
    return guarded


def _to_sign_in(request: HttpRequest) -> HttpResponse:
    back = request.get_full_path() if request.method == "GET" else resolve_url(settings.LOGIN_REDIRECT_URL)
    if request.headers.get("HX-Request"):
        return HttpResponse(status=204, headers={"HX-Redirect": redirect_to_login(back).url})
    return redirect_to_login(back)
