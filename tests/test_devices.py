"""What cores do side by side is what they would do one after the other, and leaves no traces."""

import threading
from collections.abc import Iterator

import pytest
import torch

from unicorn_codec.devices import MOST_WORKERS, in_workers

CPU = torch.device("cpu")


@pytest.fixture(params=[1, 2, 3, 20])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    usual = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(usual)


def test_results_come_in_order(threads: int) -> None:
    assert list(in_workers(lambda n: n * n, range(50), CPU)) == [n * n for n in range(50)]
    assert list(in_workers(str, (), CPU)) == []


def test_workers_share_the_cores(threads: int) -> None:
    everyone_is_here = threading.Barrier(min(threads, MOST_WORKERS))

    def work(_: int) -> int:
        everyone_is_here.wait(10)
        return torch.get_num_threads()

    workers = everyone_is_here.parties
    assert list(in_workers(work, range(workers), CPU)) == [threads // workers] * workers


def test_one_item_has_all_cores(threads: int) -> None:
    assert list(in_workers(lambda _: torch.get_num_threads(), [0], CPU)) == [threads]


def test_a_gpu_works_on_one_item_at_a_time(threads: int) -> None:
    names = in_workers(lambda _: threading.current_thread().name, range(4), torch.device("cuda"))
    assert set(names) == {threading.current_thread().name}


def test_threads_are_as_many_afterwards(threads: int) -> None:
    found: list[int] = []

    def in_new_thread() -> None:
        thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
        thread.start()
        thread.join()

    list(in_workers(str, range(9), CPU))
    in_new_thread()
    stopped_early = in_workers(str, range(9), CPU)
    next(stopped_early)
    stopped_early.close()  # type: ignore[attr-defined]
    in_new_thread()
    assert [torch.get_num_threads(), *found] == [threads] * 3


def test_workers_have_workers() -> None:
    usual = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        sums = in_workers(lambda n: sum(in_workers(lambda m: n * m, range(9), CPU)), range(2), CPU)
        assert list(sums) == [0, 36]
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(usual)
