"""A bar on a terminal for what takes longer than a second, on standard error; nothing where nobody looks on.

`progress` gives a function that is told how much of the whole is done. The bar comes when a second has passed.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

PATIENCE_S = 1.0

Told = Callable[[int], None]


@contextmanager
def progress(whole: int, words: str) -> Iterator[Told]:
    """While this lasts, what is told shows as a part of `whole`."""
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    began = time.monotonic()
    with ExitStack() as shown:
        bars: list[Told] = []

        def told(done: int) -> None:
            if not bars and time.monotonic() - began > PATIENCE_S:
                bars.append(_bar(shown, whole, words))
            for bar in bars:
                bar(done)

        yield told


def _bar(shown: ExitStack, whole: int, words: str) -> Told:
    from rich.console import Console  # here: whoever is quick, or no person, does not wait for it
    from rich.progress import Progress

    bar = shown.enter_context(Progress(console=Console(stderr=True), transient=True))
    task = bar.add_task(words, total=whole)
    return lambda done: bar.update(task, completed=done)
