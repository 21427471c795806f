"""The split: did each side get its half? The gauge, the band by day, and the table that adds up to the second.

The address says which system, window, month, site and pool; a month wins over the window that it lies in.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from schmelz.faults import BadInput
from schmelz.metering.split import Split
from schmelz.metering.supply import Supply
from schmelz.operate.closing import head_to_keep
from schmelz.policy.schema import System
from schmelz.portal.clock import now
from schmelz.portal.policy import factory
from schmelz.portal.projects.figures import usage
from schmelz.rules.permissions import Permission
from schmelz.units import local_date
from schmelz.web import ledger
from schmelz.web.band import band, gauge_of, legend, shares, split_of
from schmelz.web.guard import Found, needs, the_factory, the_system
from schmelz.web.listing import as_csv, chosen, wants_csv


@dataclass(frozen=True)
class Line:
    """A row of the table: its words, the term that explains it, whether it is a sum, and its numbers."""

    words: str
    term: str
    sum: bool
    numbers: tuple[int, ...]


SUPPLY: tuple[tuple[str, str, Callable[[Supply], int]], ...] = (
    ("used", "", lambda s: s.used),
    ("held", "held", lambda s: s.held),
    ("idle", "", lambda s: s.idle),
    ("idle in a reservation", "", lambda s: s.reserved_idle),
    ("down", "", lambda s: s.down),
    ("maintenance", "", lambda s: s.maintenance),
    ("drained", "drained", lambda s: s.drained),
    ("less: claimed beyond what is installed", "", lambda s: -s.excess),
)
POOLS = (
    ("carried from the window before", "carry", "carry_gpu_s", False),
    ("entitlement", "entitlement", "entitlement_gpu_s", True),
    ("used", "used", "used_gpu_s", True),
    ("own", "own", "own_gpu_s", False),
    ("borrowed", "borrowed", "borrowed_gpu_s", False),
    ("returned", "returned", "returned_gpu_s", False),
    ("lent", "lent", "lent_gpu_s", False),
    ("demand", "demand", "demand_gpu_s", False),
    ("shortfall", "shortfall", "shortfall_gpu_s", True),
    ("late", "late", "late_gpu_s", False),
    ("deficit", "deficit", "deficit_gpu_s", True),
)


@needs(Permission.SPLIT_READ, the_system)
def page(request: HttpRequest, system: System) -> HttpResponse:
    months = list(_months(system))
    asked = chosen(request.GET, {"month": months, "site": list(system.nodes), "pool": [p.id for p in system.pools]})
    split = split_of(system, asked["month"] or request.GET.get("window") or None)
    if wants_csv(request):
        return _csv(split)
    sites, pools = _picked(split, asked)
    return render(
        request,
        "web/split.html",
        {
            "system": system,
            "split": split,
            "asked": asked,
            "window": request.GET.get("window", ""),
            "windows": _windows(),
            "months": months,
            "systems": factory().systems,
            "shares": shares(system, split),
            "gauge": gauge_of(system, split),
            "band": band(system, split.days),
            "legend": legend(system),
            "first": split.days[0].day if split.days else None,
            "last": split.days[-1].day if split.days else None,
            "used": sum(pool.used_gpu_s for pool in split.pools),
            "shortfall": sum(pool.shortfall_gpu_s for pool in split.pools),
            "supply": _supply(split, sites),
            "supply_columns": [*(_site_title(s) for s in sites), *_total(sites)],
            "pool_rows": _pool_rows(split, pools),
            "pool_columns": [system.pool(pool).title for pool in pools],
            "ahead": ledger.ahead(system, split),
            "idle": ledger.idle_of(system, split),
            "treated": ledger.treated(split, pools),
            "checks": ledger.checks(split, pools),
            "ceilings": ledger.ceilings(system, split),
            "closed": ledger.closed_months(),
            "use": _use_by_site(split, system, sites, pools),
            "section": "split",
        },
    )


def the_month(request: HttpRequest, month: str) -> Found:
    """A month, as the address names it."""
    return Found(the_factory(request).relations, (month,))


@needs(Permission.CLOSING_READ, the_month)
def head(request: HttpRequest, month: str) -> HttpResponse:
    """The head of a closed month as the file that an owner keeps."""
    try:
        kept = head_to_keep(month)
    except BadInput as error:
        raise Http404(str(error)) from None
    answer = HttpResponse(json.dumps(kept, indent=1) + "\n", content_type="application/json")
    answer["Content-Disposition"] = f'attachment; filename="head-{month}.json"'
    return answer


def _picked(split: Split, asked: dict[str, str]) -> tuple[list[str], list[str]]:
    """The sites and pools that the tables show."""
    return (
        [s.site for s in split.sites if asked["site"] in ("", s.site)],
        [p.pool for p in split.pools if asked["pool"] in ("", p.pool)],
    )


def _total(sites: Sequence[str]) -> list[str]:
    return ["all sites"] if len(sites) > 1 else []


def _site_title(site: str) -> str:
    return next((s.title for s in factory().sites if s.id == site), site)


def _supply(split: Split, sites: Sequence[str]) -> list[Line]:
    """Installed, and the lines that add up to it, per site and in all."""
    shown = [site for site in split.sites if site.site in sites]
    supplies = [site.supply for site in shown] + ([split.supply] if len(sites) > 1 else [])
    installed = [site.installed_gpu_s for site in shown] + ([split.installed_gpu_s] if len(sites) > 1 else [])
    lines = [Line(words, term, False, tuple(of(s) for s in supplies)) for words, term, of in SUPPLY]
    shown_lines = lines if any(lines[-1].numbers) else lines[:-1]
    return [*shown_lines, Line("installed", "installed", True, tuple(installed))]


def _pool_rows(split: Split, pools: Sequence[str]) -> list[Line]:
    shown = [pool for pool in split.pools if pool.pool in pools]
    return [
        Line(words, term, whole, tuple(getattr(pool, name) for pool in shown)) for words, term, name, whole in POOLS
    ]


def _use_by_site(split: Split, system: System, sites: Iterable[str], pools: Iterable[str]) -> list[Line]:
    """Use of the window's runs by pool and site, overhead and unassigned accounts included as what they are."""
    if not split.days:
        return []
    found = usage(["pool", "site"], split.days[0].day, split.days[-1].day)
    numbers = {(row["pool"], row["site"]): int(row["gpu_s"]) for row in found.to_dicts()}
    names = [*pools, *sorted({pool for pool, _ in numbers} - {pool.id for pool in system.pools})]
    where = list(sites)
    rows = [(name, [numbers.get((name, site), 0) for site in where]) for name in names]
    titles = {pool.id: pool.title for pool in system.pools}
    sums = ((titles.get(name, name), [*row, sum(row)] if len(where) > 1 else row) for name, row in rows)
    return [Line(name, "", False, tuple(row)) for name, row in sums]


