"""A file's bytes to upright sRGB pixels: recognise > read > convert > rotate > flatten or fill > scale."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from unicorn_codec.config import ReadOptions
from unicorn_codec.format.limits import MAX_SIDE
from unicorn_codec.pictures import recognise
from unicorn_codec.pictures.bmp_files import read_bmp, read_dib
from unicorn_codec.pictures.colour import blocks, to_srgb
from unicorn_codec.pictures.heif_files import read_avif, read_heic
from unicorn_codec.pictures.jpeg_files import read_jpeg
from unicorn_codec.pictures.picture_files import BadFile, DamagedFile, MissingReader
from unicorn_codec.pictures.pillow_files import read_gif, read_webp
from unicorn_codec.pictures.pixels import Pixels
from unicorn_codec.pictures.png_files import read_png
from unicorn_codec.pictures.raster import LAB, Raster, full_scale
from unicorn_codec.pictures.raw_files import read_raw
from unicorn_codec.pictures.tiff_files import CameraRaw, read_tiff
from unicorn_codec.pictures.transparency import fill_hidden, on_background

_TURNED_SIDEWAYS = 5
"""Orientations from this on swap width and height."""

Reader = Callable[[bytes, ReadOptions], Raster]

_READERS: dict[recognise.Kind, Reader] = {
    recognise.JPEG: read_jpeg,
    recognise.PNG: read_png,
    recognise.WEBP: read_webp,
    recognise.AVIF: read_avif,
    recognise.TIFF: read_tiff,
    recognise.BMP: read_bmp,
    recognise.DIB: read_dib,
    recognise.GIF: read_gif,
    recognise.HEIC: read_heic,
    recognise.RAW: read_raw,
}


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded file.

    Args:
        pixels: (H, W, 3) uint8, sRGB, upright.
        flattened: whether it had transparency, and lies on the options' background.
        scaled: whether it was larger than the options allow, and scaled down.
        notes: remarks for the owner, each a sentence without the file's name.
        alpha: (H, W) opacity; None for an opaque or flattened picture.
    """

    pixels: Pixels
    flattened: bool
    scaled: bool
    notes: tuple[str, ...]
    alpha: NDArray[np.uint8] | None = None


def decode_picture(data: bytes, options: ReadOptions) -> Decoded:
    """Decode a file by its content, whatever its name.

    Raises:
        BadFile: it is not a usable picture; ``MissingReader`` if its format is not supported.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # harmless faults in metadata; damage raises
        try:
            return _pixels(_read(data, options), options)
        except BadFile:
            raise
        except MemoryError as error:
            raise BadFile("it needs more memory than there is") from error
        except Exception as error:  # the libraries' readers raise nearly anything on damaged bytes
            reason = "it is no picture, or damaged" if isinstance(error, UnidentifiedImageError) else str(error)
            raise DamagedFile(reason or type(error).__name__) from error


def _read(data: bytes, options: ReadOptions) -> Raster:
    kind = recognise.recognise(data[: recognise.HEAD_BYTES])
    reader = _READERS.get(kind)
    if reader is None:
        if kind.is_picture:
            raise MissingReader(f"a {kind.name} picture, of a format that is not read")
        raise BadFile("it is no picture, or damaged")
    try:
        return reader(data, options)
    except CameraRaw:
        return read_raw(data, options)


def _pixels(raster: Raster, options: ReadOptions) -> Decoded:
    straight = _straight(raster)
    converted = to_srgb(straight)
    pixels, alpha, flattened = converted.pixels, _opacity(straight), False
    if alpha is not None and options.background is not None:
        assert straight.alpha is not None, "it has an opacity"
        pixels, alpha, flattened = on_background(pixels, straight.alpha, options.background), None, True
    elif alpha is not None:
        pixels = fill_hidden(pixels, alpha)
    full_size = raster.size if raster.orientation < _TURNED_SIDEWAYS else raster.size[::-1]
    size = size_within(full_size, options.max_side)
    if max(size) > MAX_SIDE:
        raise BadFile(f"it has {size[0]}x{size[1]} pixels; sides up to {MAX_SIDE} are allowed")
    return Decoded(
        pixels=_upright(pixels, raster.orientation, size),
        flattened=flattened,
        scaled=size != full_size,
        notes=(*raster.notes, *converted.notes),
        alpha=None if alpha is None else _upright(alpha, raster.orientation, size),
    )


def _opacity(raster: Raster) -> NDArray[np.uint8] | None:
    """Return (H, W) opacity of 8 bits; None if the picture is opaque."""
    if raster.alpha is None or raster.alpha.min() >= full_scale(raster.alpha.dtype):
        return None
    height, width = raster.alpha.shape
    opacity = np.empty((height, width), np.uint8)
    for rows in blocks(height, width):
        shares = np.clip(raster.alpha[rows] / np.float32(full_scale(raster.alpha.dtype)), 0, 1)
        opacity[rows] = np.rint(shares * 255)
    return None if opacity.min() == 255 else opacity


def _upright(pixels: Pixels, orientation: int, size: tuple[int, int]) -> Pixels:
    """Rotate (H, W, 3) or (H, W) by EXIF's orientation, and scale it to a (width, height)."""
    turned = _turned(pixels, orientation)
    if turned.shape[:2] != size[::-1]:
        turned = np.array(Image.fromarray(turned).resize(size, Image.Resampling.LANCZOS))
    return np.ascontiguousarray(turned)


def size_within(size: tuple[int, int], max_side: int) -> tuple[int, int]:
    """Scale a (width, height) down to a longer side of ``max_side``; 0 means no limit."""
    longest = max(size)
    if not max_side or longest <= max_side:
        return size
    width, height = (max(1, (2 * side * max_side + longest) // (2 * longest)) for side in size)
    return width, height


def _straight(raster: Raster) -> Raster:
    """Convert premultiplied colours to straight ones."""
    if not raster.premultiplied or raster.alpha is None:
        return raster
    assert raster.model != LAB, "no format premultiplies LAB"
    straight = np.empty_like(raster.samples)
    top = full_scale(straight.dtype)
    height, width, _ = straight.shape
    for rows in blocks(height, width):
        opacity = np.maximum(raster.alpha[rows, :, None] / np.float32(top), 1e-6)
        divided = np.minimum(raster.samples[rows] / opacity, top)
        straight[rows] = divided if straight.dtype == np.float32 else np.rint(divided)
    return replace(raster, samples=straight, premultiplied=False)


def _turned(pixels: Pixels, orientation: int) -> Pixels:
    """Rotate to upright by EXIF's orientation."""
    if orientation >= _TURNED_SIDEWAYS:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels
