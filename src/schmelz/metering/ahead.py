"""Work on a few parts at the same time, and its results in the order of the parts.

Polars leaves Python's lock while it works, so two threads keep the cores busy where one alone would wait for reading,
for the disk or for a step that uses a single core. Never more than a few parts are in memory.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

AT_ONCE = 2

Given = TypeVar("Given")
Result = TypeVar("Result")


def in_order(work: Callable[[Given], Result], parts: Iterable[Given], at_once: int = AT_ONCE) -> Iterator[Result]:
    """`work` of every part, as `map` would give it. What goes wrong in a part is raised in its place."""
    pool, waiting = ThreadPoolExecutor(at_once), deque[Future[Result]]()
    try:
        for part in parts:
            waiting.append(pool.submit(work, part))
            if len(waiting) > at_once:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
