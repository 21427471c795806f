"""What a window leaves to the next one: once, never a surplus, never more than the policy allows."""

from datetime import date

from hypothesis import given, settings, strategies as st

import make
from metering.test_split import job
from schmelz.metering.attribute import attribute
from schmelz.metering.carry import carried
from schmelz.metering.split import split
from schmelz.metering.supply import Outage
from schmelz.units import Period, day_start

FACTORY = make.factory(sharing={"window": "month"})
ZONE = FACTORY.zone
FEB, MAR, APR, MAY = (day_start(date(2026, month, 1), ZONE) for month in (2, 3, 4, 5))
MARCH, APRIL = Period(MAR, APR), Period(APR, MAY)
HALF = 8 * (APR - MAR)  # of March: 31 days less an hour


def of(*rows: dict, period: Period = APRIL, outages: tuple[Outage, ...] = (), factory=FACTORY) -> dict[str, int]:
    return carried(factory, make.SYSTEM, attribute(make.runs(*rows), factory, {}), outages, period)


def test_it_is_the_deficit_of_the_window_before() -> None:
    busy = job("eurohpc", 8, MAR, 1000, nodes="n[01-02]")
    assert of(busy) == {"eurohpc": HALF - 8000, "national": HALF}
    assert of(busy, job("national", 16, MAR + 1000, APR - MAR - 1000, nodes="n[01-02],s[01-02]")) == {
        "eurohpc": HALF - 8000,
        "national": 0,
    }, "a surplus is not taken away"


def test_only_what_ran_before_the_end_counts() -> None:
    over = job("eurohpc", 8, APR - 100, 5000, nodes="n[01-02]")
    assert of(over)["eurohpc"] == HALF - 800
    assert of(over, period=Period(MAY, day_start(date(2026, 6, 1), ZONE)))["eurohpc"] == 8 * (MAY - APR) - 8 * 4900


def test_delivered_is_what_the_share_is_of() -> None:
    down = Outage(make.SYSTEM, "s01", "down", MAR, MAR + 600)
    assert of(job("eurohpc", 8, MAR, 1000, nodes="n[01-02]"), outages=(down,))["national"] == HALF - 2 * 600


def test_without_records_before_nothing_is_carried() -> None:
    assert of() == {}
    assert of(job("eurohpc", 8, APR, 1000, nodes="n01")) == {}
    assert of(job("eurohpc", 8, FEB, MAR - FEB, nodes="n[01-02]")) == {}
    assert of({"start": None, "elapsed": 0, "state": "PENDING", "eligible": MAR}) == {}


def test_a_checkpoint_has_no_carry_of_its_own() -> None:
    busy = job("eurohpc", 8, MAR, 1000, nodes="n[01-02]")
    assert of(busy, factory=make.factory(sharing={"window": "quarter"})) == {}
    assert of(busy, period=Period(MAR, MAR + 10)) == {}


@settings(max_examples=20)
@given(st.integers(0, 2_000_000), st.integers(0, 2_000_000), st.integers(0, 20))
def test_it_is_carried_once_and_up_to_its_part(first: int, second: int, percent: int) -> None:
    """What March brought into April and April did not use does not come to May."""
    factory = make.factory(sharing={"window": "month", "carry_percent": percent})
    rows = [
        job("eurohpc", 16, begin, length, nodes="n[01-02],s[01-02]") for begin, length in ((MAR, first), (APR, second))
    ]
    frame = attribute(make.runs(*rows), factory, {})
    brought = carried(factory, make.SYSTEM, frame, (), APRIL)
    april = split(factory, make.SYSTEM, frame, (), APRIL, MAY, carry=brought).pools[0]
    share = 8 * (MAY - APR)
    used = 16 * (min(second, MAY - APR) + max(0, first - (APR - MAR)))
    assert april.carry_gpu_s == min(brought.get("eurohpc", 0), share * percent // 100)
    assert april.entitlement_gpu_s == share + april.carry_gpu_s
    assert april.used_gpu_s == used
    if used:
        following = carried(factory, make.SYSTEM, frame, (), Period(MAY, day_start(date(2026, 6, 1), ZONE)))
        assert following["eurohpc"] == max(0, share - used)
