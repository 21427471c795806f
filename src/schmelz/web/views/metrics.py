"""Metrics: figures for a monitoring system, for whoever may see the page Health or knows the token.

The token is SCHMELZ_METRICS_TOKEN, sent as `Authorization: Bearer TOKEN`; without it set, only people get in.
"""

import os
from functools import wraps
from hmac import compare_digest

from django.http import HttpRequest, HttpResponse

from schmelz.faults import Refused
from schmelz.operate import metrics
from schmelz.rules.permissions import Permission
from schmelz.web.guard import needs


@needs(Permission.PLAN_READ)
def _for_people(request: HttpRequest) -> HttpResponse:
    return _answer()


@wraps(_for_people)  # with its mark: a token stands for the same permission
def page(request: HttpRequest) -> HttpResponse:
    told = request.headers.get("Authorization")
    if told is None:
        return _for_people(request)
    token = os.environ.get("SCHMELZ_METRICS_TOKEN")
    if not token or not compare_digest(told.encode(), f"Bearer {token}".encode()):
        raise Refused("This token does not open the metrics.", "The operator knows it: SCHMELZ_METRICS_TOKEN.")
    return _answer()


def _answer() -> HttpResponse:
    return HttpResponse(metrics.text(), content_type=metrics.CONTENT_TYPE, headers={"Cache-Control": "no-store"})
