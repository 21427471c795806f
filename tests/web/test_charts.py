"""The charts are well-formed, say what they show, and their parts add up exactly, whatever the numbers."""

import re
from xml.etree import ElementTree

from hypothesis import given, strategies as st

from schmelz.units import split_by_weight
from schmelz.web.charts import balance_bar, gauge, split_band
from schmelz.web.charts.balance_bar import Bar
from schmelz.web.charts.split_band import HEIGHT, Column, Lane
from schmelz.web.charts.svg import element, text

SVG = "{http://www.w3.org/2000/svg}"
LANES = (
    Lane("eurohpc", "Europe <b>&", "iron", 50),
    Lane("national", 'Home "quoted"', "ember", 35),
    Lane("third", "Third", "moss", 15),
)
HOURS = st.integers(0, 10**9)


@st.composite
def columns(draw: st.DrawFn, lanes: tuple[Lane, ...]) -> Column:
    """A day as the split gives it: all parts within what is installed, lent as much as is over."""
    parts = draw(st.lists(HOURS, min_size=2 * len(lanes) + 3, max_size=2 * len(lanes) + 3))
    own, over = tuple(parts[: len(lanes)]), tuple(parts[len(lanes) : 2 * len(lanes)])
    lent = split_by_weight(sum(over), draw(st.lists(st.integers(1, 9), min_size=len(lanes), max_size=len(lanes))))
    return Column("Fri 27 Nov 2026", sum(parts), own, over, lent, parts[-3], parts[-2])


@given(st.integers(2, 3).flatmap(lambda n: st.tuples(st.just(LANES[:n]), columns(LANES[:n]))))
def test_a_lane_adds_up_to_its_share(drawn: tuple[tuple[Lane, ...], Column]) -> None:
    lanes, column = drawn
    share = split_by_weight(column.installed, [lane.weight for lane in lanes])
    parts = split_band.parts_of(column, lanes)
    assert [sum(part.size for part in lane) for lane in parts] == list(share)
    assert all(part.size > 0 for lane in parts for part in lane)
    assert all(part.start == sum(before.size for before in lane[:i]) for lane in parts for i, part in enumerate(lane))
    assert {p.tint for i, lane in enumerate(parts) for p in lane if p.kind == "own"} <= {lane.tint for lane in lanes}


@given(st.lists(columns(LANES[:2]), max_size=40))
def test_band_is_well_formed_and_inside_its_frame(days: list[Column]) -> None:
    svg = split_band.split_band(LANES[:2], days, "A & B <band>")
    root = ElementTree.fromstring(svg)
    assert (root.find(f"{SVG}title").text, len(root.findall(f"{SVG}rect"))) == ("A & B <band>", len(days))
    assert root.find(f"{SVG}desc").text
    for path in root.findall(f"{SVG}path"):
        for _, y, _, height in re.findall(r"M(\d+) (-?\d+)h(\d+)v(\d+)h", path.get("d")):
            assert int(y) >= 0 and int(y) + int(height) <= HEIGHT
    assert "style=" not in svg and "<script" not in svg


def test_the_borrower_crosses_the_line() -> None:
    """Europe uses its whole half and a quarter of the other; the other half's own use lies beyond it."""
    day = Column("day", 800, own=(400, 100), over=(100, 0), lent=(0, 100), other=0, away=0)
    upper, lower = split_band.parts_of(day, (LANES[0], Lane("n", "N", "ember", 50)))
    assert [(p.kind, p.tint, p.start, p.size) for p in upper] == [("own", "iron", 0, 400)]
    assert [(p.kind, p.tint, p.start, p.size) for p in lower] == [
        ("lent", "iron", 0, 100),
        ("own", "ember", 100, 100),
        ("idle", "", 200, 200),
    ]


def test_what_is_down_lies_at_both_edges() -> None:
    day = Column("day", 800, own=(100, 100), over=(0, 0), lent=(0, 0), other=40, away=80)
    for lane in split_band.parts_of(day, (LANES[0], Lane("n", "N", "ember", 50))):
        assert [(p.kind, p.size) for p in lane] == [("own", 100), ("idle", 240), ("other", 20), ("away", 40)]


@given(HOURS, HOURS, HOURS, HOURS, st.integers(-5, 2 * 10**6))
def test_balance_bar_adds_up(grant: int, settled: int, running: int, committed: int, passed: int) -> None:
    bar = Bar(grant, settled, running, committed, grant - settled - running - committed, passed)
    widths = balance_bar.widths(bar)
    assert sum(widths.values()) in (balance_bar.WIDTH, 0)
    assert (widths["beyond"] == 0 or bar.left < 0) and (widths["left"] == 0 or bar.left > 0)
    root = ElementTree.fromstring(balance_bar.balance_bar(bar, "iron"))
    assert root.find(f"{SVG}title").text == "Balance"


def test_what_is_beyond_the_grant_is_seen() -> None:
    """Of a grant of 60, 50 are settled and 60 committed: 50 over, on a bar that stands for 110."""
    assert balance_bar.widths(Bar(60, 50, 0, 60, -50, 0)) == {
        "settled": 1000,
        "running": 0,
        "committed": 200,
        "left": 0,
        "beyond": 1000,
    }


@given(st.lists(HOURS, min_size=3, max_size=3))
def test_gauge_adds_up(used: list[int]) -> None:
    assert sum(gauge.widths(used)) == (gauge.WIDTH if any(used) else 0)
    ElementTree.fromstring(gauge.gauge(LANES, used))


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("<>&\"'")))
def test_every_text_is_escaped(said: str) -> None:
    root = ElementTree.fromstring(element("svg", text("title", said), aria_label=said))
    assert (root.find("title").text or "", root.get("aria-label")) == (said, said)
