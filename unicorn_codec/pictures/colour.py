"""Samples of any colour space to sRGB, by Little CMS; more than 8 bits are converted in floating point.

Only what an ICC engine does not know is computed here: the light of PQ and HLG (``tone_mapping``), and ink without a
profile.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from unicorn_codec.pictures.colour_space import (
    BT709_CURVE,
    D50,
    LINEAR,
    LINEAR_SRGB,
    SRGB_CURVE,
    ColourSpace,
)
from unicorn_codec.pictures.pixels import Pixels
from unicorn_codec.pictures.raster import CMYK, GRAY, LAB, RGB, Raster, Samples, full_scale
from unicorn_codec.pictures.tone_mapping import display_light, peak_of, tone_mapped

BLOCK_PIXELS = 1 << 20
PEAK_SAMPLES = 1 << 22
CURVE_POINTS = 4096


_SAME_WHITE = 0.002
_XYZ_PRIMARIES = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)
"""Primaries with which the channels of an RGB profile are X, Y and Z, relative to its white."""

_ICC_SPACES = {b"GRAY": GRAY, b"RGB ": RGB, b"CMYK": CMYK, b"Lab ": LAB}
_ICC_NAMES = {GRAY: "gray", RGB: "rgb", CMYK: "cmyk", LAB: "lab"}


@dataclass(frozen=True, slots=True)
class Converted:
    """sRGB pixels (H, W, 3), and notes on the conversion."""

    pixels: Pixels
    notes: tuple[str, ...] = ()


def to_srgb(raster: Raster) -> Converted:
    """Convert a picture's colours to sRGB. Alpha is ignored, and must not be premultiplied.

    A profile that cannot be used is passed over with a note. Gray samples stay gray: all channels are equal. Samples of
    8 bits in RGB become the pixels in place where they can, because a large picture's are most of the memory.
    """
    assert not raster.premultiplied, "premultiplied samples have no colours yet"
    if raster.colour.is_hdr or _is_bright(raster):
        return _tone_mapped(raster)
    height, width, _ = raster.samples.shape
    pixels = raster.samples if _can_change(raster) else np.empty((height, width, 3), np.uint8)
    icc, notes = usable_profile(raster.colour.icc, raster.model)
    for rows in blocks(height, width):
        pixels[rows] = _block_to_srgb(raster.samples[rows], raster.model, raster.colour, icc)
    return Converted(pixels, notes)


def _can_change(raster: Raster) -> bool:
    """Return whether the samples' own memory can hold the pixels."""
    samples = raster.samples
    return raster.model == RGB and samples.dtype == np.uint8 and samples.flags.carray


