"""Decoded samples of a picture before the conversion to sRGB: the result of every format's reader."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unicorn_codec.pictures.colour_space import SRGB, ColourSpace

GRAY, RGB, CMYK, LAB = "gray", "rgb", "cmyk", "lab"
CHANNELS = {GRAY: 1, RGB: 3, CMYK: 4, LAB: 3}

Samples = NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Raster:
    """Samples and their interpretation.

    Args:
        samples: (H, W, C) uint8 or uint16 with white at the type's maximum, or float32 with white at 1. LAB is
            float32 in its own units: L* 0 to 100, a* and b* around 0. CMYK counts ink: 0 is none.
        model: ``GRAY``, ``RGB``, ``CMYK`` or ``LAB``; its number of channels is C.
        alpha: (H, W) opacity of the same type and scale; LAB has float32, 0 to 1. None: opaque.
        premultiplied: the samples were multiplied by alpha.
        colour: the colour space of the samples; of LAB only its white counts.
        orientation: EXIF's, 1 to 8; 1 is upright.
        full_size: width and height as stored, if the samples were reduced while they were read.
        notes: what the owner should know of this file, each a sentence without its name.
    """

    samples: Samples
    model: str
    alpha: Samples | None = None
    premultiplied: bool = False
    colour: ColourSpace = SRGB
    orientation: int = 1
    full_size: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        assert self.samples.ndim == 3 and self.samples.shape[2] == CHANNELS[self.model], "samples are (H, W, C)"
        assert self.samples.dtype in (np.uint8, np.uint16, np.float32), f"samples of {self.samples.dtype}"
        assert self.alpha is None or self.alpha.shape == self.samples.shape[:2], "alpha is (H, W)"
        assert self.model != LAB or self.samples.dtype == np.float32, "LAB samples are float32"

    @property
    def size(self) -> tuple[int, int]:
        """Width and height as stored, before rotation and reduction."""
        height, width, _ = self.samples.shape
        return self.full_size or (width, height)


def full_scale(dtype: np.dtype[Any]) -> float:
    """Return the value of white, or of full opacity, for a type of samples."""
    return 1.0 if dtype.kind == "f" else float(np.iinfo(dtype).max)


def widened(values: NDArray[Any], bits: int) -> Samples:
    """Scale unsigned samples of 1 to 32 bits to the narrowest type of ``Raster`` that holds them; same shape."""
    top = (1 << bits) - 1
    if bits == 8 and values.dtype == np.uint8:
        return values
    if bits == 16 and values.dtype == np.uint16:
        return values
    if bits <= 8:
        table = np.rint(np.arange(top + 1) * (255 / top)).astype(np.uint8)
        return np.asarray(table[np.minimum(values, top)])
    if bits <= 16:
        return np.rint(np.minimum(values, top) * (65535 / top)).astype(np.uint16)
    return (values / np.float64(top)).astype(np.float32)
