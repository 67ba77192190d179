"""TIFF files to samples: tifffile decodes them; libtiff detects damage, and decodes what tifffile cannot.

Warnings of libtiff count as damage, as do strips that are missing or lie beyond the end of the file.
"""

import io
import logging
import re
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tifffile import TiffFile, TiffPage

from unicorn_codec.config import ReadOptions
from unicorn_codec.pictures.colour_space import SRGB
from unicorn_codec.pictures.exif import colour_of
from unicorn_codec.pictures.limits import check_pixels, refuse_damage
from unicorn_codec.pictures.picture_files import BadFile, DamagedFile
from unicorn_codec.pictures.raster import GRAY, RGB, Raster
from unicorn_codec.pictures.reducing import reduced, reduction
from unicorn_codec.pictures.tiff_pages import all_pages, choose_page, is_camera_raw
from unicorn_codec.pictures.tiff_samples import BANDED, YCBCR, orientation, raster_of

MAX_SAMPLES = 16
"""A pixel: more are no colours."""

_ORIENTATION_TAG, _EXIF_TAG = 274, 34665
_UNCOMPRESSED, _OLD_JPEG, _TOGETHER = 1, 6, 1
_FAX = (2, 3, 4)
_TOLERANT = (*_FAX, 6, 7, 34892)
"""Compressions whose decoders tolerate damage: fax and JPEG."""

_DAMAGE = re.compile(
    r"corrupt|premature|mismatch|bad code|code word|not enough|uncompressed data|extraneous|invalid (jpeg|suspensions)"
    r"|unexpected|error|eo[fl] at",
    re.IGNORECASE,
)

_heard = threading.local()


class _Listener(logging.Handler):
    """Collects libtiff's warnings per thread."""

    def emit(self, record: logging.LogRecord) -> None:
        if (messages := getattr(_heard, "messages", None)) is not None:
            messages.append(record.getMessage())


logging.getLogger("imagecodecs").addHandler(_Listener())
logging.getLogger("tifffile").addHandler(logging.NullHandler())


class CameraRaw(BadFile):
    """The file is a camera raw, which another module reads."""


