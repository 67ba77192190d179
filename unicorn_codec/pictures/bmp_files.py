"""BMP files to samples, by Pillow, with two additions: alpha in a fourth byte, and embedded profiles."""

import io
import struct
from dataclasses import dataclass, replace

import numpy as np
from PIL.BmpImagePlugin import BmpImageFile, DibImageFile

from unicorn_codec.config import ReadOptions
from unicorn_codec.pictures.colour_space import SRGB, ColourSpace
from unicorn_codec.pictures.picture_files import DamagedFile
from unicorn_codec.pictures.pillow_files import still_of
from unicorn_codec.pictures.raster import RGB, Raster, Samples

FILE_HEADER_BYTES = 14
_INFO_HEADER_BYTES, _V5_HEADER_BYTES = 40, 124
_UNCOMPRESSED = 0
_EMBEDDED_PROFILE = b"DEBM"
"""``MBED``, little endian."""


def read_bmp(data: bytes, options: ReadOptions) -> Raster:
    """Decode a BMP file. Raises ``BadFile``."""
    raster = still_of(BmpImageFile(io.BytesIO(data)), options)
    header = _header(data, FILE_HEADER_BYTES)
    start = int.from_bytes(data[10:14], "little")
    return replace(raster, alpha=_fourth_bytes(data, header, start, raster), colour=_colour(data, header))


def read_dib(data: bytes, options: ReadOptions) -> Raster:
    """Decode a BMP without file header (DIB). Raises ``BadFile``."""
    raster = still_of(DibImageFile(io.BytesIO(data)), options)
    header = _header(data, 0)
    return replace(raster, alpha=_fourth_bytes(data, header, header.size, raster))


@dataclass(frozen=True, slots=True)
class _Header:
    """Relevant header fields, and the header's offset."""

    at: int
    size: int
    bits: int
    compression: int
    is_top_down: bool


def _header(data: bytes, at: int) -> _Header:
    size = int.from_bytes(data[at : at + 4], "little")
    if size < _INFO_HEADER_BYTES:
        return _Header(at, size, 0, _UNCOMPRESSED, is_top_down=False)
    try:
        height, _, bits, compression = struct.unpack_from("<iHHI", data, at + 8)
    except struct.error as error:
        raise DamagedFile("its header is damaged") from error
    return _Header(at, size, bits, compression, is_top_down=height < 0)


def _fourth_bytes(data: bytes, header: _Header, start: int, raster: Raster) -> Samples | None:
    """Return alpha from the fourth byte of 32-bit pixels; None if there is none, or it is 0 everywhere."""
    if raster.alpha is not None or header.bits != 32 or header.compression != _UNCOMPRESSED or raster.model != RGB:
        return raster.alpha
    width, height = raster.size
    pixels = np.frombuffer(data, np.uint8, offset=start)
    if pixels.size < 4 * width * height:
        return None
    alpha = pixels[: 4 * width * height].reshape(height, width, 4)[:, :, 3]
    if not alpha.any() or alpha.min() == 255:
        return None
    return alpha if header.is_top_down else alpha[::-1]


def _colour(data: bytes, header: _Header) -> ColourSpace:
    at = header.at
    if header.size < _V5_HEADER_BYTES or data[at + 56 : at + 60] != _EMBEDDED_PROFILE:
        return SRGB
    offset, size = struct.unpack_from("<II", data, at + 112)
    profile = data[at + offset : at + offset + size]
    return ColourSpace(icc=profile) if profile else SRGB
