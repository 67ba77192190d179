"""Parallel workers give the results of sequential work, and restore the number of threads."""

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
import torch

from unicorn_codec.devices import CONCURRENT_PIXELS, map_in_workers

CPU = torch.device("cpu")
SMALL = CONCURRENT_PIXELS // 8


@pytest.fixture(params=[1, 2, 3, 20])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    usual = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(usual)


def test_results_come_in_order(threads: int) -> None:
    assert list(map_in_workers(lambda n: n * n, range(50), CPU, pixels=SMALL)) == [n * n for n in range(50)]
    assert list(map_in_workers(str, (), CPU, pixels=SMALL)) == []


def test_workers_share_the_cores(threads: int) -> None:
    everyone_is_here = threading.Barrier(min(threads, 8))

    def work(_: int) -> int:
        everyone_is_here.wait(10)
        return torch.get_num_threads()

    workers = everyone_is_here.parties
    assert list(map_in_workers(work, range(workers), CPU, pixels=SMALL)) == [threads // workers] * workers


@pytest.mark.parametrize(
    ("pixels", "workers"), [(CONCURRENT_PIXELS // 2, 2), (CONCURRENT_PIXELS, 1), (CONCURRENT_PIXELS * 9, 1)]
)
def test_of_large_items_fewer_run_at_a_time(threads: int, pixels: int, workers: int) -> None:
    found = list(map_in_workers(lambda _: torch.get_num_threads(), range(6), CPU, pixels=pixels))
    assert found == [threads // min(threads, workers)] * 6


def test_items_are_drawn_as_they_are_needed(threads: int) -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(1000):
            made.append(number)
            yield number

    with closing(map_in_workers(str, items(), CPU, pixels=SMALL)) as results:
        assert next(results) == "0"
    assert len(made) < 50


def test_a_single_item_gets_all_cores(threads: int) -> None:
    assert list(map_in_workers(lambda _: torch.get_num_threads(), [0], CPU, pixels=SMALL)) == [threads]


def test_a_gpu_runs_one_item_at_a_time(threads: int) -> None:
    names = map_in_workers(lambda _: threading.current_thread().name, range(4), torch.device("cuda"), pixels=SMALL)
    assert set(names) == {threading.current_thread().name}


def test_the_number_of_threads_is_restored(threads: int) -> None:
    found: list[int] = []

    def in_new_thread() -> None:
        thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
        thread.start()
        thread.join()

    list(map_in_workers(str, range(9), CPU, pixels=SMALL))
    in_new_thread()
    stopped_early = map_in_workers(str, range(9), CPU, pixels=SMALL)
    next(stopped_early)
    stopped_early.close()
    in_new_thread()
    assert [torch.get_num_threads(), *found] == [threads] * 3


def test_workers_can_be_nested() -> None:
    usual = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        sums = map_in_workers(
            lambda n: sum(map_in_workers(lambda m: n * m, range(9), CPU, pixels=SMALL)), range(2), CPU, pixels=SMALL
        )
        assert list(sums) == [0, 36]
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(usual)
