"""Values of a TIFF page to samples, by the page's tags."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tifffile import TiffPage

from unicorn_codec.pictures.colour_space import BT709_PRIMARIES, D50, LINEAR_SRGB, SRGB, ColourSpace, of_png_gamma
from unicorn_codec.pictures.picture_files import BadFile
from unicorn_codec.pictures.raster import CHANNELS, CMYK, GRAY, LAB, RGB, Raster, Samples, full_scale, widened

MIN_IS_WHITE, MIN_IS_BLACK, IS_RGB, PALETTE, MASK, SEPARATED, YCBCR, CIE_LAB, ICC_LAB = 0, 1, 2, 3, 4, 5, 6, 8, 9
BANDED = (MIN_IS_WHITE, MIN_IS_BLACK, IS_RGB, SEPARATED)
"""Photometric interpretations whose values can be averaged."""

_UNSIGNED, _SIGNED, _FLOAT, _VOID = 1, 2, 3, 4
_ASSOCIATED, _STRAIGHT = 1, 2
_EXTRA_SAMPLES, _ICC_PROFILE, _WHITE_POINT, _PRIMARIES, _INK_SET, _ORIENTATION = 338, 34675, 318, 319, 332, 274
_CMYK_INKS = 1
_BYTE = 255

BRIGHTEST_LIGHT = 100.0
"""Floating-point colours up to this value are treated as linear light."""

_MODELS = {
    MIN_IS_WHITE: GRAY,
    MIN_IS_BLACK: GRAY,
    MASK: GRAY,
    IS_RGB: RGB,
    SEPARATED: CMYK,
    YCBCR: RGB,
    CIE_LAB: LAB,
    ICC_LAB: LAB,
}


@dataclass(frozen=True, slots=True)
class Stretched:
    """Samples, and a note if their values did not fit their type."""

    samples: Samples
    note: str | None = None


def raster_of(page: TiffPage, values: NDArray[Any]) -> Raster:
    """Return a page's picture from its decoded values (H, W, S).

    Raises:
        BadFile: the page has unsupported tags.
    """
    photometric = int(page.photometric)
    if photometric == PALETTE:
        return _of_palette(page, values)
    model = _MODELS.get(photometric)
    if model is None:
        raise BadFile(f"a TIFF of photometric interpretation {photometric} is not read")
    _check_samples(page, model, values.shape[2])
    channels = CHANNELS[model]
    place, premultiplied = _alpha_place(page, channels, values)
    if model == LAB:
        samples = _lab(page, values[:, :, :3])
        alpha = None if place is None else _as_float(_scaled(page, values[:, :, place], None).samples)
        white = _fractions(page, _WHITE_POINT, 2) or D50
        colour = ColourSpace(primaries=(*white, *BT709_PRIMARIES[2:]))
        return Raster(samples=samples, model=LAB, alpha=alpha, colour=colour, orientation=orientation(page))
    colours = _scaled(page, values[:, :, :channels], model)
    samples = _inverted(colours.samples) if photometric == MIN_IS_WHITE else colours.samples
    return Raster(
        samples=samples,
        model=model,
        alpha=None if place is None else _scaled(page, values[:, :, place], None).samples.astype(samples.dtype),
        premultiplied=premultiplied and place is not None,
        colour=_colour(page, model, stretched=colours.note is not None),
        orientation=orientation(page),
        notes=(colours.note,) if colours.note else (),
    )


def orientation(page: TiffPage) -> int:
    """Return the page's orientation, 1 to 8; 1 if it is missing or invalid."""
    value = page.tags.valueof(_ORIENTATION, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _check_samples(page: TiffPage, model: str, count: int) -> None:
    if count < CHANNELS[model]:
        raise BadFile(f"a TIFF of {count} samples a pixel is not one of {model} colours")
    if model == CMYK and page.tags.valueof(_INK_SET, _CMYK_INKS) != _CMYK_INKS:
        raise BadFile("a TIFF of other inks than CMYK is not read")


def _alpha_place(page: TiffPage, channels: int, values: NDArray[Any]) -> tuple[int | None, bool]:
    """Return the position of the alpha sample, None without one, and whether colours are premultiplied.

    An unspecified fourth sample of RGB is alpha, as in libtiff and ImageMagick. Colours that nowhere exceed it are then
    treated as premultiplied.
    """
    count = values.shape[2]
    said = page.tags.valueof(_EXTRA_SAMPLES)
    kinds = () if said is None else (said,) if isinstance(said, int) else tuple(said)
    for number, kind in enumerate(kinds[: count - channels]):
        if kind in (_ASSOCIATED, _STRAIGHT):
            return channels + number, kind == _ASSOCIATED
    if page.photometric == IS_RGB and count == 4:
        return 3, bool((values[:, :, :3] <= values[:, :, 3:]).all())
    return None, False


def _bits(page: TiffPage) -> int:
    bits: Any = page.bitspersample
    if isinstance(bits, int):
        return bits
    # The decoder widens samples of different depths to one type.
    return 8 * page.dtype.itemsize if page.dtype is not None else int(max(bits))


def _scaled(page: TiffPage, values: NDArray[Any], model: str | None) -> Stretched:
    """Convert values to a type of ``Raster`` with white at full scale; ``model`` None: alpha."""
    kind = values.dtype.kind
    if kind == "b":
        return Stretched(values.astype(np.uint8) * 255)
    planes = values if values.ndim == 3 else values[:, :, None]
    if kind == "u":
        scaled = widened(planes, min(_bits(page), values.dtype.itemsize * 8))
        return Stretched(scaled.reshape(values.shape))
    if kind == "f":
        return _of_floats(values, model)
    if kind != "i":
        raise BadFile(f"values of type {values.dtype} are not read")
    if values.dtype.itemsize >= 4 and _are_bytes(values):
        return _of_bytes(values)
    white = 65535.0 if values.dtype.itemsize >= 4 else float(np.iinfo(values.dtype).max)
    return _within(values.astype(np.float32), white, (values.min(), values.max()))


def _of_floats(values: NDArray[Any], model: str | None) -> Stretched:
    floats = values.astype(np.float32)
    if not np.isfinite(floats).all():
        raise BadFile("some of its values are not finite")
    if _are_bytes(floats):
        return _of_bytes(floats)
    if model == RGB and floats.max(initial=0) <= BRIGHTEST_LIGHT:
        return Stretched(np.maximum(floats, 0))
    return _within(floats, 1.0, (floats.min(initial=0), floats.max(initial=0)))


def _are_bytes(values: NDArray[Any]) -> bool:
    """Return whether values of a wider type are integers up to 255, as some libraries write 8-bit pictures."""
    return bool(values.min() >= 0 and 1 < values.max() <= _BYTE and (values == np.rint(values)).all())


def _of_bytes(values: NDArray[Any]) -> Stretched:
    return Stretched((values / np.float32(_BYTE)).astype(np.float32), "its values were taken for 8 bits, up to 255")


def _within(values: NDArray[np.float32], white: float, found: tuple[Any, Any]) -> Stretched:
    """Scale to 0 to 1. If values exceed the range, as in scientific pictures, scale their minimum and maximum to it."""
    least, greatest = map(float, found)
    if least >= 0 and greatest <= white:
        return Stretched(values / np.float32(white))
    scaled = ((values - least) / ((greatest - least) or 1.0)).astype(np.float32)
    return Stretched(scaled, f"its values, {least:g} to {greatest:g}, were scaled to black and white")


def _inverted(samples: Samples) -> Samples:
    return 1 - samples if samples.dtype == np.float32 else ~samples


def _as_float(samples: Samples) -> Samples:
    return samples if samples.dtype == np.float32 else (samples / np.float32(full_scale(samples.dtype)))


def _lab(page: TiffPage, values: NDArray[Any]) -> Samples:
    """Return L*, a* and b* in their units. CIELAB stores a* and b* as signed values, ICC's LAB with an offset."""
    bits, signed = _bits(page), page.photometric == CIE_LAB
    if values.dtype.kind == "f":
        return values.astype(np.float32)
    if bits not in (8, 16) or values.dtype.itemsize * 8 != bits:
        raise BadFile(f"LAB of {bits} bits is not read")
    unit = 1 << (bits - 8)
    white = (1 << bits) - 1 if signed or bits == 8 else 255 * unit
    unsigned = values.view(f"u{values.dtype.itemsize}")
    lightness = unsigned[:, :, :1] * np.float32(100 / white)
    colours = unsigned[:, :, 1:].view(f"i{values.dtype.itemsize}") if signed else unsigned[:, :, 1:] - 128.0 * unit
    return np.concatenate((lightness, (colours / unit)), axis=2).astype(np.float32)


def _of_palette(page: TiffPage, values: NDArray[Any]) -> Raster:
    """Look up colours of a 16-bit palette; if all its values fit into 8 bits, they are 8-bit values, as in libtiff."""
    table, indices = page.colormap, values[:, :, 0]
    if table is None or indices.dtype.kind not in "ub":
        raise BadFile("its palette is missing")
    colours = np.asarray(table, np.uint16).T
    if colours.max(initial=0) < 256:
        colours = colours.astype(np.uint8)
    elif not (colours & 255).any():  # 8-bit values that were shifted, with white at 65280
        colours = (colours >> 8).astype(np.uint8)
    inside = np.minimum(indices.astype(np.int64), len(colours) - 1)
    samples = colours[inside]
    place, premultiplied = _alpha_place(page, 1, values)
    alpha = None if place is None else _scaled(page, values[:, :, place], None).samples
    if alpha is not None and alpha.dtype != samples.dtype:
        samples, alpha = _as_float(samples), _as_float(alpha)
    return Raster(
        samples=samples,
        model=RGB,
        alpha=alpha,
        premultiplied=premultiplied and alpha is not None,
        colour=_icc(page) or SRGB,
        orientation=orientation(page),
    )


def _icc(page: TiffPage) -> ColourSpace | None:
    profile = page.tags.valueof(_ICC_PROFILE)
    return ColourSpace(icc=profile) if isinstance(profile, bytes) and profile else None


def _colour(page: TiffPage, model: str, *, stretched: bool) -> ColourSpace:
    """Return the colour space: by profile, else by the tags of primaries, with sRGB's curve.

    Without either, floating-point colours and gray values of half precision are linear light, and all others sRGB.
    """
    if (found := _icc(page)) is not None:
        return found
    white, primaries = _fractions(page, _WHITE_POINT, 2), _fractions(page, _PRIMARIES, 6)
    if white and primaries and all(0 < y < 1 for y in (*white, *primaries)[1::2]):
        return of_png_gamma(None, (*white, *primaries)) or SRGB
    is_light = page.dtype is not None and page.dtype.kind == "f" and (model == RGB or page.dtype.itemsize == 2)
    return LINEAR_SRGB if is_light and not stretched else SRGB


def _fractions(page: TiffPage, tag: int, count: int) -> tuple[float, ...] | None:
    value = page.tags.valueof(tag)
    if not isinstance(value, tuple) or len(value) != 2 * count or not all(value[1::2]):
        return None
    return tuple(value[at] / value[at + 1] for at in range(0, 2 * count, 2))
