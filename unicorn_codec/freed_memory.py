"""Freed memory to the system, so that a process holds about what it uses."""

import ctypes
from collections.abc import Callable
from functools import cache


def return_freed_memory() -> None:
    """Return freed memory to the system where glibc is the allocator; elsewhere do nothing.

    glibc keeps freed blocks of up to 32 MB for the next ones. The layers of a large picture's tiles, which differ a
    little in size, leave gaps that later ones do not fit into.
    """
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@cache
def _malloc_trim() -> Callable[[int], int] | None:
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another C library, or Windows
        return None
    return trim
