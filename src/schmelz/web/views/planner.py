"""The call planner: how many GPU-hours each pool should call for, and by when."""

from collections.abc import Sequence

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from schmelz.metering.statement import said
from schmelz.operate.calls_ahead import Advice, advice, sentence, statement
from schmelz.operate.changes import day_of
from schmelz.policy.schema import System
from schmelz.portal.policy import factory
from schmelz.rules.permissions import Permission
from schmelz.units import HOUR
from schmelz.web.charts.lines import Line, lines, top
from schmelz.web.charts.paper import Chart
from schmelz.web.guard import needs
from schmelz.web.views.whatif import the_forecasts
from schmelz.web.words import number


@needs(Permission.FORECAST_READ, the_forecasts)
def page(request: HttpRequest, system: System) -> HttpResponse:
    found = advice(system)
    tables = said(statement(system, found), factory().zone)
    return render(
        request,
        "web/planner.html",
        {
            "system": system,
            "systems": [one for one in factory().systems if one.gpus()],
            "advice": [(one, sentence(one)) for one in found],
            "chart": chart(found),
            "tables": [table for table in tables if not table.key.startswith("months-")],
            "behind": [table for table in tables if table.key.startswith("months-")],
            "section": "whatif",
        },
    )


def chart(found: Sequence[Advice]) -> Chart:
    """What each pool's projects will use, month by month, against its share."""
    months = [one.plan.months for one in found]
    every = [value for line in months for m in line for value in (m.expected_gpu_s, m.share_gpu_s)]
    most = top([value // HOUR for value in every])
    drawn = [
        line
        for one in found
        for line in (
            Line(one.pool.title, one.pool.tint, [m.expected_gpu_s // HOUR for m in one.plan.months]),
            Line(
                f"{one.pool.title}, share", one.pool.tint, [m.share_gpu_s // HOUR for m in one.plan.months], dashed=True
            ),
        )
    ]
    words = "; ".join(f"{one.pool.title}: {sentence(one)}" for one in found)
    svg = lines(
        "What projects will use, and the share", f"{words}. Dashed: the share.", drawn, (0, most), (), "call-lines"
    )
    zone, ends = factory().zone, (months[0][0].start, months[0][-1].start)
    first, last = (day_of(end, zone).partition(",")[0] for end in ends)
    return Chart(
        "The year to come",
        svg,
        f"{number(most)} GPU-hours in thirty days",
        "0",
        first,
        f"thirty days from {last}",
    )