def read_tiff(data: bytes, options: ReadOptions) -> Raster:
    """Decode a TIFF file.

    Raises:
        CameraRaw: it is a camera raw.
        BadFile: it cannot be used.
    """
    with TiffFile(io.BytesIO(data)) as tiff:
        pages = all_pages(tiff)
        if is_camera_raw(pages):
            raise CameraRaw("it is a camera raw")
        page, notes = choose_page(tiff, pages, options)
        factor = _reduction(page, options)
        check_pixels(-(-page.imagewidth // factor), -(-page.imagelength // factor), options)
        if page.imagedepth > 1:
            raise BadFile(f"it is a volume of {page.imagedepth} layers")
        if not 1 <= page.samplesperpixel <= MAX_SAMPLES:
            raise BadFile(f"it has {page.samplesperpixel} samples a pixel; up to {MAX_SAMPLES} are allowed")
        alone = _alone(data, tiff, page)
        notes += refuse_damage([*_missing(page, len(data)), *_warnings(page, alone)], options)
        raster, damage = _raster(page, alone, options, factor)
        full_size = page.imagewidth, page.imagelength
    if raster.colour == SRGB and _EXIF_TAG in page.tags:
        exif = Image.Exif()
        exif.load(b"Exif\0\0" + alone)
        raster = replace(raster, colour=colour_of(exif) or SRGB)
    return replace(raster, full_size=full_size, notes=(*notes, *damage, *raster.notes))


def _raster(page: TiffPage, alone: bytes, options: ReadOptions, factor: int) -> tuple[Raster, list[str]]:
    is_jpeg = page.compression in (6, 7, 34892)
    if (page.photometric == YCBCR and not is_jpeg) or page.compression == 6:
        return _by_libtiff(page, alone), []
    try:
        values = _values(page) if factor == 1 else reduced(_bands(page), factor)
    except NotImplementedError:
        return _by_libtiff(page, alone), []
    except Exception as error:  # tifffile and its decoders raise nearly anything on damaged bytes
        if (reason := _unsupported(page, error)) is not None:
            raise BadFile(reason) from error
        notes = refuse_damage([str(error) or type(error).__name__], options)
        return _by_libtiff(page, alone), notes
    return raster_of(page, values), []


def _values(page: TiffPage) -> NDArray[np.generic]:
    """Decode a page with chunky or planar samples to (H, W, S)."""
    decoded = page.asarray(squeeze=False, maxworkers=1)
    planes, _, height, width, together = decoded.shape
    return np.moveaxis(decoded[:, 0], 0, 2).reshape(height, width, planes * together)


def _reduction(page: TiffPage, options: ReadOptions) -> int:
    """Return the factor of reduction: 1 for palettes and separate planes, whose bands cannot be averaged."""
    in_bands = page.photometric in BANDED and page.planarconfig == _TOGETHER and page.compression != _OLD_JPEG
    return reduction(page.imagewidth, page.imagelength, options) if in_bands else 1


def _bands(page: TiffPage) -> Iterator[NDArray[np.generic]]:
    """Yield the rows of a page, (h, W, S), a row of strips or tiles at a time."""
    width, height = page.imagewidth, page.imagelength
    row: list[NDArray[np.generic]] = []
    for decoded, (_, _, top, left, _), _ in page.segments(maxworkers=1):
        if decoded is None:
            raise DamagedFile("it is damaged: some of its strips are missing")
        part = decoded.reshape(-1, *decoded.shape[-2:])
        row.append(part[: height - top, : width - left])
        if left + part.shape[1] >= width:
            yield np.concatenate(row, axis=1)
            row = []


def _unsupported(page: TiffPage, error: Exception) -> str | None:
    """Return what is unsupported if an error was not caused by damage; else None."""
    if isinstance(error, ValueError) and "not supported" in str(error):
        return f"a TIFF of this kind is not read ({error})"
    if page.dtype is None:
        return f"samples of {page.bitspersample} bits and format {page.sampleformat} are not read"
    return None


# --- libtiff ---


def _by_libtiff(page: TiffPage, alone: bytes) -> Raster:
    """Decode a page by libtiff, at 8 bits."""
    try:
        shown = imagecodecs.tiff_decode(alone, index=0, asrgb=True)
    except Exception as error:  # libtiff's errors, as imagecodecs passes them on
        raise DamagedFile(f"libtiff cannot read it: {error}") from error
    alpha = shown[:, :, 3]
    is_gray = bool((shown[:, :, 0] == shown[:, :, 1]).all() and (shown[:, :, 1] == shown[:, :, 2]).all())
    return Raster(
        samples=np.ascontiguousarray(shown[:, :, : 1 if is_gray else 3]),
        model=GRAY if is_gray else RGB,
        alpha=None if alpha.min() == 255 else np.ascontiguousarray(alpha),
        premultiplied=bool(alpha.min() < 255),
        orientation=orientation(page),
    )


def _alone(data: bytes, tiff: TiffFile, page: TiffPage) -> bytes:
    """Return the file with a page as its first one and without its orientation, which libtiff would apply."""
    order = tiff.byteorder
    changed = bytearray(data)
    if tiff.is_bigtiff:
        struct.pack_into(order + "Q", changed, 8, page.offset)
    else:
        struct.pack_into(order + "I", changed, 4, page.offset)
    tag = page.tags.get(_ORIENTATION_TAG)
    if tag is not None and tag.count == 1:
        struct.pack_into(order + "H", changed, tag.valueoffset, 1)
    return bytes(changed)


def _missing(page: TiffPage, size: int) -> Iterator[str]:
    """Yield faults of missing strips or tiles."""
    places = list(zip(page.dataoffsets, page.databytecounts, strict=False))
    if any(not offset or not count for offset, count in places):
        yield "some of its strips are missing"
    elif page.compression != _UNCOMPRESSED and any(offset + count > size for offset, count in places):
        yield "it ends before the last of its strips"


def _warnings(page: TiffPage, alone: bytes) -> list[str]:
    """Return libtiff's warnings on decoding a page, for compressions whose decoders tolerate damage."""
    if page.compression not in _TOLERANT:
        return []
    with _listening() as messages:
        try:
            imagecodecs.tiff_decode(alone, index=0, verbose=1)
        except Exception as error:  # noqa: BLE001 - a kind that imagecodecs does not return, or damage
            messages.append(str(error) if page.compression not in _FAX else f"error: {error}")
    return [message for message in messages if _DAMAGE.search(message)]


@contextmanager
def _listening() -> Iterator[list[str]]:
    messages: list[str] = []
    _heard.messages = messages
    try:
        yield messages
    finally:
        _heard.messages = None
