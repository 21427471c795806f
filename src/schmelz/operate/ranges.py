"""Figures of the twin in words: spans, parts, dates, and the range of the draws. Needs no data base."""

from zoneinfo import ZoneInfo

from schmelz.operate.changes import day_of
from schmelz.twin.foreseen import Range
from schmelz.units import PPM, hours, span

MOMENTS = ("unreachable_from",)
POOL_ROWS = (
    ("wait_mean_s", "mean wait"),
    ("wait_p50_s", "half of the jobs wait at most"),
    ("wait_p95_s", "95 of 100 jobs wait at most"),
    ("jobs", "jobs"),
    ("never_started", "still waiting at the end"),
    ("share_ppm", "part of the use at the end"),
    ("used_gpu_s", "used at the end"),
    ("unreachable_from", "share out of reach from"),
)
MACHINE_ROWS = (
    ("wait_mean_s", "mean wait"),
    ("wait_p95_s", "95 of 100 jobs wait at most"),
    ("utilisation_ppm", "use of what is delivered"),
    ("idle_while_waiting_gpu_s", "idle while jobs wait"),
    ("avoidable_idle_gpu_s", "avoidable idle"),
    ("delivered_gpu_s", "delivered"),
)


def said(name: str, value: int, zone: ZoneInfo) -> str:
    """A figure in words, without its unit where all of a range share it."""
    if name in MOMENTS:
        return day_of(value, zone).partition(",")[0]
    if name.endswith("_gpu_s"):
        return hours(value)
    if name.endswith("_ppm"):
        return f"{100 * value / PPM:.1f}"
    return span(value) if name.endswith("_s") else f"{value:,}".replace(",", "\u202f")


UNITS = {"_gpu_s": "\u00a0GPU-hours", "_ppm": "\u202f%"}


def range_said(name: str, one: Range, seeds: int, zone: ZoneInfo) -> str:
    """Median, and the lowest and highest where they differ; of dates, in how many draws it came to that."""
    if one.median is None or one.low is None or one.high is None:
        return {"unreachable_from": "stays in reach", "avoidable_idle_gpu_s": "not told"}.get(name, "no jobs")
    if name in MOMENTS and one.seeds * 2 <= seeds:
        return f"stays in reach in {seeds - one.seeds} of {seeds} draws"
    middle, low, high = (said(name, value, zone) for value in (one.median, one.low, one.high))
    unit = next((words for end, words in UNITS.items() if name.endswith(end)), "")
    return f"{middle}{unit}" if low == high else f"{middle}{unit} ({low} to {high})"
