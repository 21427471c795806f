"""One's own letters: what the factory wrote, whether or not a mail relay took it."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from schmelz.portal.people.models import Letter
from schmelz.web.guard import mine, signed_in
from schmelz.web.listing import of_query


@mine
def every(request: HttpRequest) -> HttpResponse:
    found = of_query(
        request,
        Letter.objects.filter(person=signed_in(request)),
        choices={},
        columns=("written", "subject"),
        searched=("subject", "body"),
        default="-written",
    )
    return render(request, "web/letters.html", {"listing": found})


@mine
def one(request: HttpRequest, number: int) -> HttpResponse:
    letter = Letter.objects.filter(person=signed_in(request), pk=number).first() if number < 2**63 else None
    if letter is None:
        raise Http404(f"letter: there is no letter {number} to you")
    return render(request, "web/letter.html", {"letter": letter, "section": "letters"})
