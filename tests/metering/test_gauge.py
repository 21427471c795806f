"""Commercial use of a share against its ceiling."""

import pytest

import make
from schmelz.metering.claims import Claim
from schmelz.metering.gauge import Gauge, gauge
from schmelz.units import Period

REST = Period(100, 1000)


def of(used: int, *claims: Claim, percent: int = 20, projected: int = 100_000) -> Gauge:
    system = make.factory(pools={"eurohpc": 40, "national": 60}).systems[0]
    pool = system.pools[0].model_copy(update={"commercial_ceiling_percent": percent})
    return gauge(system, pool, "2026", projected, used, claims, REST)


def claim(left: int, commercial: bool = True, pool: str = "eurohpc", start: int = 0, end: int = 10_000) -> Claim:
    return Claim("p1", pool, commercial, left, start, end)


def test_the_ceiling_is_a_part_of_the_share_of_what_the_year_brings() -> None:
    found = of(1000, claim(2000))
    assert (found.share_gpu_s, found.ceiling_gpu_s) == (40_000, 8000)
    assert (found.used_gpu_s, found.committed_gpu_s, found.gauge_gpu_s, found.room_gpu_s) == (1000, 2000, 3000, 5000)
    assert found.ppm_of_share == 75_000


@pytest.mark.parametrize(
    ("used", "alarm"),
    [(0, "none"), (6399, "none"), (6400, "16"), (7199, "16"), (7200, "18"), (7999, "18"), (8000, "20"), (9000, "20")],
)
def test_alarms_at_16_18_and_20_per_cent_of_the_share(used: int, alarm: str) -> None:
    assert of(used).alarm == alarm
    assert of(0, claim(used)).alarm == alarm, "what is promised counts like what was used"


def test_another_ceiling_has_its_own_alarms() -> None:
    assert [of(used, percent=15).alarm for used in (4799, 4800, 5400, 6000)] == ["none", "12", "13.5", "15"]
    assert of(0, percent=0).alarm == "none"
    assert of(1, percent=0).alarm == "0"
    assert of(0, projected=0).ppm_of_share == 0


@pytest.mark.parametrize(
    ("one", "worth"),
    [
        (claim(500), 500),
        (claim(500, commercial=False), 0),
        (claim(500, pool="national"), 0),
        (claim(500, end=100), 0),
        (claim(500, start=1000), 0),
        (claim(500, start=990), 16 * 10),
    ],
)
def test_committed_is_what_commercial_projects_can_still_use_this_year(one: Claim, worth: int) -> None:
    assert of(0, one).committed_gpu_s == worth
