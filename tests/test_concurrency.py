"""Work in threads and processes gives the results of sequential work, in order, and ends on errors."""

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from unicorn_codec.concurrency import Cancelled, check_cancelled, map_in_threads, prefetch


def failing() -> Iterator[int]:
    yield 1
    raise OSError("no more")


def test_results_come_in_the_order_of_the_items() -> None:
    assert list(prefetch(range(50))) == list(range(50))
    assert list(map_in_threads(lambda n: n * n, range(50))) == [n * n for n in range(50)]
    assert list(prefetch(())) == list(map_in_threads(str, ())) == []


def test_the_next_item_is_made_while_the_caller_uses_one() -> None:
    begun = threading.Event()

    def items() -> Iterator[int]:
        yield 0
        begun.set()
        yield 1

    assert all(begun.wait(10) for _ in prefetch(items()))


def test_errors_reach_the_caller() -> None:
    for made in (prefetch(failing()), map_in_threads(str, failing())):
        with pytest.raises(OSError, match="no more"):
            list(made)


def test_an_error_stops_the_remaining_work() -> None:
    done = []

    def work(number: int) -> None:
        if number == 3:
            raise OSError("full")
        done.append(number)

    with pytest.raises(OSError, match="full"):
        list(map_in_threads(work, range(1000)))
    assert len(done) < 50


def test_the_caller_may_stop_early() -> None:
    iterators: tuple[Iterator[object], ...] = (prefetch(iter(range(10))), map_in_threads(str, range(10)))
    for results in iterators:
        next(results)
        assert isinstance(results, Generator)
        results.close()


def test_long_work_is_cancelled_when_the_caller_stops() -> None:
    begun, ended = threading.Event(), threading.Event()

    def work(_: int) -> None:
        begun.set()
        try:
            for _ in range(1000):
                check_cancelled()
                time.sleep(0.01)
        except Cancelled:
            ended.set()
            raise

    def items() -> Iterator[int]:
        yield 0
        assert begun.wait(10)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(map_in_threads(work, items()))
    assert ended.is_set()
    check_cancelled()  # outside of such a thread it does nothing


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="looks at processes as Linux shows them")
def test_pool_processes_end_with_a_killed_parent() -> None:
    script = """
import os, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from unicorn_codec.concurrency import end_with_parent
if __name__ == "__main__":
    with ProcessPoolExecutor(1, get_context("spawn"), end_with_parent) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        time.sleep(60)
"""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "main.py"
        path.write_text(script)
        with subprocess.Popen([sys.executable, path], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            child = int(process.stdout.readline())
            process.kill()
    for _ in range(100):
        if not is_alive(child):
            return
        time.sleep(0.1)
    pytest.fail(f"process {child} lives on")


def is_alive(process: int) -> bool:
    try:
        return "(zombie)" not in Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False
