"""Batches of equally sized pictures, limited by memory."""

from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence

PICTURES_PER_BATCH = 256
PIXELS_TOGETHER = 1 << 25
"""Limits of a batch: number of pictures, and their total pixels."""


def places_by_size(sizes: Sequence[tuple[int, int]]) -> dict[tuple[int, int], "array[int]"]:
    """Return the positions of the pictures of each size."""
    by_size: dict[tuple[int, int], array[int]] = defaultdict(lambda: array("q"))
    for place, size in enumerate(sizes):
        by_size[size].append(place)
    return by_size


def batches_by_size(
    sizes: Sequence[tuple[int, int]], largest: int = PICTURES_PER_BATCH, pixels: int = PIXELS_TOGETHER
) -> Iterator[list[int]]:
    """Yield the positions of equally sized pictures, in batches within both limits."""
    for (width, height), places in places_by_size(sizes).items():
        together = max(1, min(largest, pixels // (width * height)))
        for start in range(0, len(places), together):
            yield places[start : start + together].tolist()
