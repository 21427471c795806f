"""Two layers around every view: headers that keep the browser at home, and faults told in plain words.

`Headers` allows nothing but this server's own files: no inline script or style, no frame, no outside request.
`Faults` turns bad input, refusals and a silent cluster into pages that say what, why and what would change it;
nobody ever sees a traceback.
"""

import logging
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from schmelz.cluster.model import ClusterError
from schmelz.faults import BadInput, Refused
from schmelz.policy.load import PolicyError
from schmelz.web.views.faults import page

log = logging.getLogger("schmelz.web")
Answer = Callable[[HttpRequest], HttpResponse]

POLICY = "; ".join(
    [
        "default-src 'self'",
        "base-uri 'none'",
        "object-src 'none'",
        "frame-ancestors 'none'",
        "form-action 'self'",
    ]
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


class Headers:
    """The same headers on every answer, error pages and static files included."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.answer(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response


class Faults:
    """Exceptions that are meant for people, as pages."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.answer(request)
        if response.status_code == 405 and not response.content:
            return page(request, 405, because=("This address only takes what a form sends.",), keep=response)
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if isinstance(error, PolicyError):
            log.error("the policy file cannot be used: %s", error)
            return page(
                request,
                503,
                because=("The policy file of this factory has faults.",),
                remedy="The operator sees them by `schmelz check` and corrects them.",
            )
        if isinstance(error, BadInput):
            return page(request, 400, because=error.faults)
        if isinstance(error, Refused):
            return page(request, 403, because=(error.because,), remedy=error.remedy)
        if isinstance(error, ClusterError):
            log.warning("the cluster: %s", error)
            return page(
                request,
                503,
                because=(f"The cluster did not answer: {error}",),
                remedy="Nothing was changed. Try again in a minute; what runs there goes on.",
            )
        return None
