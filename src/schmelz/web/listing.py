"""Lists: search, sort, filter and pages live in the address bar, so that a list can be sent to somebody; and as CSV.

A *choice* is a filter with fixed values; a *column* sorts when its heading is followed (`sort=-due` backwards).
Unknown values of the address are faults, told in words.
"""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict

from schmelz.faults import BadInput

PAGE = 50
Row = TypeVar("Row")


@dataclass(frozen=True)
class Listing(Generic[Row]):
    """One page of a list: its rows, how many there are in all, and what was asked."""

    rows: Sequence[Row]
    total: int
    page: int
    search: str
    sort: str
    chosen: Mapping[str, str]

    @property
    def pages(self) -> int:
        return max(1, -(-self.total // PAGE))

    @property
    def previous(self) -> int | None:
        return self.page - 1 if self.page > 1 else None

    @property
    def next(self) -> int | None:
        return self.page + 1 if self.page < self.pages else None

    @property
    def asked(self) -> bool:
        return bool(self.search or any(self.chosen.values()))


def chosen(query: QueryDict, choices: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """The filters of the address. Raises BadInput for a value that is not offered."""
    found = {key: query.get(key, "") for key in choices}
    faults = [
        f"{key}: {value!r} is not offered; one of: {', '.join(choices[key])}"
        for key, value in found.items()
        if value and value not in choices[key]
    ]
    if faults:
        raise BadInput(faults)
    return found


def search_of(query: QueryDict) -> str:
    return query.get("q", "").replace("\x00", "").strip()[:100]


def page_of(query: QueryDict) -> int:
    """The page number of the address. Raises BadInput."""
    said = query.get("page", "1")
    if not (said.isascii() and said.isdigit() and 1 <= int(said[:9]) <= 10**6):
        raise BadInput(f"page: {said[:20]!r} is not a page; write 1 or more")
    return int(said)


def sort_of(query: QueryDict, columns: Iterable[str], default: str) -> str:
    """The column to sort by, `-` in front for backwards. Raises BadInput."""
    said = query.get("sort", default)
    if said.removeprefix("-") not in columns:
        raise BadInput(f"sort: {said[:40]!r} is not a column; one of: {', '.join(columns)}")
    return said


def of_query(
    request: HttpRequest,
    rows: "QuerySet[Any]",
    *,
    choices: Mapping[str, Iterable[str]],
    columns: Sequence[str],
    searched: Sequence[str],
    default: str,
    whole: bool = False,
) -> "Listing[Any]":
    """A page of a query's rows: two queries, whatever their number. `whole` gives all rows, for CSV."""
    kept, search = chosen(request.GET, choices), search_of(request.GET)
    sort, page = sort_of(request.GET, columns, default), page_of(request.GET)
    found = rows.filter(**{key: value for key, value in kept.items() if value})
    if search:
        wanted = Q()
        for column in searched:
            wanted |= Q(**{f"{column}__icontains": search})
        found = found.filter(wanted)
    found = found.order_by(sort, "-pk" if sort.startswith("-") else "pk")
    total = found.count()
    part = found if whole else found[(page - 1) * PAGE : page * PAGE]
    return Listing(list(part), total, page, search, sort, kept)


def of_rows(
    request: HttpRequest,
    rows: Sequence[Row],
    *,
    choices: Mapping[str, Iterable[str]],
    searched: Callable[[Row], str],
    whole: bool = False,
) -> Listing[Row]:
    """A page of rows that are at hand already, in their own order; filters name their attributes."""
    kept, search, page = chosen(request.GET, choices), search_of(request.GET), page_of(request.GET)
    found = [
        row
        for row in rows
        if all(getattr(row, key) == value for key, value in kept.items() if value)
        and search.casefold() in searched(row).casefold()
    ]
    part = found if whole else found[(page - 1) * PAGE : page * PAGE]
    return Listing(part, len(found), page, search, "", kept)


def wants_csv(request: HttpRequest) -> bool:
    return request.GET.get("format") == "csv"


def as_csv(name: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> HttpResponse:
    """A CSV file for download."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_harmless(value) for value in row] for row in rows)
    return HttpResponse(
        text.getvalue(),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}.csv"'},
    )


def _harmless(value: object) -> object:
    """A spreadsheet must not take somebody's text for a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