def blocks(height: int, width: int) -> Iterator[slice]:
    """Yield bands of rows, which bound the memory of intermediate results."""
    step = max(1, BLOCK_PIXELS // width)
    return (slice(top, top + step) for top in range(0, height, step))


def usable_profile(icc: bytes | None, model: str) -> tuple[bytes | None, tuple[str, ...]]:
    """Return a profile that fits the samples, or None and a note with the reason."""
    if icc is None:
        return None, ()
    space = _ICC_SPACES.get(icc[16:20])
    fits = space == model or (space == RGB and model == GRAY)
    if not fits:
        return None, (f"its colour profile is not one of {model} samples and was ignored",)
    try:
        trial = np.zeros((1, 1, 1 if space == GRAY else 4 if space == CMYK else 3), np.uint8)
        imagecodecs.cms_transform(trial, icc, srgb_profile(), colorspace=_ICC_NAMES[space or RGB], outcolorspace="rgb")
    except Exception:  # noqa: BLE001 - Little CMS refuses a damaged profile in its own ways
        return None, ("its colour profile is damaged and was ignored",)
    return icc, ()


def _block_to_srgb(samples: Samples, model: str, colour: ColourSpace, icc: bytes | None) -> Pixels:
    if model == LAB:
        return _lab_to_rgb(samples, colour.primaries[:2])
    if icc is not None:
        as_rgb = model == GRAY and icc[16:20] == b"RGB "
        return _neutral(_transformed(_as_rgb(samples) if as_rgb else samples, RGB if as_rgb else model, icc), model)
    if model == CMYK:
        return _ink_to_rgb(samples)
    if colour.is_srgb or colour.icc is not None:
        return _as_rgb(_to_eight_bits(samples))
    return _neutral(_transformed(samples, model, _profile_of(colour, model)), model)


def _lab_to_rgb(samples: Samples, white: tuple[float, ...]) -> Pixels:
    """Convert LAB. ICC's LAB has white at D50; another white requires a profile of the tristimulus values."""
    if max(abs(a - b) for a, b in zip(white, D50, strict=True)) < _SAME_WHITE:
        return _transformed(samples, LAB, imagecodecs.cms_profile("lab4"))
    lightness = (samples[:, :, 0] + 16) / 116
    roots = np.stack((lightness + samples[:, :, 1] / 500, lightness, lightness - samples[:, :, 2] / 200), axis=2)
    values = np.where(roots > 6 / 29, roots**3, (roots - 4 / 29) * (3 * (6 / 29) ** 2))
    profile = imagecodecs.cms_profile("rgb", whitepoint=white, primaries=_XYZ_PRIMARIES, gamma=1.0)
    return _transformed(values.astype(np.float32), RGB, profile)


def _transformed(samples: Samples, model: str, profile: bytes) -> Pixels:
    # Little CMS's 16-bit tables are too coarse in dark tones; tables of CMYK profiles are coarse in any case.
    wide = samples if samples.dtype == np.uint8 or model == CMYK else _as_float(samples, model)
    if model == CMYK and wide.dtype == np.float32:
        wide = np.rint(np.clip(wide, 0, 1) * 65535).astype(np.uint16)
    converted = imagecodecs.cms_transform(
        np.ascontiguousarray(wide),
        profile,
        srgb_profile(),
        colorspace=_ICC_NAMES[model],
        outcolorspace="rgb",
        outdtype="u1",
    )
    return np.asarray(converted).reshape(*samples.shape[:2], 3)


def _as_float(samples: Samples, model: str) -> NDArray[np.float32]:
    if samples.dtype == np.float32:
        return np.asarray(samples if model == LAB else np.clip(samples, 0, 1))
    return (samples / np.float32(full_scale(samples.dtype))).astype(np.float32)


def _to_eight_bits(samples: Samples) -> Pixels:
    if samples.dtype == np.uint8:
        return samples
    return np.rint(_as_float(samples, RGB) * 255).astype(np.uint8)


def _as_rgb(samples: Samples) -> Samples:
    return samples if samples.shape[2] == 3 else np.repeat(samples, 3, axis=2)


def _neutral(pixels: Pixels, model: str) -> Pixels:
    """Remove the tint of a level that Little CMS's rounding may give to gray."""
    return np.repeat(pixels[:, :, 1:2], 3, axis=2) if model == GRAY else pixels


def _ink_to_rgb(samples: Samples) -> Pixels:
    top = full_scale(samples.dtype)
    left = 1 - np.clip(samples / np.float32(top), 0, 1)
    return np.rint(left[:, :, :3] * left[:, :, 3:] * 255).astype(np.uint8)


# --- high dynamic range ---


def _is_bright(raster: Raster) -> bool:
    """Return whether linear floating-point samples exceed white."""
    linear = raster.colour.icc is None and raster.colour.transfer == LINEAR
    return linear and raster.samples.dtype == np.float32 and float(raster.samples.max(initial=0)) > 1


def _tone_mapped(raster: Raster) -> Converted:
    height, width, channels = raster.samples.shape
    stride = max(1, height * width // PEAK_SAMPLES)
    peak = peak_of(_light(raster, raster.samples.reshape(-1, 1, channels)[::stride]))
    linear = _profile_of(LINEAR_SRGB, raster.model)
    pixels = np.empty((height, width, 3), np.uint8)
    for rows in blocks(height, width):
        light = tone_mapped(_light(raster, raster.samples[rows]), peak)
        pixels[rows] = _neutral(_transformed(light, raster.model, linear), raster.model)
    kind = "linear light" if raster.colour.transfer == LINEAR else str(raster.colour.transfer).upper()
    what = "high dynamic range" if peak > 1 else "a high dynamic range format"
    return Converted(pixels, (f"{what} ({kind}) was converted to sRGB, diffuse white at 203 cd/m2",))


def _light(raster: Raster, samples: Samples) -> NDArray[np.float32]:
    """Return linear light in sRGB's primaries, diffuse white at 1, clipped to their gamut."""
    light = samples
    if raster.colour.is_hdr:
        light = display_light(_as_float(samples, raster.model), raster.colour.transfer)
    if raster.model == RGB and raster.colour.primaries != LINEAR_SRGB.primaries:
        source = _profile_of(ColourSpace(primaries=raster.colour.primaries, transfer=LINEAR), RGB)
        light = imagecodecs.cms_transform(
            np.ascontiguousarray(light),
            source,
            _profile_of(LINEAR_SRGB, RGB),
            colorspace="rgb",
            outcolorspace="rgb",
            outdtype="f4",
        ).reshape(light.shape)
    return np.maximum(light, 0)


# --- profiles ---


@lru_cache(maxsize=1)
def srgb_profile() -> bytes:
    """Return the bytes of an sRGB profile."""
    return bytes(imagecodecs.cms_profile("srgb"))


@lru_cache(maxsize=16)
def _profile_of(colour: ColourSpace, model: str) -> bytes:
    """Build a profile for a gray or RGB colour space."""
    gamma = 1.0 if colour.transfer == LINEAR else colour.transfer if isinstance(colour.transfer, float) else None
    curve = None
    if gamma is None:
        curve = _linear_values(np.linspace(0, 1, CURVE_POINTS), str(colour.transfer))
    profile = imagecodecs.cms_profile(
        _ICC_NAMES[model],
        whitepoint=colour.primaries[:2],
        primaries=None if model == GRAY else colour.primaries[2:],
        gamma=gamma,
        transferfunction=curve,
    )
    return bytes(profile)


def _linear_values(values: NDArray[np.float64], transfer: str) -> NDArray[np.float32]:
    """Decode values of 0 to 1 to linear light."""
    if transfer == SRGB_CURVE:
        light = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    else:
        assert transfer == BT709_CURVE, transfer
        light = np.where(values < 0.081, values / 4.5, ((values + 0.099) / 1.099) ** (1 / 0.45))
    return light.astype(np.float32)
