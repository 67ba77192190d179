"""JPEG files to samples. Warnings of libjpeg count as damage; a missing end marker alone does not."""

import io
import re
from typing import Any

import numpy as np
import simplejpeg
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile, jpeg_factory

from unicorn_codec.config import ReadOptions
from unicorn_codec.pictures.colour_space import SRGB, ColourSpace
from unicorn_codec.pictures.exif import colour_of, orientation_of
from unicorn_codec.pictures.jpeg_markers import END, JpegFile, parse_jpeg
from unicorn_codec.pictures.limits import check_pixels, check_single, refuse_damage, refuse_loss
from unicorn_codec.pictures.picture_files import BadFile, DamagedFile
from unicorn_codec.pictures.raster import CMYK, GRAY, RGB, Raster, Samples
from unicorn_codec.pictures.reducing import reduction

EIGHTHS = 8
"""libjpeg decodes to sizes in eighths of the full one."""

_LARGE_THUMBNAILS = ("Large Thumbnail (VGA Equivalent)", "Large Thumbnail (Full HD Equivalent)")
_GAIN_MAPS = (b"hdrgm:", b"urn:iso:std:iso:ts:21496:-1", b"apple:photo:2020:aux:hdrgainmap")
_MOTION = re.compile(rb"GCamera:(MotionPhoto|MicroVideo)(=['\"]1|>1)")
_START = b"\xff\xd8\xff"
_NO_GAIN_MAP = "its HDR gain map is not kept"
_NOT_CHECKED = "its components are sampled in an unusual way, so that it was not checked for damage"
_UNUSUAL_SAMPLING = "Could not determine subsampling"
_MODELS = {1: (GRAY, "GRAY"), 3: (RGB, "RGB"), 4: (CMYK, "CMYK")}


def read_jpeg(data: bytes, options: ReadOptions) -> Raster:
    """Decode a JPEG file, at a reduced size if the options allow it. Raises ``BadFile``."""
    markers = parse_jpeg(data)
    if markers.frame is None:
        raise DamagedFile("its header is missing or damaged")
    if markers.precision != 8 or len(markers.components) not in _MODELS:
        raise BadFile(f"a JPEG of {markers.precision} bits and {len(markers.components)} components is not read")
    eighths = reduced_eighths(markers.width, markers.height, options)
    check_pixels(-(-markers.width * eighths // EIGHTHS), -(-markers.height * eighths // EIGHTHS), options)
    with jpeg_factory(io.BytesIO(data)) as image:
        behind = data[markers.end :].lstrip(b"\0")
        notes = [*_other_pictures(image, data, behind, options), *_motion(image, behind, options)]
        profile, orientation = image.info.get("icc_profile"), orientation_of(image)
        colour = ColourSpace(icc=profile) if profile else colour_of(image.getexif()) or SRGB
    samples, damage = _decoded(data, markers, eighths, options)
    return Raster(
        samples=samples,
        model=_MODELS[len(markers.components)][0],
        colour=colour,
        orientation=orientation,
        full_size=(markers.width, markers.height),
        notes=(*notes, *damage),
    )


def reduced_eighths(width: int, height: int, options: ReadOptions) -> int:
    """Return the eighths of its size that a picture is decoded to: 1, 2, 4, or 8 for the full size."""
    factor = reduction(width, height, options)
    return next(EIGHTHS // by for by in (8, 4, 2, 1) if by <= factor)


def _decoded(data: bytes, markers: JpegFile, eighths: int, options: ReadOptions) -> tuple[Samples, list[str]]:
    """Return samples (H, W, C), and notes on damage that the options accept."""
    # Replacing a missing end marker shows whether anything else is missing.
    closed = data if markers.has_end else data + END
    wanted: dict[str, Any] = {"colorspace": _MODELS[len(markers.components)][1]}
    if eighths < EIGHTHS:
        wanted |= {
            "min_height": -(-markers.height * eighths // EIGHTHS),
            "min_width": -(-markers.width * eighths // EIGHTHS),
        }
    faults = ["some of its scans are missing"] if markers.lacks_scans else []
    try:
        samples = simplejpeg.decode_jpeg(closed, **wanted)
    except ValueError as error:
        if _UNUSUAL_SAMPLING in str(error):
            return _by_pillow(data), [*refuse_damage(faults, options), _NOT_CHECKED]
        faults.insert(0, str(error))
        refuse_damage(faults, options)
        samples = simplejpeg.decode_jpeg(closed, **wanted, strict=False)
    notes = refuse_damage(faults, options)
    # By Adobe's convention, which all readers follow, ink is stored inverted.
    return (255 - samples if len(markers.components) == 4 else samples), notes


def _by_pillow(data: bytes) -> Samples:
    """Decode a picture with a chroma subsampling that TurboJPEG does not support."""
    with JpegImageFile(io.BytesIO(data)) as image:
        decoded = np.asarray(image)
    return decoded.reshape(*decoded.shape[:2], -1)


def _other_pictures(image: Image.Image, data: bytes, behind: bytes, options: ReadOptions) -> list[str]:
    """Return notes on further pictures, listed by MPF or appended. Previews are ignored, and gain maps are noted."""
    count = getattr(image, "n_frames", 1)
    if count <= 1:
        if not behind.startswith(_START):
            return []
        if any(mark in data for mark in _GAIN_MAPS):
            return [_NO_GAIN_MAP]
        return check_single(2, "picture", options)
    notes, others = [], 1
    for entry in getattr(image, "mpinfo", {}).get(0xB002, [])[1:]:
        start = entry["DataOffset"]
        kind = entry["Attribute"]["MPType"]
        if any(mark in data[start : start + entry["Size"]] for mark in _GAIN_MAPS):
            notes = [_NO_GAIN_MAP]
        elif kind not in _LARGE_THUMBNAILS:
            others += 1
    return notes + check_single(others, "picture", options)


def _motion(image: Image.Image, behind: bytes, options: ReadOptions) -> list[str]:
    """Return notes on the video appended to a motion photo, recognised by XMP or by its first bytes."""
    xmp = image.info.get("xmp", b"")
    is_marked = isinstance(xmp, bytes) and _MOTION.search(xmp)
    if not is_marked and b"ftyp" not in behind[:8] and b"MotionPhoto_Data" not in behind:
        return []
    return refuse_loss("it is a motion photo, whose video would be lost", options)
