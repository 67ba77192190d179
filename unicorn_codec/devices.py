"""What the machine can compute on."""

from collections.abc import Callable, Generator, Iterable
from itertools import chain, islice

import torch

from unicorn_codec.concurrency import Item, Result, map_in_threads
from unicorn_codec.errors import InvalidSetting

CONCURRENT_PIXELS = 1 << 21
"""Of what is worked on at a time, about: bounds the memory."""


def choose_device(name: str) -> torch.device:
    """``auto`` (a GPU if there is one), ``cpu`` or ``cuda``.

    Raises:
        InvalidSetting: ``cuda`` without a GPU.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise InvalidSetting("no CUDA device is available; use --device cpu or auto")
    return torch.device(name)


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 in hardware."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def worker_count(pixels: int, cores: int) -> int:
    """How many things of about so many pixels are worked on at a time, by a core each."""
    return min(cores, max(1, CONCURRENT_PIXELS // pixels))


def map_in_workers(
    work: Callable[[Item], Result], items: Iterable[Item], device: torch.device, *, pixels: int
) -> Generator[Result, None, None]:
    """Results in the items' order, as they get ready.

    A processor's cores work on an item each, so that they need not wait for each other in every layer. A GPU gets one
    item at a time. Work within a worker's work shares that worker's cores; threads that begin meanwhile get as few.

    Args:
        pixels: of an item, about. Of large ones fewer are worked on at a time, by more cores each.
    """
    threads = torch.get_num_threads()
    most = worker_count(pixels, threads) if device.type == "cpu" else 1
    iterator = iter(items)
    first = list(islice(iterator, most))
    items = chain(first, iterator)
    if len(first) < 2:
        yield from map(work, items)
        return

    def begin() -> None:
        torch.get_num_threads()  # sets the number of a new thread: later that would undo what follows
        torch.set_num_threads(threads // len(first))

    try:
        yield from map_in_threads(work, items, threads=len(first), begin=begin)
    finally:
        torch.set_num_threads(threads)  # what a worker sets holds for threads that begin later, and for MKL anywhere
