"""AVIF and HEIC files to samples at their full depth, with the colour space that the container names."""

import io
from typing import Any

import imagecodecs
import numpy as np
from PIL import Image
from PIL.AvifImagePlugin import AvifImageFile

from unicorn_codec.config import ReadOptions
from unicorn_codec.pictures.colour_space import SRGB, ColourSpace, of_cicp
from unicorn_codec.pictures.exif import colour_of, orientation_of
from unicorn_codec.pictures.heif_boxes import HeifFile, boxes, parse_heif
from unicorn_codec.pictures.limits import check_pixels, check_single, refuse_damage, zero_faults
from unicorn_codec.pictures.picture_files import MissingReader
from unicorn_codec.pictures.pillow_files import samples_of
from unicorn_codec.pictures.raster import GRAY, RGB, Raster, Samples, widened


def read_avif(data: bytes, options: ReadOptions) -> Raster:
    """Decode an AVIF file. Raises ``BadFile``."""
    heif = parse_heif(data)
    damage = refuse_damage(_faults(data), options)
    with AvifImageFile(io.BytesIO(data)) as image:
        check_pixels(image.width, image.height, options)
        notes = check_single(getattr(image, "n_frames", 1), "frame", options) or _others(heif, options)
        image.load()
        model, samples, alpha = samples_of(image)
        colour = _colour(image.info.get("icc_profile"), heif.nclx, image.getexif())
        turned = orientation_of(image)
    deep = _deep_samples(data, samples.shape[:2])
    if deep is not None:
        model, samples, alpha = deep
    return Raster(
        samples=samples,
        model=model,
        alpha=alpha,
        colour=colour,
        orientation=turned,
        notes=(*notes, *damage, *_gain_map(heif)),
    )


def read_heic(data: bytes, options: ReadOptions) -> Raster:
    """Decode a HEIC file. Raises ``BadFile``, or ``MissingReader`` without the package ``pillow-heif``."""
    try:
        import pillow_heif
    except ImportError as error:
        raise MissingReader("a HEIC picture is read with the extra 'heif': pip install unicorn-codec[heif]") from error
    heif = parse_heif(data)
    damage = refuse_damage(_faults(data), options)
    opened: Any = pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False)
    width, height = opened.size
    check_pixels(width, height, options)
    notes = check_single(len(opened), "picture", options) or _others(heif, options)
    primary = opened[opened.primary_index]
    decoded, bits = np.asarray(primary), int(primary.info.get("bit_depth", 8))
    exif = Image.Exif()
    if found := primary.info.get("exif"):
        exif.load(found)
    planes = decoded.reshape(*decoded.shape[:2], -1)
    # pillow-heif scales deeper samples to 16 bits.
    model, samples, alpha = _split(widened(planes, 8 if bits <= 8 else 16))
    # libheif has applied the container's rotation.
    return Raster(
        samples=samples,
        model=model,
        alpha=alpha,
        premultiplied=bool(getattr(primary, "premultiplied_alpha", False)) and alpha is not None,
        colour=_colour(primary.info.get("icc_profile"), heif.nclx, exif),
        notes=(*notes, *damage, *_gain_map(heif)),
    )


def _faults(data: bytes) -> list[str]:
    return [fault for kind, payload in boxes(data) if kind == b"mdat" for fault in zero_faults(payload)]


def _others(heif: HeifFile, options: ReadOptions) -> list[str]:
    return check_single(heif.pictures, "picture", options)


def _gain_map(heif: HeifFile) -> list[str]:
    return ["its HDR gain map is not kept"] if heif.tone_mapped else []


def _colour(profile: Any, nclx: tuple[int, int] | None, exif: Image.Exif) -> ColourSpace:
    """Return the colour space: by profile, else by the container's numbers, else by EXIF."""
    if isinstance(profile, bytes) and profile:
        return ColourSpace(icc=profile)
    return (of_cicp(*nclx) if nclx else None) or colour_of(exif) or SRGB


def _deep_samples(data: bytes, size: tuple[int, ...]) -> tuple[str, Samples, Samples | None] | None:
    """Decode a picture of more than 8 bits, which Pillow would reduce to 8; None for others."""
    bits = _avif_bits(data)
    if bits == 8:
        return None
    decoded = np.asarray(imagecodecs.avif_decode(data, index=0, numthreads=1))
    if decoded.dtype != np.uint16 or decoded.shape[:2] != size:
        return None
    return _split(widened(decoded.reshape(*size, -1), bits))


def _avif_bits(data: bytes) -> int:
    """Return the bits per sample, by the configuration of the first AV1 stream."""
    at = data.find(b"av1C")
    if at < 0 or at + 7 > len(data) or not data[at + 6] & 0x40:
        return 8
    return 12 if data[at + 6] & 0x20 else 10


def _split(planes: Samples) -> tuple[str, Samples, Samples | None]:
    count = planes.shape[2]
    channels = 1 if count < 3 else 3
    alpha = planes[:, :, channels] if count > channels else None
    return (GRAY if channels == 1 else RGB), planes[:, :, :channels], alpha
