"""One workload under several policies: figures that agree with what the policies did, on paper too."""

from zoneinfo import ZoneInfo

import pytest

from schmelz.twin.generator import generated
from schmelz.twin.policies import POLICIES
from schmelz.twin.sharing import PoolOptions, Sharing
from schmelz.twin.side_by_side import compare
from schmelz.units import PPM
from schmelz.web.charts.paper import on_paper
from schmelz.web.side_by_side import Side, as_pdf, charts, statement

UTC = ZoneInfo("UTC")
POOLS = [Side("a", "A <b>", "iron", 1), Side("b", "B", "ember", 1)]


@pytest.fixture(scope="module")
def ran():
    work = generated(600, 64, load=1.1, seed=5, pools=("a", "b"))
    both = PoolOptions(64, sharing=Sharing((1, 1), (("x", 32), ("y", 32))))
    one = PoolOptions(64, sharing=Sharing((1, 1)))
    return work, {
        name: (POLICIES[name](work, o), o) for name, o in (("deficit", both), ("partition", both), ("easy", one))
    }


def test_waits_and_use_are_those_of_the_schedules(ran) -> None:
    work, schedules = ran
    found = compare(work, schedules)
    for name, (done, _) in schedules.items():
        seen = found[name]
        assert seen.machine["wait_mean_s"].median == int((done.start - work.submit).mean())
        size = work.size if done.size is None else done.size
        used = sum(seen.pools[pool]["used_gpu_s"].median for pool in ("a", "b"))
        assert used == int((work.run * size).sum()) and seen.machine["jobs"].median == 600
        assert sum(one["jobs"].median for one in seen.classes.values()) == 600
        shares = [seen.share[pool][-1].median for pool in ("a", "b")]
        assert PPM - 2 <= sum(shares) <= PPM and shares[0] == seen.pools["a"]["share_ppm"].median
    assert len({seen.moments for seen in found.values()}) == 1, "all on one axis"


def test_on_paper_with_its_colours_inside_and_the_same_bytes(ran) -> None:
    work, schedules = ran
    found, start = compare(work, schedules), int(work.submit[0])
    pictures = charts(POOLS, found, start, UTC)
    assert [policy for policy, _ in pictures] == ["deficit", "partition", "easy"]
    svg = on_paper(pictures[0][1][0].svg)
    assert "<style>" in svg and 'preserveAspectRatio="none"' not in svg and "A &lt;b&gt;" in svg
    document = statement("T", "t", 10**9, POOLS, found, ("600 jobs",), UTC)
    assert [table.key for table in document.tables] == ["machine", "pool-a", "pool-b", "sizes", "share", "queue"]
    first, again = (as_pdf(document, POOLS, found, start, "Somebody", UTC) for _ in range(2))
    assert first == again and first.startswith(b"%PDF")
