"""PNG files to samples at their full depth, with transparency and colour space."""

import io
import zlib
from dataclasses import replace

import numpy as np
from PIL.PngImagePlugin import PngImageFile

from unicorn_codec.config import ReadOptions
from unicorn_codec.pictures.colour_space import SRGB, ColourSpace
from unicorn_codec.pictures.exif import colour_of, orientation_of
from unicorn_codec.pictures.limits import check_pixels, check_single, refuse_damage
from unicorn_codec.pictures.picture_files import DamagedFile
from unicorn_codec.pictures.png_bands import decode_png, png_bands
from unicorn_codec.pictures.png_chunks import PngFile, parse_png, plain_png
from unicorn_codec.pictures.raster import CHANNELS, GRAY, RGB, Raster, Samples, full_scale, widened
from unicorn_codec.pictures.reducing import reduced, reduction

_LEAST_SHARE = 16
"""Minimum share of a damaged picture's data that must be present, because a small file can claim any size."""

_GRAY, _RGB, _PALETTE, _GRAY_ALPHA = 0, 2, 3, 4


def read_png(data: bytes, options: ReadOptions) -> Raster:
    """Decode a PNG file. Raises ``BadFile``."""
    png = parse_png(data)
    notes = [*png.notes, *check_single(png.frames, "frame", options)]
    factor = 1 if png.interlaced else reduction(png.width, png.height, options)
    check_pixels(-(-png.width // factor), -(-png.height // factor), options)
    if damage := refuse_damage([*png.faults, *_missing_rows(png)], options):
        notes, png = notes + damage, _completed(png)
    if factor > 1:
        layered = reduced((np.dstack(_layers(png, band)) for band in png_bands(png)), factor)
    else:
        layered = np.dstack(_layers(png, decode_png(png)))
    orientation, colour = _by_exif(png)
    model = GRAY if png.colour_type in (_GRAY, _GRAY_ALPHA) else RGB
    channels = CHANNELS[model]
    samples = layered[:, :, :channels]
    return Raster(
        samples=_of_full_range(samples) if png.narrow else samples,
        model=model,
        alpha=layered[:, :, channels] if layered.shape[2] > channels else None,
        colour=png.colour or colour,
        orientation=orientation,
        full_size=(png.width, png.height),
        notes=tuple(notes),
    )


def _missing_rows(png: PngFile) -> list[str]:
    """Return a fault if the data ends before the last row, or its checksum is wrong."""
    unpacker, pending, rows = zlib.decompressobj(), png.data, 0
    wanted = png.height * (png.row_bytes + 1)
    try:
        while pending and rows < wanted and not unpacker.eof:
            rows += len(unpacker.decompress(pending, 1 << 20))
            pending = unpacker.unconsumed_tail
    except zlib.error:
        return ["its picture data is damaged"]
    # An interlaced picture has a few more filter bytes, and at most a byte of padding per row and pass.
    return [] if rows >= wanted else ["its picture data ends early"]


def _completed(png: PngFile) -> PngFile:
    """Complete a damaged picture: missing rows are black, or what their filters turn that into.

    Raises:
        DamagedFile: hardly any data is present.
    """
    unpacker, rows = zlib.decompressobj(), bytearray()
    # An interlaced picture has more rows, of fewer bytes.
    wanted = png.height * (png.row_bytes + 1) * (2 if png.interlaced else 1)
    try:
        for at in range(0, len(png.data), 256):
            rows += unpacker.decompress(png.data[at : at + 256], wanted - len(rows) or 1)
    except zlib.error:
        pass  # keep the data before the damage
    if len(rows) < wanted // _LEAST_SHARE:
        raise DamagedFile("it is damaged: hardly anything of it is there")
    return replace(png, data=zlib.compress(bytes(rows[:wanted].ljust(wanted, b"\0")), 1))


def _layers(png: PngFile, stored: Samples) -> list[Samples]:
    """Split stored samples (h, W, C) into colours (h, W, C) and alpha (h, W), None without transparency."""
    if png.colour_type == _PALETTE:
        return _of_palette(png, stored[:, :, 0])
    values = widened(stored, png.depth)
    alpha = _keyed_alpha(png, values)
    return [values] if alpha is None else [values, alpha]


def _of_palette(png: PngFile, indices: Samples) -> list[Samples]:
    """Look up colours in the palette; an index beyond it is black and opaque, as in libpng."""
    colours = np.zeros((256, 3), np.uint8)
    entries = np.frombuffer(png.palette[: len(png.palette) // 3 * 3], np.uint8).reshape(-1, 3)[:256]
    colours[: len(entries)] = entries
    if not png.transparency:
        return [colours[indices]]
    opacity = np.full(256, 255, np.uint8)
    listed = np.frombuffer(png.transparency[:256], np.uint8)
    opacity[: len(listed)] = listed
    return [colours[indices], opacity[indices]]


def _keyed_alpha(png: PngFile, values: Samples) -> Samples | None:
    """Return alpha by tRNS: the value or colour that it names is transparent."""
    channels = {_GRAY: 1, _RGB: 3}.get(png.colour_type)
    if channels is None or png.transparency is None or len(png.transparency) != 2 * channels:
        return None
    key = np.frombuffer(png.transparency, ">u2").astype(np.int64) & ((1 << png.depth) - 1)
    opaque = int(full_scale(values.dtype))
    return np.where((values == widened(key, png.depth)).all(axis=2), 0, opaque).astype(values.dtype)


def _of_full_range(samples: Samples) -> Samples:
    top = full_scale(samples.dtype)
    black, white = top * 16 / 255, top * 235 / 255
    return np.rint(np.clip((samples - black) / (white - black), 0, 1) * top).astype(samples.dtype)


def _by_exif(png: PngFile) -> tuple[int, ColourSpace]:
    """Return orientation and colour space by EXIF."""
    with PngImageFile(io.BytesIO(plain_png(png))) as image:
        return orientation_of(image), colour_of(image.getexif()) or SRGB
