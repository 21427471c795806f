"""The ceiling of commercial use in the demo year: kept on machines of every size, with as many awards as fit."""

from datetime import date

import pytest

from conftest import FACTORIES
from schmelz.demo.year import year
from schmelz.policy.load import parse
from schmelz.policy.schema import Factory
from schmelz.units import HOUR, day_start, local_date


def small(gpus: int, nodes: int) -> Factory:
    text = FACTORIES["luxembourg"].read_text().replace("gpus_per_node = 4 ", f"gpus_per_node = {gpus} ")
    return parse(text.replace("[001-126]", f"[001-{nodes:03}]"), "factory.toml")


@pytest.mark.parametrize(("gpus", "nodes", "least"), [(1, 1, 40), (4, 2, 70), (4, 126, 80)])
@pytest.mark.parametrize("until", ["2026-11-27", "2027-01-05"])
def test_commercial_awards_stay_below_the_ceiling_whatever_the_machine(gpus, nodes, least, until) -> None:
    factory = small(gpus, nodes)
    system = factory.systems[0]
    told = year(factory, 1, day_start(date.fromisoformat(until), factory.zone))
    commercial = {one.name for one in told.organisations if one.commercial}
    pool = next(pool for pool in system.pools if pool.commercial_ceiling_percent)
    mine = [one for one in told.projects if one.pool == pool.id and one.organisation in commercial]
    assert len(told.projects) >= least
    for wanted in (2025, 2026, 2027):
        ceiling = system.gpus() * 365 * 24 * pool.weight * pool.commercial_ceiling_percent // (system.weight_sum * 100)
        zone = factory.zone
        there = [p for p in mine if local_date(p.start, zone).year <= wanted <= local_date(p.end - 1, zone).year]
        assert sum(p.grant_gpu_s for p in there) <= ceiling * HOUR
    sizes = {p.mode: factory.mode(p.mode).size(system).min for p in mine}
    assert all(p.gpu_hours >= max(1, sizes[p.mode]) for p in mine)
