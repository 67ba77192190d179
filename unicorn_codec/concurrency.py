"""Work on one thing while the next one is being made: NumPy, torch and zlib let other threads run meanwhile."""

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Thread
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

THREADS = 2
WAITING = 8
"""Items that may wait for a thread: bounds the memory."""


def prefetch(items: Iterable[Item]) -> Iterator[Item]:
    """The same items; while the caller has one, a thread makes the next."""
    iterator, end = iter(items), object()
    with ThreadPoolExecutor(1) as pool:
        coming: Future[Item | object] = pool.submit(next, iterator, end)
        while (item := coming.result()) is not end:
            coming = pool.submit(next, iterator, end)
            yield item  # type: ignore[misc]


def in_threads(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Results in the items' order, of work that goes on while the next items are made."""
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(THREADS) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > WAITING:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:  # after an error nothing more is begun
                future.cancel()


def end_with_parent() -> None:
    """Initializer of a pool's processes: they end with the one that started them, even if that is killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "this runs in the processes of a pool"

    def wait() -> None:
        parent.join()
        os._exit(1)

    Thread(target=wait, daemon=True).start()
