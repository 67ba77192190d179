"""GIF, WebP and other files that Pillow decodes whole, to samples."""

import io
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from PIL import Image
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.WebPImagePlugin import WebPImageFile

from unicorn_codec.config import ReadOptions
from unicorn_codec.pictures.colour_space import SRGB, ColourSpace
from unicorn_codec.pictures.exif import colour_of, orientation_of
from unicorn_codec.pictures.limits import check_pixels, check_single, refuse_damage, zero_faults
from unicorn_codec.pictures.picture_files import BadFile
from unicorn_codec.pictures.raster import CMYK, GRAY, RGB, Raster, Samples

_CODED = (b"VP8 ", b"VP8L", b"ANMF")
_GRAY_MODES = ("1", "L", "LA", "La", "I;16")


def read_gif(data: bytes, options: ReadOptions) -> Raster:
    """Decode a GIF file. The canvas around its frame is transparent. Raises ``BadFile``."""
    with GifImageFile(io.BytesIO(data)) as image:
        check_pixels(*image.size, options)
        left, top, right, bottom = (image.tile[0].extents if image.tile else None) or (0, 0, 0, 0)
        notes = check_single(getattr(image, "n_frames", 1), "frame", options)
        image.seek(0)
        layered = np.asarray(image.convert("RGBA"))
    alpha = np.zeros(layered.shape[:2], np.uint8)
    alpha[top:bottom, left:right] = layered[top:bottom, left:right, 3]
    return Raster(samples=layered[:, :, :3], model=RGB, alpha=None if alpha.min() == 255 else alpha, notes=tuple(notes))


def read_webp(data: bytes, options: ReadOptions) -> Raster:
    """Decode a WebP file. Raises ``BadFile``."""
    stated = int.from_bytes(data[4:8], "little") + 8
    faults = [f"it has {len(data)} bytes of {stated}"] if len(data) < stated else []
    faults += [fault for kind, payload in _chunks(data) if kind in _CODED for fault in zero_faults(payload)]
    notes = refuse_damage(faults, options)
    raster = still_of(WebPImageFile(io.BytesIO(data)), options)
    return replace(raster, notes=(*raster.notes, *notes))


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield type and content of each chunk of a RIFF file."""
    at = 12
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        yield data[at : at + 4], data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


def still_of(image: ImageFile, options: ReadOptions) -> Raster:
    """Decode an opened 8-bit image, and close it. Raises ``BadFile``."""
    with image:
        check_pixels(*image.size, options)
        notes = check_single(getattr(image, "n_frames", 1), "frame", options)
        image.load()
        profile = image.info.get("icc_profile")
        model, samples, alpha = samples_of(image)
        return Raster(
            samples=samples,
            model=model,
            alpha=alpha,
            colour=ColourSpace(icc=profile) if profile else colour_of(image.getexif()) or SRGB,
            orientation=orientation_of(image),
            notes=tuple(notes),
        )


def samples_of(image: Image.Image) -> tuple[str, Samples, Samples | None]:
    """Return model, samples (H, W, C) and alpha (H, W) of a decoded 8-bit image of Pillow."""
    if image.mode == "CMYK":
        return CMYK, np.array(image), None
    is_gray = image.mode in _GRAY_MODES
    if image.mode not in (*_GRAY_MODES, "P", "PA", "RGB", "RGBA", "RGBX", "RGBa"):
        raise BadFile(f"samples of kind {image.mode} are not read")
    if image.has_transparency_data:
        layered = np.asarray(image.convert("RGBA"))
        alpha = layered[:, :, 3]
    else:
        layered, alpha = np.array(image.convert("L" if is_gray else "RGB")), None
    samples = layered.reshape(*layered.shape[:2], -1)[:, :, : 1 if is_gray else 3]
    return GRAY if is_gray else RGB, samples, None if alpha is None or alpha.min() == 255 else alpha
