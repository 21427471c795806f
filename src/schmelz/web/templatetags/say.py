"""Template words: numbers, dates, spans and terms, as `web.words` says them; links that keep the filters."""

from collections.abc import Mapping
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from schmelz.rules.texts import english
from schmelz.units import hours, iso, span
from schmelz.web import words

register = template.Library()
register.filter("hours", hours)
register.filter("number", words.number)
register.filter("gpu_time", words.gpu_time)
register.filter("span", span)
register.filter("working_days", words.working_days)
register.filter("text", english)


@register.simple_tag(takes_context=True)
def when(context: Mapping[str, Any], instant: int) -> SafeString:
    """A moment in the factory's zone, with its distance from now."""
    said = words.moment(instant, context["factory"].zone, context["now"])
    return format_html('<time datetime="{}">{}</time>', iso(instant), said)


@register.simple_tag(takes_context=True)
def day(context: Mapping[str, Any], instant: int) -> SafeString:
    """A day in the factory's zone."""
    return format_html('<time datetime="{}">{}</time>', iso(instant), words.short_day(instant, context["factory"].zone))


@register.simple_tag(takes_context=True)
def last_day(context: Mapping[str, Any], end: int) -> SafeString:
    """The last day of something that ends with the midnight `end`."""
    return day(context, end - 1)


@register.simple_tag(takes_context=True)
def ago(context: Mapping[str, Any], instant: int) -> SafeString:
    """How long ago, with the moment for whoever wants it exactly."""
    zone = context["factory"].zone
    exactly = words.moment(instant, zone, context["now"])
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', iso(instant), exactly, words.distance(instant, context["now"], zone)
    )


@register.simple_tag(takes_context=True)
def clock(context: Mapping[str, Any], instant: int) -> SafeString:
    """The time of day, with the day where it is not today; the whole moment for whoever wants it."""
    zone = context["factory"].zone
    said = words.clock_time(instant, zone)
    if words.short_day(instant, zone) != words.short_day(context["now"], zone):
        said = f"{words.short_day(instant, zone)}, {said}"
    whole = words.moment(instant, zone, context["now"])
    return format_html('<time datetime="{}" title="{}">{}</time>', iso(instant), whole, said)


@register.simple_tag
def term(name: str, shown: str = "") -> SafeString:
    """A term of the field with its explanation; on keyboards and touch screens, too."""
    return format_html('<abbr title="{}" tabindex="0">{}</abbr>', words.GLOSSARY[name], shown or name)


@register.simple_tag(takes_context=True)
def address(context: Mapping[str, Any], **changes: object) -> str:
    """This page's address with some of its questions changed; empty ones fall away."""
    query = context["request"].GET.copy()
    for key, value in changes.items():
        if value in ("", None):
            query.pop(key, None)
        else:
            query[key] = str(value)
    return f"?{query.urlencode()}"