def _windows() -> list[str]:
    """The windows that are offered: this year and the last, and their quarters that have begun."""
    today = local_date(now(), factory().zone)
    quarters = [
        f"{year}-Q{q}"
        for year in (today.year, today.year - 1)
        for q in (4, 3, 2, 1)
        if (year, q) <= (today.year, (today.month + 2) // 3)
    ]
    return [
        str(today.year),
        *[q for q in quarters if q.startswith(str(today.year))],
        str(today.year - 1),
        *[q for q in quarters if q.startswith(str(today.year - 1))],
    ]


def _months(system: System) -> Iterator[str]:
    """The last 24 months, newest first."""
    today = local_date(now(), factory().zone)
    for back in range(24):
        number = today.year * 12 + today.month - 1 - back
        yield f"{date(number // 12, number % 12 + 1, 1):%Y-%m}"


def _csv(split: Split) -> HttpResponse:
    """One row per day and line, in GPU-seconds: the days add up to the window."""
    rows: list[tuple[object, ...]] = []
    for day in split.days:
        rows += [
            (day.day, "system", split.system, "installed", day.installed_gpu_s),
            (day.day, "system", split.system, "delivered", day.delivered_gpu_s),
            (day.day, "system", split.system, "overhead", day.overhead_gpu_s),
        ]
        for site in day.sites:
            rows += [(day.day, "site", site.site, words, of(site.supply)) for words, _, of in SUPPLY]
        for pool in day.pools:
            rows += [
                (day.day, "pool", pool.pool, words, getattr(pool, name))
                for words, _, name, _ in POOLS
                if hasattr(pool, name)
            ]
    return as_csv(f"split-{split.system}-{split.window}", ("day", "of", "name", "line", "gpu_seconds"), rows)
