"""Colours of transparent pictures: what lies beneath transparent pixels, and flattening onto a background."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from unicorn_codec.pictures.colour import blocks
from unicorn_codec.pictures.pixels import Pixels

Colour = tuple[int, int, int]
"""(R, G, B), 0 to 255 each."""

WHITE: Colour = (255, 255, 255)


def has_alpha(pixels: Pixels) -> bool:
    """Return whether pixels are (H, W, 4), with their opacity, and not (H, W, 3)."""
    return pixels.shape[2] == 4


def with_alpha(colours: Pixels, alpha: NDArray[np.uint8] | None) -> Pixels:
    """Join colours (H, W, 3) and opacity (H, W) to pixels (H, W, 4); return the colours alone without any."""
    return colours if alpha is None else np.dstack((colours, alpha))


def flatten(pixels: Pixels, background: Colour) -> Pixels:
    """Return pixels (H, W, 3) on a background: of (H, W, 4) the colours by their opacity, others unchanged."""
    return on_background(pixels[..., :3], pixels[..., 3], background) if has_alpha(pixels) else pixels


def on_background(colours: Pixels, alpha: NDArray[Any], background: Colour) -> Pixels:
    """Return colours (H, W, 3) on a background, with an opacity (H, W) that is an integer of any type, or 0 to 1."""
    shown = np.empty(colours.shape, np.uint8)
    top = 1.0 if alpha.dtype.kind == "f" else float(np.iinfo(alpha.dtype).max)
    under = np.array(background, np.float32)
    height, width, _ = colours.shape
    for rows in blocks(height, width):
        opacity = np.clip(alpha[rows, :, None] / np.float32(top), 0, 1)
        shown[rows] = np.rint(colours[rows] * opacity + under * (1 - opacity))
    return shown


def fill_hidden(colours: Pixels, alpha: NDArray[np.uint8]) -> Pixels:
    """Give fully transparent pixels of (H, W, 3) the mean colours of visible ones nearby.

    What a file holds there is never seen, but an edge between both blurs into what is seen, or costs bytes.
    """
    hidden = alpha == 0
    if not hidden.any():
        return colours
    visible = Image.fromarray((~hidden).astype(np.float32))
    filled = colours.copy()
    for channel in np.moveaxis(filled, -1, 0):
        weighted = Image.fromarray(np.where(hidden, np.float32(0), channel))
        channel[hidden] = np.rint(_spread(weighted, visible))[hidden]
    return filled


def _spread(weighted: Image.Image, weights: Image.Image) -> NDArray[np.float32]:
    """Return (H, W) values from weighted ones; where the weight is 0, from both at half the size, and so on."""
    total = np.asarray(weights)
    values = np.asarray(weighted) / np.maximum(total, np.float32(1e-6))
    if total.all() or total.size == 1:
        return values
    coarse = Image.fromarray(_spread(weighted.reduce(2), weights.reduce(2)))
    return np.where(total > 0, values, np.asarray(coarse.resize(weights.size, Image.Resampling.BILINEAR)))
