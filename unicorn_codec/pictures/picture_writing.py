"""Pixels to picture files, with the metadata and the code that each format can hold."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from unicorn_codec.config import ReadOptions
from unicorn_codec.errors import InvalidSetting, OutputError
from unicorn_codec.format.carried_codes import digest_of_pixels, serialize_carried
from unicorn_codec.metadata import PictureMetadata
from unicorn_codec.pictures import recognise
from unicorn_codec.pictures.code_carrying import LOSSLESS, can_carry, with_code
from unicorn_codec.pictures.file_writing import refuse_output, write_file
from unicorn_codec.pictures.metadata_writing import finish, png_chunks_of, settings_for
from unicorn_codec.pictures.picture_files import printable
from unicorn_codec.pictures.pixels import Pixels
from unicorn_codec.pictures.png_writing import encode_png
from unicorn_codec.pictures.transparency import WHITE, flatten, has_alpha, with_alpha

WRITE_FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    ".png": ("PNG", {}),
    ".jpg": ("JPEG", {"quality": 95, "subsampling": "4:4:4"}),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": "4:4:4"}),
    ".webp": ("WEBP", {"lossless": True}),
    ".avif": ("AVIF", {"quality": 95, "subsampling": "4:4:4"}),
    ".tif": ("TIFF", {"compression": "tiff_deflate"}),
    ".tiff": ("TIFF", {"compression": "tiff_deflate"}),
    ".bmp": ("BMP", {}),
}

TRANSPARENCY = "transparency"
_OPAQUE_FORMATS = ("JPEG", "BMP")
"""Formats without transparency; few programs read that of a BMP."""


def write_picture(
    pixels: Pixels, path: Path | str, overwrite: bool = False, metadata: PictureMetadata | None = None
) -> list[str]:
    """Write pixels in the format of the path's suffix (PNG without one), whole or not at all.

    Args:
        pixels: ``(H, W, 3)``, or ``(H, W, 4)`` with transparency.
        metadata: goes into the file, whose time of modification it sets.

    Returns:
        The kinds of metadata that the format cannot hold, with ``TRANSPARENCY``.

    Raises:
        InvalidSetting: the suffix is not one of ``WRITE_FORMATS``.
        OutputError: the file exists and ``overwrite`` is false, cannot be written, or is too large for its format.
    """
    path = Path(path)
    write_format(path.suffix or ".png")
    refuse_output(path, overwrite=overwrite)
    known = metadata or PictureMetadata()
    try:
        encoded, lost = encode_with_metadata(pixels, path.suffix or ".png", known)
    except OutputError as error:
        raise OutputError(f"{path}: {error}") from error
    modified_ns = None if known.modified is None else known.modified * 10**9
    write_file(path, [encoded], overwrite=overwrite, modified_ns=modified_ns)
    return lost


def encode_picture(pixels: Pixels, suffix: str = ".png") -> bytes:
    """Return the bytes of a file of pixels, in the format of a suffix. Raises as the next one."""
    return encode_with_metadata(pixels, suffix, PictureMetadata())[0]


def encode_with_metadata(pixels: Pixels, suffix: str, metadata: PictureMetadata) -> tuple[bytes, list[str]]:
    """Return the bytes of a file of pixels, and the kinds of metadata that its format cannot hold.

    Args:
        pixels: ``(H, W, 3)``, or ``(H, W, 4)`` with transparency. A format without it gets them on white.

    Raises:
        InvalidSetting: the suffix is not one of ``WRITE_FORMATS``.
        OutputError: the picture is too large for its format.
    """
    assert pixels.shape[2:] in ((3,), (4,)), f"pixels are (H, W, 3) or (H, W, 4), not {pixels.shape}"
    assert pixels.dtype == np.uint8, f"pixels are uint8, not {pixels.dtype}"
    data, lost = _encoded(pixels, suffix, metadata)
    if metadata.carried is None or TRANSPARENCY in lost or not can_carry(write_format(suffix)[0]):
        return data, lost
    carried = replace(metadata.carried, pixels_sha256=digest_of_pixels(_as_read(data, pixels)))
    return with_code(data, serialize_carried(carried)), lost


def _encoded(pixels: Pixels, suffix: str, metadata: PictureMetadata) -> tuple[bytes, list[str]]:
    name, settings = write_format(suffix)
    if name == "PNG":
        return encode_png(pixels, png_chunks_of(metadata)), []
    encoded = io.BytesIO()
    added, lost = settings_for(name, metadata)
    if has_alpha(pixels) and name in _OPAQUE_FORMATS:
        pixels, lost = flatten(pixels, WHITE), [*lost, TRANSPARENCY]
    try:
        Image.fromarray(pixels).save(encoded, name, **settings, **added)
    except Exception as error:  # each of Pillow's writers has its own way to refuse a size
        height, width = pixels.shape[:2]
        raise OutputError(f"{width}x{height} pixels cannot be written as {name} ({error})") from error
    return finish(name, encoded.getvalue(), metadata), lost


def _as_read(data: bytes, pixels: Pixels) -> Pixels:
    """Return the pixels that packing reads of a file that was just made of pixels."""
    if recognise.recognise(data[: recognise.HEAD_BYTES]) in LOSSLESS and not has_alpha(pixels):
        return pixels
    from unicorn_codec.pictures.reading import decode_picture  # slow to import

    decoded = decode_picture(data, ReadOptions())
    return with_alpha(decoded.pixels, decoded.alpha)


def write_format(suffix: str) -> tuple[str, dict[str, Any]]:
    """Return Pillow's format name and settings for an output suffix such as ``.png``.

    Raises:
        InvalidSetting: the suffix is not one of ``WRITE_FORMATS``.
    """
    if suffix.lower() not in WRITE_FORMATS:
        raise InvalidSetting(f"pictures are written as {' '.join(WRITE_FORMATS)}, not {printable(suffix)!r}")
    return WRITE_FORMATS[suffix.lower()]
