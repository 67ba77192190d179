"""Compute devices, and how work is spread over their cores."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import chain, islice

import torch

from unicorn_codec.concurrency import Item, Result, map_in_threads
from unicorn_codec.errors import InvalidSetting

CONCURRENT_PIXELS = 1 << 21
"""Approximate number of pixels that all workers together hold at a time. Bounds the memory."""


def choose_device(name: str) -> torch.device:
    """Return the device of a name: ``auto`` (a GPU if there is one), ``cpu`` or ``cuda``.

    Raises:
        InvalidSetting: ``cuda`` was asked for and there is no GPU, or there is no such name.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise InvalidSetting("no CUDA device is available; use --device cpu or auto")
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise InvalidSetting(f"unknown device {name!r}: use auto, cpu or cuda") from error


def has_fast_bfloat16(device: torch.device) -> bool:
    """Return whether the device multiplies bfloat16 in hardware."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def fast_arithmetic(device: torch.device) -> torch.autocast:
    """Return a context in which networks compute in bfloat16, if the device is faster at it. It is that of a thread.

    Decoded pictures of noise then differ from exact ones by more than the format allows.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=has_fast_bfloat16(device))


def worker_count(pixels: int, cores: int) -> int:
    """Return how many items of about ``pixels`` pixels to work on at a time, one per core."""
    return min(cores, max(1, CONCURRENT_PIXELS // pixels))


def handed_over(items: deque[Item]) -> Iterator[Item]:
    """Yield items, and keep none: a large picture is freed when the work on it is done."""
    while items:
        yield items.popleft()


def map_in_workers(
    work: Callable[[Item], Result], items: Iterable[Item], device: torch.device, *, pixels: int
) -> Generator[Result, None, None]:
    """Apply ``work`` to the items in parallel and yield the results in the items' order, each as soon as it is ready.

    On a CPU every worker thread takes one item, so that cores need not wait for each other in every layer. On a GPU,
    items run one at a time. Nested calls share the cores of the worker that makes them, and threads started in the
    meantime get the same number of cores as a worker.

    Args:
        pixels: approximate size of an item. Of larger items fewer run at a time, with more cores each.
    """
    threads = torch.get_num_threads()
    most = worker_count(pixels, threads) if device.type == "cpu" else 1
    iterator = iter(items)
    first = deque(islice(iterator, most))
    count = len(first)
    items = chain(handed_over(first), iterator)
    if count < 2:
        yield from map(work, items)
        return

    def begin() -> None:
        torch.get_num_threads()  # sets the new thread's number: a later first call would undo the next line
        torch.set_num_threads(threads // count)

    try:
        yield from map_in_threads(work, items, threads=count, begin=begin)
    finally:
        torch.set_num_threads(threads)  # a worker's setting outlives it, in later threads and in MKL
