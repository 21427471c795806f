"""Work on parts at the same time: the order stays, faults come in their place, few parts are in memory."""

import threading

import pytest

from schmelz.metering.ahead import AT_ONCE, in_order


def test_results_come_in_the_order_of_the_parts() -> None:
    late = threading.Event()

    def work(number: int) -> int:
        if number == 0:
            assert late.wait(10), "the second part is worked on while the first one waits"
        late.set()
        return number * number

    assert list(in_order(work, range(20))) == [number * number for number in range(20)]


def test_a_fault_is_raised_in_its_place() -> None:
    def work(number: int) -> int:
        if number == 3:
            raise ValueError("part 3")
        return number

    found = in_order(work, range(10))
    assert [next(found) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="part 3"):
        next(found)


def test_few_parts_are_taken_before_they_are_asked_for() -> None:
    taken = []

    def parts():
        for number in range(100):
            taken.append(number)
            yield number

    found = in_order(lambda number: number, parts())
    next(found)
    assert len(taken) == AT_ONCE + 1
    found.close()
    assert len(taken) == AT_ONCE + 1
