"""Multiplications that a function's decoding takes."""

from unicorn_codec.format.function_table import KERNEL_SIZE
from unicorn_codec.overfitted.function_shape import FunctionShape
from unicorn_codec.overfitted.value_layout import ValueLayout

CELLS = (1 << 7, 1 << 7)
"""Rows and columns by which multiplications are counted; at the edges of smaller ones there are a few more."""


def multiplications_per_pixel(shape: FunctionShape, downsampling: int, cells: tuple[int, int] = CELLS) -> float:
    """Return the multiplications a pixel of context model, upsampling and synthesis, without the autoencoder.

    Args:
        downsampling: pixels per latent position, along each side.
        cells: rows and columns of the latents.
    """
    settings, channels = shape.settings, shape.channels
    layout = ValueLayout(*cells, settings.planes)
    total = shape.context_multiplications() * layout.count
    for level in range(1, len(settings.planes)):
        rows, columns = layout.sizes[level]
        doubled = 6 * rows * columns  # twice the columns, then twice the rows
        total += sum(settings.planes[level:]) * doubled * (KERNEL_SIZE // 2)
    of_position = shape.planes * (1 + settings.width) + channels * (settings.width + 2 * 9 * settings.group)
    return float((total + of_position * cells[0] * cells[1]) / (cells[0] * cells[1] * downsampling**2))
