"""Tiling of large pictures for convolutional networks, without seams.

An output value depends on a bounded receptive field. Each tile is computed with a margin of that size, which is cropped
afterwards. At the picture's border the tile ends too, so that the convolutions pad with zeros there and nowhere else.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, product

from torch import nn

UNTILED_PIXELS = 1 << 21
"""Pictures of up to this many pixels are computed in one piece."""

TILE_SIDE = 1024
"""Longest side of a tile in pixels, without its margin."""


@dataclass(frozen=True, slots=True)
class Span:
    """One side of a tile in grid cells of the latents: its output is [start, stop), its input [input_start,
    input_stop)."""

    start: int
    stop: int
    input_start: int
    input_stop: int

    def output(self, scale: int) -> slice:
        """Return the tile's output within the whole. A cell is ``scale`` places long."""
        return slice(self.start * scale, self.stop * scale)

    def input(self, scale: int) -> slice:
        """Return the tile's input within the whole."""
        return slice(self.input_start * scale, self.input_stop * scale)

    def cropped(self, scale: int) -> slice:
        """Return the tile's output within the result for its input: the margin is cropped."""
        return slice((self.start - self.input_start) * scale, (self.stop - self.input_start) * scale)


def spans(length: int, longest: int, margin: int) -> list[Span]:
    """Divide a side into about equal parts, each with a margin where the side has one."""
    count = -(-length // longest)
    edges = [length * number // count for number in range(count + 1)]
    return [Span(start, stop, max(0, start - margin), min(length, stop + margin)) for start, stop in pairwise(edges)]


def tiles(rows: int, columns: int, cell: int, margin: int | None) -> Iterator[tuple[Span, Span]]:
    """Return rows and columns of each tile of a grid, line by line. A small grid is one tile.

    Args:
        cell: pixels of a cell's side.
        margin: cells around a tile that it depends on. None: it depends on everything.
    """
    whole = margin is None or rows * columns * cell**2 <= UNTILED_PIXELS
    longest = max(rows, columns) if whole else max(1, TILE_SIDE // cell)
    return product(spans(rows, longest, margin or 0), spans(columns, longest, margin or 0))


def margin_of(network: nn.Module, cell: int, *, from_pixels: bool) -> int:
    """Return the receptive field's margin, in cells, of a chain of convolutions and pixel (un)shuffles.

    Args:
        cell: pixels of a cell's side.
        from_pixels: whether the network's input is pixels rather than cells.
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
