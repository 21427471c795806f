"""The pages of what went wrong: what, why, what would change it, and where to go from here."""

from collections.abc import Sequence

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

TITLES = {
    400: "This cannot be used as it is",
    403: "Not allowed, and why",
    404: "There is no such page",
    405: "This address takes only forms",
    500: "Something broke on our side",
    503: "Not available just now",
}


def page(
    request: HttpRequest, status: int, because: Sequence[str] = (), remedy: str = "", keep: HttpResponse | None = None
) -> HttpResponse:
    """The page for a status; headers of `keep` that a client needs stay."""
    response = render(
        request,
        "web/fault.html",
        {"status": status, "title": TITLES[status], "because": because, "remedy": remedy},
        status=status,
    )
    if keep is not None and "Allow" in keep.headers:
        response.headers["Allow"] = keep.headers["Allow"]
    return response


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return page(request, 400, because=("The request could not be read.",))


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return page(request, 403, because=(str(exception),) if str(exception) else ())


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    said = exception.args[0] if exception.args and isinstance(exception.args[0], str) else ""
    return page(
        request,
        404,
        because=(said or "Nothing is kept under this address.",),
        remedy="Check the address, or begin at the first page.",
    )


def broken(request: HttpRequest) -> HttpResponse:
    return page(
        request,
        500,
        because=("The page could not be made; the operator's log says why.",),
        remedy="Nothing was half-written. Try again, or tell the operator when it happened.",
    )


def csrf(request: HttpRequest, reason: str = "") -> HttpResponse:
    return page(
        request,
        403,
        because=("The form was not sent from a page of this portal, or the page was open for too long.",),
        remedy="Open the page again and send the form from there; cookies of this portal must be allowed.",
    )
