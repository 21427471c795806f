"""How many tasks of a job array wait in one row of squeue: that is how much its pool asks for."""

import pytest

from schmelz.cluster.backends.slurm_queue import tasks


@pytest.mark.parametrize(
    ("text", "count"),
    [("", 1), ("N/A", 1), ("7", 1), ("0-999", 1000), ("3-9,12,20,22,24,26,28,30", 14), ("1-9,20-30:2", 15),
     ("3-9,12,20,22,24,26,28,30%6", 6), ("1,3%9", 2), ("1,3,...", 2)],
)  # fmt: skip
def test_tasks_that_wait(text: str, count: int) -> None:
    assert tasks(text) == count
