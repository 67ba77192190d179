"""Threads and processes that work ahead of the caller: NumPy, torch, Pillow and zlib release the interpreter lock."""

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
"""Largest number of submitted items whose results have not been taken. Bounds the memory."""


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def prefetch(items: Iterable[Item]) -> Iterator[Item]:
    """Yield the same items, each made in a thread while the caller uses the one before."""
    iterator, end = iter(items), object()
    with ThreadPoolExecutor(1) as pool:
        coming: Future[Item | object] = pool.submit(next, iterator, end)
        while (item := coming.result()) is not end:
            coming = pool.submit(next, iterator, end)
            yield item  # type: ignore[misc]


class Cancelled(Exception):
    """The caller has stopped waiting for the result of this thread."""


_thread = local()


def check_cancelled() -> None:
    """Stop the work of ``map_in_threads`` if its caller is gone.

    Long work calls this now and then, so that Ctrl-C takes effect before the work ends.

    Raises:
        Cancelled: the caller has stopped; it never sees this exception.
    """
    stopped: Event | None = getattr(_thread, "stopped", None)
    if stopped is not None and stopped.is_set():
        raise Cancelled


def map_in_threads(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    threads: int = THREADS,
    pending: int = MAX_PENDING,
    begin: Callable[[], None] = lambda: None,
) -> Iterator[Result]:
    """Apply ``work`` to the items in threads and yield the results in the items' order.

    Items are drawn while earlier ones are worked on.

    Args:
        pending: largest number of submitted items whose results have not been taken.
        begin: called once at the start of each thread.
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
                if len(waiting) > pending:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            stopped.set()
            for future in waiting:  # after an error, start nothing more
                future.cancel()


def end_with_parent() -> None:
    """End this pool process with its parent, even if the parent is killed. For use as a pool's initializer."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "this runs in the processes of a pool"

    def wait() -> None:
        parent.join()
        os._exit(1)

    Thread(target=wait, daemon=True).start()
