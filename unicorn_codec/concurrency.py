"""Work on several things at a time: NumPy, torch, Pillow and zlib let other threads run meanwhile."""

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event, Thread, local
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

THREADS = 2
MAX_PENDING = 8
"""Items that may wait for a thread: bounds the memory."""


def prefetch(items: Iterable[Item]) -> Iterator[Item]:
    """The same items; while the caller has one, a thread makes the next."""
    iterator, end = iter(items), object()
    with ThreadPoolExecutor(1) as pool:
        coming: Future[Item | object] = pool.submit(next, iterator, end)
        while (item := coming.result()) is not end:
            coming = pool.submit(next, iterator, end)
            yield item  # type: ignore[misc]


class Cancelled(Exception):
    """Nobody waits for what a thread works on any more."""


_thread = local()


def check_cancelled() -> None:
    """Long work of ``map_in_threads`` asks now and then, so that Ctrl-C need not wait for its end.

    Raises:
        Cancelled: the caller has stopped; it will not see this.
    """
    stopped: Event | None = getattr(_thread, "stopped", None)
    if stopped is not None and stopped.is_set():
        raise Cancelled


def map_in_threads(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    threads: int = THREADS,
    begin: Callable[[], None] = lambda: None,
) -> Iterator[Result]:
    """Results in the items' order, of work that goes on while the next items are made.

    Args:
        begin: what each thread does first.
    """
    waiting: deque[Future[Result]] = deque()
    stopped = Event()

    def begin_thread() -> None:
        _thread.stopped = stopped
        begin()

    with ThreadPoolExecutor(threads, initializer=begin_thread) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > MAX_PENDING:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            stopped.set()
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
