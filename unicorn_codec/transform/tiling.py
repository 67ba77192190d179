"""Large pictures in tiles, for networks of convolutions: what they make of overlapping parts joins without seams.

A value that such a network puts out depends on a bounded part of what it gets. A tile is computed with that much
around it, which is cut off afterwards; where the picture ends the tile ends too, so that the convolutions pad with
zeros there and nowhere else.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, product

from torch import nn

UNTILED_PIXELS = 1 << 21
"""Pictures up to this size are computed in one piece."""

TILE_SIDE = 1024
"""Pixels of a tile's longest side, without what lies around it."""


@dataclass(frozen=True, slots=True)
class Span:
    """One side of a tile, in cells of the latents' grid: it gives [start, stop) and takes [first, last)."""

    start: int
    stop: int
    first: int
    last: int

    def given(self, scale: int) -> slice:
        """What the tile gives, of the whole; each cell has ``scale`` places."""
        return slice(self.start * scale, self.stop * scale)

    def taken(self, scale: int) -> slice:
        """What the tile takes, of the whole."""
        return slice(self.first * scale, self.last * scale)

    def kept(self, scale: int) -> slice:
        """What the tile gives, of what came out for all that it takes."""
        return slice((self.start - self.first) * scale, (self.stop - self.first) * scale)


def spans(length: int, longest: int, margin: int) -> list[Span]:
    """A side of some cells in about equal parts, each with the margin around it that the side has."""
    count = -(-length // longest)
    edges = [length * number // count for number in range(count + 1)]
    return [Span(start, stop, max(0, start - margin), min(length, stop + margin)) for start, stop in pairwise(edges)]


def tiles(rows: int, columns: int, cell: int, margin: int | None) -> Iterator[tuple[Span, Span]]:
    """Rows and columns of each tile of a grid, line by line; a single one where that is small enough.

    Args:
        cell: pixels of a cell's side.
        margin: cells around a tile that it depends on; None: it depends on everything.
    """
    whole = margin is None or rows * columns * cell**2 <= UNTILED_PIXELS
    longest = max(rows, columns) if whole else max(1, TILE_SIDE // cell)
    return product(spans(rows, longest, margin or 0), spans(columns, longest, margin or 0))


def margin_of(network: nn.Module, cell: int, *, from_pixels: bool) -> int:
    """Cells around a tile that a chain of convolutions and pixel (un)shuffles depends on.

    Args:
        cell: pixels of a cell's side.
        from_pixels: whether the network starts at pixels, and not at cells.
    """
    scale, pixels = 1 if from_pixels else cell, 0
    for layer in network.modules():
        if isinstance(layer, nn.PixelUnshuffle):
            scale *= layer.downscale_factor
        elif isinstance(layer, nn.PixelShuffle):
            scale //= layer.upscale_factor
        elif isinstance(layer, nn.Conv2d):
            pixels += layer.kernel_size[0] // 2 * scale
    return -(-pixels // cell)
