"""Pixels of pictures: arrays of uint8 ``(H, W, 3)``, sRGB and upright; with transparency ``(H, W, 4)``."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
PillowImage = Image.Image

GRAY_BAND = 1 << 18
"""Pixels that are compared together."""


def is_gray(pixels: Pixels) -> bool:
    """Return whether all pixels (H, W, 3) have R = G = B."""
    rows = max(1, GRAY_BAND // pixels.shape[1])
    bands = (pixels[start : start + rows] for start in range(0, len(pixels), rows))
    return all((band == band[..., :1]).all() for band in bands)  # a picture in colour mostly ends at the first one


def to_image(pixels: Pixels) -> PillowImage:
    """Return pixels ``(H, W, 3)`` as a Pillow image of mode RGB, or ``(H, W, 4)`` of mode RGBA."""
    return Image.fromarray(pixels)


def gray_at_size(pixels: Pixels, width: int, height: int) -> NDArray[np.uint8]:
    """Return the luma (BT.601) of pixels (H, W, 3), resized to (height, width) by linear interpolation."""
    gray = Image.fromarray(pixels).convert("L")
    return np.asarray(gray if gray.size == (width, height) else gray.resize((width, height), Image.Resampling.BILINEAR))
