"""Every GPU in one line of supply, the first that matches."""

from dataclasses import asdict
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

import make
from schmelz.metering.attribute import attribute
from schmelz.metering.split import Split, split
from schmelz.metering.supply import KINDS, Kind, Outage, Supply, planned
from schmelz.policy.schema import Factory
from schmelz.units import Period

END = 100


def out(kind: Kind, node: str = "n01", start: int = 0, end: int | None = None, pool: str | None = None) -> Outage:
    return Outage(make.SYSTEM, node, kind, start, end, pool)


def of(
    *outages: Outage, runs: tuple[dict[str, object], ...] = (), factory: Factory | None = None, **more: int
) -> Split:
    the_factory = factory or make.factory()
    return split(
        the_factory,
        make.SYSTEM,
        attribute(make.runs(*runs), the_factory, {}),
        outages,
        Period(0, END),
        more.get("as_of", END),
    )


def lines(found: Split) -> dict[str, int]:
    """The lines that are not empty, in GPUs."""
    assert found.supply.installed == found.installed_gpu_s
    return {line: seconds // END for line, seconds in asdict(found.supply).items() if seconds}


def test_an_empty_machine_is_idle() -> None:
    assert lines(of()) == {"idle": 16}
    assert [(site.site, site.supply) for site in of().sites] == [
        ("north", Supply(idle=800)),
        ("south", Supply(idle=800)),
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_node_away(kind: Kind) -> None:
    name = "reserved_idle" if kind == "reserved" else kind
    assert lines(of(out(kind))) == {name: 4, "idle": 12}
    assert lines(of(out(kind, start=25, end=50))) == {name: 1, "idle": 15}
    assert lines(of(out(kind), out(kind))) == {name: 4, "idle": 12}, "told twice is away once"


@pytest.mark.parametrize(("first", "second"), [(a, b) for i, a in enumerate(KINDS) for b in KINDS[i + 1 :]])
def test_the_first_line_that_matches_counts(first: Kind, second: Kind) -> None:
    assert lines(of(out(second), out(first))) == {first: 4, "idle": 12}


def test_a_node_that_is_away_with_a_running_job_is_used_for_the_gpus_of_the_job() -> None:
    job = {"nodes": "n01", "gpus": 3, "start": 0, "elapsed": END}
    for kind in KINDS[:3]:
        assert lines(of(out(kind), runs=(job,))) == {"used": 3, kind: 1, "idle": 12}
    wide = {"nodes": "n[01-02]", "gpus": 5, "start": 0, "elapsed": END}
    assert lines(of(out("down"), runs=(wide,))) == {"used": 5, "down": 1, "idle": 10}
    assert lines(of(out("down", "n02"), runs=(wide,))) == {"used": 5, "down": 2, "idle": 9}


def test_a_whole_node_is_held_where_that_is_charged() -> None:
    job = {"nodes": "n01", "gpus": 3, "start": 0, "elapsed": END}
    found = of(out("drained"), runs=(job,), factory=make.factory(charge="node"))
    assert lines(found) == {"used": 3, "held": 1, "idle": 12}
    assert found.pools[0].used_gpu_s == 400


def test_what_runs_without_known_nodes_leaves_less_room_for_what_is_away() -> None:
    job = {"nodes": "", "partition": "gpu-north", "gpus": 6, "start": 0, "elapsed": END}
    assert lines(of(out("down"), runs=(job,))) == {"used": 6, "down": 2, "idle": 8}


def test_excess_is_a_line_of_its_own_and_nothing_fails() -> None:
    job = {"nodes": "n01", "gpus": 11, "start": 0, "elapsed": END}
    assert lines(of(out("down", "n02"), runs=(job,))) == {"used": 11, "idle": 8, "excess": 3}
    nowhere = {"partition": "x", "gpus": 2, "start": 0, "elapsed": END}
    found = of(runs=(nowhere,))
    assert lines(found) == {"used": 2, "idle": 16, "excess": 2}
    assert found.sites[-1].site == "unknown" and found.sites[-1].installed_gpu_s == 0


def test_a_job_that_was_cancelled_before_it_began_uses_nothing() -> None:
    assert lines(of(runs=({"nodes": "n01", "start": None, "elapsed": 0, "state": "CANCELLED"},))) == {"idle": 16}


def test_idle_gpus_of_a_reservation_are_charged_to_the_pool_that_asked_for_it() -> None:
    found = of(
        out("reserved", pool="national"),
        out("reserved", "n02"),
        runs=({"nodes": "n01", "gpus": 1, "start": 0, "elapsed": END},),
    )
    assert lines(found) == {"used": 1, "reserved_idle": 7, "idle": 8}
    assert [pool.used_gpu_s for pool in found.pools] == [100, 300]


def test_outages_of_other_systems_and_unknown_nodes_are_not_ours() -> None:
    assert lines(of(Outage("other", "n01", "down", 0, None), out("down", "n99"))) == {"idle": 16}


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="'broken' is no kind of outage; one of: down, maintenance, drained, reserved"):
        Outage(make.SYSTEM, "n01", "broken", 0, None)  # type: ignore[arg-type]


def test_planned_windows_of_the_policy_count_like_outages() -> None:
    zone = ZoneInfo("Europe/Luxembourg")
    local = datetime(2026, 5, 4, 8, tzinfo=zone)
    factory = make.factory(
        maintenance=[{"start": local, "end": local.replace(hour=9), "nodes": "n*,s02", "reason": "firmware"}]
    )
    begin = int(local.timestamp())
    assert [(o.node, o.kind, o.start, o.end) for o in planned(factory.systems[0], zone)] == [
        (node, "maintenance", begin, begin + 3600) for node in ("n01", "n02", "s02")
    ]
    found = split(
        factory, make.SYSTEM, attribute(make.runs(), factory, {}), [], Period(begin, begin + 7200), begin + 7200
    )
    assert found.supply == Supply(maintenance=12 * 3600, idle=16 * 7200 - 12 * 3600)


def test_only_what_has_happened_by_now_is_counted() -> None:
    found = of(out("down", start=30, end=60), runs=({"nodes": "s01", "start": 20, "elapsed": 80},), as_of=50)
    assert found.installed_gpu_s == 16 * 50
    assert found.supply == Supply(used=4 * 30, down=4 * 20, idle=16 * 50 - 4 * 50)
    assert of(as_of=0).installed_gpu_s == 0
